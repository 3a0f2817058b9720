/* /v2/auth: credentials and scopes in, a registry token out. Docker registry token authentication specification. A token
 * request changes nothing: a repository that the caller may create gets its rights into the token, and is made by the first
 * write. */
#include "app.h"
#include "auth/keyring.h"
#include "auth/login.h"
#include "auth/registry-token.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/js.h"
#include "base/clock.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "http/response.h"
#include "model/audit.h"
#include "oci/name.h"
#include "oci/say.h"
#include "registry/v2.h"

#define SCOPES_MAX 64

struct scope_ask {
	struct str ns, repo;
	unsigned   actions;
};
typedef VEC(struct scope_ask) scope_asks;

static unsigned
read_actions(struct str text)
{
	unsigned   actions = 0;
	struct str one;

	while (text.n > 0) {
		str_cut(text, ',', &one, &text);
		if (str_eq(one, STR("push")) || str_eq(one, STR("delete")))
			actions |= ACTION_PUSH;
		else if (str_eq(one, STR("pull")))
			actions |= ACTION_PULL;
		else if (str_eq(one, STR("*")))
			actions |= ACTION_ALL;
	}
	return actions;
}

/* "repository:[HOST/]NAME:ACTIONS". Other types, a class like repository(plugin) and unknown actions are not granted and are
 * no error (Differs: Quay answers 400). */
static enum err_kind
read_scope(struct req *rq, struct str text, scope_asks *out)
{
	const struct conf          *cf = rq->c->conf;
	const struct oci_name_rules rules = { str_of(cf->library_namespace), cf->feature_library_support };
	struct scope_ask            ask;
	struct str                  type, rest, name, actions, host, tail;

	if (!str_cut(text, ':', &type, &rest) || !str_eq(type, STR("repository")))
		return ERR_NONE;
	if (!str_rcut(rest, ':', &name, &actions) || name.n == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &OCI_SAY_INVALID_REQUEST, "Unable to decode repository and actions: %.*s", STRF(text));
	if (str_cut(name, '/', &host, &tail) && str_eq_c(host, cf->server_hostname))
		name = tail;
	TRY(oci_name_split(rq->c, name, &rules, &ask.ns, &ask.repo));
	TRY(oci_repo_check(rq->c, ask.repo, cf->feature_extended_repository_names));
	ask.actions = read_actions(actions);
	if (out->n >= SCOPES_MAX)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &OCI_SAY_INVALID_REQUEST, "more than %d scopes", SCOPES_MAX);
	vec_push(rq->c->mem, out, ask);
	return ERR_NONE;
}

/* All scope values; each may hold several separated by blanks. *given counts values, empty ones too. */
static enum err_kind
read_scopes(struct req *rq, const struct str *values, size_t n, scope_asks *out)
{
	for (size_t i = 0; i < n; i++) {
		struct str rest = values[i], one;
		while (rest.n > 0) {
			str_cut(rest, ' ', &one, &rest);
			if (one.n > 0)
				TRY(read_scope(rq, one, out));
		}
	}
	return ERR_NONE;
}

static enum err_kind
grant(struct req *rq, const struct scope_ask *ask, const struct facts *f, struct access *out)
{
	const struct conf *cf = rq->c->conf;
	const bool         normal = f->repository_state == REPO_NORMAL;
	const bool         makes_ns = f->namespace_id == 0 && cf->create_namespace_on_push && f->caller_id != 0 && rq->ident.kind != IDENTITY_ROBOT &&
	                      (facts_caps(cf, &rq->ident, ask->ns, ask->repo, ROLE_WRITE) & CAPS_CREATE) != 0;
	const bool         creates = f->may_create || makes_ns;
	const bool         writes = normal && !facts_is_restricted(cf, &rq->ident, ask->ns);
	unsigned           got = 0;

	out->repository = str_of(str_fmt(rq->c->mem, "%.*s/%.*s", STRF(ask->ns), STRF(ask->repo)));
	if (f->namespace_id != 0 && !f->namespace_enabled)
		return err_say_fmt(rq->c, ERR_UNSUPPORTED, &OCI_SAY_NAMESPACE_DISABLED,
		                   "Namespace %.*s has been disabled. Please contact a system administrator.", STRF(ask->ns));
	if ((ask->actions & ACTION_PUSH) != 0 && rq->ident.kind != IDENTITY_ANONYMOUS &&
	    ((f->may_write && writes) || creates))
		got |= ACTION_PUSH;
	if ((ask->actions & ACTION_PULL) != 0 && (f->may_read || creates))
		got |= ACTION_PULL;
	if ((ask->actions & ACTION_ALL) != 0 && f->may_admin && writes)
		got |= ACTION_ALL;
	if (got != 0 && f->repository_id != 0 && f->repository_kind != REPO_KIND_IMAGE)
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_APP_REPOSITORY);
	out->actions = got;
	return ERR_NONE;
}

