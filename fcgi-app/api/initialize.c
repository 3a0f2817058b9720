/* POST /api/v1/user/initialize: the first user of an empty registry, for scripts that set one up. */
#include "app.h"
#include "auth/login.h"
#include "base/arena.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "api/routes.h"
#include "model/account.h"

#define TOKEN_LIFE_MS 9000000 /* as Quay's: 2.5 hours */
#define ALL_SCOPES "org:admin repo:admin repo:create repo:read repo:write super:user user:admin user:read"

static const struct field INITIALIZE[] = {
	F_STR("username", F_REQUIRED, .doc = "The user's name."),
	F_STR("password", F_REQUIRED, .doc = "The user's password."),
	F_STR("email", F_NULL, .doc = "The user's e-mail address."),
	F_BOOL("access_token", .doc = "Make an OAuth token with all scopes, too."),
	F_END
};

static enum err_kind
say_message(struct req *rq, const char *message)
{
	jo_str(res_json(rq, 400), "message", message);
	return ERR_NONE;
}

static enum err_kind
make_token(struct req *rq, int64_t user_id, const char *name, json_t *out)
{
	struct token_new t = { .kind = 2, .account_id = user_id, .title = "automation", .scopes = ALL_SCOPES, .expires_after_ms = TOKEN_LIFE_MS };
	char             token[TOKEN_TEXT_MAX + 1];

	TRY(account_ensure_application(rq->c, &rq->app->login->secrets, user_id, name, "automation", &t.application_id));
	TRY(account_make_token(rq->c, &rq->app->login->secrets, &t, token, NULL));
	jo_str(out, "access_token", token);
	return ERR_NONE;
}

static enum err_kind
api_initialize(struct req *rq)
{
	struct ctx             *c = rq->c;
	const struct db_result *r;
	struct str              encrypted;
	struct user_new         u;
	const json_t           *in = rq->body;
	json_t                 *out;
	int64_t                 id;
	const char             *uuid;

	if (strcmp(c->conf->authentication_type, "Database") != 0)
		return say_message(rq, "Cannot initialize user in a non-database auth system");
	u = (struct user_new){ .name = js_str(in, "username"), .email = js_str(in, "email"), .password = js_str(in, "password") };
	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(db_queue(c, STMT_FIRST_USER_LOCK, DB_NO_ARGS, NULL));
	TRY(db_exec(c, STMT_USER_COUNT, DB_NO_ARGS, &r));
	if (db_get_i64(r, 0, 0) > 0) {
		db_rollback(c);
		return say_message(rq, "Cannot initialize user in a non-empty database");
	}
	if (account_make_user(c, &u, &id, &uuid) != ERR_NONE) {
		const char *why = c->err.message != NULL ? c->err.message : c->err.say != NULL ? c->err.say->message : "try again";
		db_rollback(c);
		return say_message(rq, str_fmt(c->mem, "Failed to initialize user: %s", why));
	}
	out = res_json(rq, 200);
	jo_strn(out, "username", u.name);
	if (u.email.p == NULL)
		jo_null(out, "email");
	else
		jo_strn(out, "email", u.email);
	TRY(secret_password_put(c, &rq->app->login->secrets.application, NULL, u.password, &encrypted));
	jo_strn(out, "encrypted_password", encrypted);
	if (js_bool(in, "access_token", false))
		TRY(make_token(rq, id, str_dup(c->mem, u.name), out));
	res_header(rq, "Cache-Control", STR("no-store"));
	TRY(db_commit(c));
	session_login(rq, str_dup_c(c->mem, uuid), str_dup(c->mem, u.name));
	return ERR_NONE;
}

const struct route API_INITIALIZE_ROUTES[] = {
	{ .id = "initializeUser", .methods = HTTP_POST, .path = "/api/v1/user/initialize", .proto = PROTO_API, .auth = AUTH_NONE, .perm = PERM_NONE,
	  .rate = RATE_AUTH, .flags = ROUTE_WRITES | ROUTE_NO_CSRF | ROUTE_ANONYMOUS_OK, .body = INITIALIZE, .feature = CONF_FLAG(feature_user_initialize), .mem_bytes = 4 << 20,
	  .run = api_initialize, .doc = "Makes the first user of an empty registry." },
	{ .id = NULL }
};
