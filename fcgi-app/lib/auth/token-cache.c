/* The token cache. Serves the identity step of every /v2 request, where it stands for a signature check of 60
 * to 90 µs.
 *
 * Identities are flat copies in a ring of bytes; an entry knows its place by a position that only grows, so
 * what the ring has overwritten is known by arithmetic and nothing has to be freed. An identity that is used
 * while it nears its end is written again (a second chance). Entries stand in sets of four. The hash of the
 * token names the set: who has many valid tokens can push out a few others, which costs them a signature
 * check. */
#include "auth/token-cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/digest.h"

#define WAYS 4

struct entry {
	uint8_t key[SHA256_BYTES];
	int64_t exp_s;
	uint64_t pos; /* of its first byte, in all bytes ever written */
	uint32_t n;   /* 0 = empty */
};
struct token_cache {
	pthread_mutex_t lock; /* under it only copying */
	size_t n_sets, ring_bytes;
	uint64_t written;
	struct entry *entries;
	uint8_t *ring;
};
/* The fixed part of a flat identity; after it the texts, then per grant its role and name. */
struct flat {
	uint16_t name_n, account_n, token_n, key_n; /* UINT16_MAX = NULL */
	uint16_t n_grants;
	uint8_t kind, has_grants;
	uint32_t scopes;
};
struct flat_grant {
	uint16_t n;
	uint8_t role;
};

struct token_cache *
token_cache_new(size_t n_entries, size_t bytes)
{
	struct token_cache *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	for (k->n_sets = 1; k->n_sets * WAYS < n_entries;)
		k->n_sets *= 2;
	k->ring_bytes = bytes < 4 * TOKEN_CACHE_BLOB_MAX ? 4 * TOKEN_CACHE_BLOB_MAX : bytes;
	k->entries = calloc(k->n_sets * WAYS, sizeof *k->entries);
	k->ring = calloc(1, k->ring_bytes);
	pthread_mutex_init(&k->lock, NULL);
	if (k->entries == NULL || k->ring == NULL) {
		token_cache_free(k);
		return NULL;
	}
	return k;
}

void
token_cache_free(struct token_cache *k)
{
	if (k == NULL)
		return;
	pthread_mutex_destroy(&k->lock);
	free(k->entries);
	free(k->ring);
	free(k);
}

/* ------------------------------------------------------------------------------------------------ flat
 * identities */

struct writer {
	uint8_t *p;
	size_t n, cap;
};

static void
add(struct writer *w, const void *p, size_t n)
{
	if (n > 0 && w->n <= w->cap && n <= w->cap - w->n)
		memcpy(w->p + w->n, p, n);
	w->n += n; /* beyond cap: does not fit */
}

static uint16_t
text_n(const char *s)
{
	return s == NULL || strlen(s) >= UINT16_MAX ? UINT16_MAX : (uint16_t)strlen(s);
}

/* Bytes written; 0 when the identity does not fit. */
static size_t
flatten(const struct identity *id, uint8_t out[TOKEN_CACHE_BLOB_MAX])
{
	struct writer w = { .p = out, .cap = TOKEN_CACHE_BLOB_MAX };
	const char *const texts[] = { id->name, id->account_uuid, id->token_uuid, id->key_id };
	struct flat f = { .kind = (uint8_t)id->kind, .has_grants = id->has_grants, .scopes = id->scopes };

	if (id->n_grants >= UINT16_MAX)
		return 0;
	f.n_grants = (uint16_t)id->n_grants;
	f.name_n = text_n(texts[0]);
	f.account_n = text_n(texts[1]);
	f.token_n = text_n(texts[2]);
	f.key_n = text_n(texts[3]);
	add(&w, &f, sizeof f);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i] != NULL)
			add(&w, texts[i], strlen(texts[i]));
	for (size_t i = 0; i < id->n_grants && w.n <= w.cap; i++) {
		const struct grant *g = &id->grants[i];
		const struct flat_grant fg = { .n = (uint16_t)g->repository.n, .role = (uint8_t)g->role };
		if (g->repository.n > UINT16_MAX)
			return 0;
		add(&w, &fg, sizeof fg);
		add(&w, g->repository.p, g->repository.n);
	}
	return w.n <= w.cap ? w.n : 0;
}

