/* Signed tokens (JWS, RFC 7515) and their keys (JWK, RFC 7517), for registry tokens, service keys, robot
 * federation and OpenID Connect. Two algorithms: ES256 and RS256. A key has exactly one, fixed when it is
 * made or read; what a token's header says never chooses it. */
#ifndef KADE_AUTH_JOSE_H
#define KADE_AUTH_JOSE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct jose_key; /* a public or private key: immutable, used by any number of threads at once */

enum jose_alg { JOSE_ES256, JOSE_RS256 };
enum jose_pem { JOSE_PEM_PUBLIC, JOSE_PEM_PRIVATE }; /* private: PKCS#1 or SEC 1, as Quay's API shows it */

#define JOSE_TOKEN_MAX 16384 /* bytes of a token that is looked at */
#define JOSE_KID_MAX   255
#define JOSE_KID_TEXT  44 /* an RFC 7638 thumbprint and its NUL */

/* Keys. *out is taken by the caller: jose_key_free() releases it (NULL is allowed; fits arena_defer()). Keys
 * of the process are made once and kept, so that no request parses one. */
enum err_kind jose_key_make(struct ctx *c, enum jose_alg alg,
                            struct jose_key **out) MUST_CHECK; /* P-256 or RSA-2048 */
/* The private key in a PEM file. Refused (ERR_DENIED) when it is not a regular file, belongs to somebody else
 * (but root) or group or others may read it. P-256 gives ES256, RSA of 2048–4096 bits RS256; others are
 * ERR_BAD_INPUT. */
enum err_kind jose_key_load(struct ctx *c, const char *path, struct jose_key **out) MUST_CHECK;
/* Writes the private key to path, mode 0600, durable and whole or not at all (temporary file, fsync, rename,
 * fsync of the folder). Replaces what is there. */
enum err_kind jose_key_store(struct ctx *c, const struct jose_key *key, const char *path) MUST_CHECK;
/* A public key from a JWK. Private members are ignored, `alg` and `use` must fit when they are there.
 * ERR_BAD_INPUT. */
enum err_kind jose_key_from_jwk(struct ctx *c, const json_t *jwk, struct jose_key **out) MUST_CHECK;
void jose_key_free(void *key);

const char *jose_key_id(const struct jose_key *key); /* thumbprint; lives as long as the key */
enum jose_alg jose_key_alg(const struct jose_key *key);
const char *jose_alg_name(enum jose_alg alg);
bool jose_key_is_private(const struct jose_key *key);
/* The public JWK {kty, alg, use, kid, crv x y | n e}: never a private member. Root borrowed: freed with
 * c->mem. */
json_t *jose_key_to_jwk(struct ctx *c, const struct jose_key *key);
enum err_kind jose_key_pem(struct ctx *c, const struct jose_key *key, enum jose_pem which,
                           struct str *out) MUST_CHECK;

/* A compact JWS over claims with the header {alg, kid, typ: JWT}. ERR_BAD_INPUT when it would be longer than
 * JOSE_TOKEN_MAX, ERR_BUG without a private key. *out given. */
enum err_kind jose_sign(struct ctx *c, const struct jose_key *key, const json_t *claims,
                        struct str *out) MUST_CHECK;

/* Finds the key for a kid (p == NULL: the header has none) or leaves *out NULL when there is none. *out
 * borrowed: it must live until jose_verify() has returned. */
typedef enum err_kind jose_find_fn(struct ctx *c, void *arg, struct str kid, const struct jose_key **out);
struct jose_verified {
	const json_t *header, *claims; /* objects, freed with c->mem */
	const struct jose_key *key;
};
/* Checks form and signature. Nothing of the payload is looked at before the signature is right. Refused as
 * ERR_UNAUTHENTICATED: longer than JOSE_TOKEN_MAX, not three parts, base64url that is not canonical, a header
 * or payload that is not an object, duplicate members, `crit`, a kid that is not a short string, an alg other
 * than the key's, an unknown key, a wrong signature. jku, x5u, x5c and jwk are never looked at. Claims are
 * not judged: jose_check_claims(). */
enum err_kind jose_verify(struct ctx *c, struct str token, jose_find_fn *find, void *arg,
                          struct jose_verified *out) MUST_CHECK;
enum err_kind jose_verify_key(struct ctx *c, struct str token, const struct jose_key *key,
                              struct jose_verified *out) MUST_CHECK;
/* The header and claims of a token without a check of its signature: only to find out whose keys to ask for.
 */
enum err_kind jose_peek(struct ctx *c, struct str token, const json_t **header,
                        const json_t **unverified_claims) MUST_CHECK;
/* True when text looks like a JWT: its first part is a JOSE header whose typ is JWT or at+jwt (in any case).
 */
bool jose_is_jwt(struct ctx *c, struct str text);

#define JOSE_LEEWAY_S   30
#define JOSE_LIFE_MAX_S 3660
struct jose_expect {
	struct str iss; /* p == NULL: not checked */
	struct str aud; /* the one audience, or among a list; p == NULL: not checked */
	int64_t now_s;
	int64_t max_life_s; /* of exp - iat; 0 = no bound */
	bool nbf_optional;
};
/* exp and iat must be there (nbf too unless nbf_optional), be numbers and fit now with JOSE_LEEWAY_S to
 * spare. ERR_UNAUTHENTICATED with the reason in c->err.text. */
enum err_kind jose_check_claims(struct ctx *c, const json_t *claims,
                                const struct jose_expect *want) MUST_CHECK;
#endif