/* One statement decides all scopes. */
static enum err_kind
decide_scopes(struct req *rq, const scope_asks *asks, struct access *access)
{
	struct str             *ns = ARENA_ARRAY(rq->c->mem, struct str, asks->n + 1), *repo = ARENA_ARRAY(rq->c->mem, struct str, asks->n + 1);
	int64_t                *caps = ARENA_ARRAY(rq->c->mem, int64_t, asks->n + 1);
	const struct db_result *r;

	if (asks->n == 0)
		return ERR_NONE;
	for (size_t i = 0; i < asks->n; i++) {
		ns[i] = asks->v[i].ns;
		repo[i] = asks->v[i].repo;
		caps[i] = facts_caps(rq->c->conf, &rq->ident, ns[i], repo[i], ROLE_READ);
	}
	TRY(db_exec(rq->c, STMT_SCOPE_FACTS,
	            DB_ARGS(db_str_array(ns, asks->n), db_str_array(repo, asks->n), db_str(rq->ident.account_uuid), db_str(rq->ident.token_uuid),
	                    db_i64_array(caps, asks->n)),
	            &r));
	for (size_t i = 0; i < asks->n; i++) {
		struct facts f;
		facts_from_rows(rq->c, r, (int)i, 0, &f);
		if (!f.caller_alive)
			return err_say(rq->c, ERR_UNAUTHENTICATED, &OCI_SAY_CREDENTIALS_INVALID);
		if (i == 0)
			rq->facts = f;
		TRY(grant(rq, &asks->v[i], &f, &access[i]));
	}
	return ERR_NONE;
}

static enum err_kind
log_login(struct req *rq)
{
	struct buf              b = BUF(rq->c->mem);
	const struct db_result *r;

	if (!rq->c->conf->action_log_audit_logins || rq->c->conf->is_readonly || rq->ident.account_uuid == NULL)
		return ERR_NONE;
	TRY(db_exec(rq->c, STMT_CALLER_FACTS, DB_ARGS(db_str(rq->ident.account_uuid), db_str(rq->ident.token_uuid), db_null()), &r));
	buf_puts(&b, "{\"type\":\"v2auth\",\"kind\":");
	buf_put_json(&b, rq->ident.kind == IDENTITY_ROBOT       ? STR("robot")
	                 : rq->ident.kind == IDENTITY_APP_TOKEN ? STR("app_specific_token")
	                 : rq->ident.kind == IDENTITY_OAUTH     ? STR("oauth")
	                                                        : STR("user"));
	buf_puts(&b, rq->ident.kind == IDENTITY_ROBOT ? ",\"robot\":" : ",\"username\":");
	buf_put_json(&b, str_of(rq->ident.name));
	buf_puts(&b, ",\"useragent\":");
	buf_put_json(&b, rq->user_agent);
	buf_puts(&b, "}");
	return audit_add(rq->c, &(struct audit_row){ .kind = AUDIT_login_success, .namespace_id = db_get_i64(r, 0, 0), .performer_id = db_get_i64(r, 0, 0),
	                                             .ip = rq->remote_addr, .metadata = buf_str(&b) });
}

