/* Statements and transactions. Every connection stays in libpq's pipeline mode: one statement is a pipeline of one, BEGIN
 * travels with the first statement of a transaction, queued statements and COMMIT travel together. */
#include <errno.h>
#include <poll.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "db/conn.h"

#define CLIENT_GRACE_MS 5000 /* beyond the server's statement_timeout: then the connection counts as lost */

static const char TEXT_COMMIT[] = "COMMIT";

/* When a server that answers nothing has had its time for one statement. */
static int64_t
deadline(const struct db_conn *k)
{
	return clock_mono_us() + (int64_t)(db_pool_statement_ms(k->pool) + CLIENT_GRACE_MS) * 1000;
}

/* Waits until the socket may go on; false on time-out or error. */
static bool
wait_socket(PGconn *pg, short events, int64_t deadline_us)
{
	for (;;) {
		const int64_t left_ms = (deadline_us - clock_mono_us()) / 1000;
		struct pollfd fd = { .fd = PQsocket(pg), .events = events };
		int           n;

		if (left_ms <= 0)
			return false;
		n = poll(&fd, 1, (int)left_ms);
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

static bool
flush_out(PGconn *pg, int64_t deadline_us)
{
	int n;

	while ((n = PQflush(pg)) == 1) {
		if (!wait_socket(pg, POLLIN | POLLOUT, deadline_us) || PQconsumeInput(pg) == 0)
			return false;
	}
	return n == 0;
}

/* The next result, or NULL at the end of one statement's results. *lost when the connection is gone. */
static PGresult *
next_result(PGconn *pg, int64_t deadline_us, bool *lost)
{
	while (PQisBusy(pg)) {
		if (!wait_socket(pg, POLLIN, deadline_us) || PQconsumeInput(pg) == 0) {
			*lost = true;
			return NULL;
		}
	}
	return PQgetResult(pg);
}

static bool
send_item(struct db_conn *k, const struct db_item *it)
{
	const struct stmt_info *s = &stmt_table[it->stmt];
	const struct db_wire   *w = it->wire;

	if (it->text != NULL)
		return PQsendQueryParams(k->pg, it->text, 0, NULL, NULL, NULL, NULL, 0) == 1;
	if (db_pool_pooler(k->pool) == DB_POOLER_TRANSACTION)
		return PQsendQueryParams(k->pg, s->sql, w->n, s->oids, w->values, w->lengths, w->formats, 1) == 1;
	if (!k->prepared[it->stmt] && PQsendPrepare(k->pg, s->name, s->sql, s->nargs, s->oids) != 1)
		return false;
	return PQsendQueryPrepared(k->pg, s->name, w->n, w->values, w->lengths, w->formats, 1) == 1;
}

enum err_kind
db_sql_failed(struct ctx *c, const PGresult *r, const char *name)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	snprintf(c->sqlstate, sizeof c->sqlstate, "%s", state == NULL ? "" : state);
	/* 08: connection, 53: resources, 57: operator (shutdown, cancel by time-out), 25006: read-only standby */
	if (strncmp(c->sqlstate, "08", 2) == 0 || strncmp(c->sqlstate, "53", 2) == 0 || strncmp(c->sqlstate, "57", 2) == 0 ||
	    strcmp(c->sqlstate, "25006") == 0 || strcmp(c->sqlstate, "55P03") == 0)
		return err_set(c, ERR_DB, "%s: %s [%s]", name, text == NULL ? "?" : text, c->sqlstate);
	if (db_is_retryable(c->sqlstate))
		return err_set(c, ERR_BUSY, "%s: %s [%s]", name, text == NULL ? "?" : text, c->sqlstate);
	return err_set(c, ERR_BUG, "%s: %s [%s]", name, text == NULL ? PQresultErrorMessage(r) : text, c->sqlstate);
}

/* Reads one command's results (a prepare or an execution) up to its NULL. */
static enum err_kind
read_command(struct ctx *c, struct db_conn *k, const char *name, int64_t deadline_us, PGresult **keep)
{
	enum err_kind e = ERR_NONE;
	bool          lost = false;
	PGresult     *r;

	while ((r = next_result(k->pg, deadline_us, &lost)) != NULL) {
		const ExecStatusType st = PQresultStatus(r);
		if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK) {
			if (keep != NULL && *keep == NULL) {
				*keep = r;
				continue;
			}
		} else if (st == PGRES_PIPELINE_ABORTED) {
			if (c->err.kind == ERR_NONE)
				err_set(c, ERR_DB, "%s: not executed", name);
			e = c->err.kind;
		} else {
			e = db_sql_failed(c, r, name);
		}
		PQclear(r);
	}
	if (lost || PQstatus(k->pg) != CONNECTION_OK) {
		k->failed = true;
		return err_set(c, ERR_DB, "%s: connection lost: %s", name, PQerrorMessage(k->pg));
	}
	return e;
}

