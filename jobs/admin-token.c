/* kade-admin token …: tokens that people and programs log in with. Each is shown once, at its making. */
#include <string.h>

#include "admin.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "model/account.h"

#define OAUTH_LIFE_MS (INT64_C(315576000) * 1000) /* ten years, as the web interface's */

static enum err_kind
make(struct admin *a, const struct token_new *t, const char *use, const char **uuid)
{
	char token[TOKEN_TEXT_MAX + 1];

	TRY(account_make_token(a->c, &a->s.secrets, t, token, uuid));
	buf_putf(&a->out, "token %s, shown only now; %s:\n%s\n", *uuid, use, token);
	explicit_bzero(token, sizeof token);
	return ERR_NONE;
}

static enum err_kind
token_app(struct admin *a)
{
	struct token_new t = { .kind = 1, .title = a->title };
	struct admin_account user;
	const char *uuid;

	if (!a->c->conf->feature_app_specific_tokens)
		return err_set(a->c, ERR_CONFLICT,
		               "FEATURE_APP_SPECIFIC_TOKENS is false: nobody could use it");
	TRY(admin_account_get(a, a->args[0], KIND_USER, &user));
	TRY(admin_expires(a, &t.expires_after_ms));
	if (a->expires == NULL && a->c->conf->app_specific_token_expiration_s > 0)
		t.expires_after_ms = a->c->conf->app_specific_token_expiration_s * 1000;
	t.account_id = user.id;
	TRY(make(a, &t, "log in as $app with it", &uuid));
	TRY(admin_audit(a, AUDIT_create_app_specific_token, user.id, 0,
	                MEMBERS("app_specific_token_title", a->title, "app_specific_token", uuid)));
	return ERR_NONE;
}

/* The organization's application of that name, made when it is missing. */
static enum err_kind
application(struct admin *a, int64_t org_id, const char *name, int64_t *id, const char **client_id)
{
	char fresh[TOKEN_TEXT_MAX + 1];
	const struct db_result *r;

	TRY(db_exec(a->c, STMT_APPLICATION_BY_NAME, DB_ARGS(db_i64(org_id), db_str(name)), &r));
	if (r->rows > 0) {
		*id = db_get_i64(r, 0, APPLICATION_BY_NAME_ID);
		*client_id = db_get_str(r, 0, APPLICATION_BY_NAME_CLIENT_ID);
		return ERR_NONE;
	}
	token_make(TOKEN_CLIENT_ID, fresh);
	*client_id = str_dup_c(a->c->mem, fresh);
	TRY(account_ensure_application(a->c, &a->s.secrets, org_id, fresh, name, id));
	TRY(admin_audit(a, AUDIT_create_application, org_id, 0,
	                MEMBERS("name", name, "application_name", name, "client_id", *client_id)));
	buf_putf(&a->out, "application %s created\n", name);
	return ERR_NONE;
}

static enum err_kind
token_oauth(struct admin *a)
{
	const char *name = a->application == NULL ? "kade-admin" : a->application, *client_id, *uuid;
	const unsigned scopes = scope_parse(str_of(a->scopes));
	struct token_new t = { .kind = 2, .title = name };
	struct admin_account org, user;

	if (scopes == 0)
		return err_set(a->c, ERR_BAD_INPUT, "--scopes takes some of: %s",
		               scope_text(a->c->mem, SCOPE_GRANTABLE));
	TRY(admin_account_get(a, a->args[0], KIND_ORG, &org));
	TRY(admin_account_get(a, a->args[1], KIND_USER, &user));
	TRY(admin_expires(a, &t.expires_after_ms));
	if (t.expires_after_ms == 0)
		t.expires_after_ms = OAUTH_LIFE_MS;
	TRY(application(a, org.id, name, &t.application_id, &client_id));
	t.account_id = user.id;
	t.scopes = scope_text(a->c->mem, scopes);
	TRY(make(a, &t, "a Bearer token of the API, or log in as $oauthtoken", &uuid));
	TRY(admin_audit(a, AUDIT_create_oauth_api_token, org.id, 0,
	                MEMBERS("oauth_token_uuid", uuid, "scope", t.scopes, "token_display_name", name,
	                        "application_name", name, "auth_method", "OAuth", "client_id", client_id)));
	return ERR_NONE;
}

