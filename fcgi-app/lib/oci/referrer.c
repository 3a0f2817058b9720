/* Referrers as descriptors of an index, written straight as text. */
#include "oci/referrer.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "oci/manifest.h"

static struct str
dump(struct ctx *c, const json_t *annotations)
{
	return json_object_size(annotations) == 0 ? STR0 : js_dump(c, annotations);
}

void
oci_referrer_of(struct ctx *c, const struct oci_manifest *m, struct str digest, int64_t size_bytes,
                struct oci_referrer *out)
{
	*out = (struct oci_referrer){
		.media_type = str_of(m->media_type),
		.digest = digest,
		.size_bytes = size_bytes,
		.artifact_type = m->artifact_type,
		.annotations = dump(c, m->annotations),
	};
}

void
oci_referrer_of_entry(struct ctx *c, const struct oci_descriptor *d, struct oci_referrer *out)
{
	*out = (struct oci_referrer){
		.media_type = d->media_type,
		.digest = oci_digest_str(&d->digest),
		.size_bytes = d->size_bytes,
		.artifact_type = d->artifact_type,
		.annotations = dump(c, d->annotations),
	};
}

bool
oci_referrer_passes(const struct oci_referrer *r, struct str artifact_type)
{
	return artifact_type.n == 0 || str_eq(r->artifact_type, artifact_type);
}

static void
put_entry(struct buf *b, const struct oci_referrer *r)
{
	buf_puts(b, "{\"mediaType\":");
	buf_put_json(b, r->media_type);
	buf_puts(b, ",\"digest\":");
	buf_put_json(b, r->digest);
	buf_putf(b, ",\"size\":%lld", (long long)r->size_bytes);
	if (r->artifact_type.n > 0) {
		buf_puts(b, ",\"artifactType\":");
		buf_put_json(b, r->artifact_type);
	}
	if (r->annotations.n > 0) {
		buf_puts(b, ",\"annotations\":");
		buf_put(b, r->annotations);
	}
	buf_putc(b, '}');
}

static int
by_digest(const void *a, const void *b)
{
	const struct oci_referrer *x = *(const struct oci_referrer *const *)a,
	                          *y = *(const struct oci_referrer *const *)b;
	const int r = str_cmp(x->digest, y->digest);

	return r != 0 ? r : (x > y) - (x < y);
}

/* Marks the entries that repeat the digest of an earlier one. */
static bool *
find_repeated(struct ctx *c, const struct oci_referrer *v, size_t n)
{
	const struct oci_referrer **p = ARENA_ARRAY(c->mem, const struct oci_referrer *, n);
	bool *repeated = ARENA_ARRAY(c->mem, bool, n);

	for (size_t i = 0; i < n; i++)
		p[i] = &v[i];
	qsort(p, n, sizeof p[0], by_digest);
	for (size_t i = 1; i < n; i++)
		repeated[p[i] - v] = str_eq(p[i]->digest, p[i - 1]->digest);
	return repeated;
}

struct str
oci_referrers_index(struct ctx *c, const struct oci_referrer *v, size_t n, struct str artifact_type)
{
	const bool *repeated = find_repeated(c, v, n);
	struct buf b = BUF(c->mem);
	bool first = true;

	buf_putf(&b, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[",
	         oci_media_info(OCI_MEDIA_OCI_INDEX)->name);
	for (size_t i = 0; i < n; i++) {
		if (repeated[i] || !oci_referrer_passes(&v[i], artifact_type))
			continue;
		if (!first)
			buf_putc(&b, ',');
		put_entry(&b, &v[i]);
		first = false;
	}
	buf_puts(&b, "]}");
	return buf_str(&b);
}