static enum err_kind
answer(struct req *rq, const struct access *access, size_t n)
{
	const struct registry_token_args a = { .use = REGISTRY_TOKEN_ACCESS, .who = &rq->ident, .access = access, .n_access = n,
		                               .iss = str_of(KEYRING_SERVICE), .aud = str_of(rq->c->conf->server_hostname),
		                               .now_s = rq->c->now_ms / 1000 };
	struct keyring                  *keys = rq->app->login->keys;
	struct str                       token;
	json_t                          *o;

	if (rq->c->conf->is_readonly) { /* the database may be a standby: then the key must be there from before */
		if (keyring_announce(rq->c, keys) != ERR_NONE)
			err_clear(rq->c);
	} else {
		TRY(keyring_announce(rq->c, keys));
	}
	TRY(registry_token_make(rq->c, keyring_own(keys), &a, &token));
	o = res_json(rq, 200);
	jo_strn(o, "token", token);
	jo_strn(o, "access_token", token);
	jo_i64(o, "expires_in", REGISTRY_TOKEN_LIFE_S);
	jo_str(o, "issued_at", clock_iso(rq->c->mem, rq->c->now_ms));
	res_header(rq, "Cache-Control", STR("no-cache, no-store, must-revalidate"));
	return ERR_NONE;
}

static enum err_kind
give_token(struct req *rq, const struct str *scopes, size_t n)
{
	scope_asks     asks = { 0 };
	struct access *access;
	bool           any = false;

	for (size_t i = 0; i < n; i++)
		any = any || scopes[i].n > 0;
	if (rq->ident.kind == IDENTITY_ANONYMOUS && (!any || !rq->c->conf->feature_anonymous_access))
		return err_say(rq->c, ERR_UNAUTHENTICATED, &OCI_SAY_UNAUTHORIZED);
	TRY(read_scopes(rq, scopes, n, &asks));
	access = ARENA_ARRAY(rq->c->mem, struct access, asks.n + 1);
	TRY(decide_scopes(rq, &asks, access));
	if (!any)
		TRY(log_login(rq));
	return answer(rq, access, asks.n);
}

static enum err_kind
reg_token_get(struct req *rq)
{
	struct str   scopes[SCOPES_MAX];
	const size_t n = req_query_all(rq, "scope", scopes, SCOPES_MAX);

	return give_token(rq, scopes, n < SCOPES_MAX ? n : SCOPES_MAX);
}

/* The OAuth 2 form of the same: grant_type=password, or Basic with `service` in the query. Refresh tokens are not given out, so
 * none is good; clients fall back to GET. */
static enum err_kind
reg_token_post(struct req *rq)
{
	struct str        form, grant_type, scope;
	struct credential cr;

	TRY(req_body_all(rq, 65536, &form));
	grant_type = form_value(rq->c, form, "grant_type");
	if (grant_type.p == NULL)
		return rq->ident.kind != IDENTITY_ANONYMOUS ? reg_token_get(rq) : err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_UNSUPPORTED);
	if (!str_eq(grant_type, STR("password")))
		return err_say(rq->c, ERR_UNAUTHENTICATED, &OCI_SAY_CREDENTIALS_INVALID);
	cr = (struct credential){ .name = form_value(rq->c, form, "username"), .secret = form_value(rq->c, form, "password") };
	if (cr.name.n == 0 || cr.secret.p == NULL)
		return err_say(rq->c, ERR_UNAUTHENTICATED, &OCI_SAY_CREDENTIALS_INVALID);
	cr.kind = credential_kind_of(cr.name, rq->c->conf->feature_app_specific_tokens);
	cr.is_jwt = (cr.kind == CREDENTIAL_ROBOT || cr.kind == CREDENTIAL_OAUTH) && jose_is_jwt(rq->c, cr.secret);
	TRY(login_basic(rq->c, rq->app->login, &cr, rq->remote_addr, &rq->ident));
	scope = form_value(rq->c, form, "scope");
	return give_token(rq, &scope, scope.p == NULL ? 0 : 1);
}

const struct route REG_TOKEN_ROUTES[] = {
	{ .id = "generateToken", .methods = HTTP_GET | HTTP_HEAD, .path = "/v2/auth", .proto = PROTO_V2, .auth = AUTH_BASIC, .perm = PERM_NONE,
	  .rate = RATE_AUTH, .run = reg_token_get, .doc = "A registry token for the scopes asked for." },
	{ .id = "generateTokenByForm", .methods = HTTP_POST, .path = "/v2/auth", .proto = PROTO_V2, .auth = AUTH_BASIC, .perm = PERM_NONE,
	  .rate = RATE_AUTH, .flags = ROUTE_BODY, .run = reg_token_post, .doc = "The same by an OAuth 2 form." },
	REG_SAY_END
};
