/* Credentials as they arrive: Authorization headers and token shapes. Serves the dispatcher's identity step,
 * /v2/auth and everything that makes tokens. Rules: Quay's (user name decides the kind; split at the first
 * colon; anything unreadable counts as no credentials). */
#include "auth/credential.h"

#include "auth/jose.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"

#define HEADER_MAX 32768 /* a JWT of 16 KiB as a Basic password in base64 */

enum credential_kind
credential_kind_of(struct str name, bool app_tokens)
{
	struct str ns, rest;

	if (str_eq(name, STR("$token")))
		return CREDENTIAL_ACCESS_TOKEN;
	if (app_tokens && str_eq(name, STR("$app")))
		return CREDENTIAL_APP_TOKEN;
	if (str_eq(name, STR("$oauthtoken")))
		return CREDENTIAL_OAUTH;
	if (!str_cut(name, '+', &ns, &rest))
		return CREDENTIAL_USER;
	return ns.n > 0 && rest.n > 0 && str_find(rest, '+') < 0 ? CREDENTIAL_ROBOT
	                                                         : CREDENTIAL_ROBOT_REFUSED;
}

static bool
is_text(struct str s)
{
	return (s.n == 0 || memchr(s.p, '\0', s.n) == NULL) && str_is_utf8(s);
}

static bool
parse_basic(struct ctx *c, struct str value, bool app_tokens, struct credential *out)
{
	struct str pair, name, secret;

	if (!base64_get(c->mem, value, &pair) || !is_text(pair) || !str_cut(pair, ':', &name, &secret) ||
	    name.n == 0)
		return false;
	*out = (struct credential){ .kind = credential_kind_of(name, app_tokens),
		                    .name = name,
		                    .secret = secret };
	if (out->kind == CREDENTIAL_ROBOT || out->kind == CREDENTIAL_OAUTH)
		out->is_jwt = jose_is_jwt(c, secret);
	return true;
}

/* A token as RFC 6750's b64token: no blank, no control, no quote. */
static bool
parse_bearer(struct str value, struct credential *out)
{
	if (value.n == 0 || value.n > JOSE_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		const char ch = value.p[i];
		if (!(ch >= 'A' && ch <= 'Z') && !(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') &&
		    (ch == '\0' || strchr("-._~+/=", ch) == NULL))
			return false;
	}
	*out = (struct credential){ .kind = CREDENTIAL_BEARER, .secret = value };
	return true;
}

struct credential
credential_parse(struct ctx *c, struct str header, bool app_tokens)
{
	struct credential out = { .kind = CREDENTIAL_UNREADABLE };
	struct str scheme, value;

	if (header.n == 0)
		return (struct credential){ .kind = CREDENTIAL_NONE };
	if (header.n > HEADER_MAX || !str_cut(header, ' ', &scheme, &value) || str_find(value, ' ') >= 0)
		return out;
	if (str_eq_nocase(scheme, STR("basic")))
		parse_basic(c, value, app_tokens, &out);
	else if (str_eq_nocase(scheme, STR("bearer")))
		parse_bearer(value, &out);
	return out;
}

struct shape {
	const char *alphabet;
	size_t name_n, code_n;
	size_t max_n;
};

static const struct shape SHAPES[TOKEN_FORMATS] = {
	[TOKEN_APP] = {ALPHABET_UPPER,  60, 60, 255},
	[TOKEN_OAUTH] = { ALPHABET_UPPER, 20, 20, 255},
	[TOKEN_OAUTH_FLOW] = { ALPHABET_MIXED, 20, 20, 255},
	[TOKEN_OAUTH_CODE] = { ALPHABET_MIXED, 20, 20, 40 },
	[TOKEN_ACCESS] = { ALPHABET_UPPER, 32, 32, 255},
	[TOKEN_ROBOT] = { ALPHABET_UPPER, 0,  64, 64 },
	[TOKEN_CLIENT_ID] = { ALPHABET_UPPER, 20, 0,  20 },
	[TOKEN_CLIENT_SECRET] = { ALPHABET_UPPER, 0,  40, 40 },
	[TOKEN_MAIL_CODE] = { ALPHABET_UPPER, 16, 20, 36 },
};
_Static_assert(60 + 60 <= TOKEN_TEXT_MAX, "token_make() writes at most TOKEN_TEXT_MAX characters");

void
token_make(enum token_format f, char out[TOKEN_TEXT_MAX + 1])
{
	random_text(out, SHAPES[f].name_n + SHAPES[f].code_n, SHAPES[f].alphabet);
}

bool
token_split(enum token_format f, struct str text, struct str *name, struct str *code)
{
	const struct shape *s = &SHAPES[f];

	if (text.n < s->name_n + s->code_n || text.n > s->max_n)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\0' || strchr(s->alphabet, text.p[i]) == NULL)
			return false;
	*name = str_sub(text, 0, s->name_n);
	*code = str_sub(text, s->name_n, text.n);
	return true;
}

const char *
mail_code_put(struct ctx *c, const char *token)
{
	const size_t n = SHAPES[TOKEN_MAIL_CODE].name_n;

	return base64_put(c->mem, str_of(str_fmt(c->mem, "%.*s:%s", (int)n, token, token + n)));
}

bool
mail_code_get(struct ctx *c, struct str text, struct str *name, struct str *code)
{
	const struct shape *s = &SHAPES[TOKEN_MAIL_CODE];
	struct str pair, a, b, joined, ignored;

	if (text.n > 64 || !base64_get(c->mem, text, &pair) || !str_cut(pair, ':', &a, &b) ||
	    a.n != s->name_n || b.n != s->code_n)
		return false;
	joined = str_of(str_fmt(c->mem, "%.*s%.*s", STRF(a), STRF(b)));
	if (!token_split(TOKEN_MAIL_CODE, joined, &ignored, &ignored))
		return false;
	*name = a;
	*code = b;
	return true;
}
