/* One connection to a Redis server: transport, log-in, Sentinel. How a client finds the master: ask the
 * sentinels one after another, connect to what the first one names, and believe it only when ROLE says
 * master. */
#include "net/redis-conn.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "net/redis-reply.h"
#include "net/stream.h"

#define READ_BYTES 16384
#define LOGIN_ARGS 4

struct rdb_conn {
	struct stream *s;
	struct rdb_reader *reader;
	char peer[280];
};

void
rdb_conn_close(struct rdb_conn *conn)
{
	if (conn == NULL)
		return;
	stream_close(conn->s);
	rdb_reader_free(conn->reader);
	free(conn);
}

bool
rdb_conn_is_quiet(struct rdb_conn *conn)
{
	return stream_is_quiet(conn->s);
}

const char *
rdb_conn_peer(const struct rdb_conn *conn)
{
	return conn->peer;
}

static enum rdb_result
failed(const struct rdb_exchange *x, enum rdb_result r, const char *why)
{
	snprintf(x->fault, RDB_FAULT_BYTES, "%s", why);
	return r;
}

/* Takes the whole answers that have arrived; *got counts them. */
static enum rdb_result
take_answers(struct rdb_conn *conn, const struct rdb_exchange *x, size_t *got)
{
	bool ready = true;

	while (*got < x->n && ready) {
		const char *why = rdb_reader_next(conn->reader, &x->outs[*got], &ready);
		if (why != NULL)
			return failed(x, RDB_GARBAGE, why);
		*got += ready ? 1 : 0;
	}
	return RDB_DONE;
}

enum rdb_result
rdb_conn_exchange(struct rdb_conn *conn, const struct rdb_exchange *x)
{
	char chunk[READ_BYTES];
	size_t sent = 0, got = 0, n = 0;
	enum stream_result r = stream_write(conn->s, x->wire, x->deadline_us, &sent);

	if (r != STREAM_OK)
		return failed(x,
		              r == STREAM_TIMEOUT ? RDB_TIMEOUT
		              : sent == 0         ? RDB_UNSENT
		                                  : RDB_FAILED,
		              stream_fault(conn->s));
	rdb_reader_target(conn->reader, x->mem);
	while (got < x->n) {
		const char *why;
		r = stream_read(conn->s, chunk, sizeof chunk, x->deadline_us, &n);
		if (r != STREAM_OK)
			return failed(x, r == STREAM_TIMEOUT ? RDB_TIMEOUT : RDB_FAILED,
			              stream_fault(conn->s));
		if ((why = rdb_reader_feed(conn->reader, chunk, n)) != NULL)
			return failed(x, RDB_GARBAGE, why);
		const enum rdb_result taken = take_answers(conn, x, &got);
		if (taken != RDB_DONE)
			return taken;
	}
	if (!rdb_reader_is_empty(conn->reader))
		return failed(x, RDB_GARBAGE, "the server sent more than the answers");
	return RDB_DONE;
}

struct login { /* one hop: a sentinel or a server */
	const struct rdb_dial *d;
	struct arena *mem;
	int64_t deadline_us;
	char *fault;
};

/* One command during log-in. False: fault says why; arguments never appear in it. */
static bool
ask(struct rdb_conn *conn, const struct login *l, size_t n, const struct str argv[], struct rdb_reply *out)
{
	const char *v[LOGIN_ARGS];
	size_t lens[LOGIN_ARGS];
	char *wire = NULL;

	for (size_t i = 0; i < n; i++) {
		v[i] = argv[i].p;
		lens[i] = argv[i].n;
	}
	const int len = redisFormatCommandArgv(&wire, (int)n, v, lens);
	if (len < 0) {
		snprintf(l->fault, RDB_FAULT_BYTES, "out of memory");
		return false;
	}
	const enum rdb_result r = rdb_conn_exchange(conn, &(struct rdb_exchange){
	                                                      .wire = {wire, (size_t)len},
	                                                      .n = 1,
	                                                      .outs = out,
	                                                      .mem = l->mem,
	                                                      .deadline_us = l->deadline_us,
	                                                      .fault = l->fault
        });
	explicit_bzero(wire, (size_t)len);
	redisFreeCommand(wire);
	if (r != RDB_DONE)
		return false;
	if (out->type == RDB_ERROR) {
		snprintf(l->fault, RDB_FAULT_BYTES, "%.*s refused: %.150s", STRF(argv[0]), out->str.p);
		return false;
	}
	return true;
}

static bool
log_in(struct rdb_conn *conn, const struct login *l, const char *user, const char *password)
{
	struct rdb_reply r;

	if (password == NULL && user == NULL)
		return true;
	const struct str argv[] = { STR("AUTH"), str_of(user), str_of(password == NULL ? "" : password) };
	if (user != NULL)
		return ask(conn, l, 3, argv, &r);
	return ask(conn, l, 2, (const struct str[]){ argv[0], argv[2] }, &r);
}