static enum err_kind
token_repository(struct admin *a)
{
	struct token_new t = { .kind = 3 };
	struct admin_repo repo;
	const char *uuid;

	TRY(admin_choice(a, str_of(a->role), "read|write", &t.role));
	TRY(admin_expires(a, &t.expires_after_ms));
	TRY(admin_repo_get(a, a->args[0], &repo));
	t.repository_id = repo.id;
	t.title = a->title;
	TRY(make(a, &t, "log in as $token with it", &uuid));
	TRY(admin_audit(a, AUDIT_add_repo_accesstoken, repo.namespace_id, repo.id,
	                MEMBERS("repo", admin_c(a, repo.name), "namespace", admin_c(a, repo.ns), "token",
	                        uuid, "role", a->role)));
	return ERR_NONE;
}

static const char *
or_empty(const char *s)
{
	return s == NULL ? "" : s;
}

static enum err_kind
revoke_audit(struct admin *a, const struct db_result *r, const char *uuid)
{
	switch (db_get_i64(r, 0, TOKEN_REVOKE_KIND)) {
	case 1:
		return admin_audit(
		    a, AUDIT_revoke_app_specific_token, db_get_i64(r, 0, TOKEN_REVOKE_ACCOUNT_ID), 0,
		    MEMBERS("app_specific_token_title", or_empty(db_get_str(r, 0, TOKEN_REVOKE_TITLE)),
		            "app_specific_token", uuid));
	case 2:
		return admin_audit(a, AUDIT_revoke_oauth_api_token,
		                   db_get_i64(r, 0, TOKEN_REVOKE_ORGANIZATION_ID), 0,
		                   MEMBERS("oauth_token_uuid", uuid, "application_name",
		                           or_empty(db_get_str(r, 0, TOKEN_REVOKE_APPLICATION_NAME)),
		                           "client_id", or_empty(db_get_str(r, 0, TOKEN_REVOKE_CLIENT_ID))));
	default:
		return admin_audit(
		    a, AUDIT_delete_repo_accesstoken, db_get_i64(r, 0, TOKEN_REVOKE_NAMESPACE_ID),
		    db_get_i64(r, 0, TOKEN_REVOKE_REPOSITORY_ID),
		    MEMBERS("repo", or_empty(db_get_str(r, 0, TOKEN_REVOKE_REPOSITORY)), "namespace",
		            or_empty(db_get_str(r, 0, TOKEN_REVOKE_NAMESPACE)), "token", uuid));
	}
}

static enum err_kind
token_revoke(struct admin *a)
{
	const char *uuid = admin_c(a, a->args[0]);
	const struct db_result *r;

	TRY(db_exec(a->c, STMT_TOKEN_REVOKE, DB_ARGS(db_str(uuid)), &r));
	if (r->rows == 0)
		return err_set(a->c, ERR_NOT_FOUND, "there is no token %s", uuid);
	TRY(revoke_audit(a, r, uuid));
	buf_putf(&a->out, "token %s revoked\n", uuid);
	return ERR_NONE;
}

const struct admin_command ADMIN_TOKEN[] = {
	{"token app",         "USER --title T [--expires D]",                        "makes a token for the command line ($app)", 1,
         OPTION_TITLE | OPTION_EXPIRES,	                                                                                                                                   OPTION_TITLE,  true,  token_app       },
	{ "token oauth",      "ORG USER --scopes S [--application N] [--expires D]", "makes an API token",                        2,
         OPTION_SCOPES | OPTION_APPLICATION | OPTION_EXPIRES,	                                                                                                             OPTION_SCOPES, true,  token_oauth     },
	{ "token repository", "NS/REPO --role read|write [--title T] [--expires D]",
         "makes a token for one repository ($token)",	                                                                     1, OPTION_ROLE | OPTION_TITLE | OPTION_EXPIRES,
         OPTION_ROLE,	                                                                                                                                                                    true,  token_repository},
	{ "token revoke",     "UUID",	                                        "ends a token of these kinds, at once",      1, 0,                                           0,             true,  token_revoke    },
	{ NULL,               NULL,	                                          NULL,	                                0, 0,	                                   0,             false, NULL            },
};
