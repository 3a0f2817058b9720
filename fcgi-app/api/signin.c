/* Signing in and out of the web interface: session cookie, CSRF token, proof of the password for sensitive calls. */
#include "app.h"
#include "auth/credential.h"
#include "auth/login.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "api/routes.h"
#include "model/audit.h"
#include "model/invite.h"

static const struct field SIGNIN[] = {
	F_STR("username", F_REQUIRED, .doc = "Name or e-mail address."),
	F_STR("password", F_REQUIRED, .doc = "The password."),
	F_STR("invite_code", F_NULL, .doc = "Code of a team invitation, which confirms the address that it went to."),
	F_END
};
static const struct field VERIFY[] = { F_STR("password", F_REQUIRED, .doc = "The password of the user signed in."), F_END };

static enum err_kind
log_signin(struct req *rq, const char *name, int64_t id, enum audit_kind kind)
{
	struct buf b = BUF(rq->c->mem);

	if (rq->c->conf->is_readonly || !rq->c->conf->action_log_audit_logins)
		return ERR_NONE;
	buf_puts(&b, "{\"type\":\"quayauth\",\"kind\":\"user\",\"username\":");
	buf_put_json(&b, str_of(name));
	buf_puts(&b, ",\"useragent\":");
	buf_put_json(&b, rq->user_agent);
	buf_puts(&b, "}");
	return audit_add(rq->c, &(struct audit_row){ .kind = kind, .namespace_id = id, .performer_id = id, .ip = rq->remote_addr, .metadata = buf_str(&b) });
}

/* 403 with what the sign-in form needs to know. */
static enum err_kind
refused(struct req *rq, bool needs_verification, bool invalid, const char *message)
{
	json_t *o = res_json(rq, 403);

	jo_bool(o, "needsEmailVerification", needs_verification);
	jo_bool(o, "invalidCredentials", invalid);
	jo_str(o, "message", message);
	return ERR_NONE;
}

static enum err_kind
api_signin(struct req *rq)
{
	const struct credential cr = { .kind = CREDENTIAL_USER, .name = js_str(rq->body, "username"), .secret = js_str(rq->body, "password") };
	const struct db_result *r;
	struct identity         id;
	enum err_kind           e;

	e = login_basic(rq->c, rq->app->login, &cr, rq->remote_addr, &id);
	if (e == ERR_UNAUTHENTICATED)
		return refused(rq, false, true, rq->c->err.say->message);
	TRY(e);
	TRY(db_exec(rq->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_str(id.name)), &r));
	if (rq->c->conf->feature_mailing && !db_get_bool(r, 0, ACCOUNT_BY_NAME_IS_VERIFIED)) {
		bool verified = false;
		if (!rq->c->conf->is_readonly)
			TRY(invite_verifies(rq->c, &rq->app->login->secrets, js_str(rq->body, "invite_code"), db_get_i64(r, 0, ACCOUNT_BY_NAME_ID), &verified));
		if (!verified)
			return refused(rq, true, false, NULL);
	}
	TRY(log_signin(rq, id.name, db_get_i64(r, 0, ACCOUNT_BY_NAME_ID), AUDIT_login_success));
	session_login(rq, id.account_uuid, id.name);
	jo_bool(res_json(rq, 200), "success", true);
	return ERR_NONE;
}

/* The password again: the login counts as fresh from now on. */
static enum err_kind
api_signin_verify(struct req *rq)
{
	const struct credential cr = { .kind = CREDENTIAL_USER, .name = str_of(rq->facts.caller_name), .secret = js_str(rq->body, "password") };
	struct identity         id;
	enum err_kind           e;
	json_t                 *o;

	e = login_basic(rq->c, rq->app->login, &cr, rq->remote_addr, &id);
	if (e == ERR_UNAUTHENTICATED) {
		o = res_json(rq, 403);
		jo_str(o, "message", rq->c->err.say->message);
		jo_bool(o, "invalidCredentials", true);
		return ERR_NONE;
	}
	TRY(e);
	session_login(rq, id.account_uuid, id.name);
	jo_bool(res_json(rq, 200), "success", true);
	return ERR_NONE;
}

/* Ends every session of the account: its uuid changes. */
static enum err_kind
api_signout(struct req *rq)
{
	if (rq->facts.caller_id != 0) {
		TRY(db_exec(rq->c, STMT_ACCOUNT_END_SESSIONS, DB_ARGS(db_i64(rq->facts.caller_id)), NULL));
		TRY(log_signin(rq, rq->facts.caller_name, rq->facts.caller_id, AUDIT_logout_success));
	}
	session_logout(rq);
	jo_bool(res_json(rq, 200), "success", true);
	return ERR_NONE;
}

static enum err_kind
site_csrf_token(struct req *rq)
{
	session_load(rq);
	jo_str(res_json(rq, 200), "csrf_token", session_csrf(rq));
	res_header(rq, "Cache-Control", STR("no-cache, no-store, must-revalidate"));
	return ERR_NONE;
}

const struct route API_SIGNIN_ROUTES[] = {
	{ .id = "signinUser", .methods = HTTP_POST, .path = "/api/v1/signin", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NONE,
	  .rate = RATE_AUTH, .flags = ROUTE_ANONYMOUS_OK | ROUTE_READONLY_OK, .feature = CONF_FLAG(feature_direct_login), .body = SIGNIN,
	  .run = api_signin, .doc = "Signs in: session cookie and a new CSRF token." },
	{ .id = "verifyUser", .methods = HTTP_POST, .path = "/api/v1/signin/verify", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN,
	  .rate = RATE_AUTH, .flags = ROUTE_READONLY_OK, .body = VERIFY, .run = api_signin_verify,
	  .doc = "Proves the password again, so that the login counts as fresh." },
	{ .id = "logout", .methods = HTTP_POST, .path = "/api/v1/signout", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NONE,
	  .rate = RATE_API_WRITE, .flags = ROUTE_ANONYMOUS_OK, .run = api_signout, .doc = "Ends all sessions of the caller." },
	{ .id = "csrfToken", .methods = HTTP_GET, .path = "/csrf_token", .proto = PROTO_SITE, .auth = AUTH_NONE, .perm = PERM_NONE,
	  .run = site_csrf_token, .doc = "The session's CSRF token; makes a session if there is none." },
	{ .id = NULL }
};
