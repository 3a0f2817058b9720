/* OAuth applications and authorization codes. */
#include "model/application.h"

#include <string.h>

#include "auth/scope.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "db/db.h"

#define SECRET_PURPOSE "oauth_application.secret_enc"

enum { A_ID, A_CLIENT_ID, A_NAME, A_DESCRIPTION, A_APPLICATION_URI, A_REDIRECT_URI, A_AVATAR_EMAIL, A_SECRET_ENC, A_COLS };
_Static_assert((int)A_COLS == APPLICATION_COLS, "application.sql and application.c differ");

void
application_from_row(const struct db_result *r, int row, int first_col, struct application *out)
{
	*out = (struct application){
		.id = db_get_i64(r, row, first_col + A_ID),
		.client_id = db_get_str(r, row, first_col + A_CLIENT_ID),
		.name = db_get_str(r, row, first_col + A_NAME),
		.description = db_get_str(r, row, first_col + A_DESCRIPTION),
		.application_uri = db_get_str(r, row, first_col + A_APPLICATION_URI),
		.redirect_uri = db_get_str(r, row, first_col + A_REDIRECT_URI),
		.avatar_email = db_get_str(r, row, first_col + A_AVATAR_EMAIL),
		.secret_enc = db_get_strn(r, row, first_col + A_SECRET_ENC),
	};
}

static struct db_arg
hash_arg(struct ctx *c, const struct secrets *s, const char *kind, struct str text)
{
	uint8_t *h = arena_alloc(c->mem, TOKEN_HASH_BYTES);

	secret_token_hash(s, kind, text, h);
	return db_bytes((struct str){ (const char *)h, TOKEN_HASH_BYTES });
}

static struct db_arg
text_or_empty(struct str s)
{
	return db_strn(s.p == NULL ? STR("") : s);
}

enum err_kind
application_make(struct ctx *c, const struct secrets *s, const struct application_new *a, const char **client_id)
{
	char       id[TOKEN_TEXT_MAX + 1], secret[TOKEN_TEXT_MAX + 1];
	struct str sealed;

	token_make(TOKEN_CLIENT_ID, id);
	token_make(TOKEN_CLIENT_SECRET, secret);
	TRY(secret_seal(c, s, SECRET_PURPOSE, str_of(secret), &sealed));
	TRY(db_exec(c, STMT_APPLICATION_CREATE,
	            DB_ARGS(db_i64(a->organization_id), db_str(id), db_strn(a->name), text_or_empty(a->description), text_or_empty(a->application_uri),
	                    text_or_empty(a->redirect_uri), db_strn(a->avatar_email), db_strn(sealed), hash_arg(c, s, "client", str_of(secret))),
	            NULL));
	*client_id = str_dup_c(c->mem, id);
	return ERR_NONE;
}

enum err_kind
application_renew_secret(struct ctx *c, const struct secrets *s, int64_t id, char secret[TOKEN_TEXT_MAX + 1])
{
	struct str sealed;

	token_make(TOKEN_CLIENT_SECRET, secret);
	TRY(secret_seal(c, s, SECRET_PURPOSE, str_of(secret), &sealed));
	return db_exec(c, STMT_APPLICATION_SET_SECRET, DB_ARGS(db_i64(id), db_strn(sealed), hash_arg(c, s, "client", str_of(secret))), NULL);
}

enum err_kind
application_secret(struct ctx *c, const struct secrets *s, const struct application *a, struct str *secret)
{
	if (a->secret_enc.n == 0) {
		*secret = STR("");
		return ERR_NONE;
	}
	return secret_open(c, s, SECRET_PURPOSE, a->secret_enc, secret);
}

enum err_kind
application_login(struct ctx *c, const struct secrets *s, struct str client_id, struct str secret, int64_t *id)
{
	const struct db_result *r;
	struct str              known, plain;
	uint8_t                 hash[TOKEN_HASH_BYTES];

	*id = 0;
	TRY(db_exec(c, STMT_APPLICATION_SECRET, DB_ARGS(db_strn(client_id)), &r));
	if (r->rows == 0 || secret.n == 0)
		return ERR_NONE;
	known = db_get_strn(r, 0, APPLICATION_SECRET_SECRET_HASH);
	secret_token_hash(s, "client", secret, hash);
	if (known.n == sizeof hash && mem_eq_ct(known, (struct str){ (const char *)hash, sizeof hash }))
		*id = db_get_i64(r, 0, APPLICATION_SECRET_APPLICATION_ID);
	if (known.n > 0 || db_is_null(r, 0, APPLICATION_SECRET_SECRET_ENC))
		return ERR_NONE;
	/* An imported application has no hash yet. */
	TRY(secret_open(c, s, SECRET_PURPOSE, db_get_strn(r, 0, APPLICATION_SECRET_SECRET_ENC), &plain));
	if (mem_eq_ct(plain, secret))
		*id = db_get_i64(r, 0, APPLICATION_SECRET_APPLICATION_ID);
	return ERR_NONE;
}

struct uri_parts {
	struct str scheme, authority, path, rest; /* rest: query and fragment */
};

static bool
is_scheme(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char ch = s.p[i];
		const bool alpha = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
		if (!alpha && (i == 0 || ((ch < '0' || ch > '9') && ch != '+' && ch != '-' && ch != '.')))
			return false;
	}
	return s.n > 0;
}

