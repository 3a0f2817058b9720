/* Inside lib/db only: one connection and what it remembers. */
#ifndef KADE_DB_CONN_H
#define KADE_DB_CONN_H
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"

struct db_item { /* one statement on its way */
	enum stmt          stmt;
	const char        *text; /* instead of stmt: BEGIN, COMMIT, ROLLBACK */
	const struct db_wire *wire;
	struct db_result  *out;  /* in c->mem, its destructor registered; NULL for text */
};
struct db_wire { /* arguments in libpq's form */
	int                n;
	const char *const *values;
	const int         *lengths;
	const int         *formats;
};
#define DB_ITEMS_MAX 128 /* a push by digest with 20 tags queues 90 */
struct db_conn {
	struct db_pool *pool;
	PGconn         *pg;         /* NULL = not connected */
	unsigned        generation; /* of the pool, when it was opened */
	bool            in_tx, begin_pending, async_commit, failed;
	int             n_items;    /* queued, not sent */
	struct db_item  items[DB_ITEMS_MAX];
	bool            prepared[STMT_COUNT];
};

/* Encodes arguments for a statement; everything in c->mem. */
const struct db_wire *db_encode(struct ctx *c, enum stmt s, const struct db_args *a);
/* A result to be filled; cleared with c->mem. */
struct db_result *db_result_new(struct ctx *c);

struct db_conn *db_pool_take(struct ctx *c);                    /* NULL: none in time, c->err is set */
void            db_pool_give(struct db_conn *k, bool broken);
enum err_kind   db_conn_ready(struct ctx *c, struct db_conn *k); /* connected and alive */
/* A new connection by these settings, in libpq's plain mode. *out taken. ERR_DB. */
enum err_kind   db_connect(struct ctx *c, const struct db_pool_conf *pc, PGconn **out);
/* Sets c->sqlstate and the failure that a result speaks of; name: the statement's. */
enum err_kind   db_sql_failed(struct ctx *c, const PGresult *r, const char *name);
enum db_pooler  db_pool_pooler(const struct db_pool *p);
int             db_pool_statement_ms(const struct db_pool *p); /* the server's limit for one statement */
#endif
