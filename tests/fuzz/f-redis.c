/* Fuzz target: the reader of Redis answers. The first two bytes choose the size of the pieces and the limits;
 * the rest is what a server sends. Whatever arrives, the replies must be well-formed and within the limits.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "net/redis-reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every byte that a reply claims to have; counts elements. */
static size_t
walk(const struct rdb_reply *r, int depth, unsigned *sum)
{
	size_t n = 0;

	assert(depth < 10);
	switch (r->type) {
	case RDB_STRING:
	case RDB_STATUS:
	case RDB_ERROR:
		assert(r->str.p != NULL && r->str.p[r->str.n] == '\0');
		for (size_t i = 0; i < r->str.n; i++)
			*sum += (unsigned char)r->str.p[i];
		break;
	case RDB_ARRAY:
		n = r->n;
		for (size_t i = 0; i < r->n; i++)
			n += walk(&r->elem[i], depth + 1, sum);
		break;
	case RDB_INTEGER:
	case RDB_NIL:
		break;
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const size_t step = 1 + data[0], elements = 4u * data[1];
	struct arena *mem = arena_new(1 << 20);
	struct rdb_reader *rd = rdb_reader_new(1 << 16, elements);
	const char *why = NULL;
	unsigned sum = 0;

	if (rd == NULL)
		abort();
	rdb_reader_target(rd, mem);
	for (size_t i = 2; i < size && why == NULL; i += step) {
		bool ready = true;
		why = rdb_reader_feed(rd, (const char *)data + i, step < size - i ? step : size - i);
		while (why == NULL && ready) {
			struct rdb_reply r;
			why = rdb_reader_next(rd, &r, &ready);
			if (why == NULL && ready)
				assert(walk(&r, 0, &sum) <= elements);
		}
	}
	rdb_reader_free(rd);
	arena_free(mem);
	return 0;
}
