/* The life of a request: parameters → struct req → row → dispatcher → answer → counters and log lines. All memory of the
 * request goes at the end, whatever happened; an arena that is full ends the request, not the process. */
#include "http/loop.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/digest.h"
#include "base/log.h"
#include "http/access-log.h"
#include "http/fcgi.h"
#include "http/http-conf.h"
#include "http/incoming.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "http/uri.h"

#define HEAD_BYTES       ((size_t)256 << 10) /* until the row is known */
#define ROUTE_BYTES      ((size_t)512 << 10)
#define IO_TIMEOUT_S     300
#define ID_BYTES         8
#define TRIM_FROM        ((size_t)1 << 20) /* a request that used so much: its pages go back to the system */
#define CLIENT_SIZE_FROM ((int64_t)64 << 10) /* a full arena after so many body bytes is the client's doing */

static const struct say SAY_NO_PATH_V2 = { 404, "UNSUPPORTED", "no such path in this registry" };
static const struct say SAY_ROLE = { 501, "UNSUPPORTED", "This FastCGI role is not served" };
static const struct say SAY_HEAD_FULL = { 431, "INVALID_REQUEST", "The request's headers are too large" };

struct thread {
	struct loop_conf *lc;
	struct fcgi_conn *conn;
	struct ctx c;
	struct req rq;
	struct uri uri;
	jmp_buf full;
	struct arena_mark mark; /* behind it: what the handler made */
	bool marked;
	uint8_t id_pool[32 * ID_BYTES]; /* random; one system call for 32 requests */
	size_t id_left;
};

/* Taken from nothing outside: a client cannot forge or repeat an id. */
static void
new_id(struct thread *t)
{
	if (t->id_left == 0) {
		random_bytes(t->id_pool, sizeof t->id_pool);
		t->id_left = sizeof t->id_pool;
	}
	t->id_left -= ID_BYTES;
	hex_put(t->c.id, t->id_pool + t->id_left, ID_BYTES);
}

static void
begin(struct thread *t)
{
	struct ctx *c = &t->c;

	arena_reset(c->mem, HEAD_BYTES);
	arena_on_full(c->mem, &t->full);
	memset(&t->rq, 0, sizeof t->rq);
	t->marked = false;
	err_clear(c);
	c->tx = NULL;
	c->statements = 0;
	c->now_ms = clock_now_ms();
	new_id(t);
	t->rq.c = c;
	t->rq.app = t->lc->app;
	t->rq.http = t->lc->http;
	t->rq.conn = t->conn;
	t->rq.method_text = "";
	t->rq.content_length = -1;
	t->rq.res.length = -1;
	t->rq.start_us = clock_mono_us();
	t->rq.authorizer = fcgi_role(t->conn) == FCGI_AS_AUTHORIZER;
}

/* No row took the request. */
static void
without_row(struct req *rq)
{
	struct buf allow = BUF(rq->c->mem);

	if (rq->method == HTTP_OPTIONS && rq->allowed != 0) {
		router_put_methods(&allow, rq->allowed | HTTP_OPTIONS);
		res_empty(rq, 200);
		res_header_set(rq, "Allow", buf_str(&allow));
		return;
	}
	if (rq->allowed != 0 || (rq->method != HTTP_GET && rq->method != HTTP_HEAD))
		err_set(rq->c, ERR_UNSUPPORTED, "method %s has no row for this path", rq->method_text);
	else if (rq->proto == PROTO_V2)
		err_say(rq->c, ERR_NOT_FOUND, &SAY_NO_PATH_V2);
	else
		err_set(rq->c, ERR_NOT_FOUND, "no row for this path");
	res_problem(rq);
}

static void
work(struct thread *t)
{
	struct req *rq = &t->rq;
	struct fcgi_param *p;
	const size_t n = fcgi_params(t->conn, t->c.mem, &p);

	if (req_take(rq, p, n, &t->uri) != ERR_NONE) {
		res_problem(rq);
		return;
	}
	if (fcgi_role(t->conn) == FCGI_AS_FILTER) {
		err_say(&t->c, ERR_UNSUPPORTED, &SAY_ROLE);
		res_problem(rq);
		return;
	}
	router_match(t->lc->router, rq, &t->uri);
	t->mark = arena_mark(t->c.mem);
	t->marked = true;
	if (rq->route == NULL) {
		without_row(rq);
		return;
	}
	arena_set_limit(t->c.mem, arena_used(t->c.mem) +
	                              (rq->route->mem_bytes != 0 ? rq->route->mem_bytes : ROUTE_BYTES));
	t->lc->dispatch(rq);
	if (rq->res.status == 0 && !rq->res.sent) {
		if (t->c.err.kind == ERR_NONE)
			err_set(&t->c, ERR_BUG, "route %s gave no answer", rq->route->id);
		res_problem(rq);
	}
}

