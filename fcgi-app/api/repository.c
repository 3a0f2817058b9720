/* One repository over the REST API: made, shown, described, opened and closed, deleted. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-repository.h"
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
#include "model/repo.h"
#include "oci/name.h"

#define MAX_TAGS   500
#define STATS_DAYS 92
#define DAY_MS     INT64_C(86400000)

static const struct say SAY_NO_NAMESPACE = { 400, "invalid_request",
	                                     "Must provide a namespace or must be logged in." };
static const struct say SAY_EXISTS = { 400, "invalid_request", "Repository already exists" };
static const struct say SAY_NAME = { 400, "invalid_request", "Invalid repository name" };
static const struct say SAY_RESTRICTED = { 403, "message",
	                                   "Operation not allowed on restricted user owned namespace" };
static const struct say SAY_ORG_MIRROR = {
	400, "detail", "The state of an organization mirror's repository cannot be changed"
};

/* {"repo", "namespace"}: the members that all audit rows of a repository begin with. */
static json_t *
metadata(struct req *rq)
{
	json_t *o = js_object(rq->c);

	jo_strn(o, "repo", rq->repo);
	jo_strn(o, "namespace", rq->ns);
	return o;
}

static enum err_kind
success(struct req *rq)
{
	jo_bool(res_json(rq, 200), "success", true);
	return ERR_NONE;
}

static enum err_kind
gone(struct req *rq)
{
	return err_set(rq->c, ERR_NOT_FOUND, "the repository was deleted meanwhile");
}

static const char *const VISIBILITY[] = { "public", "private", NULL };
static const char *const KIND[] = { "image", NULL };
static const struct field CREATE[] = {
	F_STR("repository", F_REQUIRED, .doc = "Repository name"),
	F_STR("visibility", F_REQUIRED, .one_of = VISIBILITY,
	      .doc = "Visibility which the repository will start with"),
	F_STR("description", F_TEXT, F_REQUIRED, .doc = "Markdown encoded description for the repository"),
	F_STR("namespace", .doc = "Namespace in which the repository should be created. If omitted, the "
	                          "username of the caller is used"),
	F_STR("repo_kind", F_NULL, .one_of = KIND, .doc = "The kind of repository"),
	F_END
};

/* May the caller make repositories in rq->ns? The namespace is named in the body, so the row cannot say. */
static enum err_kind
check_may_create(struct req *rq, struct facts *f)
{
	struct db_args a = { 0 };
	const unsigned caps = facts_caps(rq->c->conf, &rq->ident, rq->ns, rq->repo, ROLE_NONE);
	const struct db_result *r;

	facts_args(&a, rq->ns, rq->repo, &rq->ident, caps);
	TRY(db_exec(rq->c, STMT_REPO_FACTS, &a, &r));
	facts_from_row(rq->c, r, 0, f);
	if (facts_is_restricted(rq->c->conf, &rq->ident, rq->ns))
		return err_say(rq->c, ERR_DENIED, &SAY_RESTRICTED);
	if ((caps & CAPS_SU_ALL) != 0)
		return f->namespace_id != 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	if ((caps & CAPS_CREATE) == 0 || f->org_role < ORG_ROLE_CREATOR || !f->caller_alive ||
	    !f->namespace_enabled)
		return err_set(rq->c, ERR_DENIED, "no right to create repositories there");
	return ERR_NONE;
}

