/* The pool: a few connections per process, opened on first use, handed to one thread at a time. Under its lock there is
 * only copying. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/ctx.h"
#include "db/conn.h"

#define WAIT_S 5 /* for a connection; then ERR_BUSY */

struct db_pool {
	struct db_pool_conf conf;
	char                timeouts[128];
	pthread_mutex_t     lock;
	pthread_cond_t      free_one;
	unsigned            generation;
	int                 n_free;
	struct db_conn    **free; /* newest last: the warmest goes out first */
	struct db_conn     *all;
};

struct db_pool *
db_pool_new(const struct db_pool_conf *pc)
{
	struct db_pool    *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;

	if (p == NULL)
		abort();
	p->conf = *pc;
	p->all = calloc((size_t)pc->size, sizeof *p->all);
	p->free = calloc((size_t)pc->size, sizeof(struct db_conn *));
	if (p->all == NULL || p->free == NULL)
		abort();
	for (int i = 0; i < pc->size; i++) {
		p->all[i].pool = p;
		p->free[p->n_free++] = &p->all[i];
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->free_one, &attr);
	pthread_condattr_destroy(&attr);
	return p;
}

void
db_pool_free(struct db_pool *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < p->conf.size; i++)
		PQfinish(p->all[i].pg);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->free_one);
	free(p->free);
	free(p->all);
	free(p);
}

void
db_pool_drop_idle(struct db_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->generation++;
	pthread_mutex_unlock(&p->lock);
}

enum db_pooler
db_pool_pooler(const struct db_pool *p)
{
	return p->conf.pooler;
}

int
db_pool_statement_ms(const struct db_pool *p)
{
	return p->conf.statement_timeout_ms > 0 ? p->conf.statement_timeout_ms : 60000;
}

struct db_conn *
db_pool_take(struct ctx *c)
{
	struct db_pool *p = c->db;
	struct db_conn *k = NULL;
	struct timespec until;
	unsigned        generation;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&p->lock);
	while (p->n_free == 0 && pthread_cond_timedwait(&p->free_one, &p->lock, &until) == 0)
		;
	if (p->n_free > 0)
		k = p->free[--p->n_free];
	generation = p->generation;
	pthread_mutex_unlock(&p->lock);
	if (k == NULL) {
		err_set(c, ERR_BUSY, "no database connection free within %d s", WAIT_S);
		return NULL;
	}
	if (k->pg != NULL && k->generation != generation) {
		PQfinish(k->pg);
		k->pg = NULL;
	}
	k->generation = generation;
	return k;
}

void
db_pool_give(struct db_conn *k, bool broken)
{
	struct db_pool *p = k->pool;

	if (broken && k->pg != NULL) {
		PQfinish(k->pg);
		k->pg = NULL;
	}
	k->in_tx = k->begin_pending = k->async_commit = k->failed = false;
	k->n_items = 0;
	pthread_mutex_lock(&p->lock);
	p->free[p->n_free++] = k;
	pthread_cond_signal(&p->free_one);
	pthread_mutex_unlock(&p->lock);
}

static void
no_notices(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r;
}

enum err_kind
db_connect(struct ctx *c, const struct db_pool_conf *pc, PGconn **out)
{
	const char *kw[64], *val[64];
	char        options[160], connect_timeout[16];
	int         n = 0;
	PGconn     *pg;

	while (pc->keywords[n] != NULL && n < 56) {
		kw[n] = pc->keywords[n];
		val[n] = pc->values[n];
		n++;
	}
	snprintf(connect_timeout, sizeof connect_timeout, "%d", pc->connect_timeout_s > 0 ? pc->connect_timeout_s : 5);
	kw[n] = "connect_timeout";
	val[n++] = connect_timeout;
	kw[n] = "client_encoding";
	val[n++] = "UTF8";
	if (pc->program != NULL) {
		kw[n] = "application_name";
		val[n++] = pc->program;
	}
	if (pc->pooler == DB_POOLER_NONE) { /* poolers refuse start-up options: there the role's own settings count */
		snprintf(options, sizeof options, "-c statement_timeout=%d -c lock_timeout=%d -c jit=off -c plan_cache_mode=force_generic_plan",
		         pc->statement_timeout_ms, pc->lock_timeout_ms);
		kw[n] = "options";
		val[n++] = options;
	}
	kw[n] = val[n] = NULL;
	pg = PQconnectdbParams(kw, val, 0);
	if (PQstatus(pg) != CONNECTION_OK) {
		err_set(c, ERR_DB, "connect: %s", pg == NULL ? "out of memory" : PQerrorMessage(pg));
		PQfinish(pg);
		return ERR_DB;
	}
	PQsetNoticeReceiver(pg, no_notices, NULL);
	*out = pg;
	return ERR_NONE;
}

static enum err_kind
connect_now(struct ctx *c, struct db_conn *k)
{
	memset(k->prepared, 0, sizeof k->prepared);
	k->pg = NULL;
	TRY(db_connect(c, &k->pool->conf, &k->pg));
	if (PQsetnonblocking(k->pg, 1) != 0 || PQenterPipelineMode(k->pg) != 1) {
		err_set(c, ERR_DB, "pipeline mode: %s", PQerrorMessage(k->pg));
		PQfinish(k->pg);
		k->pg = NULL;
		return ERR_DB;
	}
	return ERR_NONE;
}

/* The server says nothing to an idle connection but good-bye (a FATAL message, then the end), or that a setting changed: either
 * way a new connection is cheaper than a statement of which nobody knows whether it was executed. Over TLS a record without
 * data may be there, so it is read first. */
static bool
has_been_left(PGconn *pg)
{
	struct pollfd fd = { .fd = PQsocket(pg), .events = POLLIN };

	if (poll(&fd, 1, 0) <= 0)
		return false;
	if (PQsslInUse(pg) == 0 || PQconsumeInput(pg) == 0 || PQstatus(pg) != CONNECTION_OK)
		return true;
	return poll(&fd, 1, 0) > 0;
}

enum err_kind
db_conn_ready(struct ctx *c, struct db_conn *k)
{
	if (k->pg != NULL && has_been_left(k->pg)) {
		PQfinish(k->pg);
		k->pg = NULL;
	}
	return k->pg != NULL ? ERR_NONE : connect_now(c, k);
}

enum err_kind
db_script(struct ctx *c, const char *sql)
{
	struct db_conn k = { .pool = c->db };
	enum err_kind  e = connect_now(c, &k);
	PGresult      *r;

	if (e != ERR_NONE)
		return e;
	PQexitPipelineMode(k.pg);
	PQsetnonblocking(k.pg, 0);
	r = PQexec(k.pg, sql);
	c->sqlstate[0] = '\0';
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_EMPTY_QUERY) {
		const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
		snprintf(c->sqlstate, sizeof c->sqlstate, "%s", state == NULL ? "" : state);
		e = err_set(c, ERR_DB, "%s", PQresultErrorMessage(r));
	}
	PQclear(r);
	PQfinish(k.pg);
	return e;
}