/* scheme://authority/path?rest. False for anything else, and for characters that no URI has. */
static bool
uri_split(struct str s, struct uri_parts *u)
{
	size_t i = 0, slash;

	for (size_t k = 0; k < s.n; k++)
		if ((unsigned char)s.p[k] <= ' ' || (unsigned char)s.p[k] >= 0x7f || s.p[k] == '\\' || s.p[k] == '"' || s.p[k] == '<' || s.p[k] == '>')
			return false;
	while (i < s.n && s.p[i] != ':')
		i++;
	if (i + 2 >= s.n || s.p[i + 1] != '/' || s.p[i + 2] != '/')
		return false;
	u->scheme = str_sub(s, 0, i);
	for (slash = i + 3; slash < s.n && s.p[slash] != '/' && s.p[slash] != '?' && s.p[slash] != '#'; slash++)
		;
	u->authority = str_sub(s, i + 3, slash);
	for (i = slash; i < s.n && s.p[i] != '?' && s.p[i] != '#'; i++)
		;
	u->path = str_sub(s, slash, i);
	u->rest = str_sub(s, i, s.n);
	return is_scheme(u->scheme) && str_find(u->authority, '@') < 0;
}

/* "..", also with the dots or slashes written as %2e and %2f, however often encoded: no '%25' passes either. */
static bool
has_dot_segment(struct str path)
{
	size_t dots = 0;

	for (size_t i = 0; i < path.n; i++) {
		const bool encoded = path.p[i] == '%' && i + 2 < path.n && path.p[i + 1] == '2';
		if (encoded && (path.p[i + 2] == '5' || path.p[i + 2] == 'f' || path.p[i + 2] == 'F'))
			return true;
		if (path.p[i] == '.' || (encoded && (path.p[i + 2] == 'e' || path.p[i + 2] == 'E'))) {
			i += encoded ? 2 : 0;
			if (++dots == 2)
				return true;
			continue;
		}
		dots = 0;
	}
	return false;
}

bool
redirect_is_allowed(const char *base_url, struct str registered, struct str uri)
{
	const size_t     n = strlen(base_url);
	struct uri_parts have, want;

	if (uri.n == n + strlen(OAUTH_LOCAL_HANDLER) && str_starts(uri, str_of(base_url)) && str_ends(uri, STR(OAUTH_LOCAL_HANDLER)))
		return true;
	if (registered.n == 0 || !uri_split(registered, &have) || !uri_split(uri, &want))
		return false;
	if (!str_eq_nocase(have.scheme, want.scheme) || !str_eq_nocase(have.authority, want.authority) || !str_starts(want.path, have.path))
		return false;
	if (str_eq_nocase(want.scheme, STR("javascript")) || str_eq_nocase(want.scheme, STR("data")) || str_eq_nocase(want.scheme, STR("vbscript")))
		return false;
	if (str_find(want.path, '@') >= 0 || has_dot_segment(want.path) || str_find(want.rest, '#') >= 0)
		return false;
	return str_find(str_sub(want.path, have.path.n, want.path.n), '%') < 0;
}

enum err_kind
code_make(struct ctx *c, const struct secrets *s, const struct code_new *n, char code[TOKEN_TEXT_MAX + 1])
{
	token_make(TOKEN_OAUTH_CODE, code);
	return db_exec(c, STMT_OAUTH_CODE_ADD,
	               DB_ARGS(db_i64(n->application_id), db_i64(n->account_id), hash_arg(c, s, "code", str_of(code)), db_strn(n->scopes),
	                       db_strn(n->redirect_uri), db_strn(n->challenge), n->challenge.p == NULL ? db_null() : db_str("S256"),
	                       db_i64(OAUTH_CODE_LIFE_MS)),
	               NULL);
}

/* RFC 7636: the challenge is base64url(SHA-256(verifier)). A code without a challenge wants no verifier. */
static bool
verifier_fits(struct ctx *c, struct str challenge, struct str verifier)
{
	uint8_t hash[SHA256_BYTES];

	if (challenge.n == 0)
		return true;
	if (verifier.n < 43 || verifier.n > 128)
		return false;
	digest_sha256(verifier, hash);
	return mem_eq_ct(challenge, str_of(base64url_put(c->mem, (struct str){ (const char *)hash, sizeof hash })));
}

enum err_kind
code_take(struct ctx *c, const struct secrets *s, const struct code_claim *q, enum code_result *result, int64_t *account_id, const char **scopes)
{
	const struct db_result *r;

	*result = CODE_BAD_GRANT;
	TRY(db_exec(c, STMT_OAUTH_CODE_TAKE, DB_ARGS(hash_arg(c, s, "code", q->code), db_i64(q->application_id)), &r));
	if (r->rows == 0 || db_get_bool(r, 0, OAUTH_CODE_TAKE_IS_EXPIRED) || !db_get_bool(r, 0, OAUTH_CODE_TAKE_USER_ENABLED))
		return ERR_NONE;
	if (!str_eq(db_get_strn(r, 0, OAUTH_CODE_TAKE_REDIRECT_URI), q->redirect_uri) ||
	    !verifier_fits(c, db_get_strn(r, 0, OAUTH_CODE_TAKE_CHALLENGE), q->verifier))
		return ERR_NONE;
	*account_id = db_get_i64(r, 0, OAUTH_CODE_TAKE_ACCOUNT_ID);
	*scopes = db_get_str(r, 0, OAUTH_CODE_TAKE_SCOPES);
	*result = scope_parse(str_of(*scopes)) == q->scopes ? CODE_GOOD : CODE_BAD_SCOPE;
	return ERR_NONE;
}
