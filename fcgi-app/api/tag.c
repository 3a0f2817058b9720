/* One tag over the REST API: made or moved, given an expiry, made immutable, deleted, restored, taken out of the time machine. */
#include "model/tag.h"

#include <math.h>

#include "api/log-action.h"
#include "api/routes.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/field.h"
#include "http/response.h"
#include "model/blob.h"
#include "oci/name.h"

#define EXPIRY_MAX_S 253402300799.0 /* the last second of the year 9999 */

static const struct say SAY_TAG = { 400, "message",
	                            "Invalid tag: must match [A-Za-z0-9_.-], NOT start with \".\" or \"-\", "
	                            "and can contain 1-128 characters" };
static const struct say SAY_EXPIRY = { 400, "invalid_request",
	                               "The expiration must be a time in the future" };
static const struct say SAY_EXPIRY_IMMUTABLE = { 400, "message", "Cannot set expiration on immutable tag" };
static const struct say SAY_EXPIRING = { 400, "invalid_request",
	                                 "Cannot make a tag with an expiration immutable" };
static const struct say SAY_IMMUTABLE_OFF = { 400, "invalid_request", "Immutable tags are not enabled" };
static const struct say SAY_CHANGED = { 400, "invalid_request",
	                                "Could not update the tag; it has probably changed" };
static const struct say SAY_NO_DIGEST = { 400, "invalid_request", "Missing manifest_digest" };

/* The columns of tag_change_load and tag_restore_load. */
struct target {
	struct tag_item t;   /* id 0: no live tag of that name */
	int64_t manifest_id; /* of the digest asked for; 0 = not known here */
	int64_t window_ms, now_ms;
};
_Static_assert((int)TAG_CHANGE_LOAD_NOW_MS == (int)TAG_RESTORE_LOAD_NOW_MS,
               "the two loads of a tag differ in columns");

static struct target
target_of(const struct req *rq)
{
	const struct db_result *r = rq->load;

	return (struct target){
		.t = {.id = db_get_i64(r, 0, TAG_CHANGE_LOAD_ID),
                      .name = req_capture(rq, "tag"),
                      .digest = db_get_strn(r, 0, TAG_CHANGE_LOAD_OLD_DIGEST),
                      .is_immutable = db_get_bool(r, 0, TAG_CHANGE_LOAD_IS_IMMUTABLE) &&
		                       rq->c->conf->feature_immutable_tags,
                      .start_ms = db_get_i64(r, 0, TAG_CHANGE_LOAD_START_MS),
                      .expires_ms = db_get_i64(r, 0, TAG_CHANGE_LOAD_EXPIRES_MS),
                      .released_ms = db_get_i64(r, 0, TAG_CHANGE_LOAD_RELEASED_MS)},
		.manifest_id = db_get_i64(r, 0, TAG_CHANGE_LOAD_TARGET_ID),
		.window_ms = db_get_i64(r, 0, TAG_CHANGE_LOAD_WINDOW_S) * 1000,
		.now_ms = db_get_i64(r, 0, TAG_CHANGE_LOAD_NOW_MS)
	};
}

/* The row's statement names the digest of the body, which is read after the permission: the statement is sent again then,
 * in the handler's transaction. */
static enum err_kind
bind_tag(struct req *rq, struct db_args *a)
{
	const struct str digest = rq->body == NULL ? STR0 : js_str(rq->body, "manifest_digest");

	db_args_add(a, db_strn(req_capture(rq, "tag")));
	db_args_add(a, digest.n == 0 ? db_null() : db_strn(digest));
	db_args_add(a, db_i64(push_window_ms(rq->c)));
	return ERR_NONE;
}

static enum err_kind
not_found(struct req *rq, const char *what)
{
	return err_set(rq->c, ERR_NOT_FOUND, "no such %s", what);
}

/* {"username", "repo", "tag"}, and "namespace" unless it is a restore's. */
static json_t *
metadata(struct req *rq, bool with_namespace)
{
	json_t *o = js_object(rq->c);

	jo_str(o, "username", rq->facts.caller_name);
	jo_strn(o, "repo", rq->repo);
	jo_strn(o, "tag", req_capture(rq, "tag"));
	if (with_namespace)
		jo_strn(o, "namespace", rq->ns);
	return o;
}

static enum err_kind
log_tag(struct req *rq, enum audit_kind kind, json_t *meta)
{
	return log_action(rq, kind, rq->facts.namespace_id, rq->facts.repository_id, meta);
}

