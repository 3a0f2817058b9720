/* The arena: bump blocks of 64 KiB, oversized pieces apart. With ARENA_DEBUG (sanitizer builds) every piece is its own
 * malloc, so that the sanitizer sees each overrun. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ARENA_DEBUG
#define BLOCK_BYTES 0
#else
#define BLOCK_BYTES 65536
#endif
#define ALIGN 16

struct block {
	struct block *next;
	size_t cap;
	_Alignas(ALIGN) unsigned char data[];
};
struct defer {
	struct defer *next;
	void (*fn)(void *);
	void *p;
};
struct arena {
	struct block *head; /* bump blocks, newest first */
	struct block *big;  /* pieces above a quarter block, newest first */
	struct defer *defer;
	size_t used; /* of head */
	size_t total, limit;
	jmp_buf *full;
};

static void
die(const char *what)
{
	fprintf(stderr, "kade: %s\n", what);
	abort();
}

static void __attribute__((noreturn)) arena_is_full(struct arena *a)
{
	if (a->full == NULL)
		die("out of memory");
	longjmp(*a->full, 1);
}

static struct block *
block_new(struct block *next, size_t cap)
{
	struct block *b;

	if (cap > SIZE_MAX - sizeof *b)
		return NULL;
	b = malloc(sizeof *b + cap);
	if (b != NULL) {
		b->next = next;
		b->cap = cap;
	}
	return b;
}

struct arena *
arena_new(size_t limit_bytes)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a == NULL)
		die("out of memory");
	a->limit = limit_bytes;
	return a;
}

static void
run_defers(struct arena *a, const struct defer *until)
{
	while (a->defer != until) {
		const struct defer *d = a->defer;
		a->defer = d->next;
		d->fn(d->p);
	}
}

static void
free_blocks(struct block **list, const struct block *until)
{
	while (*list != until) {
		struct block *b = *list;
		*list = b->next;
		free(b);
	}
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	run_defers(a, NULL);
	free_blocks(&a->head, NULL);
	free_blocks(&a->big, NULL);
	free(a);
}

void
arena_reset(struct arena *a, size_t limit_bytes)
{
	struct block *keep;

	run_defers(a, NULL);
	free_blocks(&a->big, NULL);
	while ((keep = a->head) != NULL && keep->next != NULL) {
		a->head = keep->next;
		free(keep);
	}
	a->used = a->total = 0;
	a->limit = limit_bytes;
	a->full = NULL;
}

void
arena_on_full(struct arena *a, jmp_buf *where)
{
	a->full = where;
}

void *
arena_try(struct arena *a, size_t n)
{
	const size_t need = n == 0 ? ALIGN : (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *b;

	if (need < n || (a->limit != 0 && (need > a->limit || a->total > a->limit - need)))
		return NULL;
	if (need > BLOCK_BYTES / 4) {
		b = block_new(a->big, BLOCK_BYTES == 0 ? n : need);
		if (b == NULL)
			return NULL;
		a->big = b;
		a->total += need;
		return b->data;
	}
	if (a->head == NULL || a->head->cap - a->used < need) {
		b = block_new(a->head, BLOCK_BYTES);
		if (b == NULL)
			return NULL;
		a->head = b;
		a->used = 0;
	}
	void *p = a->head->data + a->used;
	a->used += need;
	a->total += need;
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_try(a, n);

	if (p == NULL)
		arena_is_full(a);
	return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		arena_is_full(a);
	return arena_zalloc(a, bytes);
}

void *
arena_copy(struct arena *a, const void *p, size_t n)
{
	void *q = arena_alloc(a, n);

	return n == 0 ? q : memcpy(q, p, n);
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *p)
{
	struct defer *d = arena_try(a, sizeof *d);

	if (d == NULL) { /* the thing is registered or released, never leaked */
		fn(p);
		arena_is_full(a);
	}
	d->fn = fn;
	d->p = p;
	d->next = a->defer;
	a->defer = d;
}

void
arena_undefer(struct arena *a, void (*fn)(void *), void *p)
{
	for (struct defer **d = &a->defer; *d != NULL; d = &(*d)->next) {
		if ((*d)->fn == fn && (*d)->p == p) {
			*d = (*d)->next;
			return;
		}
	}
}

struct arena_mark
arena_mark(const struct arena *a)
{
	return (struct arena_mark){
		.block = a->head, .big = a->big, .defer = a->defer, .used = a->used, .total = a->total
	};
}

void
arena_rewind(struct arena *a, struct arena_mark m)
{
	run_defers(a, m.defer);
	free_blocks(&a->big, m.big);
	if (m.block == NULL &&
	    a->head != NULL) { /* keep the oldest block: loops would allocate it anew each time */
		while (a->head->next != NULL) {
			struct block *b = a->head;
			a->head = b->next;
			free(b);
		}
	} else {
		free_blocks(&a->head, m.block);
	}
	a->used = m.used;
	a->total = m.total;
}

void
arena_set_limit(struct arena *a, size_t limit_bytes)
{
	a->limit = limit_bytes;
}

size_t
arena_used(const struct arena *a)
{
	return a->total;
}
