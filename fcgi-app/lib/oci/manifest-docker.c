/* Docker's image manifest, schema 2. */
#include "oci/manifest-parts.h"

/* Docker's own layer types, zstd and plain tar among them. A layer with urls is fetched from there. */
static enum err_kind
check_layer(struct ctx *c, struct oci_descriptor *d, bool has_urls)
{
	if (!oci_media_is(d->media, OCI_IS_LAYER) || !oci_media_is(d->media, OCI_IS_DOCKER))
		return oci_no_match(c, "'mediaType' of a layer is not one of schema 2");
	d->is_foreign = has_urls || oci_media_is(d->media, OCI_IS_FOREIGN);
	return ERR_NONE;
}

enum err_kind
oci_read_docker(struct ctx *c, struct oci_manifest *m)
{
	TRY(oci_check_head(c, m, true));
	TRY(oci_read_image(c, m, check_layer));
	if (!oci_media_is(m->config->media, OCI_IS_CONFIG) || !oci_media_is(m->config->media, OCI_IS_DOCKER))
		return oci_no_match(c, "'mediaType' of 'config' is not one of schema 2");
	return ERR_NONE;
}
