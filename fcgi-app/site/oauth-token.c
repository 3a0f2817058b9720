/* OAuth: an application exchanges its code for a token; an administrator assigns an application to somebody; the page where a
 * person finds the token made for the own use. */
#include "app.h"
#include "auth/credential.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"
#include "model/account.h"
#include "model/audit.h"
#include "site/oauth.h"
#include "site/routes.h"

static const struct say SAY_REQUIRED = { 400, "error", "Required param" };
static const struct say SAY_NOT_ADMIN = { 403, "error", "Only administrators of the application's organization may assign it" };
static const struct say SAY_REDIRECT = { 400, "error", "invalid_request" };
static const struct say SAY_SCOPE = { 400, "error", "invalid_scope" };
static const struct say SAY_TYPE = { 400, "error", "unsupported_response_type" };

struct exchange {
	struct str grant_type, client_id, client_secret, redirect_uri, code, scope, verifier;
};

static enum err_kind
answer_error(struct req *rq, const char *error)
{
	jo_str(res_json(rq, 400), "error", error);
	res_header_set(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

static enum err_kind
read_exchange(struct req *rq, struct exchange *x)
{
	const struct credential cr = credential_parse(rq->c, req_header(rq, "authorization"), false);
	const bool              basic = cr.kind != CREDENTIAL_NONE && cr.kind != CREDENTIAL_UNREADABLE && cr.kind != CREDENTIAL_BEARER;
	struct str              form;

	TRY(req_body_all(rq, OAUTH_FORM_BYTES, &form));
	x->grant_type = oauth_param(rq, form, "grant_type");
	x->client_id = basic ? cr.name : oauth_param(rq, form, "client_id");
	x->client_secret = basic ? cr.secret : oauth_param(rq, form, "client_secret");
	x->redirect_uri = oauth_param(rq, form, "redirect_uri");
	x->code = oauth_param(rq, form, "code");
	x->scope = oauth_param(rq, form, "scope");
	x->verifier = oauth_param(rq, form, "code_verifier");

	const struct {
		const char *name;
		struct str  v;
	} NEEDED[] = { { "grant_type", x->grant_type }, { "client_id", x->client_id }, { "redirect_uri", x->redirect_uri },
		       { "code", x->code }, { "scope", x->scope } };
	for (size_t i = 0; i < sizeof NEEDED / sizeof *NEEDED; i++)
		if (NEEDED[i].v.n == 0)
			return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_REQUIRED, "Required param: %s", NEEDED[i].name);
	return ERR_NONE;
}

/* The code is gone when this returns, whatever the result: taking it and making the token are one transaction. */
static enum err_kind
exchange(struct req *rq, const struct exchange *x, int64_t application_id)
{
	const struct secrets   *s = &rq->app->login->secrets;
	const struct code_claim q = { .application_id = application_id, .code = x->code, .redirect_uri = x->redirect_uri, .verifier = x->verifier,
		                      .scopes = scope_parse(x->scope) };
	struct token_new        t = { .kind = 2, .application_id = application_id, .expires_after_ms = (int64_t)OAUTH_TOKEN_LIFE_S * 1000 };
	char                    token[TOKEN_TEXT_MAX + 1];
	enum code_result        result;
	json_t                 *o;

	TRY(code_take(rq->c, s, &q, &result, &t.account_id, &t.scopes));
	if (result == CODE_BAD_GRANT)
		return answer_error(rq, "invalid_grant");
	if (result == CODE_BAD_SCOPE)
		return answer_error(rq, "invalid_scope");
	TRY(account_make_token(rq->c, s, &t, token, NULL));
	o = res_json(rq, 200);
	jo_str(o, "access_token", token);
	jo_str(o, "token_type", "Bearer");
	jo_i64(o, "expires_in", OAUTH_TOKEN_LIFE_S);
	jo_null(o, "refresh_token");
	res_header_set(rq, "Content-Type", STR("application/json;charset=UTF-8"));
	res_header_set(rq, "Cache-Control", STR("no-store"));
	res_header_set(rq, "Pragma", STR("no-cache"));
	return ERR_NONE;
}

static enum err_kind
prepare_exchange(struct req *rq)
{
	struct exchange *x = ARENA_NEW(rq->c->mem, struct exchange);

	TRY(read_exchange(rq, x));
	rq->prepared = x;
	return ERR_NONE;
}

static enum err_kind
site_access_token(struct req *rq)
{
	const struct exchange *x = rq->prepared;
	int64_t                id;

	if (!str_eq(x->grant_type, STR("authorization_code")))
		return answer_error(rq, "unsupported_grant_type");
	TRY(application_login(rq->c, &rq->app->login->secrets, x->client_id, x->client_secret, &id));
	return id == 0 ? answer_error(rq, "invalid_client") : exchange(rq, x, id);
}

static enum err_kind
site_local_app(struct req *rq)
{
	if (str_eq(req_query(rq, "format"), STR("json"))) {
		jo_strn(res_json(rq, 200), "access_token", req_query(rq, "access_token"));
		res_header_set(rq, "Cache-Control", STR("no-store"));
		return ERR_NONE;
	}
	oauth_page_local(rq, req_query(rq, "scope").n == 0);
	return ERR_NONE;
}

struct assign {
	struct oauth_ask ask;
	struct str       username;
};

static enum err_kind
prepare_assign(struct req *rq)
{
	struct assign *n = ARENA_NEW(rq->c->mem, struct assign);
	struct str     form;

	TRY(req_body_all(rq, OAUTH_FORM_BYTES, &form));
	TRY(session_check_form(rq, oauth_param(rq, form, "_csrf_token")));
	TRY(oauth_ask_read(rq, form, &n->ask));
	n->username = oauth_param(rq, form, "username");
	if (n->username.n == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_REQUIRED, "Required param: username");
	rq->prepared = n;
	return ERR_NONE;
}

static enum err_kind
log_assigned(struct req *rq, const struct oauth_ask *a, const char *username)
{
	struct buf b = BUF(rq->c->mem);

	buf_puts(&b, "{\"assigning_user\":");
	buf_put_json(&b, str_of(rq->facts.caller_name));
	buf_puts(&b, ",\"assigned_user\":");
	buf_put_json(&b, str_of(username));
	buf_puts(&b, ",\"application\":");
	buf_put_json(&b, str_of(a->app.name));
	buf_puts(&b, ",\"client_id\":");
	buf_put_json(&b, str_of(a->app.client_id));
	buf_puts(&b, "}");
	if (str_list_has(&rq->c->conf->disabled_for_audit_logs, str_of(a->org_name)))
		return ERR_NONE;
	return audit_add(rq->c, &(struct audit_row){ .kind = AUDIT_oauth_token_assigned, .namespace_id = a->org_id, .performer_id = rq->facts.caller_id,
	                                             .ip = rq->remote_addr, .metadata = buf_str(&b) });
}

/* What is offered must be something that the user could accept. */
static enum err_kind
check_offer(struct req *rq, const struct oauth_ask *a)
{
	if (!a->is_implicit && !str_eq(a->response_type, STR("code")))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_TYPE);
	if (!a->redirect_fits)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_REDIRECT);
	return a->scopes != 0 ? ERR_NONE : err_say(rq->c, ERR_BAD_INPUT, &SAY_SCOPE);
}