/* Connected, not yet logged in. */
static struct rdb_conn *
dial(const struct login *l, const struct stream_target *to)
{
	struct rdb_conn *conn = calloc(1, sizeof *conn);
	char why[STREAM_FAULT_BYTES] = "out of memory";

	if (conn == NULL)
		return NULL;
	if (to->unix_path != NULL)
		snprintf(conn->peer, sizeof conn->peer, "%s", to->unix_path);
	else
		snprintf(conn->peer, sizeof conn->peer, "%s:%u", to->host, to->port);
	conn->reader = rdb_reader_new(l->d->conf.max_reply_bytes, l->d->conf.max_reply_elements);
	if (conn->reader != NULL)
		conn->s = stream_open(to, l->deadline_us, why);
	if (conn->s == NULL) {
		snprintf(l->fault, RDB_FAULT_BYTES, "%.120s: %.110s", conn->peer, why);
		rdb_conn_close(conn);
		return NULL;
	}
	return conn;
}

static bool
prepare(struct rdb_conn *conn, const struct login *l)
{
	const struct rdb_conf *k = &l->d->conf;
	struct rdb_reply r;
	char db[16];

	if (!log_in(conn, l, k->username, k->password))
		return false;
	if (k->client_name != NULL &&
	    !ask(conn, l, 3, (const struct str[]){ STR("CLIENT"), STR("SETNAME"), str_of(k->client_name) },
	         &r))
		return false;
	snprintf(db, sizeof db, "%d", k->db);
	if (k->db != 0 && !ask(conn, l, 2, (const struct str[]){ STR("SELECT"), str_of(db) }, &r))
		return false;
	if (k->n_sentinels == 0)
		return true;
	if (!ask(conn, l, 1, (const struct str[]){ STR("ROLE") }, &r))
		return false;
	if (r.type == RDB_ARRAY && r.n > 0 && r.elem[0].type == RDB_STRING &&
	    str_eq(r.elem[0].str, STR("master")))
		return true;
	snprintf(l->fault, RDB_FAULT_BYTES, "%.200s is not a master", conn->peer);
	return false;
}

static struct rdb_conn *
open_server(const struct login *l, const struct stream_target *to)
{
	struct rdb_conn *conn = dial(l, to);

	if (conn == NULL || prepare(conn, l))
		return conn;
	rdb_conn_close(conn);
	return NULL;
}

/* Asks one sentinel where the master is. */
static bool
ask_sentinel(const struct login *l, const struct rdb_node *node, struct stream_target *to)
{
	const struct rdb_conf *k = &l->d->conf;
	const struct stream_target at = { .host = node->host,
		                          .port = node->port,
		                          .tls = k->sentinel_ssl ? l->d->tls : NULL };
	struct rdb_conn *conn = dial(l, &at);
	struct rdb_reply r;
	int64_t port = 0;

	if (conn == NULL)
		return false;
	const bool ok = log_in(conn, l, k->sentinel_username, k->sentinel_password) &&
	                ask(conn, l, 3,
	                    (const struct str[]){ STR("SENTINEL"), STR("get-master-addr-by-name"),
	                                          str_of(k->sentinel_master) },
	                    &r);
	rdb_conn_close(conn);
	if (!ok)
		return false;
	if (r.type != RDB_ARRAY || r.n != 2 || r.elem[0].type != RDB_STRING || r.elem[1].type != RDB_STRING ||
	    r.elem[0].str.n == 0 || r.elem[0].str.n > 255 || !str_to_i64(r.elem[1].str, 1, 65535, &port)) {
		snprintf(l->fault, RDB_FAULT_BYTES, "sentinel %.120s knows no master \"%.80s\"", node->host,
		         k->sentinel_master);
		return false;
	}
	*to = (struct stream_target){ .host = r.elem[0].str.p,
		                      .port = (uint16_t)port,
		                      .tls = k->ssl ? l->d->tls : NULL };
	return true;
}

static struct rdb_conn *
open_by_sentinel(const struct login *all, unsigned *first)
{
	const unsigned n = (unsigned)all->d->conf.n_sentinels;
	char fault[RDB_FAULT_BYTES] = ""; /* of the master: says more than a sentinel that is away */

	for (unsigned i = 0; i < n; i++) {
		const unsigned at = (*first + i) % n;
		struct stream_target to;
		struct login hop = *all;
		/* a sentinel that hangs may use up only its share; the master gets at least as much */
		const int64_t now = clock_mono_us();
		hop.deadline_us = now + (all->deadline_us - now) / (int64_t)(n - i + 1);
		if (!ask_sentinel(&hop, &all->d->conf.sentinels[at], &to))
			continue;
		const int64_t later = clock_mono_us();
		hop.deadline_us = later + (all->deadline_us - later) / (int64_t)(n - i);
		struct rdb_conn *conn = open_server(&hop, &to);
		if (conn != NULL) {
			*first = at;
			return conn;
		}
		memcpy(fault, all->fault, sizeof fault);
	}
	if (fault[0] != '\0')
		memcpy(all->fault, fault, sizeof fault);
	return NULL;
}

struct rdb_conn *
rdb_conn_open(const struct rdb_dial *d, struct arena *mem, unsigned *first_sentinel, int64_t deadline_us,
              char *fault)
{
	const struct rdb_conf *k = &d->conf;
	const struct login l = { .d = d, .mem = mem, .deadline_us = deadline_us, .fault = fault };
	const struct stream_target to = { .unix_path = k->unix_socket_path,
		                          .host = k->node.host,
		                          .port = k->node.port,
		                          .tls = k->ssl ? d->tls : NULL };

	snprintf(fault, RDB_FAULT_BYTES, "out of memory");
	return k->n_sentinels > 0 ? open_by_sentinel(&l, first_sentinel) : open_server(&l, &to);
}
