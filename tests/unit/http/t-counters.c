/* The counters' file: shared, kept, remade for another layout; slots of processes that were killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/counters.h"

struct bench {
	char dir[64], path[96];
};

static int
open_bench(void **state)
{
	static struct bench b;

	snprintf(b.dir, sizeof b.dir, "/tmp/kade-t-counters-XXXXXX");
	if (mkdtemp(b.dir) == NULL)
		return -1;
	snprintf(b.path, sizeof b.path, "%s/counters", b.dir);
	*state = &b;
	return 0;
}

static int
close_bench(void **state)
{
	struct bench *b = *state;
	char lock[128];

	snprintf(lock, sizeof lock, "%s.lock", b->path);
	unlink(b->path);
	unlink(lock);
	return rmdir(b->dir);
}

static struct counters *
map(const struct bench *b)
{
	struct counters *cs = NULL;
	char why[200] = "";

	if (!counters_open(b->path, &cs, why, sizeof why))
		fail_msg("%s", why);
	return cs;
}

static void
processes_share_and_values_stay(void **state)
{
	struct counters *a = map(*state), *other = map(*state);
	struct stat st;

	counters_add(a, CNT_REQUESTS, 5);
	counters_add(other, CNT_REQUESTS, 7);
	assert_int_equal(counters_get(a, CNT_REQUESTS), 12);
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			for (int k = 0; k < 10000; k++)
				counters_add(a, CNT_REQUESTS, 1);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	assert_int_equal(counters_get(other, CNT_REQUESTS), 40012);
	counters_close(a);
	counters_close(other);
	a = map(*state);
	assert_int_equal(counters_get(a, CNT_REQUESTS), 40012);
	counters_close(a);
	assert_int_equal(stat(((struct bench *)*state)->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_blocks * 512 >= st.st_size); /* nothing is left to allocate */
}

static void
another_layout_makes_another_file(void **state)
{
	struct bench *b = *state;
	struct counters *old = map(b);
	const uint32_t version = 999;

	counters_add(old, CNT_REQUESTS, 3);
	const int fd = open(b->path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &version, sizeof version, 8), sizeof version);
	close(fd);
	struct counters *fresh = map(b);
	assert_int_equal(counters_get(fresh, CNT_REQUESTS), 0);
	counters_add(old, CNT_REQUESTS, 1); /* the old mapping stays usable */
	assert_int_equal(counters_get(fresh, CNT_REQUESTS), 0);
	counters_close(old);
	counters_close(fresh);
	/* a cut file, and no file at all but a link */
	assert_int_equal(truncate(b->path, 100), 0);
	fresh = map(b);
	counters_add(fresh, CNT_REQUESTS, 1);
	counters_close(fresh);
	assert_int_equal(unlink(b->path), 0);
	assert_int_equal(symlink("/dev/null", b->path), 0);
	char why[200];
	assert_false(counters_open(b->path, &fresh, why, sizeof why));
}

static void
routes_by_name(void **state)
{
	struct counters *a = map(*state), *b = map(*state);
	struct route_counts rc;
	char name[32];

	const unsigned x = counters_route(a, "x"), y = counters_route(a, "y");
	assert_int_equal(counters_route(b, "y"), y);
	assert_int_equal(counters_route(b, "x"), x);
	assert_int_not_equal(x, y);
	assert_int_not_equal(x, 0);
	counters_route_add(a, x, 200, 900);
	counters_route_add(b, x, 404, 3000);
	counters_route_add(b, x, 599, 70000000);
	assert_true(counters_route_get(a, x, &rc));
	assert_string_equal(rc.id, "x");
	assert_int_equal(rc.by_class[1], 1);
	assert_int_equal(rc.by_class[3], 1);
	assert_int_equal(rc.by_class[4], 1);
	assert_int_equal(rc.bucket[0], 1);
	assert_int_equal(rc.bucket[2], 1);
	assert_int_equal(rc.bucket[COUNTERS_BUCKETS - 1], 1);
	assert_int_equal(rc.sum_us, 70003900);
	for (int i = 0; i < 2000; i++) { /* a full table counts under "other" */
		snprintf(name, sizeof name, "r%d", i);
		counters_route(a, name);
	}
	assert_int_equal(counters_route(a, "one more"), 0);
	assert_int_equal(counters_route(a, "x"), x);
	counters_close(a);
	counters_close(b);
}

