/* Labels of manifests over the REST API. Those that came with the manifest stay; those that people add can be deleted, and the
 * few that act (quay.expires-after, quay.immutable) act on the live tags of the manifest. */
#include "oci/label.h"

#include "api/log-action.h"
#include "api/routes.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/blob.h"
#include "model/tag-policy.h"

#define SOURCE_API 2
#define VALUE_MAX  65536 /* bytes */

enum { L_ID, L_UUID, L_KEY, L_VALUE, L_MEDIA_TYPE, L_SOURCE, L_COLS };
_Static_assert((int)L_COLS == LABEL_COLS, "label.sql and label.c differ");
_Static_assert((int)MANIFEST_LABELS_LOAD_LABEL0 == (int)MANIFEST_LABEL_LOAD_LABEL0 &&
                   (int)MANIFEST_LABELS_LOAD_MANIFEST_ID == (int)MANIFEST_LABEL_LOAD_MANIFEST_ID,
               "the two loads of labels differ in columns");

static const struct say SAY_RESERVED = { 400, "message", "Label has a reserved prefix" };
static const struct say SAY_KEY = { 400, "message", "Key is invalid or reserved" };
static const struct say SAY_FIXED = { 400, "message", "Cannot delete immutable label" };

static enum err_kind
bind_manifest(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "manifestref")));
	db_args_add(a, db_i64(push_window_ms(rq->c)));
	return ERR_NONE;
}

static enum err_kind
bind_list(struct req *rq, struct db_args *a)
{
	const struct str prefix = req_query(rq, "filter");

	TRY(bind_manifest(rq, a));
	db_args_add(a, db_strn(prefix.p == NULL ? STR("") : prefix));
	return ERR_NONE;
}

static enum err_kind
bind_one(struct req *rq, struct db_args *a)
{
	TRY(bind_manifest(rq, a));
	db_args_add(a, db_strn(req_capture(rq, "labelid")));
	return ERR_NONE;
}

static enum err_kind
not_found(struct req *rq, const char *what)
{
	return err_set(rq->c, ERR_NOT_FOUND, "no such %s", what);
}

static json_t *
view_label(const struct db_result *r, int row, int first_col)
{
	static const char *const SOURCE[] = { "manifest", "manifest", "api", "internal" };
	const int64_t source = db_get_i64(r, row, first_col + L_SOURCE);
	json_t *o = json_object();

	jo_str(o, "id", db_get_str(r, row, first_col + L_UUID));
	jo_str(o, "key", db_get_str(r, row, first_col + L_KEY));
	jo_str(o, "value", db_get_str(r, row, first_col + L_VALUE));
	jo_str(o, "source_type", SOURCE[source > 0 && source < 4 ? source : 0]);
	jo_str(o, "media_type", db_get_str(r, row, first_col + L_MEDIA_TYPE));
	return o;
}

static enum err_kind
api_label_list(struct req *rq)
{
	const struct db_result *r = rq->load;
	json_t *list;

	if (db_is_null(r, 0, MANIFEST_LABELS_LOAD_MANIFEST_ID))
		return not_found(rq, "manifest");
	list = jo_array(res_json(rq, 200), "labels");
	for (int i = 0; i < r->rows && !db_is_null(r, i, MANIFEST_LABELS_LOAD_LABEL0); i++)
		ja_take(list, view_label(r, i, MANIFEST_LABELS_LOAD_LABEL0));
	return ERR_NONE;
}

static enum err_kind
api_label_get(struct req *rq)
{
	const struct db_result *r = rq->load;
	json_t *o, *v;
	const char *key;

	if (db_is_null(r, 0, MANIFEST_LABEL_LOAD_LABEL0))
		return not_found(rq, "label");
	o = res_json(rq, 200);
	json_t *view = view_label(r, 0, MANIFEST_LABEL_LOAD_LABEL0);
	json_object_foreach(view, key, v)
	{
		jo_take(o, key, json_incref(v));
	}
	json_decref(view);
	return ERR_NONE;
}

