/* Avatars. */
#include "model/avatar.h"

#include <ctype.h>

#include "base/digest.h"
#include "base/js.h"

#define N_COLORS 32 /* a power of 16 times 2: two hexadecimal digits of the hash choose */
static const char *const COLORS[N_COLORS] = {
	"#969696", "#aec7e8", "#ff7f0e", "#ffbb78", "#2ca02c", "#98df8a", "#d62728", "#ff9896", "#9467bd", "#c5b0d5", "#8c564b",
	"#c49c94", "#e377c2", "#f7b6d2", "#7f7f7f", "#c7c7c7", "#bcbd22", "#1f77b4", "#17becf", "#9edae5", "#393b79", "#5254a3",
	"#6b6ecf", "#9c9ede", "#9ecae1", "#31a354", "#b5cf6b", "#a1d99b", "#8c6d31", "#ad494a", "#e7ba52", "#a55194",
};
#define HASHED_MAX 512 /* bytes: longer than any address or name */

/* SHA-256 of the text, trimmed and in lower case (ASCII: addresses with other letters keep them as they are). */
static void
hash_of(struct str text, uint8_t out[SHA256_BYTES])
{
	const struct str s = str_trim(text);
	char             low[HASHED_MAX];
	const size_t     n = s.n < sizeof low ? s.n : sizeof low;

	for (size_t i = 0; i < n; i++)
		low[i] = (char)tolower((unsigned char)s.p[i]);
	digest_sha256((struct str){ low, n }, out);
}

json_t *
avatar_to_json(enum avatar_kind kind, const char *name, const char *email)
{
	static const char *const KIND[] = { "user", "robot", "team", "org", "app" };
	uint8_t                  hash[SHA256_BYTES];
	char                     hex[2 * SHA256_BYTES + 1];
	json_t                  *o = json_object();

	hash_of(str_of(email == NULL || email[0] == '\0' || kind == AVATAR_TEAM ? name : email), hash);
	hex_put(hex, hash, sizeof hash);
	jo_str(o, "name", name);
	jo_str(o, "hash", hex);
	jo_str(o, "color", COLORS[hash[0] % N_COLORS]);
	jo_str(o, "kind", KIND[kind]);
	return o;
}
