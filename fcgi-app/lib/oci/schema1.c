/* Schema 1: the oldest manifest, with the layers' configurations inside and, mostly, a signature around. The
 * digest of a signed one is over the signed payload: the document without its signatures, as `protected` of
 * each signature says. */
#include "oci/schema1.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "oci/manifest-parts.h"
#include "oci/name.h"
#include "oci/say.h"

#define ID_MAX 255
static const struct js_limits V1_LIMITS = { .bytes = 1 << 20, .depth = 64, .values = 5000 };
/* Its bytes are those of the document, counted before, and a short tail. */
static const struct js_limits PAYLOAD_LIMITS = { .bytes = SIZE_MAX, .depth = 64, .values = 60000 };
static const struct js_limits PROTECTED_LIMITS = { .bytes = 4096, .depth = 4, .values = 100 };

static const char *
read_id(const json_t *o, const char *key, char text[ID_MAX + 1])
{
	const struct str s = js_str(o, key);

	if (s.n == 0 || s.n > ID_MAX)
		return NULL;
	memcpy(text, s.p, s.n + 1);
	return text;
}

/* One history entry. Its JSON is parsed and dropped at once: the whole may hold hundreds of them. */
static enum err_kind
read_v1(struct ctx *c, const json_t *entry, struct oci_v1_layer *out)
{
	char id_text[ID_MAX + 1], parent_text[ID_MAX + 1];
	const char *id, *parent;
	json_t *o;

	TRY(oci_read_str(c, entry, "an entry of 'history'", "v1Compatibility", true, &out->v1_compatibility));
	if (!js_count(out->v1_compatibility, &V1_LIMITS))
		return oci_no_match(c, "a 'v1Compatibility' is too large");
	o = json_loadb(out->v1_compatibility.p, out->v1_compatibility.n, JSON_REJECT_DUPLICATES, NULL);
	id = read_id(o, "id", id_text);
	parent = read_id(o, "parent", parent_text);
	json_decref(o);
	if (id == NULL)
		return oci_manifest_invalid(
		    c, "malformed manifest data: could not parse v1Compatibility or its id");
	out->id = str_dup_c(c->mem, id);
	out->parent = parent == NULL ? NULL : str_dup_c(c->mem, parent);
	return ERR_NONE;
}

struct place {
	const char *id;
	size_t at; /* base first */
};

static int
by_id(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	const int r = strcmp(x->id, y->id);

	return r != 0 ? r : (x->at > y->at) - (x->at < y->at);
}

static int
find_id(const void *key, const void *item)
{
	return strcmp(key, ((const struct place *)item)->id);
}

/* Every parent comes before its child. */
static enum err_kind
check_parents(struct ctx *c, const struct oci_schema1 *s)
{
	struct place *p = ARENA_ARRAY(c->mem, struct place, s->n_v1);

	for (size_t i = 0; i < s->n_v1; i++)
		p[i] = (struct place){ s->v1[i].id, i };
	qsort(p, s->n_v1, sizeof p[0], by_id);
	for (size_t i = 0; i < s->n_v1; i++) {
		const struct place *hit;
		if (s->v1[i].parent == NULL)
			continue;
		hit = bsearch(s->v1[i].parent, p, s->n_v1, sizeof p[0], find_id);
		while (hit != NULL && hit > p && strcmp(hit[-1].id, hit->id) == 0)
			hit--; /* the first of equal ids */
		if (hit == NULL || hit->at >= i)
			return oci_manifest_invalid(c, "Unknown parent image %s", s->v1[i].parent);
	}
	return ERR_NONE;
}

/* fsLayers and history run from the leaf down, side by side; the shorter one counts. */
static enum err_kind
read_layers(struct ctx *c, struct oci_manifest *m, struct oci_schema1 *s)
{
	const json_t *fs = json_object_get(m->root, "fsLayers"),
	             *history = json_object_get(m->root, "history");
	size_t n = json_array_size(fs);
	struct str digest;

	if (!json_is_array(fs) || !json_is_array(history))
		return oci_no_match(c, "'fsLayers' or 'history' is not an array");
	if (n > json_array_size(history))
		n = json_array_size(history);
	if (n == 0)
		return oci_manifest_invalid(c, "malformed manifest data: manifest has no layers");
	m->layers.v = ARENA_ARRAY(c->mem, struct oci_descriptor, n);
	m->layers.n = s->n_v1 = n;
	s->v1 = ARENA_ARRAY(c->mem, struct oci_v1_layer, n);
	for (size_t i = 0; i < n; i++) {
		struct oci_descriptor *d = &m->layers.v[n - 1 - i];
		TRY(oci_read_str(c, json_array_get(fs, i), "an entry of 'fsLayers'", "blobSum", true,
		                 &digest));
		if (!oci_digest_parse(digest, &d->digest))
			return oci_no_match(c, "'blobSum' is not a sha256 or sha512 digest");
		d->media = OCI_MEDIA_DOCKER_LAYER_GZIP;
		d->media_type = str_of(oci_media_info(d->media)->name);
		d->size_bytes = -1;
		TRY(read_v1(c, json_array_get(history, i), &s->v1[n - 1 - i]));
	}
	TRY(check_parents(c, s));
	return oci_unique(c, &m->layers, false, &m->blobs);
}

