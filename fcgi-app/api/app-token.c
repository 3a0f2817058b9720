/* Application-specific tokens: passwords that a user makes for clients ($app). Only the owner sees them, and the code itself
 * only after a fresh login. */
#include "api/log-action.h"
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

#define DEFAULT_LIFE_S 2419200 /* 4 weeks: what "soon" is measured by when tokens do not expire */

enum { T_UUID, T_TITLE, T_LAST_USED_MS, T_CREATED_MS, T_EXPIRES_MS, T_SECRET_ENC, T_COLS };
_Static_assert((int)T_COLS == APP_TOKEN_COLS, "user.sql and app-token.c differ");

static const struct field CREATE[] = { F_STR("title", F_TEXT, F_REQUIRED, .max = 255, .doc = "The user-defined title for the token."), F_END };
static const struct param LIST[] = { { "expiring", false, "If true, only returns those tokens expiring soon" }, { NULL, false, NULL } };

static void
put_date(struct req *rq, json_t *o, const char *name, int64_t ms)
{
	jo_str(o, name, ms == 0 ? NULL : clock_rfc2822(rq->c->mem, ms));
}

static void
put_token(struct req *rq, json_t *o, const struct db_result *r, int row)
{
	jo_str(o, "uuid", db_get_str(r, row, T_UUID));
	jo_str(o, "title", db_get_str(r, row, T_TITLE));
	put_date(rq, o, "last_accessed", db_get_i64(r, row, T_LAST_USED_MS));
	put_date(rq, o, "created", db_get_i64(r, row, T_CREATED_MS));
	put_date(rq, o, "expiration", db_get_i64(r, row, T_EXPIRES_MS));
}

static enum err_kind
api_app_token_list(struct req *rq)
{
	const int64_t           life_s = rq->c->conf->app_specific_token_expiration_s;
	const bool              is_asked = req_query(rq, "expiring").p != NULL, expiring = param_bool(rq, "expiring", false);
	const int64_t           within_ms = (life_s > 0 ? life_s : DEFAULT_LIFE_S) * 100; /* 10 % */
	json_t                 *o = res_json(rq, 200), *a = jo_array(o, "tokens");
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_APP_TOKENS, DB_ARGS(db_i64(rq->facts.caller_id), expiring ? db_i64(within_ms) : db_null()), &r));
	for (int i = 0; i < r->rows; i++)
		put_token(rq, ja_object(a), r, i);
	if (is_asked)
		jo_bool(o, "only_expiring", expiring);
	else
		jo_null(o, "only_expiring");
	return ERR_NONE;
}

/* The token with its code. */
static enum err_kind
answer_with_code(struct req *rq, struct str uuid)
{
	const struct db_result *r;
	struct str              code;
	json_t                 *o;

	TRY(db_exec(rq->c, STMT_APP_TOKEN, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(uuid)), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such token");
	TRY(secret_open(rq->c, &rq->app->login->secrets, "token.secret_enc", db_get_strn(r, 0, T_SECRET_ENC), &code));
	o = jo_object(res_json(rq, 200), "token");
	put_token(rq, o, r, 0);
	jo_strn(o, "token_code", code);
	res_header(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

static enum err_kind
log_token(struct req *rq, enum audit_kind kind, struct str title, struct str uuid)
{
	json_t *meta = js_object(rq->c);

	jo_strn(meta, "app_specific_token_title", title);
	jo_strn(meta, "app_specific_token", uuid);
	return log_action(rq, kind, rq->facts.caller_id, 0, meta);
}

static enum err_kind
api_app_token_create(struct req *rq)
{
	const int64_t    life_s = rq->c->conf->app_specific_token_expiration_s;
	const struct str title = js_str(rq->body, "title");
	struct token_new t = { .kind = 1, .account_id = rq->facts.caller_id, .title = str_dup(rq->c->mem, title), .expires_after_ms = life_s > 0 ? life_s * 1000 : 0 };
	char             token[TOKEN_TEXT_MAX + 1];
	const char      *uuid;

	TRY(account_make_token(rq->c, &rq->app->login->secrets, &t, token, &uuid));
	TRY(log_token(rq, AUDIT_create_app_specific_token, title, str_of(uuid)));
	return answer_with_code(rq, str_of(uuid));
}

static enum err_kind
api_app_token_get(struct req *rq)
{
	return answer_with_code(rq, req_capture(rq, "token_uuid"));
}

static enum err_kind
api_app_token_revoke(struct req *rq)
{
	const struct str        uuid = req_capture(rq, "token_uuid");
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_APP_TOKEN_REMOVE, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(uuid)), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such token");
	TRY(log_token(rq, AUDIT_revoke_app_specific_token, db_get_strn(r, 0, APP_TOKEN_REMOVE_TITLE), uuid));
	res_empty(rq, 204);
	return ERR_NONE;
}

const struct route API_APP_TOKEN_ROUTES[] = {
	{ .id = "listAppTokens", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/apptoken", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .feature = CONF_FLAG(feature_app_specific_tokens),
	  .query = LIST, .mem_bytes = 4 << 20, .run = api_app_token_list, .doc = "Lists the app specific tokens for the user." },
	{ .id = "createAppToken", .methods = HTTP_POST, .path = "/api/v1/user/apptoken", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH,
	  .feature = CONF_FLAG(feature_app_specific_tokens), .tx = TX_WRITE, .body = CREATE, .run = api_app_token_create,
	  .doc = "Create a new app specific token for user." },
	{ .id = "getAppToken", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/apptoken/<name:token_uuid>", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_FRESH,
	  .feature = CONF_FLAG(feature_app_specific_tokens), .run = api_app_token_get, .doc = "Returns a specific app token for the user." },
	{ .id = "revokeAppToken", .methods = HTTP_DELETE, .path = "/api/v1/user/apptoken/<name:token_uuid>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH,
	  .feature = CONF_FLAG(feature_app_specific_tokens), .tx = TX_WRITE, .run = api_app_token_revoke,
	  .doc = "Revokes a specific app token for the user." },
	{ .id = NULL }
};
