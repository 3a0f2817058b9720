/* The layers of an image as the REST API shows them: each step of the image's history, those without content too, as Quay does
 * with the digest of an empty layer. */
#include "api/view-layer.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "oci/image-config.h"
#include "oci/manifest.h"
#include "oci/schema1.h"

#define EMPTY_LAYER_BYTES 32 /* of the gzipped empty tar */
static const struct js_limits COMMAND = { .bytes = 65536, .depth = 2, .values = 1000 };

struct step {
	struct str command, comment, author, created;
	bool is_list; /* command is JSON already */
};

static void
jo_text(json_t *o, const char *key, struct str v)
{
	if (v.n == 0)
		jo_null(o, key);
	else
		jo_strn(o, key, v);
}

/* A command is shown as a list of words: the one that it was written as, or a single one. */
static void
put_command(struct ctx *c, json_t *o, struct str command)
{
	json_t *list = NULL;

	if (command.n == 0) {
		jo_null(o, "command");
		return;
	}
	if (command.p[0] == '[' && js_parse(c, command, &COMMAND, &list) == ERR_NONE && json_is_array(list)) {
		jo_take(o, "command", json_deep_copy(list));
		return;
	}
	err_clear(c);
	list = jo_array(o, "command");
	ja_take(list, json_stringn_nocheck(command.p, command.n));
}

static void
put_urls(json_t *o, const json_t *descriptor)
{
	const json_t *urls = json_object_get(descriptor, "urls");

	if (json_is_array(urls))
		jo_take(o, "urls", json_deep_copy(urls));
	else
		jo_null(o, "urls");
}

static json_t *
view_layer(struct ctx *c, int64_t index, const struct oci_descriptor *d, const json_t *raw,
           const struct step *s)
{
	json_t *o = json_object();
	int64_t created_ms;

	jo_i64(o, "index", index);
	if (d == NULL)
		jo_i64(o, "compressed_size", EMPTY_LAYER_BYTES);
	else if (d->size_bytes < 0)
		jo_null(o, "compressed_size");
	else
		jo_i64(o, "compressed_size", d->size_bytes);
	jo_bool(o, "is_remote", d != NULL && d->is_foreign);
	put_urls(o, raw);
	put_command(c, o, s->command);
	jo_text(o, "comment", s->comment);
	jo_text(o, "author", s->author);
	jo_str(o, "blob_digest", d == NULL ? OCI_DIGEST_EMPTY_LAYER : d->digest.text);
	jo_str(o, "created_datetime",
	       clock_iso_parse(s->created, &created_ms) ? clock_rfc2822(c->mem, created_ms) : NULL);
	return o;
}

/* Schema 1 keeps the history of each layer as a JSON text beside it. */
static void
step_of_v1(struct ctx *c, struct str text, struct step *out)
{
	const struct js_limits lim = { .bytes = 1 << 20, .depth = 32, .values = 10000 };
	json_t *o;

	*out = (struct step){ 0 };
	if (js_parse(c, text, &lim, &o) != ERR_NONE) {
		err_clear(c);
		return;
	}
	*out = (struct step){ .comment = js_str(o, "comment"),
		              .author = js_str(o, "author"),
		              .created = js_str(o, "created") };
	const json_t *cmd = json_object_get(json_object_get(o, "container_config"), "Cmd");
	if (json_is_array(cmd))
		out->command = js_dump(c, cmd);
}

static json_t *
raw_layer(const struct oci_manifest *m, size_t i)
{
	return json_array_get(json_object_get(m->root, "layers"), i);
}

/* How many of the history's steps have content. */
static size_t
count_content(const struct oci_config *config)
{
	size_t n = 0;

	for (size_t i = 0; i < config->n_history; i++)
		n += !config->history[i].is_empty_layer;
	return n;
}

json_t *
view_layers(struct ctx *c, const struct oci_manifest *m, const struct oci_config *config)
{
	json_t *list = json_array();
	struct step s = { 0 };
	size_t layer = 0;

	if (config == NULL || config->n_history == 0 || count_content(config) != m->layers.n) {
		for (size_t i = 0; i < m->layers.n; i++) {
			if (m->schema1 != NULL && i < m->schema1->n_v1)
				step_of_v1(c, m->schema1->v1[i].v1_compatibility, &s);
			ja_take(list, view_layer(c, (int64_t)i, &m->layers.v[i],
			                         m->schema1 != NULL ? NULL : raw_layer(m, i), &s));
		}
		return list;
	}
	for (size_t i = 0; i < config->n_history; i++) {
		const struct oci_history *h = &config->history[i];
		const bool empty = h->is_empty_layer;
		s = (struct step){ .command = h->created_by,
			           .comment = h->comment,
			           .author = h->author,
			           .created = h->created };
		ja_take(list, view_layer(c, (int64_t)i, empty ? NULL : &m->layers.v[layer],
		                         empty ? NULL : raw_layer(m, layer), &s));
		layer += !empty;
	}
	return list;
}
