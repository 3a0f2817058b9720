/* PostgreSQL: a small pool per process, statements that the build generated from sql/query, transactions, pipelines.
 * Parameters and results travel in binary form. A connection is held for one statement or one transaction, never over a
 * transfer, an HTTP call, the reading of a body or a sleep. */
#ifndef KADE_DB_DB_H
#define KADE_DB_DB_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "stmt.h" /* generated: enum stmt, first columns of sets */

struct conf;
struct ctx;
struct db_conn;
struct db_pool;

enum db_type { DB_NULL, DB_I64, DB_I32, DB_BOOL, DB_TEXT, DB_BYTES, DB_I64_ARRAY, DB_TEXT_ARRAY };
struct db_arg {
	enum db_type type;
	int64_t      i;           /* DB_I64, DB_I32, DB_BOOL */
	struct str   s;           /* DB_TEXT, DB_BYTES: borrowed until the call returns */
	const void  *v;           /* arrays: const int64_t[n] or const struct str[n] */
	size_t       n;
};
#define DB_ARGS_MAX 40
struct db_args {
	int           n;
	struct db_arg v[DB_ARGS_MAX];
};
static inline struct db_arg
db_null(void)
{
	return (struct db_arg){ .type = DB_NULL };
}
static inline struct db_arg
db_i64(int64_t v)
{
	return (struct db_arg){ .type = DB_I64, .i = v };
}
static inline struct db_arg
db_i64_or_null(int64_t v) /* 0 = NULL */
{
	return v == 0 ? db_null() : db_i64(v);
}
static inline struct db_arg
db_i32(int32_t v)
{
	return (struct db_arg){ .type = DB_I32, .i = v };
}
static inline struct db_arg
db_bool(bool v)
{
	return (struct db_arg){ .type = DB_BOOL, .i = v };
}
static inline struct db_arg
db_strn(struct str s) /* NULL pointer = NULL */
{
	return s.p == NULL ? db_null() : (struct db_arg){ .type = DB_TEXT, .s = s };
}
static inline struct db_arg
db_str(const char *s) /* NULL = NULL */
{
	return db_strn(str_of(s));
}
static inline struct db_arg
db_bytes(struct str s)
{
	return s.p == NULL ? db_null() : (struct db_arg){ .type = DB_BYTES, .s = s };
}
static inline struct db_arg
db_i64_array(const int64_t *v, size_t n)
{
	return (struct db_arg){ .type = DB_I64_ARRAY, .v = v, .n = n };
}
static inline struct db_arg
db_str_array(const struct str *v, size_t n)
{
	return (struct db_arg){ .type = DB_TEXT_ARRAY, .v = v, .n = n };
}
/* DB_ARGS(db_i64(x), db_str(y)): a compound literal for db_exec(). DB_NO_ARGS for none. */
#define DB_ARGS(...)                                                                                                   \
	(&(const struct db_args){ .n = (int)(sizeof((struct db_arg[]){ __VA_ARGS__ }) / sizeof(struct db_arg)),        \
	                          .v = { __VA_ARGS__ } })
#define DB_NO_ARGS (&(const struct db_args){ .n = 0 })
static inline void
db_args_add(struct db_args *a, struct db_arg v)
{
	a->v[a->n++] = v;
}

struct db_result {
	int     rows, cols;
	int64_t affected; /* rows that an INSERT, UPDATE or DELETE touched */
	void   *pg;       /* the PGresult, cleared with c->mem */
};

enum db_pooler { DB_POOLER_NONE, DB_POOLER_SESSION, DB_POOLER_TRANSACTION };
struct db_pool_conf {
	const char *const *keywords; /* libpq, NULL-terminated */
	const char *const *values;
	int                size;     /* connections at most */
	enum db_pooler     pooler;
	const char        *program;  /* application_name */
	int                statement_timeout_ms, lock_timeout_ms, connect_timeout_s;
};
/* Never connects by itself; connections open on first use. Taken by the caller (process lifetime). */
struct db_pool *db_pool_new(const struct db_pool_conf *pc);
void            db_pool_free(struct db_pool *p);
/* Marks every idle connection for closing, so that the next use connects anew. */
void db_pool_drop_idle(struct db_pool *p);

/* One statement in its own transaction (or in the open one). *out is borrowed: cleared with c->mem; may be NULL.
 * A lost connection is replaced once, when nothing can have been executed or the statement only reads.
 * Errors: ERR_DB (unavailable), ERR_BUSY (no connection in time), ERR_BUG (SQL error), or what db_sqlstate() says. */
enum err_kind db_exec(struct ctx *c, enum stmt s, const struct db_args *a, const struct db_result **out) MUST_CHECK;
/* The SQLSTATE of the last failure of this thread's statement ("" when there was none): "23505" = unique violation. */
const char *db_sqlstate(const struct ctx *c);

enum db_begin_flags { DB_TX_DEFAULT = 0, DB_TX_ASYNC_COMMIT = 1 }; /* async: synchronous_commit off */
/* Opens a transaction: BEGIN travels with the first statement. It rolls back with c->mem unless committed. */
enum err_kind db_begin(struct ctx *c, unsigned flags) MUST_CHECK;
enum err_kind db_commit(struct ctx *c) MUST_CHECK;
void          db_rollback(struct ctx *c);
static inline bool db_is_retryable(const char *sqlstate)
{
	return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

/* Queued statements of one transaction travel together: results in order, the first failure ends the rest. */
enum err_kind db_queue(struct ctx *c, enum stmt s, const struct db_args *a, const struct db_result **out) MUST_CHECK;
enum err_kind db_flush(struct ctx *c) MUST_CHECK;

/* A script of several statements in the simple protocol, for migrations and tools: own connection, not pooled. */
enum err_kind db_script(struct ctx *c, const char *sql) MUST_CHECK;

/* Cells. A NULL cell reads as 0, false, NULL or an empty slice. Borrowed from the result. */
bool        db_is_null(const struct db_result *r, int row, int col);
int64_t     db_get_i64(const struct db_result *r, int row, int col); /* int2, int4, int8 */
bool        db_get_bool(const struct db_result *r, int row, int col);
const char *db_get_str(const struct db_result *r, int row, int col); /* text; NUL-terminated; NULL when NULL */
struct str  db_get_strn(const struct db_result *r, int row, int col); /* text or bytea */

/* For main and the tools: a context for this thread over a pool. */
bool db_in_tx(const struct ctx *c);
#endif
