/* Signing keys: the instance's own key and the public keys of all instances, as the service_key table lists them. Keys are
 * kept parsed for the life of the process; whether a key is still approved and unexpired is asked by each request's own
 * statement, so a revoked key fails on the next request. */
#ifndef KADE_AUTH_KEYRING_H
#define KADE_AUTH_KEYRING_H
#include <stdint.h>

#include "auth/jose.h"
#include "base/err.h"

struct ctx;
struct keyring;
#define KEYRING_SERVICE "quay"   /* issuer of registry tokens, as in Quay (INSTANCE_SERVICE_KEY_SERVICE) */
#define KEYRING_LIFE_S 7200      /* of the instance's key in the table, prolonged while it is used */

/* Process lifetime; own: the instance's private key, taken. */
struct keyring *keyring_new(struct jose_key *own, const char *service, const char *name);
/* For jobs, which end: the own key and all that were found. A destructor for arena_defer(). */
void keyring_free(void *keyring);
const struct jose_key *keyring_own(const struct keyring *k);
const char *keyring_service(const struct keyring *k);
/* A jose_find_fn: arg is the keyring. Unknown keys are asked of the database, and remembered as unknown for five seconds. */
enum err_kind keyring_find(struct ctx *c, void *arg, struct str kid, const struct jose_key **out);
/* Announces the own key or prolongs its life in the table, at most every twenty minutes. ERR_BUSY: a superuser deleted the
 * key. It stays revoked; the host needs another one. */
enum err_kind keyring_announce(struct ctx *c, struct keyring *k) MUST_CHECK;

/* The private key of this instance from dir/kade.pem, or, where that is of another algorithm, from dir/kade-es256.pem or
 * dir/kade-rs256.pem; made (mode 0600) when it is missing. Two processes that start at once end with the same key. *out taken. */
enum err_kind instance_key_load(struct ctx *c, const char *dir, enum jose_alg alg, struct jose_key **out) MUST_CHECK;
#endif
