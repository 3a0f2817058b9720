/* OAuth tokens that an administrator makes for an application of the organization, for the own rights. */
#include "api/log-action.h"
#include "api/page.h"
#include "api/routes.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/account.h"
#include "model/application.h"

#define PAGE 50

static const struct say SAY_SCOPE = { 400, "message", "Invalid scope" };
static const struct say SAY_LIMIT = { 400, "message", "Token limit reached" };
static const struct say SAY_EXPIRATION = { 400, "invalid_request", "the expiration is too short" };
static const struct say SAY_NAME = { 400, "invalid_request", "'' is too short" };

enum { T_UUID, T_TITLE, T_SCOPES, T_CREATED_MS, T_EXPIRES_MS, T_LAST_USED_MS, T_CREATED_BY, T_COLS };
_Static_assert((int)T_COLS == OAUTH_TOKEN_COLS, "application.sql and application-token.c differ");

static const struct field CREATE[] = {
	F_STR("name", F_TEXT, F_REQUIRED, .min = 1, .max = 255, .doc = "The name of the token."),
	F_STR("scope", F_REQUIRED, .max = 1024, .doc = "The scopes of the token, separated by spaces or commas."),
	{ .name = "expiration", .type = FIELD_NUM, .doc = "Seconds that the token lives; at most ten years, the default." },
	F_END
};
static const struct param LIST[] = { { "next_page", false, "The page token for the next page" }, { NULL, false, NULL } };

static enum err_kind
bind_one(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "client_id")));
	return ERR_NONE;
}

static enum err_kind
get_application(struct req *rq, struct application *a)
{
	if (!rq->facts.namespace_is_org || !rq->facts.namespace_enabled)
		return err_set(rq->c, ERR_NOT_FOUND, "no such organization");
	application_from_row(rq->load, 0, APPLICATIONS_LOAD_APPLICATION0, a);
	return a->id != 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such application");
}

static void
put_date(struct req *rq, json_t *o, const char *name, int64_t ms)
{
	jo_str(o, name, ms == 0 ? NULL : clock_iso(rq->c->mem, ms));
}

static void
put_token(struct req *rq, json_t *o, const struct db_result *r, int row, int col)
{
	jo_str(o, "uuid", db_get_str(r, row, col + T_UUID));
	jo_str(o, "name", db_get_str(r, row, col + T_TITLE));
	jo_str(o, "scope", db_get_str(r, row, col + T_SCOPES));
	put_date(rq, o, "expires_at", db_get_i64(r, row, col + T_EXPIRES_MS));
	put_date(rq, o, "created", db_get_i64(r, row, col + T_CREATED_MS));
	jo_str(o, "created_by", db_get_str(r, row, col + T_CREATED_BY));
	put_date(rq, o, "last_accessed", db_get_i64(r, row, col + T_LAST_USED_MS));
}

static enum err_kind
api_token_list(struct req *rq)
{
	json_t                 *o = res_json(rq, 200), *list = jo_array(o, "tokens");
	const struct db_result *r;
	struct application      a;

	TRY(get_application(rq, &a));
	TRY(db_exec(rq->c, STMT_APPLICATION_TOKENS, DB_ARGS(db_i64(a.id), db_i64(page_start(rq)), db_i32(PAGE + 1)), &r));
	for (int i = 0; i < r->rows && i < PAGE; i++)
		put_token(rq, ja_object(list), r, i, APPLICATION_TOKENS_OAUTH_TOKEN0);
	return r->rows > PAGE ? page_next(rq, o, db_get_i64(r, PAGE - 1, APPLICATION_TOKENS_ID)) : ERR_NONE;
}

/* Does the caller hold what these scopes allow: live, and within the caller's own token? The right depends on the body. */
static bool
holds_scopes(const struct req *rq, unsigned wanted)
{
	const struct conf *cf = rq->c->conf;
	const bool         su = (facts_caps(cf, &rq->ident, rq->ns, STR0, ROLE_ADMIN) & CAPS_SU_ALL) != 0;
	const unsigned     of_org = SCOPE_REPO_READ | SCOPE_REPO_WRITE | SCOPE_REPO_ADMIN | SCOPE_REPO_CREATE | SCOPE_ORG_ADMIN;

	if (rq->ident.kind == IDENTITY_OAUTH && !scope_covers(rq->ident.scopes, wanted))
		return false;
	if ((wanted & of_org) != 0 && rq->facts.org_role != ORG_ROLE_ADMIN && !su)
		return false;
	return (wanted & SCOPE_SUPER_USER) == 0 || (facts_is_superuser(cf, &rq->ident) && !facts_is_global_reader(cf, &rq->ident));
}

/* Seconds that the token lives. */
static enum err_kind
get_life(struct req *rq, int64_t *life_s)
{
	const json_t *v = json_object_get(rq->body, "expiration");
	const double  s = v == NULL ? OAUTH_TOKEN_LIFE_S : json_number_value(v);

	if (!(s >= 1))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_EXPIRATION, "%g is less than the minimum of 1", s);
	*life_s = s >= OAUTH_TOKEN_LIFE_S ? OAUTH_TOKEN_LIFE_S : (int64_t)s;
	return ERR_NONE;
}