/* The right depends on the application in the parameters: its organization must be administrated by the caller. */
static enum err_kind
site_assign_user(struct req *rq)
{
	struct assign          *n = rq->prepared;
	struct oauth_ask       *a = &n->ask;
	const struct db_result *r;
	struct buf              note = BUF(rq->c->mem);
	const char             *name = str_dup(rq->c->mem, n->username);

	TRY(oauth_ask_load(rq, a));
	if (!a->is_org_admin)
		return err_say(rq->c, ERR_DENIED, &SAY_NOT_ADMIN);
	TRY(check_offer(rq, a));
	TRY(db_exec(rq->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_str(name)), &r));
	if (r->rows == 0 || db_get_i64(r, 0, ACCOUNT_BY_NAME_KIND) != 1 || !db_get_bool(r, 0, ACCOUNT_BY_NAME_IS_ENABLED))
		return err_set(rq->c, ERR_NOT_FOUND, "no such user");
	TRY(db_exec(rq->c, STMT_ASSIGNMENT_ADD,
	            DB_ARGS(db_i64(a->app.id), db_i64(db_get_i64(r, 0, ACCOUNT_BY_NAME_ID)), db_strn(a->redirect_uri),
	                    db_str(scope_text(rq->c->mem, a->scopes)), db_strn(a->response_type)),
	            NULL));
	TRY(log_assigned(rq, a, name));
	buf_puts(&note, "{\"username\":");
	buf_put_json(&note, str_of(name));
	buf_puts(&note, "}");
	TRY(db_exec(rq->c, STMT_ACCOUNT_NOTE_ADD,
	            DB_ARGS(db_i64(db_get_i64(r, 0, ACCOUNT_BY_NAME_ID)), db_str("assigned_authorization"), db_strn(buf_str(&note))), NULL));
	if (a->is_json)
		jo_str(res_json(rq, 200), "message", "Token assigned successfully");
	else
		oauth_page_assigned(rq);
	return ERR_NONE;
}

const struct route SITE_OAUTH_TOKEN_ROUTES[] = {
	{ .id = "exchangeCodeForToken", .methods = HTTP_POST, .path = "/oauth/access_token", .proto = PROTO_SITE, .auth = AUTH_NONE, .perm = PERM_NONE,
	  .rate = RATE_AUTH, .flags = ROUTE_WRITES, .prepare = prepare_exchange, .tx = TX_WRITE, .run = site_access_token,
	  .doc = "An application's code becomes a token." },
	{ .id = "oauthLocalHandler", .methods = HTTP_GET | HTTP_HEAD, .path = OAUTH_LOCAL_HANDLER, .proto = PROTO_SITE, .auth = AUTH_SITE,
	  .perm = PERM_CALLER, .rate = RATE_API_READ, .run = site_local_app, .doc = "Shows a token to the person who made it." },
	{ .id = "oauthLocalScript", .methods = HTTP_GET | HTTP_HEAD, .path = OAUTH_LOCAL_HANDLER ".js", .proto = PROTO_SITE, .auth = AUTH_NONE,
	  .perm = PERM_NONE, .run = oauth_page_script, .doc = "The script of that page." },
	{ .id = "assignUserToApp", .methods = HTTP_POST, .path = "/oauth/authorize/assignuser", .proto = PROTO_SITE, .auth = AUTH_SITE,
	  .perm = PERM_CALLER, .rate = RATE_API_WRITE, .flags = ROUTE_WRITES, .feature = CONF_FLAG(feature_assign_oauth_token),
	  .prepare = prepare_assign, .tx = TX_WRITE, .run = site_assign_user, .doc = "Offers somebody a token for an application." },
	{ .id = NULL }
};
