/* A fixed table of 64-bit words in memory that several processes share: the ground of throttle.c and
 * bucket.c. Eight words make a set (one cache line); a keyed hash of what is counted names the set and a tag
 * inside the word. Every change is one compare-and-swap of one word, so a process killed at any point leaves
 * the table whole, and there is no lock to break. The key is random per mapping: nobody outside can aim at
 * somebody's set. */
#ifndef KADE_AUTH_SHARED_TABLE_H
#define KADE_AUTH_SHARED_TABLE_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define SHARED_TABLE_WAYS 8

struct shared_table {
	_Atomic uint64_t layout; /* which user and version wrote the words; 0 = new */
	_Atomic uint64_t key[2];
	uint64_t n_sets; /* the same value from every process */
	uint64_t unused[4];
	_Atomic uint64_t words[];
};

/* Bytes of a table with n_sets sets (a power of two). */
size_t shared_table_bytes(size_t n_sets);
/* Makes mem (64-byte aligned, zeroed when new) a table, or joins the one that is there; any number of
 * processes may do so at once, and again. A table of another layout is emptied. */
struct shared_table *shared_table_init(void *mem, uint64_t layout, size_t n_sets);
/* Keyed hash (HMAC-SHA256, cut to 64 bits) of up to three parts, each with its length. */
uint64_t shared_table_hash(const struct shared_table *t, const struct str *parts, size_t n);
/* The eight words of the set that a hash names (its low bits; tags must use its high bits). */
_Atomic uint64_t *shared_table_set(struct shared_table *t, uint64_t hash);
#endif
