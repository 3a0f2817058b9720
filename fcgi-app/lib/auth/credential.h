/* What a caller presents: the Authorization header taken apart, the kind of a Basic user name, and the shapes
 * of the secrets that the registry hands out. Nothing here is checked against the database. */
#ifndef KADE_AUTH_CREDENTIAL_H
#define KADE_AUTH_CREDENTIAL_H
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct ctx;

enum credential_kind {
	CREDENTIAL_NONE,       /* no header */
	CREDENTIAL_UNREADABLE, /* a header of another scheme or form: no credentials; /v2/auth alone refuses
	                          it */
	CREDENTIAL_BEARER,     /* secret = the token */
	CREDENTIAL_USER,       /* name or e-mail, password or encrypted password */
	CREDENTIAL_ROBOT,      /* namespace+short: exactly one '+' */
	CREDENTIAL_ROBOT_REFUSED, /* a name with several '+', or nothing beside it: never looked up */
	CREDENTIAL_APP_TOKEN,     /* $app */
	CREDENTIAL_OAUTH,         /* $oauthtoken: an OAuth token or an issuer's JWT */
	CREDENTIAL_ACCESS_TOKEN   /* $token */
};
struct credential {
	enum credential_kind kind;
	struct str name;   /* of Basic; UTF-8 without NUL, not empty */
	struct str secret; /* UTF-8 without NUL, may be empty: a login backend must refuse an empty password
	                      itself */
	bool is_jwt; /* the secret of ROBOT or OAUTH is a JWT by its header; of a Bearer not looked at: the
	              * token cache comes first (then jose_is_jwt()) */
};

/* Takes an Authorization header's value apart (p == NULL or empty: CREDENTIAL_NONE). Bounded; never fails:
 * what cannot be read is CREDENTIAL_UNREADABLE. app_tokens: the registry knows $app; without, that is a
 * user's name. Slices live in c->mem or in header. */
struct credential credential_parse(struct ctx *c, struct str header, bool app_tokens);
/* The kind of a Basic user name alone. */
enum credential_kind credential_kind_of(struct str name, bool app_tokens);

/* The secrets that the registry makes. Each is a name by which it is found, shown in the clear, and a code.
 */
enum token_format {
	TOKEN_APP,           /* $app: 60 ‖ 60, A–Z 0–9 */
	TOKEN_OAUTH,         /* 20 ‖ 20, A–Z 0–9 (API, initialize) */
	TOKEN_OAUTH_FLOW,    /* 20 ‖ 20, A–Z a–z 0–9 (browser flow) */
	TOKEN_OAUTH_CODE,    /* authorization code, as above */
	TOKEN_ACCESS,        /* $token: 32 ‖ 32, A–Z 0–9 */
	TOKEN_ROBOT,         /* 64, A–Z 0–9, no name */
	TOKEN_CLIENT_ID,     /* 20, A–Z 0–9, no code */
	TOKEN_CLIENT_SECRET, /* 40, A–Z 0–9, no name */
	TOKEN_MAIL_CODE,     /* 16 ‖ 20; shown as base64(name:code) */
	TOKEN_FORMATS
};
#define TOKEN_TEXT_MAX 120
/* A new random token: name ‖ code and a NUL. */
void token_make(enum token_format f, char out[TOKEN_TEXT_MAX + 1]);
/* True when text has the format's shape; *name and *code are its parts. Longer codes pass where Quay allows
 * them (app, OAuth and access tokens, up to 255 bytes in all). */
bool token_split(enum token_format f, struct str text, struct str *name, struct str *code);
/* The form of a mail code in a link, from token_make()'s text, and back. Given; false when it is none. */
const char *mail_code_put(struct ctx *c, const char *token);
bool mail_code_get(struct ctx *c, struct str text, struct str *name, struct str *code);
#endif
