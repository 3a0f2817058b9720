/* OAuth applications: programs that an organization has registered, to which users give tokens. */
#ifndef KADE_MODEL_APPLICATION_H
#define KADE_MODEL_APPLICATION_H
#include <stdbool.h>
#include <stdint.h>

#include "auth/credential.h"
#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;
struct secrets;

#define OAUTH_TOKEN_LIFE_S 315576000 /* ten years of 365.25 days */
#define OAUTH_CODE_LIFE_MS 600000
/* Where a token is shown to the person who made it: every application may send there. */
#define OAUTH_LOCAL_HANDLER "/oauth/localapp"

struct application {
	int64_t     id; /* 0: none */
	const char *client_id, *name, *description, *application_uri, *redirect_uri; /* "" = not given */
	const char *avatar_email; /* NULL: none */
	struct str  secret_enc;
};
/* From the columns of the set `application`. Borrowed from the result. */
void application_from_row(const struct db_result *r, int row, int first_col, struct application *out);

struct application_new {
	int64_t    organization_id;
	struct str name, description, application_uri, redirect_uri, avatar_email; /* p == NULL: not given */
};
/* Makes one with a fresh client id and secret. *client_id given. */
enum err_kind application_make(struct ctx *c, const struct secrets *s, const struct application_new *a, const char **client_id) MUST_CHECK;
/* A fresh secret; the old one ends at once. */
enum err_kind application_renew_secret(struct ctx *c, const struct secrets *s, int64_t id, char secret[TOKEN_TEXT_MAX + 1]) MUST_CHECK;
/* The secret, for those who may see it. */
enum err_kind application_secret(struct ctx *c, const struct secrets *s, const struct application *a, struct str *secret) MUST_CHECK;
/* Whether id and secret are an application's: *id, else 0. */
enum err_kind application_login(struct ctx *c, const struct secrets *s, struct str client_id, struct str secret, int64_t *id) MUST_CHECK;

/* May the application send a browser to uri? Yes for base_url + OAUTH_LOCAL_HANDLER. Else scheme and authority must be those of
 * the registered URI and the path must begin with its path, without any way out of it: no userinfo, no dot segment (also
 * encoded), no '@' in the path, no '%' and no backslash behind the prefix, no control character. */
bool redirect_is_allowed(const char *base_url, struct str registered, struct str uri);

struct code_new {
	int64_t    application_id, account_id;
	struct str scopes, redirect_uri;
	struct str challenge; /* PKCE S256; p == NULL: none */
};
/* An authorization code of ten minutes. */
enum err_kind code_make(struct ctx *c, const struct secrets *s, const struct code_new *n, char code[TOKEN_TEXT_MAX + 1]) MUST_CHECK;
struct code_claim {
	int64_t    application_id;
	struct str code, redirect_uri, verifier; /* verifier p == NULL: none shown */
	unsigned   scopes;
};
enum code_result { CODE_GOOD, CODE_BAD_GRANT, CODE_BAD_SCOPE };
/* Takes the code away, whatever the result. Good: it was live, of this application, and claimed with the same redirect_uri,
 * scopes and the verifier of its challenge. *account_id: who granted it; *scopes given. */
enum err_kind code_take(struct ctx *c, const struct secrets *s, const struct code_claim *q, enum code_result *result, int64_t *account_id,
                        const char **scopes) MUST_CHECK;
#endif