/* The expiry asked for, in milliseconds; 0 = none. */
static enum err_kind
read_expiry(struct req *rq, const struct target *g, int64_t *out)
{
	const json_t *v = json_object_get(rq->body, "expiration");
	const double s = json_is_null(v) ? 0 : json_number_value(v);

	*out = 0;
	if (json_is_null(v))
		return ERR_NONE;
	if (!isfinite(s) || s > EXPIRY_MAX_S || s * 1000 <= (double)g->now_ms)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_EXPIRY);
	*out = tag_clamp_expiry(rq->c, (int64_t)(s * 1000), g->t.start_ms, g->now_ms);
	return ERR_NONE;
}

static enum err_kind
change_expiry(struct req *rq, struct target *g)
{
	const bool keep =
	    rq->c->conf->feature_immutable_tags && !rq->c->conf->feature_immutable_tags_can_expire;
	const struct db_result *r;
	json_t *meta = metadata(rq, true);
	int64_t expires_ms;

	if (g->t.id == 0)
		return not_found(rq, "tag");
	TRY(read_expiry(rq, g, &expires_ms));
	if (g->t.is_immutable && keep)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_EXPIRY_IMMUTABLE,
		                   "Cannot set expiration on immutable tag '%.*s'", STRF(g->t.name));
	TRY(db_exec(rq->c, STMT_TAG_SET_EXPIRY,
	            DB_ARGS(db_i64(g->t.id), db_i64_or_null(expires_ms), db_bool(keep)), &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_CHANGED);
	if (g->t.expires_ms == 0 && expires_ms == 0)
		return ERR_NONE;
	jo_str(meta, "expiration_date", expires_ms == 0 ? NULL : clock_rfc2822(rq->c->mem, expires_ms));
	if (g->t.expires_ms == 0)
		jo_null(meta, "old_expiration_date");
	else
		jo_i64(meta, "old_expiration_date", g->t.expires_ms / 1000);
	g->t.expires_ms = expires_ms;
	return log_tag(rq, AUDIT_change_tag_expiration, meta);
}

/* Whoever may write makes a tag immutable; to undo it takes an administrator. The right depends on the body's value, so the row
 * cannot say. */
static enum err_kind
change_immutable(struct req *rq, struct target *g)
{
	const bool want = js_bool(rq->body, "immutable", false),
	           may_expire = rq->c->conf->feature_immutable_tags_can_expire;
	const struct db_result *r;
	json_t *meta = metadata(rq, true);

	if (!rq->c->conf->feature_immutable_tags)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_IMMUTABLE_OFF);
	if (!want && !rq->facts.may_admin)
		return err_set(rq->c, ERR_DENIED, "only an administrator makes a tag mutable");
	if (g->t.id == 0)
		return not_found(rq, "tag");
	if (want && g->t.expires_ms != 0 && !may_expire)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_EXPIRING);
	if (want == g->t.is_immutable)
		return ERR_NONE;
	TRY(db_exec(rq->c, STMT_TAG_SET_IMMUTABLE,
	            DB_ARGS(db_i64(g->t.id), db_bool(want), db_bool(may_expire)), &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_CHANGED);
	jo_bool(meta, "immutable", want);
	jo_bool(meta, "previous_immutable", g->t.is_immutable);
	g->t.is_immutable = want;
	g->t.released_ms = want ? 0 : g->now_ms;
	return log_tag(rq, AUDIT_change_tag_immutability, meta);
}

static struct tag_move
move_of(const struct req *rq, const struct target *g, struct str digest, bool is_restore)
{
	return (struct tag_move){ .repository_id = rq->facts.repository_id,
		                  .name = g->t.name,
		                  .manifest_id = g->manifest_id,
		                  .digest = digest,
		                  .old_digest = g->t.digest,
		                  .released_ms = g->t.released_ms,
		                  .window_ms = g->window_ms,
		                  .is_restore = is_restore };
}

/* Moves the tag; a policy that makes it immutable leaves a row of its own. */
static enum err_kind
move(struct req *rq, const struct tag_move *m)
{
	json_t *meta = js_object(rq->c);
	bool by_policy;

	TRY(tag_move(rq->c, m, &by_policy));
	if (!by_policy)
		return ERR_NONE;
	jo_strn(meta, "tag", m->name);
	jo_strn(meta, "repo", rq->repo);
	jo_strn(meta, "namespace", rq->ns);
	jo_bool(meta, "immutable", true);
	return log_tag(rq, AUDIT_tag_made_immutable_by_policy, meta);
}

