/* A pool ends and another takes its place: no request is lost. Real processes. */
#include "process-bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Asks without a pause, each request on a connection of its own, until told to stop. */
struct asker {
	pthread_t id;
	const char *sock;
	_Atomic bool stop;
	int good, bad;
};

static void *
ask_on(void *arg)
{
	struct asker *a = arg;
	struct fc_reply *r = calloc(1, sizeof *r);

	while (!atomic_load(&a->stop)) {
		if (fc_ask(a->sock, "GET", "/api/v1/show", NULL, r) && r->status == 200)
			a->good++;
		else
			a->bad++;
	}
	free(r);
	return NULL;
}

/* The second pool takes the socket while requests come all the time: none is lost, those that run end in the first. */
static void
socket_is_taken_over(void **state)
{
	struct bench *b = *state;
	struct asker a[4] = { 0 };
	char pid_file[128];
	int status;

	snprintf(pid_file, sizeof pid_file, "%s/pid", b->dir);
	pid_t first = start(b, FLAGS("--workers", "2", "--threads", "2", "--pid-file", pid_file));
	AWAIT(shows(b, "first.example"));
	for (size_t i = 0; i < sizeof a / sizeof *a; i++) {
		a[i].sock = b->sock;
		assert_int_equal(pthread_create(&a[i].id, NULL, ask_on, &a[i]), 0);
	}
	for (int turn = 0; turn < 5; turn++) {
		const int fd = half_an_upload(b);
		AWAIT(fc_ask(b->sock, "GET", "/v2/", NULL, &b->r));
		const pid_t second = start(
		    b, FLAGS("--workers", "2", "--threads", "2", "--take-over", "--pid-file", pid_file));
		AWAIT(shows(b, "first.example") && is_child_of((pid_t)member(&b->r, "pid"), second));
		assert_int_equal(waitpid(first, NULL, WNOHANG), 0); /* the upload is not done */
		finish_upload(b, fd);
		assert_int_equal(waitpid(first, &status, 0), first);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		first = second;
	}
	for (size_t i = 0; i < sizeof a / sizeof *a; i++) {
		atomic_store(&a[i].stop, true);
		pthread_join(a[i].id, NULL);
		assert_int_equal(a[i].bad, 0);
		assert_true(a[i].good > 0);
	}
	assert_int_equal(read_number(pid_file), b->pid);
	stop(b, SIGTERM, 0);
	assert_int_equal(access(pid_file, F_OK), -1);
	assert_int_equal(access(b->sock, F_OK), -1);
}

/* A pool that cannot begin takes nothing. */
static void
failed_take_over_changes_nothing(void **state)
{
	struct bench *b = *state;
	int status;

	const pid_t first = start(b, FLAGS("--workers", "1", "--threads", "1"));
	AWAIT(shows(b, "first.example"));
	configure(b, "not a host");
	const pid_t second = start(b, FLAGS("--workers", "1", "--threads", "1", "--take-over"));
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_int_equal(WEXITSTATUS(status), 1);
	b->pid = first;
	assert_true(shows(b, "first.example"));
	stop(b, SIGTERM, 0);
}

/* What waits in the socket when TERM comes is served: one thread is busy, three requests wait. */
static void
waiting_requests_are_served_at_the_end(void **state)
{
	struct bench *b = *state;
	int wait[3], status;

	start(b, FLAGS("--workers", "1", "--threads", "1"));
	AWAIT(shows(b, "first.example"));
	const int fd = half_an_upload(b);
	AWAIT(log_has(b, "ready: 1 workers"));
	for (int i = 0; i < 3; i++) {
		wait[i] = fc_connect(b->sock);
		assert_true(wait[i] >= 0);
		assert_true(fc_begin(wait[i], FC_RESPONDER, false));
		assert_true(fc_params(wait[i], (const char *const[]){ "REQUEST_METHOD", "GET", "REQUEST_URI",
		                                                      "/api/v1/show", NULL }));
		assert_true(fc_body(wait[i], NULL, 0));
	}
	assert_int_equal(kill(b->pid, SIGTERM), 0);
	AWAIT(log_has(b, "stopping: 1 workers finish"));
	assert_int_equal(access(b->sock, F_OK), -1);
	finish_upload(b, fd);
	for (int i = 0; i < 3; i++) {
		fc_reply(wait[i], &b->r);
		close(wait[i]);
		assert_int_equal(b->r.status, 200);
	}
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(socket_is_taken_over),
		T(failed_take_over_changes_nothing),
		T(waiting_requests_are_served_at_the_end),
	};

	return cmocka_run_group_tests_name("http/takeover", tests, NULL, NULL);
}
