/* Credentials against the database: who is it? The one place where a secret is compared. What the caller may do is decided
 * afterwards by the request's own statement. */
#ifndef KADE_AUTH_LOGIN_H
#define KADE_AUTH_LOGIN_H
#include <stdbool.h>

#include "auth/credential.h"
#include "auth/identity.h"
#include "auth/secret.h"
#include "base/err.h"

struct ctx;
struct gate;
struct keyring;
struct password_cache;
struct throttle;
struct token_cache;

/* Of the process, read-only; the pointers are safe from any thread. */
struct login_env {
	struct secrets         secrets;
	struct gate           *gate;
	int                    gate_slots;
	struct password_cache *passwords;
	struct throttle       *throttle;
	struct token_cache    *tokens;
	struct keyring        *keys;
};
/* The Authorization header of a registry request: Bearer registry token, or Basic of any kind (basic_only: that alone).
 * No header: anonymous. ERR_UNAUTHENTICATED with the wording of the kind, ERR_RATE with Retry-After. */
enum err_kind login_registry(struct ctx *c, const struct login_env *env, struct str header, struct str remote_addr, bool basic_only,
                             struct identity *out) MUST_CHECK;
/* One name and secret, as taken from Basic or a form. */
enum err_kind login_basic(struct ctx *c, const struct login_env *env, const struct credential *cr, struct str remote_addr,
                          struct identity *out) MUST_CHECK;
/* An OAuth access token, from Bearer or $oauthtoken. */
enum err_kind login_oauth(struct ctx *c, const struct login_env *env, struct str token, struct identity *out) MUST_CHECK;
#endif