/* Pointing a tag to what it points to already is no change, of an immutable one too (Differs: Quay refuses that). */
static enum err_kind
change_manifest(struct req *rq, const struct target *g)
{
	const struct str digest = js_str(rq->body, "manifest_digest");
	const struct tag_move m = move_of(rq, g, digest, false);
	json_t *meta = metadata(rq, true);

	if (g->manifest_id == 0)
		return not_found(rq, "manifest");
	if (g->t.id != 0 && str_eq(g->t.digest, digest))
		return ERR_NONE;
	if (g->t.id != 0 && g->t.is_immutable)
		return tag_immutable_error(rq->c, "overwrite", g->t.name);
	TRY(move(rq, &m));
	jo_strn(meta, "manifest_digest", digest);
	jo_str(meta, "original_manifest_digest",
	       g->t.digest.n == 0 ? NULL : str_dup(rq->c->mem, g->t.digest));
	return log_tag(rq, g->t.id != 0 ? AUDIT_move_tag : AUDIT_create_tag, meta);
}

static const struct field CHANGE[] = {
	F_STR("manifest_digest", F_NULL, .min = 1, .max = 200,
	      .doc = "If specified, the manifest digest to which the tag should point"),
	{.name = "expiration",
	                                                                          .type = FIELD_NUM,
	                                                                          F_NULL, .doc = "(If specified) The expiration for the image, in seconds since 1970"},
	F_BOOL("immutable", F_NULL, .doc = "(If specified) Whether the tag is immutable"),
	F_END
};

/* A policy may hold the live tag although its row does not say so yet. */
static enum err_kind
add_policy(struct req *rq, struct target *g)
{
	return g->t.id == 0 ? ERR_NONE : tag_held(rq->c, rq->facts.repository_id, &g->t, &g->t.is_immutable);
}

/* The row's statement again, now with the body's digest, within the handler's transaction: what it says is what is changed. */
static enum err_kind
load_again(struct req *rq, struct target *g)
{
	struct db_args a = { 0 };

	facts_args(&a, rq->ns, rq->repo, &rq->ident, decide_caps(rq));
	TRY(bind_tag(rq, &a));
	TRY(db_exec(rq->c, rq->load_stmt, &a, &rq->load));
	facts_from_row(rq->c, rq->load, 0, &rq->facts);
	if (!rq->facts.may_write)
		return decide(rq);
	*g = target_of(rq);
	return add_policy(rq, g);
}

static enum err_kind
api_tag_change(struct req *rq)
{
	struct target g;

	if (!oci_tag_valid(req_capture(rq, "tag")))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_TAG);
	TRY(load_again(rq, &g));
	if (json_object_get(rq->body, "expiration") != NULL)
		TRY(change_expiry(rq, &g));
	if (json_is_boolean(json_object_get(rq->body, "immutable")))
		TRY(change_immutable(rq, &g));
	if (js_str(rq->body, "manifest_digest").n > 0)
		TRY(change_manifest(rq, &g));
	res_body(rq, 201, "application/json", STR("\"Updated\"\n"));
	return ERR_NONE;
}

static enum err_kind
api_tag_delete(struct req *rq)
{
	struct target g = target_of(rq);
	bool ended;

	if (g.t.id == 0)
		return not_found(rq, "tag");
	TRY(add_policy(rq, &g));
	if (g.t.is_immutable)
		return tag_immutable_error(rq->c, "delete", g.t.name);
	TRY(tag_remove(rq->c, rq->facts.repository_id, &g.t, g.window_ms, &ended));
	if (!ended)
		return not_found(rq, "tag");
	TRY(log_tag(rq, AUDIT_delete_tag, metadata(rq, true)));
	res_empty(rq, 204);
	return ERR_NONE;
}

static const struct field RESTORE[] = { F_STR("manifest_digest", F_NULL, .max = 200,
	                                      .doc = "If specified, the manifest digest that should be used"),
	                                F_END };

static enum err_kind
api_tag_restore(struct req *rq)
{
	const struct str digest = js_str(rq->body, "manifest_digest");
	struct target g;
	struct tag_move m;
	json_t *meta = metadata(rq, false);

	if (digest.n == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_DIGEST);
	if (!oci_tag_valid(req_capture(rq, "tag")))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_TAG);
	TRY(load_again(rq, &g));
	if (g.manifest_id == 0)
		return not_found(rq, "manifest");
	if (g.t.id != 0 && g.t.is_immutable)
		return tag_immutable_error(rq->c, "overwrite", g.t.name);
	m = move_of(rq, &g, digest, true);
	TRY(move(rq, &m));
	jo_strn(meta, "manifest_digest", digest);
	TRY(log_tag(rq, AUDIT_revert_tag, meta));
	res_json(rq, 200);
	return ERR_NONE;
}