static enum err_kind
get_scopes(struct req *rq, unsigned *scopes)
{
	const struct str text = js_str(rq->body, "scope");

	*scopes = scope_parse(text);
	if (*scopes == 0 || ((*scopes & SCOPE_SUPER_USER) != 0 && !rq->c->conf->feature_super_users))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_SCOPE, "Invalid scope: %.*s", STRF(text));
	return holds_scopes(rq, *scopes) ? ERR_NONE : err_set(rq->c, ERR_DENIED, "the caller does not hold the scopes");
}

/* Counted under the application's lock, so that parallel calls do not pass the limit. */
static enum err_kind
check_limit(struct req *rq, int64_t application_id)
{
	const int64_t           max = rq->c->conf->oauth_application_maximum_token_count;
	const struct db_result *r;

	if (max <= 0)
		return ERR_NONE;
	TRY(db_exec(rq->c, STMT_APPLICATION_LOCK, DB_ARGS(db_i64(application_id)), NULL));
	TRY(db_exec(rq->c, STMT_APPLICATION_TOKEN_COUNT, DB_ARGS(db_i64(application_id), db_i64(max)), &r));
	if (db_get_i64(r, 0, 0) < max)
		return ERR_NONE;
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_LIMIT, "Token limit reached: maximum %lld non-expired tokens per application", (long long)max);
}

static enum err_kind
log_token(struct req *rq, const struct application *a, const char *uuid, const struct token_new *t)
{
	json_t *meta = js_object(rq->c);

	jo_str(meta, "oauth_token_uuid", uuid);
	if (t != NULL) {
		jo_str(meta, "scope", t->scopes);
		jo_str(meta, "token_display_name", t->title);
		jo_str(meta, "auth_method", "OAuth");
	}
	jo_str(meta, "application_name", a->name);
	jo_str(meta, "client_id", a->client_id);
	return log_action(rq, t != NULL ? AUDIT_create_oauth_api_token : AUDIT_revoke_oauth_api_token, rq->facts.namespace_id, 0, meta);
}

static enum err_kind
api_token_create(struct req *rq)
{
	const struct str        name = str_trim(js_str(rq->body, "name"));
	struct token_new        t = { .kind = 2, .account_id = rq->facts.caller_id };
	const struct db_result *r;
	struct application      a;
	unsigned                scopes;
	int64_t                 life_s = 0;
	char                    token[TOKEN_TEXT_MAX + 1];
	const char             *uuid;
	json_t                 *o = res_json(rq, 200);

	TRY(get_application(rq, &a));
	if (name.n == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NAME);
	TRY(get_life(rq, &life_s));
	TRY(get_scopes(rq, &scopes));
	TRY(check_limit(rq, a.id));
	t.application_id = a.id;
	t.title = str_dup(rq->c->mem, name);
	t.scopes = scope_text(rq->c->mem, scopes);
	t.expires_after_ms = life_s * 1000;
	TRY(account_make_token(rq->c, &rq->app->login->secrets, &t, token, &uuid));
	TRY(log_token(rq, &a, uuid, &t));
	TRY(db_exec(rq->c, STMT_APPLICATION_TOKEN, DB_ARGS(db_str(uuid)), &r));
	put_token(rq, o, r, 0, APPLICATION_TOKEN_OAUTH_TOKEN0);
	jo_str(o, "token", token);
	res_header(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

static enum err_kind
api_token_delete(struct req *rq)
{
	const char             *uuid = str_dup(rq->c->mem, req_capture(rq, "token_uuid"));
	const struct db_result *r;
	struct application      a;

	TRY(get_application(rq, &a));
	/* Logged first: the token may be the very one that is used. */
	TRY(log_token(rq, &a, uuid, NULL));
	TRY(db_exec(rq->c, STMT_APPLICATION_TOKEN_REMOVE, DB_ARGS(db_i64(a.id), db_str(uuid)), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such token");
	res_empty(rq, 204);
	return ERR_NONE;
}

#define TOKENS "/api/v1/organization/<name:orgname>/applications/<name:client_id>/tokens"

const struct route API_APPLICATION_TOKEN_ROUTES[] = {
	{ .id = "listOrganizationApplicationTokens", .methods = HTTP_GET | HTTP_HEAD, .path = TOKENS, .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_SU_READ, .load = STMT_APPLICATIONS_LOAD,
	  .bind = bind_one, .query = LIST, .run = api_token_list, .doc = "List the tokens of the application." },
	{ .id = "createOrganizationApplicationToken", .methods = HTTP_POST, .path = TOKENS, .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL, .load = STMT_APPLICATIONS_LOAD,
	  .bind = bind_one, .tx = TX_WRITE, .body = CREATE, .run = api_token_create, .doc = "Create a token for the application." },
	{ .id = "deleteOrganizationApplicationToken", .methods = HTTP_DELETE, .path = TOKENS "/<name:token_uuid>", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL,
	  .load = STMT_APPLICATIONS_LOAD, .bind = bind_one, .tx = TX_WRITE, .run = api_token_delete, .doc = "Revoke a token of the application." },
	{ .id = NULL }
};