static enum err_kind
bad_signature(struct ctx *c)
{
	return oci_manifest_invalid(c, "malformed manifest data: could not read the signatures");
}

struct format { /* of what was signed: the first bytes of the document, then a tail */
	size_t length;
	struct str tail;
};

static enum err_kind
read_format(struct ctx *c, struct str bytes, struct str protect, struct format *out)
{
	struct str text;
	json_t *o;
	int64_t length;

	if (protect.n > PROTECTED_LIMITS.bytes || !base64url_get(c->mem, protect, &text) ||
	    js_parse(c, text, &PROTECTED_LIMITS, &o) != ERR_NONE)
		return bad_signature(c);
	length = js_i64(o, "formatLength", -1);
	if (length < 0 || (uint64_t)length > bytes.n ||
	    !base64url_get(c->mem, js_str(o, "formatTail"), &out->tail))
		return bad_signature(c);
	out->length = (size_t)length;
	return ERR_NONE;
}

static void
free_json(void *p)
{
	json_decref(p);
}

/* What was signed must say what the document says, or the digest would stand for something else than what is
 * read. */
static bool
payload_is_document(struct ctx *c, struct str payload, const json_t *root)
{
	json_t *document = json_copy((json_t *)(uintptr_t)root), *payload_root;

	arena_defer(c->mem, free_json, document);
	json_object_del(document, "signatures");
	payload_root = json_loadb(payload.p, payload.n, JSON_REJECT_DUPLICATES, NULL);
	arena_defer(c->mem, free_json, payload_root);
	return json_equal(payload_root, document) == 1;
}

static enum err_kind
read_payload(struct ctx *c, const json_t *root, struct str bytes, const struct format *f, struct str *out)
{
	char *p = arena_alloc(c->mem, f->length + f->tail.n);
	struct str payload = { p, f->length + f->tail.n };

	memcpy(p, bytes.p, f->length);
	if (f->tail.n > 0)
		memcpy(p + f->length, f->tail.p, f->tail.n);
	if (!js_count(payload, &PAYLOAD_LIMITS) || !payload_is_document(c, payload, root))
		return bad_signature(c);
	*out = payload;
	return ERR_NONE;
}

#define SIGNATURES_MAX 16

/* All signatures must speak of one payload. */
static enum err_kind
read_signatures(struct ctx *c, const json_t *root, struct str bytes, struct oci_schema1 *s)
{
	const json_t *list = oci_member(root, "signatures");
	const size_t n = json_array_size(list);
	struct format first = { 0 }, f = { 0 };

	s->payload = bytes;
	if (list == NULL)
		return ERR_NONE;
	if (!json_is_array(list) || n == 0 || n > SIGNATURES_MAX)
		return bad_signature(c);
	s->signatures = ARENA_ARRAY(c->mem, struct oci_signature, n);
	s->n_signatures = n;
	for (size_t i = 0; i < n; i++) {
		const json_t *o = json_array_get(list, i), *header = json_object_get(o, "header");
		struct oci_signature *sig = &s->signatures[i];

		sig->jwk = json_object_get(header, "jwk");
		sig->alg = js_str(header, "alg");
		sig->signature = js_str(o, "signature");
		sig->protect = js_str(o, "protected");
		if (!json_is_object(sig->jwk) || sig->alg.n == 0 || sig->signature.n == 0)
			return bad_signature(c);
		TRY(read_format(c, bytes, sig->protect, &f));
		if (i == 0)
			first = f;
		else if (f.length != first.length || !str_eq(f.tail, first.tail))
			return bad_signature(c);
	}
	return read_payload(c, root, bytes, &first, &s->payload);
}

enum err_kind
oci_read_schema1(struct ctx *c, struct oci_manifest *m, struct str bytes)
{
	struct oci_schema1 *s = ARENA_NEW(c->mem, struct oci_schema1);
	struct str name;

	m->schema = 1;
	TRY(oci_read_str(c, m->root, "the manifest", "name", true, &name));
	TRY(oci_read_str(c, m->root, "the manifest", "tag", true, &s->tag));
	if (!oci_tag_valid(s->tag))
		return oci_no_match(c, "'tag' is not a tag");
	TRY(oci_read_str(c, m->root, "the manifest", "architecture", false, &s->architecture));
	if (!str_cut(name, '/', &s->ns, &s->repo)) {
		s->repo = name;
		s->ns = STR0;
	}
	TRY(read_layers(c, m, s));
	TRY(read_signatures(c, m->root, bytes, s));
	m->media = s->n_signatures > 0 ? OCI_MEDIA_SCHEMA1_SIGNED : OCI_MEDIA_SCHEMA1;
	m->media_type = oci_media_info(m->media)->name;
	m->schema1 = s;
	return ERR_NONE;
}

enum err_kind
oci_schema1_check_name(struct ctx *c, const struct oci_schema1 *s, struct str ns, struct str repo,
                       struct str library)
{
	if (s->ns.n == 0 ? !str_eq(ns, library) : !str_eq(s->ns, ns))
		return err_say(c, ERR_BAD_INPUT, &OCI_SAY_NAMESPACE_MISMATCH);
	return str_eq(s->repo, repo) ? ERR_NONE : err_say(c, ERR_BAD_INPUT, &OCI_SAY_REPOSITORY_MISMATCH);
}
