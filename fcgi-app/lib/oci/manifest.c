/* Reading a manifest: which kind it is, and the checks that all share. The rules are those of the Docker
 * schemas and of the OCI image specification, as laxly as clients need them; docs/compatibility.md names the
 * differences. */
#include "oci/manifest.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "oci/manifest-parts.h"
#include "oci/say.h"
#include "oci/schema1.h"

static enum err_kind
unsupported(struct ctx *c)
{
	err_say(c, ERR_BAD_INPUT, &OCI_SAY_MANIFEST_UNSUPPORTED);
	return err_detail(c, "{\"message\":\"manifest schema version not supported\"}");
}

enum err_kind
oci_manifest_gate(struct ctx *c, struct str content_type, enum oci_media *out)
{
	const struct str type = oci_media_strip(content_type);
	enum oci_media m = OCI_MEDIA_OTHER;

	if (type.n > 0 && !str_eq(type, STR("application/json"))) {
		m = oci_media_find(type);
		if (!oci_media_is(m, OCI_IS_MANIFEST))
			return unsupported(c);
	}
	*out = m;
	return ERR_NONE;
}

/* The kind of a body that came without a usable Content-Type. */
static enum err_kind
kind_of_body(struct ctx *c, const json_t *root, enum oci_media *out)
{
	const struct str type = js_str(root, "mediaType");

	*out = OCI_MEDIA_SCHEMA1;
	if (type.n == 0)
		return ERR_NONE;
	*out = oci_media_find(type);
	return oci_media_is(*out, OCI_IS_MANIFEST) ? ERR_NONE : unsupported(c);
}

/* The parsed object, with every failure in the words of a manifest. */
static enum err_kind
read_root(struct ctx *c, struct str bytes, const struct js_limits *limits, json_t **out)
{
	char why[200];

	if (bytes.n > limits->bytes) {
		err_say(c, ERR_TOO_LARGE, &OCI_SAY_MANIFEST_TOO_LARGE);
		return err_detail(
		    c, str_fmt(c->mem, "{\"message\":\"manifest is larger than %zu bytes\"}", limits->bytes));
	}
	switch (js_parse(c, bytes, limits, out)) {
	case ERR_NONE:
		break;
	case ERR_TOO_LARGE:
		return oci_manifest_invalid(c,
		                            "malformed manifest data: nested too deeply or too many values");
	default:
		snprintf(why, sizeof why, "%.190s", c->err.text);
		return oci_manifest_invalid(c, "malformed manifest data: %s", why);
	}
	return json_is_object(*out) ? ERR_NONE : oci_no_match(c, "not an object");
}

enum err_kind
oci_manifest_parse(struct ctx *c, struct str bytes, struct str content_type, const struct js_limits *limits,
                   struct oci_manifest **out)
{
	struct oci_manifest *m;
	enum oci_media media;
	json_t *root;

	TRY(oci_manifest_gate(c, content_type, &media));
	TRY(read_root(c, bytes, limits, &root));
	if (media == OCI_MEDIA_OTHER)
		TRY(kind_of_body(c, root, &media));
	m = ARENA_NEW(c->mem, struct oci_manifest);
	m->media = media;
	m->media_type = oci_media_info(media)->name;
	m->root = root;
	m->schema = 2;
	m->layers_size_bytes = -1;
	switch (media) {
	case OCI_MEDIA_DOCKER_MANIFEST:
		TRY(oci_read_docker(c, m));
		break;
	case OCI_MEDIA_OCI_MANIFEST:
		TRY(oci_read_oci(c, m));
		break;
	case OCI_MEDIA_DOCKER_LIST:
	case OCI_MEDIA_OCI_INDEX:
		TRY(oci_read_index(c, m));
		break;
	default:
		TRY(oci_read_schema1(c, m, bytes));
	}
	*out = m;
	return ERR_NONE;
}

void
oci_manifest_digest(const struct oci_manifest *m, enum oci_alg alg, struct str bytes, struct oci_digest *out)
{
	oci_digest_of(alg, m->schema1 != NULL ? m->schema1->payload : bytes, out);
}

const struct oci_descriptor *
oci_manifest_child(const struct oci_manifest *m, const char *os, const char *architecture)
{
	for (size_t i = 0; i < m->entries.n; i++) {
		const struct oci_descriptor *d = &m->entries.v[i];
		if (!oci_media_is(d->media, OCI_IS_LIST) && str_eq_c(d->os, os) &&
		    str_eq_c(d->architecture, architecture))
			return d;
	}
	return NULL;
}

bool
oci_manifest_has_image_config(const struct oci_manifest *m)
{
	return m->config != NULL && oci_media_is(m->config->media, OCI_IS_IMAGE_CONFIG);
}
