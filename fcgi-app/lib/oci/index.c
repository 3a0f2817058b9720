/* Docker's manifest list and the OCI index. Buildkit writes caches as lists of layers: entries that are no
 * manifests are blobs that the repository must hold. */
#include "base/arena.h"
#include "base/ctx.h"
#include "oci/manifest-parts.h"

enum err_kind
oci_read_index(struct ctx *c, struct oci_manifest *m)
{
	const json_t *entries = json_object_get(m->root, "manifests");
	const size_t n = json_array_size(entries);
	struct oci_descriptors blobs = { 0 };

	m->is_index = true;
	TRY(oci_check_head(c, m, m->media == OCI_MEDIA_DOCKER_LIST));
	if (oci_member(m->root, "layers") != NULL || oci_member(m->root, "config") != NULL)
		return oci_no_match(c, "a list with 'config' or 'layers'");
	if (!json_is_array(entries))
		return oci_no_match(c, "'manifests' is not an array");
	m->entries.v = ARENA_ARRAY(c->mem, struct oci_descriptor, n);
	blobs.v = ARENA_ARRAY(c->mem, struct oci_descriptor, n);
	for (size_t i = 0; i < n; i++) {
		struct oci_descriptor d;
		TRY(oci_read_descriptor(c, json_array_get(entries, i), "an entry of 'manifests'", &d, NULL));
		if (oci_media_is(d.media, OCI_IS_MANIFEST))
			m->entries.v[m->entries.n++] = d;
		else
			blobs.v[blobs.n++] = d;
	}
	TRY(oci_unique(c, &m->entries, true, &m->children));
	TRY(oci_unique(c, &blobs, false, &m->blob_refs));
	m->blobs = m->blob_refs;
	return m->media == OCI_MEDIA_OCI_INDEX ? oci_read_oci_extras(c, m) : ERR_NONE;
}
