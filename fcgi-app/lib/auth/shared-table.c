/* The shared word table. The key words are set by compare-and-swap from zero, each once: no process waits for
 * another to finish the set-up. */
#include "auth/shared-table.h"

#include "base/digest.h"

_Static_assert(sizeof(struct shared_table) == 64, "the words start at a cache line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free to work between processes");

size_t
shared_table_bytes(size_t n_sets)
{
	return sizeof(struct shared_table) + n_sets * SHARED_TABLE_WAYS * sizeof(_Atomic uint64_t);
}

static void
set_once(_Atomic uint64_t *w)
{
	uint64_t was = 0, mine = 0;

	while (mine == 0)
		random_bytes(&mine, sizeof mine);
	atomic_compare_exchange_strong(w, &was, mine);
}

struct shared_table *
shared_table_init(void *mem, uint64_t layout, size_t n_sets)
{
	struct shared_table *t = mem;
	uint64_t was = atomic_load(&t->layout);

	if (was != layout && atomic_compare_exchange_strong(&t->layout, &was, layout) && was != 0)
		for (size_t i = 0; i < n_sets * SHARED_TABLE_WAYS; i++)
			atomic_store(&t->words[i], 0);
	set_once(&t->key[0]);
	set_once(&t->key[1]);
	t->n_sets = n_sets;
	return t;
}

uint64_t
shared_table_hash(const struct shared_table *t, const struct str *parts, size_t n)
{
	const uint64_t key[2] = { atomic_load(&t->key[0]), atomic_load(&t->key[1]) };
	uint8_t text[3 * (SHA256_BYTES + sizeof(uint64_t))], sum[SHA256_BYTES];
	size_t used = 0;
	uint64_t hash;

	for (size_t i = 0; i < n && i < 3; i++) { /* long parts by their digest: the text stays bounded */
		const uint64_t len = parts[i].n;
		memcpy(text + used, &len, sizeof len);
		used += sizeof len;
		if (parts[i].n > SHA256_BYTES)
			digest_sha256(parts[i], text + used);
		else if (parts[i].n > 0)
			memcpy(text + used, parts[i].p, parts[i].n);
		used += parts[i].n > SHA256_BYTES ? SHA256_BYTES : parts[i].n;
	}
	digest_hmac_sha256((struct str){ (const char *)key, sizeof key },
	                   (struct str){ (const char *)text, used }, sum);
	memcpy(&hash, sum, sizeof hash);
	return hash;
}

_Atomic uint64_t *
shared_table_set(struct shared_table *t, uint64_t hash)
{
	return &t->words[(hash & (t->n_sets - 1)) * SHARED_TABLE_WAYS];
}
