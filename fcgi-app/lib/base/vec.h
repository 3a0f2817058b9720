/* A growing array in an arena: struct { T *v; size_t n, cap; } as a VEC(T) member or local; vec_push(mem, &vec, item). */
#ifndef KADE_BASE_VEC_H
#define KADE_BASE_VEC_H
#include <stddef.h>
#include <string.h>

#include "base/arena.h"

#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type  *v;                                                                                              \
		size_t n, cap;                                                                                         \
	}
#define vec_push(mem, vec, item)                                                                                       \
	do {                                                                                                           \
		if ((vec)->n == (vec)->cap)                                                                            \
			(vec)->v = vec_grow((mem), (vec)->v, &(vec)->cap, sizeof *(vec)->v);                           \
		(vec)->v[(vec)->n++] = (item);                                                                         \
	} while (0)

/* Doubles the capacity (8 at first) and moves the items. Given. */
static inline void *
vec_grow(struct arena *mem, const void *old, size_t *cap, size_t size)
{
	const size_t had = *cap;
	void        *p = arena_array(mem, had == 0 ? 8 : had * 2, size);

	if (had > 0)
		memcpy(p, old, had * size);
	*cap = had == 0 ? 8 : had * 2;
	return p;
}
#endif
