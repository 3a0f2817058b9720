/* Members, descriptors and sets of digests, read with the checks that all kinds of manifest share. */
#include "oci/manifest-parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "oci/say.h"

enum err_kind
oci_no_match(struct ctx *c, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return oci_manifest_invalid(c, "failed to parse manifest: manifest data does not match schema: %s",
	                            text);
}

const json_t *
oci_member(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_null(v) ? NULL : v;
}

enum err_kind
oci_read_str(struct ctx *c, const json_t *o, const char *in, const char *key, bool must, struct str *out)
{
	const json_t *v = must ? json_object_get(o, key) : oci_member(o, key);

	if (v == NULL && must)
		return oci_no_match(c, "%s has no '%s'", in, key);
	if (v != NULL && !json_is_string(v))
		return oci_no_match(c, "'%s' of %s is not a string", key, in);
	*out = v == NULL ? STR0 : (struct str){ json_string_value(v), json_string_length(v) };
	return ERR_NONE;
}

enum err_kind
oci_read_object(struct ctx *c, const json_t *o, const char *in, const char *key, const json_t **out)
{
	const json_t *v = oci_member(o, key);

	if (v != NULL && !json_is_object(v))
		return oci_no_match(c, "'%s' of %s is not an object", key, in);
	*out = v;
	return ERR_NONE;
}

enum err_kind
oci_check_head(struct ctx *c, const struct oci_manifest *m, bool must)
{
	const json_t *version = json_object_get(m->root, "schemaVersion");
	struct str type;

	if (!json_is_integer(version) || json_integer_value(version) != 2)
		return oci_no_match(c, "'schemaVersion' is not 2");
	TRY(oci_read_str(c, m->root, "the manifest", "mediaType", must, &type));
	if ((must || type.n > 0) && !str_eq_c(type, m->media_type))
		return oci_no_match(c, "'mediaType' is '%.*s', not '%s'", type.n > 120 ? 120 : (int)type.n,
		                    type.p, m->media_type);
	return ERR_NONE;
}

static enum err_kind
read_urls(struct ctx *c, const json_t *o, const char *in, bool *has_urls)
{
	const json_t *urls = oci_member(o, "urls");

	if (urls != NULL && !json_is_array(urls))
		return oci_no_match(c, "'urls' of %s is not an array", in);
	for (size_t i = 0; i < json_array_size(urls); i++)
		if (!json_is_string(json_array_get(urls, i)))
			return oci_no_match(c, "'urls' of %s holds something that is not a string", in);
	if (has_urls != NULL)
		*has_urls = json_array_size(urls) > 0;
	return ERR_NONE;
}

static enum err_kind
read_platform(struct ctx *c, const json_t *o, const char *in, struct oci_descriptor *d)
{
	const bool must = oci_media_is(d->media, OCI_IS_MANIFEST);
	const json_t *p = NULL;

	TRY(oci_read_object(c, o, in, "platform", &p));
	if (p == NULL)
		return ERR_NONE;
	TRY(oci_read_str(c, p, "platform", "architecture", must, &d->architecture));
	TRY(oci_read_str(c, p, "platform", "os", must, &d->os));
	return oci_read_str(c, p, "platform", "variant", false, &d->variant);
}

/* Any text that fits a media type's place: it is a search key. */
static enum err_kind
read_artifact_type(struct ctx *c, const json_t *o, const char *in, struct str *out)
{
	TRY(oci_read_str(c, o, in, "artifactType", false, out));
	return out->n <= OCI_MEDIA_TYPE_MAX ? ERR_NONE
	                                    : oci_no_match(c, "'artifactType' of %s is too long", in);
}

enum err_kind
oci_read_descriptor(struct ctx *c, const json_t *o, const char *in, struct oci_descriptor *out,
                    bool *has_urls)
{
	struct oci_descriptor d = { 0 };
	const json_t *size = json_object_get(o, "size");
	struct str digest;

	if (!json_is_object(o))
		return oci_no_match(c, "%s is not an object", in);
	TRY(oci_read_str(c, o, in, "mediaType", true, &d.media_type));
	if (!oci_media_valid(d.media_type))
		return oci_no_match(c, "'mediaType' of %s is not a media type", in);
	d.media = oci_media_find(d.media_type);
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return oci_no_match(c, "'size' of %s is not a whole number from 0 on", in);
	d.size_bytes = json_integer_value(size);
	TRY(oci_read_str(c, o, in, "digest", true, &digest));
	if (!oci_digest_parse(digest, &d.digest))
		return oci_no_match(c, "'digest' of %s is not a sha256 or sha512 digest", in);
	TRY(oci_read_object(c, o, in, "annotations", &d.annotations));
	TRY(read_artifact_type(c, o, in, &d.artifact_type));
	TRY(read_urls(c, o, in, has_urls));
	TRY(read_platform(c, o, in, &d));
	*out = d;
	return ERR_NONE;
}

