/* Password rules and checks over libxcrypt's crypt_r(). Serves sign-in, Basic on /v2/auth and account
 * changes. Rules and hash form: Quay's, so that hashes of its database work on. */
#include "auth/password.h"

#include <crypt.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistr.h>

#include "auth/blank.h"
#include "auth/gate.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/digest.h"

#define HASH_LEN     60
#define COST_MIN     4
#define COST_MAX     17
#define PASSWORD_MAX 4096
#define CACHE_SETS   256 /* x 4 entries x 40 bytes: 40 KiB */
#define CACHE_WAYS   4
#define CACHE_US     60000000LL

/* Fits no password that anybody knows: made from random bytes that were thrown away. */
#define DUMMY_HASH "$2b$12$Zr8ZrHk5Wm0o3sJQ8bX3XOe1y9m1lZ4rW9G4nU0bV9bD1mBq2x7aK"

static const struct say SAY_PASSWORD = {
	400, NULL, "Invalid password, password must be at least 8 characters and contain no whitespace."
};

enum err_kind
password_check_rules(struct ctx *c, struct str password)
{
	const uint8_t *p = (const uint8_t *)password.p;
	size_t rest = password.n, chars = 0;

	if (password.n < 8 || password.n > PASSWORD_MAX || !str_is_utf8(password))
		return err_say(c, ERR_BAD_INPUT, &SAY_PASSWORD);
	while (rest > 0) {
		ucs4_t cp;
		const int n = u8_mbtouc(&cp, p, rest);
		if (cp == 0 || blank_is(cp))
			return err_say(c, ERR_BAD_INPUT, &SAY_PASSWORD);
		p += n;
		rest -= (size_t)n;
		chars++;
	}
	return chars < 8 ? err_say(c, ERR_BAD_INPUT, &SAY_PASSWORD) : ERR_NONE;
}

static void
wipe_crypt(void *p)
{
	explicit_bzero(p, sizeof(struct crypt_data));
}

/* crypt_r() with its 32 KiB of state in mem, wiped. False when it fails ("*0", "*1" or another length). */
static bool
bcrypt(struct arena *mem, struct str password, const char *setting, char out[PASSWORD_HASH_TEXT])
{
	const struct arena_mark mark = arena_mark(mem);
	struct crypt_data *data = ARENA_NEW(mem, struct crypt_data);
	char *text = str_dup(mem, password);
	bool ok = false;

	arena_defer(mem, wipe_crypt, data);
	const char *hash = text == NULL ? NULL : crypt_r(text, setting, data);
	if (hash != NULL && strlen(hash) == HASH_LEN && hash[0] == '$') {
		memcpy(out, hash, PASSWORD_HASH_TEXT);
		ok = true;
	}
	if (text != NULL)
		explicit_bzero(text, password.n);
	arena_rewind(mem, mark);
	return ok;
}

enum err_kind
password_hash(struct ctx *c, struct str password, int cost, char out[PASSWORD_HASH_TEXT])
{
	char salt[16], setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (password.n > 0 && memchr(password.p, '\0', password.n) != NULL)
		return err_say(c, ERR_BAD_INPUT, &SAY_PASSWORD);
	if (cost < COST_MIN || cost > COST_MAX)
		return err_set(c, ERR_BUG, "bcrypt cost %d", cost);
	random_bytes(salt, sizeof salt);
	if (crypt_gensalt_rn("$2b$", (unsigned long)cost, salt, sizeof salt, setting, sizeof setting) ==
	        NULL ||
	    !bcrypt(c->mem, password, setting, out))
		return err_set(c, ERR_BUG, "libcrypt makes no bcrypt hash");
	return ERR_NONE;
}

static bool
is_bcrypt(struct str hash)
{
	int64_t cost;

	if (hash.n != HASH_LEN || memcmp(hash.p, "$2", 2) != 0 || strchr("aby", hash.p[2]) == NULL ||
	    hash.p[3] != '$' || hash.p[6] != '$' ||
	    !str_to_i64(str_sub(hash, 4, 6), COST_MIN, COST_MAX, &cost))
		return false;
	for (size_t i = 7; i < HASH_LEN; i++) {
		const char ch = hash.p[i];
		if (!(ch >= '.' && ch <= '9') && !(ch >= 'A' && ch <= 'Z') && !(ch >= 'a' && ch <= 'z'))
			return false;
	}
	return true;
}