static const char *
take_text(struct arena *mem, const uint8_t **p, uint16_t n)
{
	char *s;

	if (n == UINT16_MAX)
		return NULL;
	s = arena_alloc(mem, (size_t)n + 1);
	memcpy(s, *p, n);
	s[n] = '\0';
	*p += n;
	return s;
}

/* From what flatten() wrote: our own memory, so only copied. */
static void
unflatten(struct arena *mem, const uint8_t *p, struct identity *out)
{
	struct flat f;
	struct grant *grants;

	memcpy(&f, p, sizeof f);
	p += sizeof f;
	*out = (struct identity){ .kind = (enum identity_kind)f.kind,
		                  .has_grants = f.has_grants != 0,
		                  .scopes = f.scopes };
	out->name = take_text(mem, &p, f.name_n);
	out->account_uuid = take_text(mem, &p, f.account_n);
	out->token_uuid = take_text(mem, &p, f.token_n);
	out->key_id = take_text(mem, &p, f.key_n);
	grants = ARENA_ARRAY(mem, struct grant, f.n_grants);
	for (size_t i = 0; i < f.n_grants; i++) {
		struct flat_grant fg;
		memcpy(&fg, p, sizeof fg);
		p += sizeof fg;
		grants[i] = (struct grant){
			{take_text(mem, &p, fg.n), fg.n},
                        (enum role)fg.role
		};
	}
	out->grants = grants;
	out->n_grants = f.n_grants;
}

/* ------------------------------------------------------------------------------------------------------- the
 * ring */

static struct entry *
set_of(struct token_cache *k, const uint8_t key[SHA256_BYTES])
{
	uint64_t hash;

	memcpy(&hash, key, sizeof hash);
	return &k->entries[(hash & (k->n_sets - 1)) * WAYS];
}

static bool
is_there(const struct token_cache *k, const struct entry *e)
{
	return e->n > 0 && k->written - e->pos <= k->ring_bytes;
}

/* Writes n bytes; they never wrap around the ring's end. The lock is held. */
static uint64_t
ring_put(struct token_cache *k, const uint8_t *p, size_t n)
{
	const size_t at = (size_t)(k->written % k->ring_bytes);

	if (k->ring_bytes - at < n)
		k->written += k->ring_bytes - at;
	const uint64_t pos = k->written;
	memcpy(k->ring + pos % k->ring_bytes, p, n);
	k->written += n;
	return pos;
}

bool
token_cache_find(struct token_cache *k, struct arena *mem, struct str token, int64_t now_s,
                 struct identity *out)
{
	uint8_t key[SHA256_BYTES], blob[TOKEN_CACHE_BLOB_MAX];
	size_t n = 0;
	struct entry *set;

	digest_sha256(token, key);
	set = set_of(k, key);
	pthread_mutex_lock(&k->lock);
	for (struct entry *e = set; e < set + WAYS && n == 0; e++) {
		if (!is_there(k, e) || e->exp_s <= now_s || memcmp(e->key, key, sizeof key) != 0)
			continue;
		n = e->n;
		memcpy(blob, k->ring + e->pos % k->ring_bytes, n);
		if (k->written - e->pos > k->ring_bytes / 4 * 3)
			e->pos = ring_put(k, blob, n);
	}
	pthread_mutex_unlock(&k->lock);
	if (n == 0)
		return false;
	unflatten(mem, blob, out);
	return true;
}

void
token_cache_put(struct token_cache *k, struct str token, int64_t exp_s, const struct identity *id)
{
	uint8_t key[SHA256_BYTES], blob[TOKEN_CACHE_BLOB_MAX];
	const size_t n = flatten(id, blob);
	struct entry *set, *to;

	if (n == 0)
		return;
	digest_sha256(token, key);
	set = to = set_of(k, key);
	pthread_mutex_lock(&k->lock);
	for (struct entry *e = set; e < set + WAYS; e++) {
		if (e->n > 0 && memcmp(e->key, key, sizeof key) == 0) {
			to = e;
			break;
		}
		if (is_there(k, to) && (!is_there(k, e) || e->pos < to->pos))
			to = e;
	}
	memcpy(to->key, key, sizeof key);
	to->exp_s = exp_s;
	to->pos = ring_put(k, blob, n);
	to->n = (uint32_t)n;
	pthread_mutex_unlock(&k->lock);
}
