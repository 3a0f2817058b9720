/* Manifests over the REST API: what was pushed, with the layers and how they were made, from the image's config. */
#include "model/manifest.h"

#include "api/routes.h"
#include "api/view-layer.h"
#include "app.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/blob.h"
#include "oci/image-config.h"
#include "store/key.h"
#include "store/store.h"

#define CONFIG_BYTES (4 << 20) /* of a config that is read */
#define CARD_BYTES   (1 << 20) /* of a model card */

static enum err_kind
bind_manifest(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "manifestref")));
	db_args_add(a, db_i64(push_window_ms(rq->c)));
	return ERR_NONE;
}

/* A small blob of the manifest, from whichever location has it. *out is empty when none has, or it is larger than max: what is
 * shown of it is left out then. */
static enum err_kind
read_blob(struct req *rq, int64_t manifest_id, const struct oci_digest *digest, size_t max, struct str *out)
{
	const struct db_result *r;
	char key[STORE_KEY_MAX];
	enum err_kind e = ERR_NONE;

	*out = STR0;
	TRY(db_exec(rq->c, STMT_MANIFEST_BLOB_PLACES,
	            DB_ARGS(db_i64(manifest_id), db_strn(oci_digest_str(digest))), &r));
	for (int i = 0; i < r->rows && out->p == NULL; i++) {
		struct store *s =
		    store_find(rq->app->stores, db_get_strn(r, i, MANIFEST_BLOB_PLACES_LOCATION));
		const char *own = db_get_str(r, i, MANIFEST_BLOB_PLACES_KEY);
		if (s == NULL || db_get_i64(r, i, MANIFEST_BLOB_PLACES_SIZE_BYTES) > (int64_t)max ||
		    !store_key_blob(oci_digest_str(digest), key))
			continue;
		e = store_get_small(rq->c, s, own != NULL ? own : key, max, out);
	}
	return out->p != NULL ? ERR_NONE : e;
}

/* True when the object has all members of want, with the same values, and want has any. */
static bool
has_all(const json_t *object, json_t *want)
{
	const char *key;
	json_t *v;

	json_object_foreach(want, key, v)
	{
		if (!json_equal(v, json_object_get(object, key)))
			return false;
	}
	return json_object_size(want) > 0;
}

/* The markdown text of a machine-learning artifact's layer, marked by UI_MODELCARD_LAYER_ANNOTATION. A layer that is an archive
 * has no such text. */
static enum err_kind
put_model_card(struct req *rq, const struct manifest_row *row, const struct oci_manifest *m, json_t *o)
{
	const struct conf *cf = rq->c->conf;
	struct str text = STR0;

	if (!cf->feature_ui_modelcard || !param_bool(rq, "include_modelcard", false) ||
	    !(str_eq_c(m->artifact_type, cf->ui_modelcard_artifact_type) ||
	      has_all(m->annotations, cf->ui_modelcard_annotation)))
		return ERR_NONE;
	for (size_t i = 0; i < m->layers.n; i++) {
		if (!has_all(m->layers.v[i].annotations, cf->ui_modelcard_layer_annotation))
			continue;
		TRY(read_blob(rq, row->id, &m->layers.v[i].digest, CARD_BYTES, &text));
		if (text.p != NULL && str_is_utf8(text) && str_find(text, '\0') < 0)
			jo_strn(o, "modelcard", text);
		return ERR_NONE;
	}
	return ERR_NONE;
}

/* Layers with their history. A config that cannot be read costs the history, not the answer. */
static enum err_kind
put_layers(struct req *rq, const struct manifest_row *row, const struct oci_manifest *m, json_t *o)
{
	const struct js_limits limits = { .bytes = CONFIG_BYTES,
		                          .depth = JS_MANIFEST.depth,
		                          .values = JS_MANIFEST.values };
	struct oci_config config = { 0 };
	struct str bytes = STR0;

	if (m->is_index) {
		jo_null(o, "layers");
		return ERR_NONE;
	}
	if (oci_manifest_has_image_config(m)) {
		TRY(read_blob(rq, row->id, &m->config->digest, CONFIG_BYTES, &bytes));
		if (bytes.p != NULL)
			oci_config_parse(rq->c, bytes, &limits, &config);
	}
	jo_take(o, "layers", view_layers(rq->c, m, &config));
	return ERR_NONE;
}

static enum err_kind
api_manifest_get(struct req *rq)
{
	const struct js_limits limits = { .bytes = (size_t)rq->c->conf->kade_max_manifest_bytes,
		                          .depth = JS_MANIFEST.depth,
		                          .values = JS_MANIFEST.values };
	struct manifest_row row;
	struct oci_manifest *m;
	json_t *o;

	if (!manifest_from_row(rq->load, 0, FACTS_COLS, &row))
		return err_set(rq->c, ERR_NOT_FOUND, "no such manifest");
	TRY(oci_manifest_parse(rq->c, row.bytes, row.media_type, &limits, &m));
	o = res_json(rq, 200);
	jo_strn(o, "digest", row.digest);
	jo_bool(o, "is_manifest_list", m->is_index);
	jo_strn(o, "manifest_data", row.bytes);
	jo_str(o, "config_media_type", m->config == NULL ? NULL : str_dup(rq->c->mem, m->config->media_type));
	jo_i64(o, "layers_compressed_size", m->layers_size_bytes < 0 ? 0 : m->layers_size_bytes);
	TRY(put_layers(rq, &row, m, o));
	return put_model_card(rq, &row, m, o);
}

static enum err_kind
api_manifest_pulls(struct req *rq)
{
	const int64_t last_ms = db_get_i64(rq->load, 0, MANIFEST_PULLS_LOAD_LAST_MS);
	json_t *o;

	if (db_is_null(rq->load, 0, MANIFEST_PULLS_LOAD_ID))
		return err_set(rq->c, ERR_NOT_FOUND, "no such manifest");
	o = res_json(rq, 200);
	jo_strn(o, "manifest_digest", req_capture(rq, "manifestref"));
	jo_i64(o, "manifest_pull_count", db_get_i64(rq->load, 0, MANIFEST_PULLS_LOAD_PULLS));
	jo_str(o, "last_manifest_pull_date", last_ms == 0 ? NULL : clock_rfc2822(rq->c->mem, last_ms));
	return ERR_NONE;
}

static const struct param GET[] = {
	{.name = "include_modelcard", .doc = "With the model card of a machine-learning artifact." },
	{ .name = NULL	                 }
};

#define MANIFEST "/api/v1/repository/<repopath:repository>/manifest/<ref:manifestref>"
#define READS(p)                                                                                             \
	.methods = HTTP_GET | HTTP_HEAD, .path = (p), .proto = PROTO_API, .auth = AUTH_API,                  \
	.perm = PERM_REPO_READ, .scope = SCOPE_REPO_READ, .rate = RATE_API_READ, .flags = ROUTE_SU_READ,     \
	.bind = bind_manifest
const struct route API_MANIFEST_ROUTES[] = {
	{.id = "getRepoManifest",
         READS(MANIFEST),
         .load = STMT_MANIFEST_BY_DIGEST_QUIET,
         .query = GET,
         .run = api_manifest_get,
         .mem_bytes = 48 << 20,
         .doc = "A manifest with its layers." },
	{ .id = "getManifestPullStatistics",
         READS(MANIFEST "/pull_statistics"),
         .feature = CONF_FLAG(feature_image_pull_stats),
         .load = STMT_MANIFEST_PULLS_LOAD,
         .run = api_manifest_pulls,
         .doc = "How often a manifest was pulled." },
	{ .id = NULL              }
};
