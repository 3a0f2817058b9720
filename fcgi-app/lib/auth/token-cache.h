/* Results of signature checks: whole registry token → identity, until the token's exp. One per process, fixed
 * memory. Only the signature is remembered; whether the account, its rights and the signing key are still
 * alive is asked by every request's own statement. */
#ifndef KADE_AUTH_TOKEN_CACHE_H
#define KADE_AUTH_TOKEN_CACHE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/str.h"

struct arena;
struct token_cache;

#define TOKEN_CACHE_BLOB_MAX 2048 /* an identity that needs more is not kept */

/* n_entries: rounded up to a power of two; bytes: of all identities together. Process lifetime; NULL when
 * memory is gone. 4096 entries and 1 MiB serve some 4,000 tokens with a few grants each, in 1.3 MiB. */
struct token_cache *token_cache_new(size_t n_entries, size_t bytes);
void token_cache_free(struct token_cache *k);
/* True and *out (in mem) when this very token was put and has not expired. Any thread. */
bool token_cache_find(struct token_cache *k, struct arena *mem, struct str token, int64_t now_s,
                      struct identity *out);
/* Keeps what a right signature and right claims gave. Any thread. */
void token_cache_put(struct token_cache *k, struct str token, int64_t exp_s, const struct identity *id);
#endif
