/* The OCI image manifest, which carries artifacts too: any config and layer types. */
#include "oci/manifest-parts.h"

/* urls are only another source for a layer; nondistributable ones are not expected here. */
static enum err_kind
check_layer(struct ctx *c, struct oci_descriptor *d, bool has_urls)
{
	(void)c;
	(void)has_urls;
	d->is_foreign = oci_media_is(d->media, OCI_IS_FOREIGN);
	return ERR_NONE;
}

enum err_kind
oci_read_oci(struct ctx *c, struct oci_manifest *m)
{
	TRY(oci_check_head(c, m, false));
	TRY(oci_read_image(c, m, check_layer));
	TRY(oci_read_oci_extras(c, m));
	if (m->artifact_type.n == 0)
		m->artifact_type = m->config->media_type;
	return ERR_NONE;
}