static enum err_kind
api_repo_create(struct req *rq)
{
	struct ctx *c = rq->c;
	const struct str description = js_str(rq->body, "description");
	const struct db_result *r;
	struct facts f;
	json_t *out;

	if (rq->facts.caller_id == 0)
		return err_say(c, ERR_BAD_INPUT, &SAY_NO_NAMESPACE);
	rq->ns = js_str(rq->body, "namespace");
	if (rq->ns.n == 0)
		rq->ns = str_of(rq->facts.caller_name);
	rq->repo = js_str(rq->body, "repository");
	TRY(check_may_create(rq, &f));
	if (!oci_repo_valid(rq->repo, c->conf->feature_extended_repository_names))
		return err_say(c, ERR_BAD_INPUT, &SAY_NAME);
	if (f.repository_id != 0)
		return err_say(c, ERR_BAD_INPUT, &SAY_EXISTS);
	TRY(db_exec(c, STMT_REPOSITORY_ENSURE,
	            DB_ARGS(db_i64(f.namespace_id), db_strn(rq->repo), db_i64(f.caller_id),
	                    db_bool(str_eq_c(js_str(rq->body, "visibility"), "public")),
	                    db_i32(REPO_KIND_IMAGE)),
	            &r));
	f.repository_id = db_get_i64(r, 0, REPOSITORY_ENSURE_ID);
	TRY(db_exec(c, STMT_REPOSITORY_DESCRIBE_NEW, DB_ARGS(db_i64(f.repository_id), db_strn(description)),
	            &r));
	if (r->rows == 0)
		return err_say(c, ERR_BAD_INPUT, &SAY_EXISTS);
	rq->facts.namespace_id = f.namespace_id;
	TRY(log_action(rq, AUDIT_create_repo, f.namespace_id, f.repository_id, metadata(rq)));
	out = res_json(rq, 201);
	jo_strn(out, "namespace", rq->ns);
	jo_strn(out, "name", rq->repo);
	jo_str(out, "kind", "image");
	return ERR_NONE;
}

static enum err_kind
bind_get(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_i32(param_bool(rq, "includeTags", true) ? MAX_TAGS : 0));
	return ERR_NONE;
}

static void
put_tags(struct req *rq, json_t *tags)
{
	const struct db_result *r = rq->load;

	for (int i = 0; i < r->rows && !db_is_null(r, i, REPO_GET_LOAD_TAG); i++) {
		json_t *t = jo_object(tags, db_get_str(r, i, REPO_GET_LOAD_TAG));
		jo_str(t, "name", db_get_str(r, i, REPO_GET_LOAD_TAG));
		if (db_is_null(r, i, REPO_GET_LOAD_SIZE_BYTES))
			jo_null(t, "size");
		else
			jo_i64(t, "size", db_get_i64(r, i, REPO_GET_LOAD_SIZE_BYTES));
		jo_str(t, "last_modified",
		       clock_rfc2822(rq->c->mem, db_get_i64(r, i, REPO_GET_LOAD_START_MS)));
		if (!db_is_null(r, i, REPO_GET_LOAD_EXPIRES_MS))
			jo_str(t, "expiration",
			       clock_rfc2822(rq->c->mem, db_get_i64(r, i, REPO_GET_LOAD_EXPIRES_MS)));
		jo_str(t, "manifest_digest", db_get_str(r, i, REPO_GET_LOAD_DIGEST));
	}
}

static void
put_day(json_t *stats, const char *date, int64_t count)
{
	json_t *o = ja_object(stats);

	jo_str(o, "date", date);
	jo_i64(o, "count", count);
}

/* The days that have a count, then a zero for each of the last 92 that has none. */
static enum err_kind
put_stats(struct req *rq, json_t *stats)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_REPOSITORY_ACTIONS, DB_ARGS(db_i64(rq->facts.repository_id)), &r));
	for (int i = 0; i < r->rows; i++)
		put_day(stats, db_get_str(r, i, REPOSITORY_ACTIONS_DAY),
		        db_get_i64(r, i, REPOSITORY_ACTIONS_ACTIONS));
	for (int day = 1; day <= STATS_DAYS; day++) {
		const char *date =
		    str_fmt(rq->c->mem, "%.10s", clock_iso(rq->c->mem, rq->c->now_ms - day * DAY_MS));
		int i = 0;
		while (i < r->rows && strcmp(db_get_str(r, i, REPOSITORY_ACTIONS_DAY), date) != 0)
			i++;
		if (i == r->rows)
			put_day(stats, date, 0);
	}
	return ERR_NONE;
}

