/* Fuzz target: tokens and JWKs from outside. The input is a token; its first byte chooses the key. A token
 * that passes must have been signed by us, which the seeds are not: a pass under a random key is a find. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/jose.h"
#include "auth/registry-token.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err_kind
find(struct ctx *c, void *arg, struct str kid, const struct jose_key **out)
{
	(void)c, (void)kid;
	*out = arg;
	return ERR_NONE;
}

static struct jose_key *
key_of(int which)
{
	static struct jose_key *keys[2];

	if (keys[which] == NULL) {
		struct ctx c = { .mem = arena_new(0) };
		if (jose_key_make(&c, which == 0 ? JOSE_ES256 : JOSE_RS256, &keys[which]) != ERR_NONE)
			abort();
		arena_free(c.mem);
	}
	return keys[which];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctx c = { .mem = arena_new(0) };

	if (size > 0) {
		const struct str text = { (const char *)data + 1, size - 1 };
		struct jose_key *key = key_of(data[0] & 1);
		struct registry_token_want want = { .find = find,
			                            .find_arg = key,
			                            .iss = STR("quay"),
			                            .aud = STR("reg"),
			                            .now_s = 1800000000 };
		const json_t *header, *claims;
		struct identity id;
		struct jose_key *outside;
		json_t *jwk;
		int64_t exp_s;
		jose_is_jwt(&c, text);
		if (registry_token_verify(&c, text, &want, &id, &exp_s) == ERR_NONE)
			abort();
		if (jose_peek(&c, text, &header, &claims) == ERR_NONE)
			(void)jose_check_claims(
			    &c, claims, &(struct jose_expect){ .now_s = 1800000000, .max_life_s = 3660 });
		if (js_parse(&c, text, &JS_API, &jwk) == ERR_NONE &&
		    jose_key_from_jwk(&c, jwk, &outside) == ERR_NONE) {
			arena_defer(c.mem, jose_key_free, outside);
			jose_key_to_jwk(&c, outside);
		}
	}
	arena_free(c.mem);
	return 0;
}
