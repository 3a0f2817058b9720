/* OAuth: the user is asked, agrees or declines; a token is exchanged for a code elsewhere (site/oauth-token.c). */
#include <stdio.h>

#include "app.h"
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
#include "model/avatar.h"
#include "site/oauth.h"
#include "site/routes.h"

static const struct say SAY_SCOPE = { 404, "error", "Invalid scope" };
static const struct say SAY_ASSIGNMENT = { 400, "error", "Assignments are for the response type token" };
static const struct say SAY_NO_RIGHT = { 403, "error", "Only administrators of the application's organization, and those to whom it is assigned, may authorize it" };
static const struct say SAY_REDIRECT = { 400, "error", "invalid_request" };

/* Who may use the application at all: administrators of its organization, and those to whom one of them has assigned a token. */
static enum err_kind
check_right(struct req *rq, const struct oauth_ask *a)
{
	const struct db_result *r;

	if (a->assignment_uuid.n > 0) {
		if (!rq->c->conf->feature_assign_oauth_token || !a->is_implicit)
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_ASSIGNMENT);
		TRY(db_exec(rq->c, STMT_ASSIGNMENT, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(a->assignment_uuid), db_i64(a->org_id)), &r));
		if (r->rows > 0)
			return ERR_NONE;
	}
	return a->is_org_admin ? ERR_NONE : err_say(rq->c, ERR_DENIED, &SAY_NO_RIGHT);
}

static enum err_kind
has_granted_before(struct req *rq, const struct oauth_ask *a, bool *yes)
{
	const struct db_result *r;
	unsigned                held = 0;

	TRY(db_exec(rq->c, STMT_APPLICATION_SCOPES_HELD, DB_ARGS(db_i64(a->app.id), db_i64(rq->facts.caller_id)), &r));
	for (int i = 0; i < r->rows; i++)
		held |= scope_parse(db_get_strn(r, i, 0));
	*yes = a->scopes != 0 && scope_covers(held, a->scopes);
	return ERR_NONE;
}

static enum err_kind
issue_token(struct req *rq, const struct oauth_ask *a)
{
	const char      *scopes = scope_text(rq->c->mem, a->scopes);
	struct token_new t = { .kind = 2, .account_id = rq->facts.caller_id, .application_id = a->app.id, .scopes = scopes,
		               .expires_after_ms = (int64_t)OAUTH_TOKEN_LIFE_S * 1000 };
	char             token[TOKEN_TEXT_MAX + 1];

	TRY(account_make_token(rq->c, &rq->app->login->secrets, &t, token, NULL));
	if (a->assignment_uuid.n > 0)
		TRY(db_exec(rq->c, STMT_USER_ASSIGNMENT_REMOVE, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(a->assignment_uuid)), NULL));
	oauth_redirect(rq, a->redirect_uri, (const char *const[]){ "scope", scopes, "state", oauth_state(rq, a), NULL },
	               str_fmt(rq->c->mem, "access_token=%s&token_type=Bearer&expires_in=%d", token, OAUTH_TOKEN_LIFE_S));
	return ERR_NONE;
}

static bool
is_challenge(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char ch = s.p[i];
		if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_'))
			return false;
	}
	return s.n == 43;
}

static enum err_kind
issue_code(struct req *rq, const struct oauth_ask *a)
{
	const char           *scopes = scope_text(rq->c->mem, a->scopes);
	const struct code_new n = { .application_id = a->app.id, .account_id = rq->facts.caller_id, .scopes = str_of(scopes),
		                    .redirect_uri = a->redirect_uri, .challenge = a->challenge };
	char                  code[TOKEN_TEXT_MAX + 1];

	if (a->challenge.n > 0 && (!str_eq(a->challenge_method, STR("S256")) || !is_challenge(a->challenge)))
		return oauth_redirect_error(rq, a, "invalid_request");
	TRY(code_make(rq->c, &rq->app->login->secrets, &n, code));
	oauth_redirect(rq, a->redirect_uri, (const char *const[]){ "code", code, "scope", scopes, "state", oauth_state(rq, a), NULL }, NULL);
	return ERR_NONE;
}

/* The user agrees. */
static enum err_kind
issue(struct req *rq, const struct oauth_ask *a)
{
	if (!a->redirect_fits)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_REDIRECT);
	if (!a->is_implicit && !str_eq(a->response_type, STR("code")))
		return oauth_redirect_error(rq, a, "unsupported_response_type");
	if (a->scopes == 0)
		return oauth_redirect_error(rq, a, "invalid_scope");
	return a->is_implicit ? issue_token(rq, a) : issue_code(rq, a);
}

static struct str
avatar_text(struct req *rq, enum avatar_kind kind, const char *name, const char *email)
{
	json_t *holder = js_object(rq->c);

	jo_take(holder, "avatar", avatar_to_json(kind, name, email));
	return js_dump(rq->c, json_object_get(holder, "avatar"));
}

static void
put_optional(json_t *o, const char *name, struct str v)
{
	if (v.n == 0)
		jo_null(o, name);
	else
		jo_strn(o, name, v);
}

