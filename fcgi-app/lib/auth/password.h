/* Passwords of the Database engine: rules, bcrypt hashes, and a check that is as fast as it may be without
 * getting weaker. */
#ifndef KADE_AUTH_PASSWORD_H
#define KADE_AUTH_PASSWORD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct ctx;
struct gate;
struct password_cache;

#define PASSWORD_COST      12
#define PASSWORD_HASH_TEXT 61 /* 60 characters and a NUL */
#define PASSWORD_WAIT_MS   2000

/* At least 8 characters, no white space, UTF-8 without NUL, at most 4 KiB. ERR_BAD_INPUT with Quay's wording.
 */
enum err_kind password_check_rules(struct ctx *c, struct str password) MUST_CHECK;

/* bcrypt ($2b$) of the password's first 72 bytes, cost 4 to 17 (PASSWORD_COST, less in tests only).
 * ERR_BAD_INPUT for a NUL byte. Takes its CPU time without asking a gate. */
enum err_kind password_hash(struct ctx *c, struct str password, int cost,
                            char out[PASSWORD_HASH_TEXT]) MUST_CHECK;
/* True when the password fits a $2a$, $2b$ or $2y$ hash. A password with NUL and a text that is no such hash
 * never fit, after the time that a real check takes. No gate, no cache. */
bool password_fits(struct arena *mem, struct str password, struct str hash);

/* Remembers right passwords for 60 s as HMAC(key of this process, password ‖ hash ‖ uuid), never wrong ones:
 * a changed hash or uuid no longer fits. Process lifetime; safe from any thread. NULL when memory is gone. */
struct password_cache *password_cache_new(void);

struct password_check {
	struct str password;
	struct str hash;   /* of the account; p == NULL: no such account, or one without a password */
	struct str uuid;   /* of the account */
	struct gate *gate; /* of the host */
	int gate_slots;
	struct password_cache *cache; /* NULL: none */
	int64_t wait_ms;              /* longest wait for a place; 0 = PASSWORD_WAIT_MS */
};
/* *fits tells whether the password is the account's. An unknown account costs the same time as a wrong
 * password. ERR_RATE with Retry-After when no place for a bcrypt came free within wait_ms. */
enum err_kind password_check(struct ctx *c, const struct password_check *q, bool *fits) MUST_CHECK;
#endif