static bool
has_reserved_prefix(const struct conf *cf, struct str key)
{
	const struct str_list *const LISTS[] = { &cf->default_label_key_reserved_prefixes,
		                                 &cf->label_key_reserved_prefixes };

	for (size_t k = 0; k < sizeof LISTS / sizeof *LISTS; k++)
		for (size_t i = 0; i < LISTS[k]->n; i++)
			if (str_starts(key, str_of(LISTS[k]->v[i])))
				return true;
	return false;
}

/* Immutable tags keep their life, those too that a policy holds. */
static enum err_kind
expire_tags(struct req *rq, int64_t manifest_id, int64_t after_ms)
{
	const bool keep =
	    rq->c->conf->feature_immutable_tags && !rq->c->conf->feature_immutable_tags_can_expire;
	struct tag_policies policies = { 0 };
	struct str *held;
	size_t n;

	if (keep)
		TRY(tag_policies_load(rq->c, rq->facts.repository_id, &policies));
	TRY(tag_policies_hold_of_manifest(rq->c, &policies, manifest_id, &held, &n));
	return db_exec(rq->c, STMT_LABEL_EXPIRE_TAGS,
	               DB_ARGS(db_i64(manifest_id), db_i64(after_ms), db_bool(keep), db_str_array(held, n)),
	               NULL);
}

/* A label that acts changes the manifest's live tags; a tag's life counts from its own start. */
static enum err_kind
act(struct req *rq, int64_t manifest_id, struct str key, struct str value)
{
	const struct conf *cf = rq->c->conf;
	struct oci_label one = { .key = key, .value = value };
	const struct oci_labels all = { .v = &one, .n = 1 };
	struct oci_acting acting = { 0 };

	oci_labels_acting(&all, &acting);
	if (acting.expires_after_ms > 0)
		TRY(expire_tags(rq, manifest_id, acting.expires_after_ms));
	if (acting.is_immutable && cf->feature_immutable_tags)
		TRY(db_exec(rq->c, STMT_LABEL_FIX_TAGS,
		            DB_ARGS(db_i64(manifest_id), db_bool(cf->feature_immutable_tags_can_expire)),
		            NULL));
	return ERR_NONE;
}

static enum err_kind
log_label(struct req *rq, enum audit_kind kind, const struct db_result *r, int first_col)
{
	json_t *meta = js_object(rq->c);

	jo_str(meta, "id", db_get_str(r, 0, first_col + L_UUID));
	jo_str(meta, "key", db_get_str(r, 0, first_col + L_KEY));
	jo_str(meta, "value", db_get_str(r, 0, first_col + L_VALUE));
	jo_strn(meta, "manifest_digest", req_capture(rq, "manifestref"));
	if (kind == AUDIT_manifest_label_add)
		jo_str(meta, "media_type", db_get_str(r, 0, first_col + L_MEDIA_TYPE));
	jo_strn(meta, "namespace", rq->ns);
	jo_strn(meta, "repo", rq->repo);
	return log_action(rq, kind, rq->facts.namespace_id, rq->facts.repository_id, meta);
}

static const char *const MEDIA_TYPES[] = { "text/plain", "application/json", NULL };
static const struct field ADD[] = { F_STR("key", F_REQUIRED, .doc = "The key for the label"),
	                            F_STR("value", F_REQUIRED, .max = VALUE_MAX,
	                                  .doc = "The value for the label"),
	                            F_STR("media_type", F_REQUIRED, F_NULL, .one_of = MEDIA_TYPES,
	                                  .doc = "The media type for this label"),
	                            F_END };