static void
fill(struct db_result *out, PGresult *r)
{
	int64_t n = 0;

	out->pg = r;
	out->rows = PQntuples(r);
	out->cols = PQnfields(r);
	out->affected = str_to_i64(str_of(PQcmdTuples(r)), 0, INT64_MAX, &n) ? n : 0;
}

static enum err_kind
read_items(struct ctx *c, struct db_conn *k, const bool *prepares)
{
	enum err_kind first = ERR_NONE;

	for (int i = 0; i < k->n_items; i++) {
		const struct db_item *it = &k->items[i];
		const char           *name = it->text != NULL ? it->text : stmt_table[it->stmt].name;
		PGresult             *r = NULL;
		enum err_kind         e = ERR_NONE;

		if (prepares[i]) {
			e = read_command(c, k, name, deadline(k), NULL);
			if (e == ERR_NONE)
				k->prepared[it->stmt] = true;
		}
		if (!k->failed) {
			const enum err_kind x = read_command(c, k, name, deadline(k), &r);
			e = e != ERR_NONE ? e : x;
		}
		/* COMMIT of a transaction in which something failed succeeds, and says that it rolled back. */
		if (e == ERR_NONE && it->text == TEXT_COMMIT && r != NULL && strcmp(PQcmdStatus(r), TEXT_COMMIT) != 0)
			e = err_set(c, ERR_BUG, "commit of a transaction that had failed");
		if (r != NULL && it->out != NULL)
			fill(it->out, r);
		else
			PQclear(r);
		if (first == ERR_NONE)
			first = e;
		if (k->failed)
			return first;
	}
	/* The sync point ends the pipeline. */
	bool      lost = false;
	PGresult *sync = next_result(k->pg, deadline(k), &lost);
	if (sync == NULL || PQresultStatus(sync) != PGRES_PIPELINE_SYNC) {
		k->failed = true;
		if (first == ERR_NONE)
			first = err_set(c, ERR_DB, "pipeline out of step");
	}
	PQclear(sync);
	return first;
}

/* Sends everything queued, reads everything back. k->failed afterwards: the connection cannot be used again. */
static enum err_kind
run_items(struct ctx *c, struct db_conn *k)
{
	bool prepares[DB_ITEMS_MAX] = { false };
	bool sent = true;

	err_clear(c);
	c->sqlstate[0] = '\0';
	for (int i = 0; sent && i < k->n_items; i++) {
		const struct db_item *it = &k->items[i];
		prepares[i] = it->text == NULL && db_pool_pooler(k->pool) != DB_POOLER_TRANSACTION && !k->prepared[it->stmt];
		sent = send_item(k, it);
		if (prepares[i])
			k->prepared[it->stmt] = true; /* a second use in the same pipeline does not prepare again */
		if (it->text == NULL)
			c->statements++;
	}
	if (!sent || PQpipelineSync(k->pg) != 1 || !flush_out(k->pg, deadline(k))) {
		k->failed = true;
		k->n_items = 0;
		return err_set(c, ERR_DB, "send: %s", PQerrorMessage(k->pg));
	}
	for (int i = 0; i < k->n_items; i++)
		if (prepares[i])
			k->prepared[k->items[i].stmt] = false;
	const enum err_kind e = read_items(c, k, prepares);
	k->n_items = 0;
	return e;
}

static enum err_kind
add_item(struct ctx *c, struct db_conn *k, const struct db_item *it)
{
	if (k->n_items == DB_ITEMS_MAX)
		return err_set(c, ERR_BUG, "more than %d statements queued", DB_ITEMS_MAX);
	k->items[k->n_items++] = *it;
	return ERR_NONE;
}

/* One statement outside a transaction. */
static enum err_kind
exec_alone(struct ctx *c, const struct db_item *it)
{
	for (int attempt = 0;; attempt++) {
		struct db_conn *k = db_pool_take(c);
		enum err_kind   e;
		bool            lost;

		if (k == NULL)
			return c->err.kind;
		/* What only reads is sent without a look whether the server has left: it is sent again if so. */
		e = k->pg != NULL && attempt == 0 && stmt_table[it->stmt].reads ? ERR_NONE : db_conn_ready(c, k);
		if (e != ERR_NONE) {
			db_pool_give(k, true);
			return e;
		}
		k->n_items = 0;
		k->items[k->n_items++] = *it;
		e = run_items(c, k);
		lost = k->failed;
		db_pool_give(k, lost);
		if (!lost || attempt > 0 || !stmt_table[it->stmt].reads)
			return e;
	}
}

