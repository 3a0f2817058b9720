/* Answers of a Redis server. The callbacks run inside hiredis, so they use arena_try() and report a full
 * arena or a passed limit by NULL. Elements of an array lie side by side; the children are filled in where
 * they stand. */
#include "net/redis-reply.h"

#include <hiredis/read.h>
#include <stdlib.h>

#include "base/arena.h"

struct rdb_reader {
	redisReader *r;
	struct arena *mem;
	size_t max_bytes, max_elements;
	size_t bytes, elements; /* of the answer being read */
	const char *refused;    /* set by a callback that returned NULL */
};

static struct rdb_reader *
owner(const redisReadTask *t)
{
	return t->privdata;
}

/* Where the object of this task goes: into its parent's slot, or new. */
static struct rdb_reply *
slot(const redisReadTask *t, enum rdb_type type)
{
	struct rdb_reader *rd = owner(t);
	struct rdb_reply *o;

	if (t->parent != NULL) {
		const struct rdb_reply *up = t->parent->obj;
		o = (struct rdb_reply *)(uintptr_t)&up->elem[t->idx];
	} else if ((o = arena_try(rd->mem, sizeof *o)) == NULL) {
		rd->refused = "no memory left for the answer";
		return NULL;
	}
	*o = (struct rdb_reply){ .type = type };
	return o;
}

static void *
on_string(const redisReadTask *t, char *p, size_t n)
{
	const enum rdb_type type = t->type == REDIS_REPLY_STATUS  ? RDB_STATUS
	                           : t->type == REDIS_REPLY_ERROR ? RDB_ERROR
	                                                          : RDB_STRING;
	struct rdb_reply *o = slot(t, type);
	char *copy = o == NULL ? NULL : arena_try(owner(t)->mem, n + 1);

	if (copy == NULL) {
		owner(t)->refused = "no memory left for the answer";
		return NULL;
	}
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	o->str = (struct str){ copy, n };
	return o;
}

static void *
on_array(const redisReadTask *t, int n)
{
	struct rdb_reader *rd = owner(t);
	struct rdb_reply *o, *elem = NULL;

	if (n < 0 || (size_t)n > rd->max_elements - rd->elements) {
		rd->refused = "the answer has too many elements";
		return NULL;
	}
	rd->elements += (size_t)n;
	if ((o = slot(t, RDB_ARRAY)) == NULL)
		return NULL;
	if (n > 0 && (elem = arena_try(rd->mem, (size_t)n * sizeof *elem)) == NULL) {
		rd->refused = "no memory left for the answer";
		return NULL;
	}
	if (n > 0)
		memset(elem, 0, (size_t)n * sizeof *elem);
	o->elem = elem;
	o->n = (size_t)n;
	return o;
}

static void *
on_integer(const redisReadTask *t, long long v)
{
	struct rdb_reply *o = slot(t, RDB_INTEGER);

	if (o != NULL)
		o->integer = v;
	return o;
}

static void *
on_nil(const redisReadTask *t)
{
	return slot(t, RDB_NIL);
}

static void
on_free(void *o)
{
	(void)o; /* the arena's */
}

struct rdb_reader *
rdb_reader_new(size_t max_bytes, size_t max_elements)
{
	static redisReplyObjectFunctions fn = { on_string, on_array, on_integer, on_nil, on_free };
	struct rdb_reader *rd = calloc(1, sizeof *rd);

	if (rd == NULL)
		return NULL;
	rd->r = redisReaderCreateWithFunctions(&fn); /* only read by hiredis */
	if (rd->r == NULL) {
		free(rd);
		return NULL;
	}
	rd->r->privdata = rd;
	rd->max_bytes = max_bytes;
	rd->max_elements = max_elements;
	return rd;
}

void
rdb_reader_free(struct rdb_reader *rd)
{
	if (rd == NULL)
		return;
	redisReaderFree(rd->r);
	free(rd);
}

void
rdb_reader_target(struct rdb_reader *rd, struct arena *mem)
{
	rd->mem = mem;
	rd->bytes = rd->elements = 0;
}

const char *
rdb_reader_feed(struct rdb_reader *rd, const char *p, size_t n)
{
	if (n > rd->max_bytes - rd->bytes)
		return "the answer is too large";
	rd->bytes += n;
	return redisReaderFeed(rd->r, p, n) == REDIS_OK ? NULL : "no memory left for the answer";
}

const char *
rdb_reader_next(struct rdb_reader *rd, struct rdb_reply *out, bool *ready)
{
	void *o = NULL;

	rd->refused = NULL;
	if (redisReaderGetReply(rd->r, &o) != REDIS_OK)
		return rd->refused != NULL ? rd->refused : "the answer is not Redis protocol";
	*ready = o != NULL;
	if (o != NULL) {
		*out = *(const struct rdb_reply *)o;
		rd->elements = 0;
		rd->bytes = rd->r->len - rd->r->pos; /* what belongs to the next one */
	}
	return NULL;
}

bool
rdb_reader_is_empty(const struct rdb_reader *rd)
{
	return rd->r->len == rd->r->pos;
}