static void
series_by_name(void **state)
{
	struct counters *a = map(*state), *b = map(*state);
	const char *name;
	int64_t v;

	counters_bump(a, "kade_job_runs_total{job=\"x\",exit=\"0\"}", 2);
	counters_bump(b, "kade_job_runs_total{job=\"x\",exit=\"0\"}", 3);
	counters_series_set(a, counters_series(a, "kade_job_backlog{job=\"x\"}"), -4);
	assert_true(counters_series_get(b, 0, &name, &v));
	assert_string_equal(name, "kade_job_runs_total{job=\"x\",exit=\"0\"}");
	assert_int_equal(v, 5);
	assert_true(counters_series_get(b, 1, &name, &v));
	assert_int_equal(v, -4);
	assert_false(counters_series_get(b, 2, &name, &v));
	counters_bump(NULL, "x", 1); /* tools have no counters */
	counters_close(a);
	counters_close(b);
}

static void
regions(void **state)
{
	struct counters *a = map(*state), *b = map(*state);
	unsigned char *p = counters_region(a, REGION_LOGIN_THROTTLE, REGION_LOGIN_THROTTLE_BYTES);
	unsigned char *q = counters_region(b, REGION_LOGIN_THROTTLE, 100);

	assert_non_null(p);
	assert_int_equal(p[REGION_LOGIN_THROTTLE_BYTES - 1], 0);
	p[7] = 42;
	assert_int_equal(q[7], 42);
	assert_null(counters_region(a, REGION_RATE_BUCKETS, REGION_RATE_BUCKETS_BYTES + 1));
	counters_close(a);
	counters_close(b);
}

/* The gauge of a process that was killed vanishes with it, whether a parent reaps it or nobody does. */
static void
killed_processes_leave_nothing(void **state)
{
	struct counters *cs = map(*state);
	struct process_gauges g;
	int ready[2], pos;
	char byte;

	for (int reaped = 0; reaped < 2; reaped++) {
		assert_int_equal(pipe(ready), 0);
		const pid_t pid = fork();
		if (pid == 0) {
			const int slot = counters_process_begin(cs, "api", 4);
			counters_in_flight(cs, slot, 1);
			counters_in_flight(cs, slot, 1);
			counters_in_flight(cs, slot, -1);
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
		pos = 0;
		assert_true(counters_process_next(cs, &pos, &g));
		assert_int_equal(g.pid, pid);
		assert_int_equal(g.in_flight, 1);
		assert_int_equal(g.requests, 1);
		assert_int_equal(g.threads, 4);
		assert_string_equal(g.pool, "api");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (reaped)
			counters_process_reap(cs, pid);
		pos = 0;
		assert_false(counters_process_next(cs, &pos, &g));
		close(ready[0]);
		close(ready[1]);
	}
	const int slot = counters_process_begin(cs, "transfer", 1);
	assert_int_equal(slot, 0); /* taken over */
	pos = 0;
	assert_true(counters_process_next(cs, &pos, &g));
	assert_int_equal(g.in_flight, 0);
	counters_process_end(cs, slot);
	counters_close(cs);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)
int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(processes_share_and_values_stay),
		T(another_layout_makes_another_file),
		T(routes_by_name),
		T(series_by_name),
		T(regions),
		T(killed_processes_leave_nothing),
	};

	return cmocka_run_group_tests_name("http/counters", tests, NULL, NULL);
}