static enum err_kind
make_item(struct ctx *c, enum stmt s, const struct db_args *a, struct db_item *it)
{
	it->stmt = s;
	it->wire = db_encode(c, s, a);
	if (it->wire == NULL)
		return err_set(c, ERR_BUG, "%s: %d arguments, %d given", stmt_table[s].name, stmt_table[s].nargs, a->n);
	it->out = db_result_new(c);
	return ERR_NONE;
}

static enum err_kind
begin_now(struct ctx *c, struct db_conn *k)
{
	if (!k->begin_pending)
		return ERR_NONE;
	k->begin_pending = false;
	TRY(add_item(c, k, &(struct db_item){ .text = "BEGIN" }));
	return k->async_commit ? add_item(c, k, &(struct db_item){ .text = "SET LOCAL synchronous_commit = off" }) : ERR_NONE;
}

enum err_kind
db_queue(struct ctx *c, enum stmt s, const struct db_args *a, const struct db_result **out)
{
	struct db_item it = { 0 };

	if (c->tx == NULL)
		return err_set(c, ERR_BUG, "%s queued outside a transaction", stmt_table[s].name);
	TRY(make_item(c, s, a, &it));
	TRY(begin_now(c, c->tx));
	TRY(add_item(c, c->tx, &it));
	if (out != NULL)
		*out = it.out;
	return ERR_NONE;
}

enum err_kind
db_flush(struct ctx *c)
{
	if (c->tx == NULL)
		return err_set(c, ERR_BUG, "flush outside a transaction");
	if (c->tx->failed)
		return err_set(c, ERR_DB, "the connection was lost");
	return c->tx->n_items == 0 ? ERR_NONE : run_items(c, c->tx);
}

enum err_kind
db_exec(struct ctx *c, enum stmt s, const struct db_args *a, const struct db_result **out)
{
	struct db_item it = { 0 };

	if (c->tx != NULL) {
		const struct db_result *r;
		TRY(db_queue(c, s, a, &r));
		TRY(db_flush(c));
		if (out != NULL)
			*out = r;
		return ERR_NONE;
	}
	TRY(make_item(c, s, a, &it));
	TRY(exec_alone(c, &it));
	if (out != NULL)
		*out = it.out;
	return ERR_NONE;
}

static void
rollback_with_work(void *p)
{
	db_rollback(p);
}

enum err_kind
db_begin(struct ctx *c, unsigned flags)
{
	struct db_conn *k;
	enum err_kind   e;

	if (c->tx != NULL)
		return err_set(c, ERR_BUG, "a transaction inside a transaction");
	arena_defer(c->mem, rollback_with_work, c);
	k = db_pool_take(c);
	e = k == NULL ? c->err.kind : db_conn_ready(c, k);
	if (e != ERR_NONE) {
		if (k != NULL)
			db_pool_give(k, true);
		arena_undefer(c->mem, rollback_with_work, c);
		return e;
	}
	k->in_tx = k->begin_pending = true;
	k->async_commit = (flags & DB_TX_ASYNC_COMMIT) != 0;
	c->tx = k;
	return ERR_NONE;
}

static void
end_tx(struct ctx *c)
{
	struct db_conn *k = c->tx;

	c->tx = NULL;
	arena_undefer(c->mem, rollback_with_work, c);
	db_pool_give(k, k->failed);
}

enum err_kind
db_commit(struct ctx *c)
{
	struct db_conn *k = c->tx;
	enum err_kind   e;

	if (k == NULL)
		return err_set(c, ERR_BUG, "commit outside a transaction");
	if (k->begin_pending) { /* nothing was done */
		end_tx(c);
		return ERR_NONE;
	}
	e = k->failed ? err_set(c, ERR_DB, "the connection was lost") : add_item(c, k, &(struct db_item){ .text = TEXT_COMMIT });
	if (e == ERR_NONE)
		e = run_items(c, k);
	if (e != ERR_NONE) {
		const struct err kept = c->err; /* the rollback must not replace the reason */
		char             state[sizeof c->sqlstate];
		memcpy(state, c->sqlstate, sizeof state);
		db_rollback(c);
		c->err = kept;
		memcpy(c->sqlstate, state, sizeof state);
		return e;
	}
	end_tx(c);
	return ERR_NONE;
}

void
db_rollback(struct ctx *c)
{
	struct db_conn *k = c->tx;

	if (k == NULL)
		return;
	if (!k->begin_pending && !k->failed) {
		const struct err kept = c->err;
		k->n_items = 0;
		k->items[k->n_items++] = (struct db_item){ .text = "ROLLBACK" };
		if (run_items(c, k) != ERR_NONE)
			k->failed = true;
		c->err = kept;
	}
	end_tx(c);
}

bool
db_in_tx(const struct ctx *c)
{
	return c->tx != NULL;
}

const char *
db_sqlstate(const struct ctx *c)
{
	return c->sqlstate;
}