static const struct field EXPIRE[] = {
	F_STR("manifest_digest", F_NULL, .max = 200, .doc = "The manifest digest of the ended tag"),
	F_BOOL("include_submanifests", F_NULL,
	       .doc = "Nothing more is done: what an index lists goes with it"),
	F_BOOL("is_alive", F_NULL, .doc = "The live tag is meant"), F_END
};

/* The live tag ends, and cannot be restored. */
static enum err_kind
forget_live(struct req *rq, const struct target *g, struct str digest)
{
	bool ended = false;

	if (g->t.id == 0 || (digest.n > 0 && !str_eq(digest, g->t.digest)))
		return not_found(rq, "tag");
	if (g->t.is_immutable)
		return tag_immutable_error(rq->c, "delete", g->t.name);
	TRY(tag_remove(rq->c, rq->facts.repository_id, &g->t, 0, &ended));
	return ended ? ERR_NONE : not_found(rq, "tag");
}

static enum err_kind
api_tag_expire(struct req *rq)
{
	const bool is_alive = js_bool(rq->body, "is_alive", false);
	struct str digest = js_str(rq->body, "manifest_digest");
	const struct db_result *r;
	struct target g;
	json_t *meta = metadata(rq, true);

	if (!is_alive && digest.n == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_DIGEST);
	TRY(load_again(rq, &g));
	if (is_alive) {
		TRY(forget_live(rq, &g, digest));
		digest = g.t.digest;
	} else {
		TRY(db_exec(rq->c, STMT_TAG_FORGET,
		            DB_ARGS(db_i64(rq->facts.repository_id), db_strn(g.t.name), db_strn(digest),
		                    db_i64(g.window_ms), db_bool(rq->c->conf->feature_immutable_tags)),
		            &r));
		if (r->rows == 0)
			return not_found(rq, "ended tag");
	}
	jo_strn(meta, "manifest_digest", digest);
	TRY(log_tag(rq, AUDIT_permanently_delete_tag, meta));
	res_body(rq, 200, "application/json", STR("\"\"\n"));
	return ERR_NONE;
}

#define TAG "/api/v1/repository/<repopath:repository>/tag/<ref:tag>"
#define CHANGES(m, p)                                                                                        \
	.methods = (m), .path = (p), .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_REPO_WRITE_EXISTING, \
	.scope = SCOPE_REPO_WRITE, .rate = RATE_API_WRITE, .tx = TX_WRITE
const struct route API_TAG_ROUTES[] = {
	{.id = "changeTag",
         CHANGES(HTTP_PUT, TAG),
         .flags = ROUTE_SU_FULL | ROUTE_STATE_NORMAL,
         .load = STMT_TAG_CHANGE_LOAD,
         .bind = bind_tag,
         .body = CHANGE,
         .run = api_tag_change,
         .doc = "Change which image a tag points to or create a new tag." },
	{ .id = "deleteFullTag",
         CHANGES(HTTP_DELETE, TAG),
         .flags = ROUTE_SU_FULL | ROUTE_STATE_NORMAL,
         .load = STMT_TAG_CHANGE_LOAD,
         .bind = bind_tag,
         .run = api_tag_delete,
         .doc = "Delete the specified repository tag." },
	{ .id = "restoreTag",
         CHANGES(HTTP_POST, TAG "/restore"),
         .flags = ROUTE_SU_FULL | ROUTE_STATE_NORMAL,
         .load = STMT_TAG_RESTORE_LOAD,
         .bind = bind_tag,
         .body = RESTORE,
         .run = api_tag_restore,
         .doc = "Restores a repository tag back to a previous image in the repository." },
	{ .id = "removeTagFromTimemachine",
         CHANGES(HTTP_POST, TAG "/expire"),
         .flags = ROUTE_SU_FULL,
         .feature = CONF_FLAG(permanently_delete_tags),
         .load = STMT_TAG_CHANGE_LOAD,
         .bind = bind_tag,
         .body = EXPIRE,
         .run = api_tag_expire,
         .doc = "Removes any time machine references of a tag." },
	{ .id = NULL}
};
