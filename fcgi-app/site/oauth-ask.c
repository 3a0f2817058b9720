/* OAuth requests: parameters, the application, redirects. */
#include <stdio.h>

#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"
#include "site/oauth.h"

static const struct say SAY_REQUIRED = { 400, "error", "Required param" };
static const struct say SAY_INVALID = { 400, "error", "invalid_request" };

struct str
oauth_param(struct req *rq, struct str form, const char *name)
{
	const struct str v = form.n > 0 ? form_value(rq->c, form, name) : STR0;

	return v.p != NULL ? v : req_query(rq, name);
}

enum err_kind
oauth_ask_read(struct req *rq, struct str form, struct oauth_ask *a)
{
	const struct {
		const char *name;
		struct str *to;
		bool        is_required;
	} PARAM[] = { { "client_id", &a->client_id, true },
		      { "redirect_uri", &a->redirect_uri, true },
		      { "scope", &a->scope, true },
		      { "response_type", &a->response_type, false },
		      { "state", &a->state, false },
		      { "assignment_uuid", &a->assignment_uuid, false },
		      { "code_challenge", &a->challenge, false },
		      { "code_challenge_method", &a->challenge_method, false } };

	for (size_t i = 0; i < sizeof PARAM / sizeof *PARAM; i++) {
		*PARAM[i].to = oauth_param(rq, form, PARAM[i].name);
		if (PARAM[i].to->n == 0)
			*PARAM[i].to = STR0;
		if (PARAM[i].is_required && PARAM[i].to->n == 0)
			return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_REQUIRED, "Required param: %s", PARAM[i].name);
	}
	if (a->response_type.n == 0)
		a->response_type = STR("code");
	a->is_implicit = str_eq(a->response_type, STR("token"));
	a->is_json = str_eq(oauth_param(rq, form, "format"), STR("json"));
	a->scopes = scope_parse(a->scope);
	if ((a->scopes & SCOPE_SUPER_USER) != 0 && !rq->c->conf->feature_super_users)
		a->scopes = 0;
	return ERR_NONE;
}

enum err_kind
oauth_ask_load(struct req *rq, struct oauth_ask *a)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_APPLICATION_LOAD, DB_ARGS(db_str(rq->ident.account_uuid), db_null(), db_null(), db_strn(a->client_id)), &r));
	application_from_row(r, 0, APPLICATION_LOAD_APPLICATION0, &a->app);
	if (a->app.id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such application");
	a->org_id = db_get_i64(r, 0, APPLICATION_LOAD_ORG_ID);
	a->org_name = db_get_str(r, 0, APPLICATION_LOAD_ORG_NAME);
	a->org_email = db_get_str(r, 0, APPLICATION_LOAD_ORG_EMAIL);
	a->is_org_admin = db_get_i64(r, 0, APPLICATION_LOAD_ORG_ROLE) == ORG_ROLE_ADMIN;
	a->redirect_fits = redirect_is_allowed(rq->c->conf->base_url, str_of(a->app.redirect_uri), a->redirect_uri);
	return ERR_NONE;
}

const char *
oauth_state(struct req *rq, const struct oauth_ask *a)
{
	return a->state.n == 0 ? NULL : str_dup(rq->c->mem, a->state);
}

void
oauth_redirect(struct req *rq, struct str uri, const char *const *query, const char *fragment)
{
	struct buf  b = BUF(rq->c->mem);
	const char *sep = str_find(uri, '?') < 0 ? "?" : "&";

	buf_put(&b, uri);
	for (; query[0] != NULL; query += 2) {
		if (query[1] == NULL)
			continue;
		buf_putf(&b, "%s%s=", sep, query[0]);
		buf_put_url(&b, str_of(query[1]));
		sep = "&";
	}
	if (fragment != NULL)
		buf_putf(&b, "#%s", fragment);
	res_empty(rq, 302);
	res_header_set(rq, "Location", buf_str(&b));
	res_header_set(rq, "Cache-Control", STR("no-store"));
	res_header_set(rq, "Referrer-Policy", STR("no-referrer"));
}

enum err_kind
oauth_redirect_error(struct req *rq, const struct oauth_ask *a, const char *error)
{
	if (!a->redirect_fits)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_INVALID);
	oauth_redirect(rq, a->redirect_uri, (const char *const[]){ "error", error, "state", oauth_state(rq, a), NULL }, NULL);
	return ERR_NONE;
}
