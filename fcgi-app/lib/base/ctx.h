/* What any piece of work needs, be it a request or one slice of a job. One per thread, owned by the thread's loop. */
#ifndef KADE_BASE_CTX_H
#define KADE_BASE_CTX_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct arena;
struct conf;
struct counters;
struct db_conn;
struct db_pool;
struct log;

struct ctx {
	const struct conf *conf;     /* read-only after start */
	struct arena      *mem;      /* emptied when this piece of work ends */
	struct db_pool    *db;       /* of the process; db_exec() takes a connection for one statement */
	struct db_conn    *tx;       /* held between db_begin() and the commit; NULL outside */
	struct counters   *counters; /* shared mapping; NULL in tools */
	struct log        *log;      /* where lines go; NULL = standard error */
	struct err         err;      /* the last failure */
	int64_t            now_ms;   /* process clock at the start of this piece of work: logs, time-outs, token expiry; never stored */
	bool               audit_overflow; /* this month's audit partition is missing: rows go to audit_overflow */
	const char        *wake; /* channel of a job that gets work by this; told after the commit; NULL = none */
	unsigned           statements; /* sent to the database by this piece of work */
	char               sqlstate[6]; /* of the last failed statement; "" = none */
	char               id[17];   /* request or run id for every log line: 16 hex digits */
};
#endif
