/* Two batches: threads fill one while the other is written. What could not be written stays and is tried again, so the room is
 * the bound of what a crash can lose. */
#include "model/pull-log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/log.h"
#include "db/db.h"
#include "model/audit.h"

#define BATCH_ROWS  1024
#define BATCH_BYTES ((size_t)512 << 10)
#define RETRY_MS    1000
#define WORK_BYTES  ((size_t)4 << 20) /* of the arena that a batch is sent from */
#define STACK_BYTES ((size_t)256 << 10)

struct slot { /* a row; its texts lie one after another in the batch's */
	int64_t  namespace_id, performer_id, repository_id, manifest_id, token_id, at_us;
	uint32_t ip, metadata, tag; /* lengths */
};
struct batch {
	size_t      n, used;
	struct slot slots[BATCH_ROWS];
	char        text[BATCH_BYTES];
};
struct pull_log {
	struct ctx      base;
	pthread_mutex_t lock; /* under it only copying */
	pthread_cond_t  wake, ended;
	pthread_t       thread;
	bool            has_thread, stop, is_done;
	struct batch   *fill, *out;
};

struct pull_log *
pull_log_new(const struct ctx *base)
{
	struct pull_log   *l = calloc(1, sizeof *l);
	pthread_condattr_t attr;

	if (l == NULL)
		return NULL;
	l->base = *base;
	l->base.mem = NULL;
	l->fill = calloc(1, sizeof *l->fill);
	l->out = calloc(1, sizeof *l->out);
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_cond_init(&l->ended, &attr);
	pthread_condattr_destroy(&attr);
	if (l->fill == NULL || l->out == NULL) {
		pull_log_free(l);
		return NULL;
	}
	return l;
}

void
pull_log_free(struct pull_log *l)
{
	if (l == NULL)
		return;
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	pthread_cond_destroy(&l->ended);
	free(l->fill);
	free(l->out);
	free(l);
}

/* ------------------------------------------------------------------------------------------------ writing */

struct columns { /* the arguments of audit_inbox_add */
	int64_t    *age_ms, *namespace_id, *performer_id, *repository_id, *manifest_id, *token_id;
	struct str *ip, *metadata, *tag;
};

static void
columns_make(struct arena *mem, size_t n, struct columns *x)
{
	x->age_ms = ARENA_ARRAY(mem, int64_t, n);
	x->namespace_id = ARENA_ARRAY(mem, int64_t, n);
	x->performer_id = ARENA_ARRAY(mem, int64_t, n);
	x->repository_id = ARENA_ARRAY(mem, int64_t, n);
	x->manifest_id = ARENA_ARRAY(mem, int64_t, n);
	x->token_id = ARENA_ARRAY(mem, int64_t, n);
	x->ip = ARENA_ARRAY(mem, struct str, n);
	x->metadata = ARENA_ARRAY(mem, struct str, n);
	x->tag = ARENA_ARRAY(mem, struct str, n);
}

static enum err_kind
insert(struct ctx *c, const struct columns *x, size_t first, size_t n)
{
	TRY(db_begin(c, DB_TX_ASYNC_COMMIT));
	enum err_kind e = db_queue(c, STMT_AUDIT_INBOX_ADD,
	                           DB_ARGS(db_i64_array(x->age_ms + first, n), db_i32(AUDIT_pull_repo), db_i64_array(x->namespace_id + first, n),
	                                   db_i64_array(x->performer_id + first, n), db_i64_array(x->repository_id + first, n),
	                                   db_str_array(x->ip + first, n), db_str_array(x->metadata + first, n),
	                                   db_i64_array(x->manifest_id + first, n), db_str_array(x->tag + first, n),
	                                   db_i64_array(x->token_id + first, n)),
	                           NULL);
	if (e == ERR_NONE)
		return db_commit(c);
	db_rollback(c);
	return e;
}

static void
columns_fill(const struct batch *b, struct columns *x)
{
	const int64_t now_us = clock_mono_us();
	const char   *p = b->text;

	for (size_t i = 0; i < b->n; i++) {
		const struct slot *s = &b->slots[i];
		x->age_ms[i] = (now_us - s->at_us) / 1000;
		x->namespace_id[i] = s->namespace_id;
		x->performer_id[i] = s->performer_id;
		x->repository_id[i] = s->repository_id;
		x->manifest_id[i] = s->manifest_id;
		x->token_id[i] = s->token_id;
		x->ip[i] = (struct str){ p, s->ip };
		p += s->ip;
		x->metadata[i] = (struct str){ p, s->metadata };
		p += s->metadata;
		x->tag[i] = (struct str){ p, s->tag };
		p += s->tag;
	}
}

/* Writes a batch; false: it stays, the database does not take it now. A row that the database refuses for what it holds
 * must not keep the others back: then each is tried by itself, and that one goes to the program's log. */
