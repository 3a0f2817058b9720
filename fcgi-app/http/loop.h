/* What each thread of a worker runs: one request at a time from accept to last byte. */
#ifndef KADE_HTTP_LOOP_H
#define KADE_HTTP_LOOP_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"

struct app;
struct fcgi_stop;
struct http_conf;
struct req;
struct router;

/* Of the process; all threads share it. */
struct loop_conf {
	struct ctx base; /* conf, db, counters, log: copied into each thread's own context */
	const struct http_conf *http;
	const struct router *router;
	struct app *app;
	struct log *access;
	int listen_fd;
	struct fcgi_stop *stop;
	int slot;             /* of the process gauges; -1 = none */
	int64_t max_requests; /* of the process, then it stops; 0 = no end */
	_Atomic int64_t served;
	void (*dispatch)(struct req *rq);
};

/* Serves until lc->stop is set and the running request is done. False when the thread could not begin. */
bool loop_run(struct loop_conf *lc);
#endif