/* The consent page's content for a web interface that draws it itself. */
static void
answer_json(struct req *rq, const struct oauth_ask *a)
{
	json_t *o = res_json(rq, 200), *list = jo_array(o, "scopes"), *app, *org;
	bool    dangerous = false;

	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		json_t *s;
		if ((a->scopes & SCOPES[i].bit) == 0)
			continue;
		s = ja_object(list);
		jo_str(s, "title", SCOPES[i].title);
		jo_str(s, "scope", SCOPES[i].name);
		jo_str(s, "description", SCOPES[i].description);
		jo_str(s, "icon", SCOPES[i].icon);
		jo_bool(s, "dangerous", SCOPES[i].is_dangerous);
		dangerous |= SCOPES[i].is_dangerous;
	}
	jo_bool(o, "has_dangerous_scopes", dangerous);
	app = jo_object(o, "application");
	jo_str(app, "name", a->app.name);
	jo_str(app, "description", a->app.description);
	jo_str(app, "url", a->app.application_uri);
	jo_strn(app, "avatar", avatar_text(rq, AVATAR_APP, a->app.name, a->app.avatar_email != NULL ? a->app.avatar_email : a->org_email));
	org = jo_object(app, "organization");
	jo_str(org, "name", a->org_name);
	jo_strn(org, "avatar", avatar_text(rq, AVATAR_ORG, a->org_name, a->org_email));
	jo_strn(o, "response_type", a->response_type);
	jo_strn(o, "client_id", a->client_id);
	jo_strn(o, "redirect_uri", a->redirect_uri);
	jo_strn(o, "scope", a->scope);
	jo_str(o, "csrf_token_val", session_csrf(rq));
	put_optional(o, "state", a->state);
	put_optional(o, "assignment_uuid", a->assignment_uuid);
	if (a->challenge.n > 0) {
		jo_strn(o, "code_challenge", a->challenge);
		jo_strn(o, "code_challenge_method", a->challenge_method);
	}
	res_header_set(rq, "Cache-Control", STR("no-store"));
}

static enum err_kind
site_authorize(struct req *rq)
{
	struct oauth_ask a = { 0 };
	bool             granted;

	TRY(oauth_ask_read(rq, STR0, &a));
	TRY(oauth_ask_load(rq, &a));
	TRY(check_right(rq, &a));
	if (!a.redirect_fits) {
		if (a.app.redirect_uri[0] == '\0' || !redirect_is_allowed(rq->c->conf->base_url, str_of(a.app.redirect_uri), str_of(a.app.redirect_uri)))
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_REDIRECT);
		oauth_redirect(rq, str_of(a.app.redirect_uri), (const char *const[]){ "error", "redirect_uri_mismatch", NULL }, NULL);
		return ERR_NONE;
	}
	if (a.scopes == 0)
		return err_say(rq->c, ERR_NOT_FOUND, &SAY_SCOPE);
	TRY(has_granted_before(rq, &a, &granted));
	if (granted)
		return issue(rq, &a);
	if (a.is_json)
		answer_json(rq, &a);
	else
		oauth_page_consent(rq, &a);
	return ERR_NONE;
}

/* By a password, for an application that the configuration trusts to ask in its own way. */
static bool
is_direct(const struct req *rq, struct str client_id)
{
	const struct str header = req_header(rq, "authorization");

	return header.n > 6 && str_eq_nocase(str_sub(header, 0, 6), STR("basic ")) && rq->ident.kind == IDENTITY_USER &&
	       str_list_has(&rq->c->conf->direct_oauth_clientid_whitelist, client_id);
}

/* The form, before the transaction: rq->prepared. */
static enum err_kind
prepare_form(struct req *rq)
{
	struct oauth_ask *a = ARENA_NEW(rq->c->mem, struct oauth_ask);
	struct str        form;

	TRY(req_body_all(rq, OAUTH_FORM_BYTES, &form));
	if (!is_direct(rq, oauth_param(rq, form, "client_id")))
		TRY(session_check_form(rq, oauth_param(rq, form, "_csrf_token")));
	TRY(oauth_ask_read(rq, form, a));
	rq->prepared = a;
	return ERR_NONE;
}

static enum err_kind
site_authorize_app(struct req *rq)
{
	struct oauth_ask *a = rq->prepared;

	TRY(oauth_ask_load(rq, a));
	TRY(check_right(rq, a));
	return issue(rq, a);
}

static enum err_kind
site_deny_app(struct req *rq)
{
	struct oauth_ask *a = rq->prepared;

	TRY(oauth_ask_load(rq, a));
	return oauth_redirect_error(rq, a, "authorization_denied");
}

const struct route SITE_OAUTH_AUTHORIZE_ROUTES[] = {
	{ .id = "requestAuthorizationCode", .methods = HTTP_GET | HTTP_HEAD, .path = "/oauth/authorize", .proto = PROTO_SITE, .auth = AUTH_SITE,
	  .perm = PERM_CALLER, .rate = RATE_API_WRITE, .flags = ROUTE_WRITES, .tx = TX_WRITE, .run = site_authorize,
	  .doc = "Asks the user whether an application may have a token." },
	{ .id = "authorizeApplication", .methods = HTTP_POST, .path = "/oauth/authorizeapp", .proto = PROTO_SITE, .auth = AUTH_SITE,
	  .perm = PERM_CALLER, .rate = RATE_API_WRITE, .flags = ROUTE_WRITES, .prepare = prepare_form, .tx = TX_WRITE, .run = site_authorize_app,
	  .doc = "The user agrees: a token or a code goes to the application." },
	{ .id = "denyApplication", .methods = HTTP_POST, .path = "/oauth/denyapp", .proto = PROTO_SITE, .auth = AUTH_SITE, .perm = PERM_CALLER,
	  .rate = RATE_API_WRITE, .prepare = prepare_form, .run = site_deny_app, .doc = "The user declines." },
	{ .id = NULL }
};