static bool
batch_write(struct ctx *c, struct batch *b)
{
	struct columns x;
	enum err_kind  e;

	columns_make(c->mem, b->n, &x);
	columns_fill(b, &x);
	e = insert(c, &x, 0, b->n);
	if (e == ERR_BUG) {
		for (size_t i = 0; i < b->n; i++) {
			e = insert(c, &x, i, 1);
			if (e == ERR_BUG)
				log_line(c, LOG_LEVEL_ERROR, "the log row of a pull cannot be stored: %s: %.*s", c->err.text, STRF(x.metadata[i]));
			else if (e != ERR_NONE)
				break; /* those before it are written twice: better than not at all */
		}
		e = e == ERR_BUG ? ERR_NONE : e;
	}
	if (e != ERR_NONE) {
		log_line(c, LOG_LEVEL_WARN, "%zu log rows of pulls wait: %s", b->n, c->err.text);
		return false;
	}
	b->n = b->used = 0;
	return true;
}

/* Waits on the lock until `until_us`, or until the log is to stop or `enough` rows are there. */
static void
wait_until(struct pull_log *l, int64_t until_us, size_t enough)
{
	const struct timespec t = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };

	while (!l->stop && l->fill->n < enough && pthread_cond_timedwait(&l->wake, &l->lock, &t) != ETIMEDOUT)
		;
}

/* The batch that is due, in l->out; false at the end. The lock is held before and after. */
static bool
next_batch(struct pull_log *l)
{
	while (l->fill->n == 0 && !l->stop)
		pthread_cond_wait(&l->wake, &l->lock);
	if (l->fill->n > 0)
		wait_until(l, l->fill->slots[0].at_us + PULL_LOG_DELAY_MS * 1000, BATCH_ROWS / 2);
	if (l->fill->n == 0)
		return false;
	struct batch *b = l->fill;
	l->fill = l->out;
	l->out = b;
	return true;
}

static void *
thread_main(void *arg)
{
	struct pull_log *l = arg;
	struct ctx       c = l->base;

	c.mem = arena_new(WORK_BYTES);
	pthread_mutex_lock(&l->lock);
	while (next_batch(l)) {
		for (bool written = false, last = false; !written && !last;) {
			last = l->stop; /* once more after that, then the rows are lost */
			pthread_mutex_unlock(&l->lock);
			written = batch_write(&c, l->out);
			arena_reset(c.mem, WORK_BYTES);
			pthread_mutex_lock(&l->lock);
			if (!written)
				wait_until(l, clock_mono_us() + RETRY_MS * 1000, SIZE_MAX);
		}
		if (l->out->n > 0)
			log_line(&c, LOG_LEVEL_ERROR, "%zu log rows of pulls are lost", l->out->n);
		l->out->n = l->out->used = 0;
	}
	l->is_done = true;
	pthread_cond_broadcast(&l->ended);
	pthread_mutex_unlock(&l->lock);
	arena_free(c.mem);
	return NULL;
}

bool
pull_log_start(struct pull_log *l)
{
	pthread_attr_t attr;
	int            e;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	e = pthread_create(&l->thread, &attr, thread_main, l);
	pthread_attr_destroy(&attr);
	l->has_thread = e == 0;
	errno = e;
	return l->has_thread;
}

bool
pull_log_stop(struct pull_log *l, int wait_ms)
{
	const int64_t         until_us = clock_mono_us() + (int64_t)wait_ms * 1000;
	const struct timespec t = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
	bool                  done;

	if (!l->has_thread)
		return true;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	while (!l->is_done && pthread_cond_timedwait(&l->ended, &l->lock, &t) != ETIMEDOUT)
		;
	done = l->is_done;
	pthread_mutex_unlock(&l->lock);
	if (done)
		pthread_join(l->thread, NULL);
	return done;
}

/* ------------------------------------------------------------------------------------------------- adding */

static char *
put(char *p, struct str s)
{
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

/* Copies the row; false when there is no room, or nobody would write it. */
static bool
take(struct pull_log *l, const struct pull_row *r, bool *wake)
{
	const size_t  bytes = r->ip.n + r->metadata.n + r->tag.n;
	struct batch *b;
	bool          ok;

	pthread_mutex_lock(&l->lock);
	b = l->fill;
	ok = l->has_thread && !l->stop && b->n < BATCH_ROWS && bytes <= BATCH_BYTES - b->used;
	if (ok) {
		char *p = b->text + b->used;
		b->slots[b->n++] = (struct slot){ .namespace_id = r->namespace_id, .performer_id = r->performer_id, .repository_id = r->repository_id,
			                          .manifest_id = r->manifest_id, .token_id = r->token_id, .at_us = clock_mono_us(), .ip = (uint32_t)r->ip.n,
			                          .metadata = (uint32_t)r->metadata.n, .tag = (uint32_t)r->tag.n };
		put(put(put(p, r->ip), r->metadata), r->tag);
		b->used += bytes;
		*wake = b->n == 1 || b->n == BATCH_ROWS / 2;
	}
	pthread_mutex_unlock(&l->lock);
	return ok;
}

enum err_kind
pull_log_add(struct ctx *c, struct pull_log *l, const struct pull_row *r)
{
	int64_t        age_ms = 0, ns = r->namespace_id, performer = r->performer_id, repo = r->repository_id, manifest = r->manifest_id,
	               token = r->token_id;
	struct str     ip = r->ip, metadata = r->metadata, tag = r->tag;
	struct columns one = { &age_ms, &ns, &performer, &repo, &manifest, &token, &ip, &metadata, &tag };
	bool           wake = false;

	if (l == NULL || !take(l, r, &wake))
		return insert(c, &one, 0, 1);
	if (wake)
		pthread_cond_signal(&l->wake);
	return ERR_NONE;
}