static int
by_digest(const void *a, const void *b)
{
	const struct oci_descriptor *x = *(const struct oci_descriptor *const *)a,
	                            *y = *(const struct oci_descriptor *const *)b;
	const int r = strcmp(x->digest.text, y->digest.text);

	return r != 0 ? r : (x > y) - (x < y);
}

static int
by_place(const void *a, const void *b)
{
	const struct oci_descriptor *x = *(const struct oci_descriptor *const *)a,
	                            *y = *(const struct oci_descriptor *const *)b;

	return (x > y) - (x < y);
}

/* Sorting, not hashing: the digests are the client's, and a sort has no bad case that he could aim at. */
enum err_kind
oci_unique(struct ctx *c, const struct oci_descriptors *in, bool same_size, struct oci_descriptors *out)
{
	const struct oci_descriptor **p = ARENA_ARRAY(c->mem, const struct oci_descriptor *, in->n);
	size_t n = 0;

	for (size_t i = 0; i < in->n; i++)
		p[i] = &in->v[i];
	qsort(p, in->n, sizeof p[0], by_digest);
	for (size_t i = 0; i < in->n; i++) {
		if (n == 0 || strcmp(p[n - 1]->digest.text, p[i]->digest.text) != 0)
			p[n++] = p[i];
		else if (same_size && p[n - 1]->size_bytes != p[i]->size_bytes)
			return oci_no_match(c, "two sizes for %s", p[i]->digest.text);
	}
	qsort(p, n, sizeof p[0], by_place);
	out->v = ARENA_ARRAY(c->mem, struct oci_descriptor, n);
	out->n = n;
	for (size_t i = 0; i < n; i++)
		out->v[i] = *p[i];
	return ERR_NONE;
}

/* config and the layers that are kept here, each once. */
static enum err_kind
collect_blobs(struct ctx *c, struct oci_manifest *m)
{
	struct oci_descriptors all = { ARENA_ARRAY(c->mem, struct oci_descriptor, m->layers.n + 1), 0 };

	all.v[all.n++] = *m->config;
	for (size_t i = 0; i < m->layers.n; i++)
		if (!m->layers.v[i].is_foreign)
			all.v[all.n++] = m->layers.v[i];
	return oci_unique(c, &all, false, &m->blobs);
}

enum err_kind
oci_read_image(struct ctx *c, struct oci_manifest *m, oci_check_layer *check)
{
	const json_t *layers = json_object_get(m->root, "layers");
	struct oci_descriptor *config = ARENA_NEW(c->mem, struct oci_descriptor);
	int64_t sum = 0;

	if (oci_member(m->root, "manifests") !=
	    NULL) /* one reader could take it for a list, another for an image */
		return oci_no_match(c, "an image manifest with 'manifests'");
	TRY(oci_read_descriptor(c, json_object_get(m->root, "config"), "'config'", config, NULL));
	m->config = config;
	if (!json_is_array(layers))
		return oci_no_match(c, "'layers' is not an array");
	m->layers.v = ARENA_ARRAY(c->mem, struct oci_descriptor, json_array_size(layers));
	for (size_t i = 0; i < json_array_size(layers); i++) {
		struct oci_descriptor *d = &m->layers.v[i];
		bool has_urls = false;

		TRY(oci_read_descriptor(c, json_array_get(layers, i), "a layer", d, &has_urls));
		TRY(check(c, d, has_urls));
		if (oci_media_is(d->media, OCI_IS_FOREIGN) && !has_urls)
			return oci_manifest_invalid(c, "missing `urls` for remote layer");
		if (__builtin_add_overflow(sum, d->size_bytes, &sum))
			return oci_no_match(c, "the sizes of the layers do not fit");
		m->layers.n = i + 1;
	}
	m->layers_size_bytes = sum;
	return collect_blobs(c, m);
}

enum err_kind
oci_read_oci_extras(struct ctx *c, struct oci_manifest *m)
{
	const json_t *subject = oci_member(m->root, "subject");

	TRY(oci_read_object(c, m->root, "the manifest", "annotations", &m->annotations));
	TRY(read_artifact_type(c, m->root, "the manifest", &m->artifact_type));
	if (subject != NULL) {
		struct oci_descriptor *d = ARENA_NEW(c->mem, struct oci_descriptor);
		TRY(oci_read_descriptor(c, subject, "'subject'", d, NULL));
		m->subject = d;
	}
	return ERR_NONE;
}