static enum err_kind
api_repo_get(struct req *rq)
{
	const struct facts *f = &rq->facts;
	const struct db_result *r = rq->load;
	json_t *o = res_json(rq, 200);
	const bool is_image = f->repository_kind == REPO_KIND_IMAGE;

	jo_strn(o, "namespace", rq->ns);
	jo_strn(o, "name", rq->repo);
	jo_str(o, "kind", is_image ? "image" : "application");
	jo_str(o, "description", db_get_str(r, 0, REPO_GET_LOAD_DESCRIPTION));
	jo_bool(o, "is_public", f->is_public);
	jo_bool(o, "is_organization", f->namespace_is_org);
	jo_bool(o, "is_starred", db_get_bool(r, 0, REPO_GET_LOAD_IS_STARRED));
	jo_str(o, "status_token", f->is_public ? "" : db_get_str(r, 0, REPO_GET_LOAD_BADGE_TOKEN));
	jo_bool(o, "trust_enabled",
	        db_get_bool(r, 0, REPO_GET_LOAD_TRUST_ENABLED) && rq->c->conf->feature_signing);
	jo_i64(o, "tag_expiration_s", db_get_i64(r, 0, REPO_GET_LOAD_TAG_WINDOW_S));
	jo_bool(o, "is_free_account", db_get_bool(r, 0, REPO_GET_LOAD_IS_FREE));
	jo_str(o, "state", view_repo_state(f->repository_state));
	jo_bool(o, "can_write", f->may_write && f->repository_state == REPO_NORMAL);
	jo_bool(o, "can_admin", f->may_admin || (decide_caps(rq) & CAPS_SU_READ) != 0);
	if (is_image && param_bool(rq, "includeTags", true))
		put_tags(rq, jo_object(o, "tags"));
	return is_image && param_bool(rq, "includeStats", false) ? put_stats(rq, jo_array(o, "stats"))
	                                                         : ERR_NONE;
}

static const struct field DESCRIBE[] = {
	F_STR("description", F_TEXT, F_REQUIRED, .doc = "Markdown encoded description for the repository"), F_END
};

static enum err_kind
api_repo_update(struct req *rq)
{
	const struct str description = js_str(rq->body, "description");
	const struct db_result *r;
	json_t *meta = metadata(rq);

	TRY(db_exec(rq->c, STMT_REPOSITORY_DESCRIBE,
	            DB_ARGS(db_i64(rq->facts.repository_id), db_strn(description)), &r));
	if (r->rows == 0)
		return gone(rq);
	jo_strn(meta, "description", description);
	TRY(log_action(rq, AUDIT_set_repo_description, rq->facts.namespace_id, rq->facts.repository_id,
	               meta));
	return success(rq);
}

/* Absent is as good as deleted. */
static enum err_kind
api_repo_delete(struct req *rq)
{
	const struct db_result *r;

	if (rq->facts.repository_id != 0) {
		TRY(db_exec(rq->c, STMT_REPOSITORY_DELETE, DB_ARGS(db_i64(rq->facts.repository_id)), &r));
		if (r->rows > 0)
			TRY(log_action(rq, AUDIT_delete_repo, rq->facts.namespace_id, 0, metadata(rq)));
	}
	res_empty(rq, 204);
	return ERR_NONE;
}

static const struct field CHANGE_VISIBILITY[] = {
	F_STR("visibility", F_REQUIRED, .one_of = VISIBILITY, .doc = "public or private"), F_END
};

static enum err_kind
api_repo_change_visibility(struct req *rq)
{
	const struct str visibility = js_str(rq->body, "visibility");
	const struct db_result *r;
	json_t *meta = metadata(rq);

	if (rq->facts.repository_id == 0) {
		res_body(rq, 200, "application/json", STR("null\n"));
		return ERR_NONE;
	}
	TRY(db_exec(rq->c, STMT_REPOSITORY_SET_VISIBILITY,
	            DB_ARGS(db_i64(rq->facts.repository_id), db_bool(str_eq_c(visibility, "public"))), &r));
	if (r->rows == 0)
		return gone(rq);
	jo_strn(meta, "visibility", visibility);
	TRY(log_action(rq, AUDIT_change_repo_visibility, rq->facts.namespace_id, rq->facts.repository_id,
	               meta));
	return success(rq);
}