static enum err_kind
api_label_add(struct req *rq)
{
	const int64_t manifest_id = db_get_i64(rq->load, 0, MANIFEST_LABEL_LOAD_MANIFEST_ID);
	const struct str key = js_str(rq->body, "key"), value = js_str(rq->body, "value");
	struct str media_type = js_str(rq->body, "media_type");
	const struct db_result *r;

	if (manifest_id == 0)
		return not_found(rq, "manifest");
	if (has_reserved_prefix(rq->c->conf, key))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_RESERVED);
	if (!oci_label_key_valid(key))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_KEY, "Key `%.*s` is invalid or reserved",
		                   key.n > 255 ? 255 : (int)key.n, key.p);
	if (media_type.n == 0)
		media_type = oci_label_is_json(value) ? STR("application/json") : STR("text/plain");
	TRY(db_exec(rq->c, STMT_LABEL_ADD,
	            DB_ARGS(db_i64(manifest_id), db_strn(key), db_strn(value), db_strn(media_type)), &r));
	if (r->rows == 0)
		return not_found(rq, "manifest");
	TRY(act(rq, manifest_id, key, value));
	TRY(log_label(rq, AUDIT_manifest_label_add, r, LABEL_ADD_LABEL0));
	jo_take(res_json(rq, 201), "label", view_label(r, 0, LABEL_ADD_LABEL0));
	res_headerf(rq, "Location", "%s/api/v1/repository/%.*s/%.*s/manifest/%.*s/labels/%s",
	            req_base_url(rq), STRF(rq->ns), STRF(rq->repo), STRF(req_capture(rq, "manifestref")),
	            db_get_str(r, 0, LABEL_ADD_LABEL0 + L_UUID));
	return ERR_NONE;
}

static enum err_kind
api_label_delete(struct req *rq)
{
	const struct db_result *r;

	if (db_is_null(rq->load, 0, MANIFEST_LABEL_LOAD_LABEL0))
		return not_found(rq, "label");
	if (db_get_i64(rq->load, 0, MANIFEST_LABEL_LOAD_LABEL0 + L_SOURCE) != SOURCE_API)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_FIXED);
	TRY(db_exec(rq->c, STMT_LABEL_REMOVE,
	            DB_ARGS(db_i64(db_get_i64(rq->load, 0, MANIFEST_LABEL_LOAD_LABEL0))), &r));
	if (r->rows == 0)
		return not_found(rq, "label");
	TRY(log_label(rq, AUDIT_manifest_label_delete, rq->load, MANIFEST_LABEL_LOAD_LABEL0));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* The label that is added has no id yet: the load looks for none. */
static enum err_kind
bind_add(struct req *rq, struct db_args *a)
{
	TRY(bind_manifest(rq, a));
	db_args_add(a, db_null());
	return ERR_NONE;
}

static const struct param LIST[] = {
	{.name = "filter", .doc = "Only labels whose key begins so." },
        { .name = NULL              }
};

#define LABELS    "/api/v1/repository/<repopath:repository>/manifest/<ref:manifestref>/labels"
#define ROW(m, p) .methods = (m), .path = (p), .proto = PROTO_API, .auth = AUTH_API
#define READS     .perm = PERM_REPO_READ, .scope = SCOPE_REPO_READ, .rate = RATE_API_READ, .flags = ROUTE_SU_READ
#define CHANGES                                                                                              \
	.perm = PERM_REPO_WRITE_EXISTING, .scope = SCOPE_REPO_WRITE, .rate = RATE_API_WRITE,                 \
	.flags = ROUTE_SU_FULL | ROUTE_STATE_NORMAL, .tx = TX_WRITE
const struct route API_LABEL_ROUTES[] = {
	{.id = "listManifestLabels",
         ROW(HTTP_GET | HTTP_HEAD, LABELS),
         READS, .load = STMT_MANIFEST_LABELS_LOAD,
         .bind = bind_list,
         .query = LIST,
         .run = api_label_list,
         .mem_bytes = 16 << 20,
         .doc = "Labels of a manifest." },
	{ .id = "addManifestLabel",
         ROW(HTTP_POST, LABELS),
         CHANGES, .load = STMT_MANIFEST_LABEL_LOAD,
         .bind = bind_add,
         .body = ADD,
         .run = api_label_add,
         .mem_bytes = 4 << 20,
         .doc = "Adds a new label into the tag manifest." },
	{ .id = "getManifestLabel",
         ROW(HTTP_GET | HTTP_HEAD, LABELS "/<ref:labelid>"),
         READS, .load = STMT_MANIFEST_LABEL_LOAD,
         .bind = bind_one,
         .run = api_label_get,
         .doc = "One label of a manifest." },
	{ .id = "deleteManifestLabel",
         ROW(HTTP_DELETE, LABELS "/<ref:labelid>"),
         CHANGES, .load = STMT_MANIFEST_LABEL_LOAD,
         .bind = bind_one,
         .run = api_label_delete,
         .doc = "Deletes an existing label from a manifest." },
	{ .id = NULL             }
};
