/* The loop that the tests of the transport talk to. */
#include "fcgi-bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/log.h"
#include "fixture.h"
#include "http/router.h"
#include "signals.h"

static void *
run(void *arg)
{
	return loop_run(arg) ? arg : NULL;
}

static int
listening(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

int
bench_open(void **state)
{
	static const struct route *const TABLES[] = { FIXTURE_ROUTES, NULL };
	struct bench *b = calloc(1, sizeof *b);
	char why[256];

	signals_block();
	assert_true(fcgi_init());
	snprintf(b->dir, sizeof b->dir, "/tmp/kade-t-fcgi-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof b->path, "%s/s", b->dir);
	assert_true(cidr_parse(STR("10.0.0.0/8"), &b->proxy));
	b->http = (struct http_conf){ .scheme = "https",
		                      .host = "reg.example",
		                      .mount = "",
		                      .trusted = &b->proxy,
		                      .n_trusted = 1,
		                      .access = ACCESS_ALL,
		                      .io_timeout_s = 1 };
	b->stop.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->lc.base.counters = counters_anonymous();
	b->lc.base.log = log_open("/dev/null", "t", LOG_LEVEL_DEBUG);
	b->lc.access = b->lc.base.log;
	b->lc.http = &b->http;
	struct router *r = router_build(TABLES, why, sizeof why);
	assert_non_null(r);
	router_count(r, b->lc.base.counters);
	b->lc.router = r;
	b->lc.listen_fd = listening(b->path);
	b->lc.stop = &b->stop;
	b->lc.slot = counters_process_begin(b->lc.base.counters, "api", 2);
	b->lc.dispatch = fixture_dispatch;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&b->thread[i], NULL, run, &b->lc), 0);
	*state = b;
	return 0;
}

int
bench_close(void **state)
{
	struct bench *b = *state;
	void *ended;

	fcgi_stop(&b->stop);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(b->thread[i], &ended), 0);
		assert_non_null(ended);
	}
	close(b->lc.listen_fd);
	close(b->stop.event_fd);
	counters_close(b->lc.base.counters);
	log_close(b->lc.base.log);
	router_free((struct router *)(uintptr_t)b->lc.router);
	unlink(b->path);
	rmdir(b->dir);
	free(b);
	return 0;
}

int
bench_start(struct bench *b, int role, bool keep, const char *const *params)
{
	const int fd = fc_connect(b->path);

	assert_true(fd >= 0);
	assert_true(fc_begin(fd, role, keep));
	assert_true(fc_params(fd, params));
	return fd;
}
