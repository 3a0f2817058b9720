/* A loop of two threads behind a socket of its own: what the tests of the transport talk to. */
#ifndef KADE_TEST_FCGI_BENCH_H
#define KADE_TEST_FCGI_BENCH_H
#include <pthread.h>
#include <stdbool.h>

#include "fcgi-client.h"
#include "http/client-addr.h"
#include "http/fcgi.h"
#include "http/http-conf.h"
#include "http/loop.h"

struct bench {
	char dir[64], path[96];
	struct http_conf http;
	struct cidr proxy;
	struct fcgi_stop stop;
	struct loop_conf lc;
	pthread_t thread[2];
	struct fc_reply r;
};

#define PARAMS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Set-up and tear-down of a group: *state is a struct bench. */
int bench_open(void **state);
int bench_close(void **state);
/* A connection with a request begun on it, parameters complete. */
int bench_start(struct bench *b, int role, bool keep, const char *const *params);
#endif
