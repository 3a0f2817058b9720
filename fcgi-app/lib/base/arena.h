/* Memory of one piece of work: allocated piece by piece, released all at once. Nothing in a handler is freed by hand.
 * An arena has a limit; an allocation over it jumps to the place named by arena_on_full(), which ends the piece of work. */
#ifndef KADE_BASE_ARENA_H
#define KADE_BASE_ARENA_H
#include <setjmp.h>
#include <stddef.h>

struct arena;
struct arena_mark {
	void *block, *big, *defer;
	size_t used, total;
};

/* A new arena; limit_bytes 0 = none. Ends the process when there is no memory for the arena itself. Taken by the caller. */
struct arena *arena_new(size_t limit_bytes);
/* Runs the deferred destructors (newest first) and releases everything. NULL is allowed. */
void arena_free(struct arena *a);
/* As arena_free(), but the arena stays usable: keeps one block, takes a new limit, forgets the jump. */
void arena_reset(struct arena *a, size_t limit_bytes);
/* Where an allocation that cannot be served jumps (longjmp value 1). NULL: the process ends with a message. */
void arena_on_full(struct arena *a, jmp_buf *where);

/* n bytes, 16-byte aligned, not cleared; never NULL: over the limit or out of memory it jumps (see above).
 * Must not be called from a callback of a foreign library: use arena_try() there. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull, alloc_size(2)));
void *arena_zalloc(struct arena *a, size_t n) __attribute__((returns_nonnull, alloc_size(2)));
void *arena_try(struct arena *a, size_t n) __attribute__((alloc_size(2)));
/* n * size bytes, cleared; an overflow of the product counts as full. */
void *arena_array(struct arena *a, size_t n, size_t size) __attribute__((returns_nonnull));
void *arena_copy(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
#define ARENA_NEW(a, type)      ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))

/* Registers fn(p), run when the arena is reset, freed, or rewound past this point. */
void arena_defer(struct arena *a, void (*fn)(void *), void *p);
/* Forgets the newest registration of fn(p) without running it. */
void arena_undefer(struct arena *a, void (*fn)(void *), void *p);

/* A scope inside the work: everything allocated or deferred after the mark goes at arena_rewind(). */
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);
/* Another limit for what comes from here on: a route's own after the match, a little more for the answer that says that
 * the arena was full. */
void arena_set_limit(struct arena *a, size_t limit_bytes);
/* Bytes handed out and not yet released. */
size_t arena_used(const struct arena *a);

/* uthash.h allocates from the arena named ARENA_HASH_MEM in the including file: #define ARENA_HASH_MEM (c->mem) first. */
#define uthash_malloc(sz)  arena_alloc(ARENA_HASH_MEM, sz)
#define uthash_free(p, sz) ((void)(p))
#endif
