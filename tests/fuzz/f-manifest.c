/* Fuzz target: manifests, as a client pushes them. The first byte picks the Content-Type; the rest is the
 * body. What is accepted must be consistent, and its digest and referrers entry must be computable. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "oci/image-config.h"
#include "oci/label.h"
#include "oci/manifest.h"
#include "oci/referrer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct ctx *c, const struct oci_manifest *m, struct str bytes)
{
	struct oci_digest d;
	struct oci_referrer r;
	struct oci_labels labels;
	struct oci_acting act;
	json_t *root;

	assert(oci_media_is(m->media, OCI_IS_MANIFEST) &&
	       (m->config == NULL) == (m->is_index || m->schema == 1));
	assert(m->children.n <= m->entries.n && m->blobs.n <= m->layers.n + m->blob_refs.n + 1);
	for (size_t i = 0; i < m->layers.n; i++)
		assert(m->layers.v[i].size_bytes >= (m->schema == 1 ? -1 : 0));
	oci_manifest_digest(m, OCI_SHA512, bytes, &d);
	oci_manifest_child(m, "linux", "amd64");
	oci_labels_merge(c, NULL, m->annotations, &labels);
	oci_labels_acting(&labels, &act);
	oci_referrer_of(c, m, str_of(d.text), (int64_t)bytes.n, &r);
	if (m->schema == 2)
		assert(js_parse(c, oci_referrers_index(c, &r, 1, STR0), &JS_MANIFEST, &root) == ERR_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum oci_media type[] = { OCI_MEDIA_OTHER,          OCI_MEDIA_SCHEMA1,
		                               OCI_MEDIA_SCHEMA1_SIGNED, OCI_MEDIA_DOCKER_MANIFEST,
		                               OCI_MEDIA_DOCKER_LIST,    OCI_MEDIA_OCI_MANIFEST,
		                               OCI_MEDIA_OCI_INDEX };
	struct ctx c = { .mem = arena_new(0) };
	struct oci_manifest *m;
	struct oci_config cfg;

	if (size > 0) {
		const struct str bytes = { (const char *)data + 1, size - 1 };
		const char *name = oci_media_info(type[data[0] % (sizeof type / sizeof type[0])])->name;
		const enum err_kind k = oci_manifest_parse(&c, bytes, str_of(name), &JS_MANIFEST, &m);

		assert(k == ERR_NONE || (c.err.say != NULL && c.err.detail_json != NULL));
		if (k == ERR_NONE)
			check(&c, m, bytes);
		oci_config_parse(&c, bytes, &JS_MANIFEST, &cfg);
	}
	arena_free(c.mem);
	return 0;
}
