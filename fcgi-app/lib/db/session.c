/* A held connection, in libpq's plain blocking mode. Serves kade-migrate and the jobs' frame. */
#include "db/session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "db/conn.h"

struct db_session {
	PGconn *pg;
};

enum err_kind
db_session_open(struct ctx *c, const struct db_pool_conf *pc, struct db_session **out)
{
	struct db_pool_conf direct = *pc;
	struct db_session *s;
	PGconn *pg;

	direct.pooler = DB_POOLER_NONE;
	TRY(db_connect(c, &direct, &pg));
	s = calloc(1, sizeof *s);
	if (s == NULL)
		abort();
	s->pg = pg;
	*out = s;
	return ERR_NONE;
}

void
db_session_close(struct db_session *s)
{
	if (s == NULL)
		return;
	PQfinish(s->pg);
	free(s);
}

int
db_session_server_version(const struct db_session *s)
{
	return PQserverVersion(s->pg);
}

bool
db_session_in_tx(const struct db_session *s)
{
	const PGTransactionStatusType t = PQtransactionStatus(s->pg);

	return t == PQTRANS_INTRANS || t == PQTRANS_INERROR;
}

/* Takes r. */
static enum err_kind
answer(struct ctx *c, const struct db_session *s, PGresult *r, const char *name, const struct db_result **out)
{
	struct db_result *res = db_result_new(c);
	int64_t n = 0;

	res->pg = r;
	c->sqlstate[0] = '\0';
	if (PQstatus(s->pg) != CONNECTION_OK)
		return err_set(c, ERR_DB, "%s: connection lost: %s", name, PQerrorMessage(s->pg));
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK &&
	    PQresultStatus(r) != PGRES_EMPTY_QUERY)
		return db_sql_failed(c, r, name);
	res->rows = PQntuples(r);
	res->cols = PQnfields(r);
	res->affected = str_to_i64(str_of(PQcmdTuples(r)), 0, INT64_MAX, &n) ? n : 0;
	if (out != NULL)
		*out = res;
	return ERR_NONE;
}

enum err_kind
db_session_exec(struct ctx *c, struct db_session *s, enum stmt st, const struct db_args *a,
                const struct db_result **out)
{
	const struct stmt_info *info = &stmt_table[st];
	const struct db_wire *w = db_encode(c, st, a);

	if (w == NULL)
		return err_set(c, ERR_BUG, "%s: %d arguments, %d given", info->name, info->nargs, a->n);
	return answer(c, s,
	              PQexecParams(s->pg, info->sql, w->n, info->oids, w->values, w->lengths, w->formats, 1),
	              info->name, out);
}

enum err_kind
db_session_script(struct ctx *c, struct db_session *s, const char *sql)
{
	PGresult *r = PQexec(s->pg, sql);
	const char *text = arena_copy(c->mem, PQresultErrorMessage(r), strlen(PQresultErrorMessage(r)) + 1);
	const enum err_kind e = answer(c, s, r, "script", NULL);

	if (e == ERR_NONE || text[0] == '\0')
		return e;
	const struct str why = str_trim(str_of(text));
	return err_set(c, e, "%.*s", STRF(why));
}

enum err_kind
db_session_ask(struct ctx *c, struct db_session *s, const char *sql, const struct db_result **out)
{
	return answer(c, s, PQexecParams(s->pg, sql, 0, NULL, NULL, NULL, NULL, 0), "question", out);
}

static bool
take_notifies(struct db_session *s)
{
	bool any = false;

	for (PGnotify *n; (n = PQnotifies(s->pg)) != NULL; any = true)
		PQfreemem(n);
	return any;
}

enum db_woken
db_session_wait(struct db_session *s, int fd, int timeout_ms)
{
	struct pollfd fds[2] = {
		{.fd = PQsocket(s->pg), .events = POLLIN},
                { .fd = fd,             .events = POLLIN}
	};

	if (take_notifies(s)) /* arrived with an earlier answer */
		return DB_WOKEN_NOTIFY;
	if (poll(fds, 2, timeout_ms) <= 0)
		return DB_WOKEN_NOT;
	if (fds[0].revents != 0) {
		if (PQconsumeInput(s->pg) == 0 || PQstatus(s->pg) != CONNECTION_OK)
			return DB_WOKEN_LOST;
		if (take_notifies(s))
			return DB_WOKEN_NOTIFY;
	}
	return fds[1].revents != 0 ? DB_WOKEN_FD : DB_WOKEN_NOT;
}