/* The memory is used up. What the handler made is released (an open transaction rolls back), then the answer is made. */
static void
over_memory(struct thread *t)
{
	struct req *rq = &t->rq;
	const bool sent = rq->res.sent;
	const int64_t out = rq->res.bytes_out;

	counters_add(t->c.counters, CNT_ARENA_FULL, 1);
	if (!t->marked) {
		arena_reset(t->c.mem, HEAD_BYTES);
		rq->n_headers = 0;
		rq->path = rq->query = rq->uri = rq->remote_addr = rq->user_agent = STR0;
		rq->method_text = "";
	} else {
		arena_rewind(t->c.mem, t->mark);
	}
	arena_set_limit(t->c.mem, arena_used(t->c.mem) + HEAD_BYTES);
	rq->ns = rq->repo = STR0;
	rq->load = NULL;
	memset(&rq->ident, 0, sizeof rq->ident);
	memset(&rq->facts, 0, sizeof rq->facts);
	rq->res = (struct res){ .length = -1,
		                .sent = sent,
		                .streamed = sent,
		                .bytes_out = out,
		                .status = sent ? rq->res.status : 0 };
	t->c.tx = NULL;
	if (!t->marked)
		err_say(&t->c, ERR_TOO_LARGE, &SAY_HEAD_FULL);
	else
		err_set(&t->c, rq->body_read >= CLIENT_SIZE_FROM ? ERR_TOO_LARGE : ERR_BUSY,
		        "the request needs more memory than its limit");
	res_problem(rq);
}

static void
record(struct thread *t)
{
	struct req *rq = &t->rq;
	struct counters *cs = t->c.counters;
	const int64_t took_us = clock_mono_us() - rq->start_us;
	uint64_t draw = 0;

	counters_add(cs, CNT_REQUESTS, 1);
	counters_add(cs, CNT_BYTES_IN, (uint64_t)rq->body_read);
	counters_add(cs, CNT_BYTES_OUT, (uint64_t)rq->res.bytes_out);
	counters_add(cs, CNT_STATEMENTS, t->c.statements);
	if (rq->res.broken || t->c.err.kind == ERR_CLIENT_GONE)
		counters_add(cs, CNT_CLIENT_GONE, 1);
	if (t->c.err.kind == ERR_RATE)
		counters_add(cs, CNT_RATE_LIMITED, 1);
	counters_route_add(cs, rq->route_index, rq->res.status, took_us);
	if (rq->res.status >= 500 && !access_is_refusal(&t->c.err))
		log_line(&t->c, LOG_LEVEL_ERROR, "%s %.*s: %d: %s", rq->method_text, STRF(rq->path),
		         rq->res.status, t->c.err.text);
	memcpy(&draw, t->c.id + 8, sizeof draw);
	if (access_wanted(rq->http, rq->res.status, took_us, draw * UINT64_C(0x9e3779b97f4a7c15) >> 20))
		access_line(t->lc->access, rq, took_us);
}

static void
serve(struct thread *t)
{
	struct req *rq = &t->rq;
	bool lost = false;

	begin(t);
	switch (setjmp(t->full)) {
	case 0:
		work(t);
		break;
	default:
		if (setjmp(t->full) == 0)
			over_memory(t);
		else
			lost = true; /* not even the answer fits */
	}
	if (!lost && setjmp(t->full) == 0)
		res_send(rq);
	else
		lost = true;
	if (!lost && res_is_whole(rq) && !rq->res.broken)
		fcgi_end(t->conn, req_body_left(rq));
	else
		fcgi_abort(t->conn);
	record(t);
	const bool was_large = arena_used(t->c.mem) >= TRIM_FROM;
	arena_reset(t->c.mem, HEAD_BYTES);
	if (was_large) /* the client has its answer; a JSON tree of 50,000 values leaves holes that malloc would keep */
		malloc_trim(0);
}

/* One more is done: true when the process has served its number. */
static bool
count_served(struct loop_conf *lc)
{
	return lc->max_requests > 0 && atomic_fetch_add(&lc->served, 1) + 1 >= lc->max_requests;
}

bool
loop_run(struct loop_conf *lc)
{
	/* On the heap by way of an arena of its own: the thread's stack is small. */
	struct arena *own = arena_new(0);
	struct thread *t = ARENA_NEW(own, struct thread);

	t->lc = lc;
	t->c = lc->base;
	t->c.mem = arena_new(HEAD_BYTES);
	t->conn = fcgi_new(lc->listen_fd, lc->stop,
	                   lc->http->io_timeout_s > 0 ? lc->http->io_timeout_s : IO_TIMEOUT_S);
	const bool ok = t->conn != NULL;
	while (ok && fcgi_wait(t->conn) == FCGI_EVENT_REQUEST) {
		counters_in_flight(lc->base.counters, lc->slot, 1);
		serve(t);
		counters_in_flight(lc->base.counters, lc->slot, -1);
		if (count_served(lc))
			fcgi_stop(lc->stop);
	}
	fcgi_free(t->conn);
	arena_free(t->c.mem);
	arena_free(own);
	return ok;
}