bool
password_fits(struct arena *mem, struct str password, struct str hash)
{
	const bool is_clean = password.n == 0 || memchr(password.p, '\0', password.n) == NULL;
	const bool is_real = is_clean && password.n <= PASSWORD_MAX && is_bcrypt(hash);
	char got[PASSWORD_HASH_TEXT], *setting = str_dup(mem, is_real ? hash : STR(DUMMY_HASH));

	if (!bcrypt(mem, is_clean && password.n <= PASSWORD_MAX ? password : STR("x"), setting, got))
		return false;
	return mem_eq_ct((struct str){ got, HASH_LEN }, is_real ? hash : STR(DUMMY_HASH)) && is_real;
}

/* ------------------------------------------------------------------------------------------- right ones,
 * remembered */

struct cache_entry {
	uint8_t mac[SHA256_BYTES];
	int64_t until_us; /* monotonic; 0 = empty */
};
struct password_cache {
	pthread_mutex_t lock; /* under it only copying */
	uint8_t key[SHA256_BYTES];
	struct cache_entry sets[CACHE_SETS][CACHE_WAYS];
};

struct password_cache *
password_cache_new(void)
{
	struct password_cache *k = calloc(1, sizeof *k);

	if (k != NULL) {
		pthread_mutex_init(&k->lock, NULL);
		random_bytes(k->key, sizeof k->key);
	}
	return k;
}

/* HMAC over the three texts, each hashed by itself, so that no two triples give the same bytes. */
static void
cache_mac(const struct password_cache *k, const struct password_check *q, uint8_t mac[SHA256_BYTES])
{
	uint8_t text[3][SHA256_BYTES];
	const struct str key = { (const char *)k->key, sizeof k->key };

	digest_hmac_sha256(key, q->password, text[0]);
	digest_hmac_sha256(key, q->hash, text[1]);
	digest_hmac_sha256(key, q->uuid, text[2]);
	digest_hmac_sha256(key, (struct str){ (const char *)text, sizeof text }, mac);
	explicit_bzero(text, sizeof text);
}

static bool
cache_has(struct password_cache *k, const uint8_t mac[SHA256_BYTES])
{
	const int64_t now = clock_mono_us();
	struct cache_entry *set = k->sets[mac[0] % CACHE_SETS];
	bool has = false;

	pthread_mutex_lock(&k->lock);
	for (int i = 0; i < CACHE_WAYS; i++)
		has |= set[i].until_us > now && memcmp(set[i].mac, mac, SHA256_BYTES) == 0;
	pthread_mutex_unlock(&k->lock);
	return has;
}

static void
cache_put(struct password_cache *k, const uint8_t mac[SHA256_BYTES])
{
	struct cache_entry *set = k->sets[mac[0] % CACHE_SETS], *oldest = set;

	pthread_mutex_lock(&k->lock);
	for (int i = 1; i < CACHE_WAYS; i++)
		if (set[i].until_us < oldest->until_us)
			oldest = &set[i];
	memcpy(oldest->mac, mac, SHA256_BYTES);
	oldest->until_us = clock_mono_us() + CACHE_US;
	pthread_mutex_unlock(&k->lock);
}

enum err_kind
password_check(struct ctx *c, const struct password_check *q, bool *fits)
{
	uint8_t mac[SHA256_BYTES];
	struct gate_pass pass;

	if (q->cache != NULL && q->hash.n > 0) {
		cache_mac(q->cache, q, mac);
		if (cache_has(q->cache, mac)) {
			*fits = true;
			return ERR_NONE;
		}
	}
	TRY(gate_enter(c, q->gate, q->gate_slots, q->wait_ms > 0 ? q->wait_ms : PASSWORD_WAIT_MS, &pass));
	*fits = password_fits(c->mem, q->password, q->hash);
	gate_leave(q->gate, &pass);
	if (*fits && q->cache != NULL)
		cache_put(q->cache, mac);
	return ERR_NONE;
}