static const char *const STATES[] = { "NORMAL", "READ_ONLY", "MIRROR", NULL };
static const struct field CHANGE_STATE[] = {
	F_STR("state", F_REQUIRED, .one_of = STATES, .doc = "Determines whether pushes are allowed."), F_END
};

static enum err_kind
api_repo_change_state(struct req *rq)
{
	const struct str name = js_str(rq->body, "state");
	const struct db_result *r;
	int32_t state = REPO_NORMAL;
	json_t *meta = metadata(rq);

	if (rq->facts.repository_state == REPO_ORG_MIRROR)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_ORG_MIRROR);
	while (!str_eq_c(name, STATES[state]))
		state++;
	TRY(db_exec(rq->c, STMT_REPOSITORY_SET_STATE, DB_ARGS(db_i64(rq->facts.repository_id), db_i32(state)),
	            &r));
	if (r->affected == 0)
		return gone(rq);
	jo_strn(meta, "state_changed", name);
	TRY(log_action(rq, AUDIT_change_repo_state, rq->facts.namespace_id, rq->facts.repository_id, meta));
	return success(rq);
}

static const struct param GET[] = {
	{.name = "includeStats",          .doc = "With the daily counts of three months." },
	{ .name = "includeTags",                              .doc = "With the newest tags." },
	{ .name = NULL},
};

#define ONE       "/api/v1/repository/<repopath:repository>"
#define ROW(m, p) .methods = (m), .path = (p), .proto = PROTO_API, .auth = AUTH_API
#define CHANGES   .tx = TX_WRITE, .rate = RATE_API_WRITE
const struct route API_REPOSITORY_ROUTES[] = {
	{.id = "createRepo",
         ROW(HTTP_POST, "/api/v1/repository"),
         CHANGES, .perm = PERM_NONE,
         .scope = SCOPE_REPO_CREATE,
         .flags = ROUTE_SU_FULL,
         .body = CREATE,
         .run = api_repo_create,
         .doc = "Create a new repository." },
	{ .id = "getRepo",
         ROW(HTTP_GET | HTTP_HEAD, ONE),
         .perm = PERM_REPO_READ,
         .scope = SCOPE_REPO_READ,
         .rate = RATE_API_READ,
         .flags = ROUTE_SU_FULL | ROUTE_SU_READ,
         .load = STMT_REPO_GET_LOAD,
         .bind = bind_get,
         .query = GET,
         .run = api_repo_get,
         .mem_bytes = 4 << 20,
         .doc = "Fetch the specified repository." },
	{ .id = "updateRepo",
         ROW(HTTP_PUT, ONE),
         CHANGES, .perm = PERM_REPO_WRITE_EXISTING,
         .scope = SCOPE_REPO_WRITE,
         .flags = ROUTE_SU_FULL,
         .body = DESCRIBE,
         .mem_bytes = 4 << 20,
         .run = api_repo_update,
         .doc = "Update the description in the specified repository." },
	{ .id = "deleteRepository",
         ROW(HTTP_DELETE, ONE),
         CHANGES, .perm = PERM_REPO_ADMIN,
         .scope = SCOPE_REPO_ADMIN,
         .flags = ROUTE_SU_FULL | ROUTE_ABSENT_OK,
         .run = api_repo_delete,
         .doc = "Delete a repository." },
	{ .id = "changeRepoVisibility",
         ROW(HTTP_POST, ONE "/changevisibility"),
         CHANGES, .perm = PERM_REPO_ADMIN,
         .scope = SCOPE_REPO_ADMIN,
         .flags = ROUTE_SU_FULL | ROUTE_ABSENT_OK,
         .body = CHANGE_VISIBILITY,
         .run = api_repo_change_visibility,
         .doc = "Change the visibility of a repository." },
	{ .id = "changeRepoState",
         ROW(HTTP_PUT, ONE "/changestate"),
         CHANGES, .perm = PERM_REPO_ADMIN,
         .scope = SCOPE_REPO_ADMIN,
         .flags = ROUTE_SU_FULL,
         .feature = CONF_FLAG(feature_repo_mirror),
         .body = CHANGE_STATE,
         .run = api_repo_change_state,
         .doc = "Change the state of a repository." },
	{ .id = NULL}
};
