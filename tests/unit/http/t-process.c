/* Real processes: start, restart, reload, drain, reopen, death of worker and parent. Waiting is for a condition, with a limit
 * that only a failure reaches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcgi-client.h"

#define TRIES 400 /* of 25 ms */

struct bench {
	char dir[64], sock[96], conf[96], log[96], program[4096];
	pid_t pid; /* of the parent, or of the managed process */
	struct fc_reply r;
};

static void
tick(void)
{
	poll(NULL, 0, 25);
}

#define AWAIT(condition)                                                                                     \
	do {                                                                                                 \
		int tries_ = TRIES;                                                                          \
		while (!(condition) && tries_-- > 0)                                                         \
			tick();                                                                              \
		assert_true(tries_ >= 0);                                                                    \
	} while (0)

static void
configure(const struct bench *b, const char *host)
{
	char tmp[128];
	FILE *f;

	snprintf(tmp, sizeof tmp, "%s.new", b->conf);
	f = fopen(tmp, "we");
	assert_non_null(f);
	fprintf(f,
	        "SERVER_HOSTNAME: %s\nSECRET_KEY: 0b61e1d6-3d0a-4c8e-9a51-5f0f3c1f7a42\n"
	        "DATABASE_SECRET_KEY: 48a0f7c2-6d0b-4b0a-8a45-0b7a4b6f9f02\n"
	        "DB_URI: postgresql://kade@127.0.0.1:1/kade\n"
	        "DISTRIBUTED_STORAGE_CONFIG:\n  default: [LocalStorage, {storage_path: %s/blobs}]\n"
	        "DISTRIBUTED_STORAGE_PREFERENCE: [default]\n"
	        "KADE:\n  STATE_DIR: %s\n  LOG: %s\n  LOG_LEVEL: debug\n  ACCESS_LOG: all\n",
	        host, b->dir, b->dir, b->log);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(tmp, b->conf), 0);
}

static bool
log_has(const struct bench *b, const char *text)
{
	static char all[1 << 20];
	const int fd = open(b->log, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0, k;

	if (fd < 0)
		return false;
	while (n < (ssize_t)sizeof all - 1 && (k = read(fd, all + n, sizeof all - 1 - (size_t)n)) > 0)
		n += k;
	close(fd);
	all[n] = '\0';
	return strstr(all, text) != NULL;
}

static void
run_program(const struct bench *b, const char *const *more)
{
	const char *argv[24] = { b->program, "--config", b->conf };
	char where[128];
	int n = 3;

	snprintf(where, sizeof where, "unix:%s", b->sock);
	for (; *more != NULL; more++)
		argv[n++] = *more;
	argv[n++] = "--listen";
	argv[n++] = where;
	argv[n] = NULL;
	execv(b->program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static pid_t
start(struct bench *b, const char *const *more)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_program(b, more);
	}
	b->pid = pid;
	return pid;
}

#define FLAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static int
open_bench(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	const char *top = getenv("top_builddir");

	snprintf(b->program, sizeof b->program, "%s/tests/unit/http/fixture.fcgi", top == NULL ? "." : top);
	snprintf(b->dir, sizeof b->dir, "/tmp/kade-t-process-XXXXXX");
	if (mkdtemp(b->dir) == NULL)
		return -1;
	snprintf(b->sock, sizeof b->sock, "%s/s", b->dir);
	snprintf(b->conf, sizeof b->conf, "%s/config.yaml", b->dir);
	snprintf(b->log, sizeof b->log, "%s/log", b->dir);
	configure(b, "first.example");
	*state = b;
	return 0;
}

static int
close_bench(void **state)
{
	static const char *const NAMES[] = { "s",        "config.yaml",   "log", "log.1",
		                             "counters", "counters.lock", "pid" };
	struct bench *b = *state;
	char path[128];

	if (b->pid > 0) { /* a test failed: nothing stays behind */
		kill(b->pid, SIGKILL);
		waitpid(b->pid, NULL, 0);
	}
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
		snprintf(path, sizeof path, "%s/%s", b->dir, NAMES[i]);
		unlink(path);
	}
	rmdir(b->dir);
	free(b);
	return 0;
}

static void
stop(struct bench *b, int sig, int want)
{
	int status;

	assert_int_equal(kill(b->pid, sig), 0);
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

static int64_t
member(const struct fc_reply *r, const char *name)
{
	char key[64];
	const char *p;

	snprintf(key, sizeof key, "\"%s\":", name);
	p = strstr(r->body, key);
	return p == NULL ? -1 : strtoll(p + strlen(key), NULL, 10);
}

static bool
shows(struct bench *b, const char *host)
{
	char want[128];

	snprintf(want, sizeof want, "\"base\":\"http://%s\"", host);
	return fc_ask(b->sock, "GET", "/api/v1/show", NULL, &b->r) && strstr(b->r.body, want) != NULL;
}

static int
half_an_upload(struct bench *b)
{
	const int fd = fc_connect(b->sock);

	assert_true(fd >= 0);
	assert_true(fc_begin(fd, FC_RESPONDER, false));
	assert_true(
	    fc_params(fd, (const char *const[]){ "REQUEST_METHOD", "PUT", "REQUEST_URI",
	                                         "/v2/a/b/blobs/uploads/x", "CONTENT_LENGTH", "20", NULL }));
	assert_true(fc_body(fd, "0123456789", 10));
	return fd;
}

/* Some thread is in the middle of a request: as /metrics of another thread says. */
static bool
is_busy(struct bench *b, int in_flight)
{
	int n = 0;

	if (!fc_ask(b->sock, "GET", "/metrics", NULL, &b->r))
		return false;
	for (const char *p = b->r.body; (p = strstr(p, "\nkade_worker_requests_in_flight{")) != NULL; p++)
		n += (int)strtol(strchr(p, '}') + 1, NULL, 10);
	return n == in_flight + 1; /* and the question itself */
}

static void
finish_upload(struct bench *b, int fd)
{
	assert_true(fc_body(fd, "abcdefghij", 10));
	assert_true(fc_body(fd, NULL, 0));
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 201);
	assert_int_equal(member(&b->r, "bytes"), 20);
}

static void
starts_and_stops(void **state)
{
	struct bench *b = *state;
	struct stat st;
	char pid_file[128], text[16] = "";

	snprintf(pid_file, sizeof pid_file, "%s/pid", b->dir);
	start(b, FLAGS("--workers", "2", "--threads", "2", "--pid-file", pid_file));
	AWAIT(shows(b, "first.example"));
	AWAIT(log_has(b, "ready: 2 workers, 2 threads each"));
	assert_int_equal(stat(b->sock, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	const int fd = open(pid_file, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	assert_int_equal(strtol(text, NULL, 10), b->pid);
	stop(b, SIGTERM, 0);
	assert_int_equal(stat(b->sock, &st), -1);
	assert_int_equal(stat(pid_file, &st), -1);
}

static void
killed_worker_is_replaced(void **state)
{
	struct bench *b = *state;

	start(b, FLAGS("--workers", "1", "--threads", "2"));
	AWAIT(shows(b, "first.example"));
	const int64_t old = member(&b->r, "pid");
	assert_true(old > 1);
	/* in the middle of a request, whose gauge must not stay behind */
	const int fd = half_an_upload(b);
	AWAIT(is_busy(b, 1));
	assert_int_equal(kill((pid_t)old, SIGKILL), 0);
	fc_reply(fd, &b->r);
	close(fd);
	assert_false(b->r.ended);
	AWAIT(shows(b, "first.example"));
	assert_int_not_equal(member(&b->r, "pid"), old);
	AWAIT(is_busy(b, 0));
	AWAIT(log_has(b, "was ended by signal 9 (Killed)"));
	stop(b, SIGTERM, 0);
}

static void
drain_finishes_what_runs(void **state)
{
	struct bench *b = *state;

	start(b, FLAGS("--workers", "1", "--threads", "2"));
	AWAIT(shows(b, "first.example"));
	const int fd = half_an_upload(b);
	AWAIT(is_busy(b, 1));
	assert_int_equal(kill(b->pid, SIGTERM), 0);
	AWAIT(log_has(b, "stopping: 1 workers finish their running requests"));
	assert_int_equal(waitpid(b->pid, NULL, WNOHANG), 0);
	finish_upload(b, fd);
	int status;
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	assert_int_equal(status, 0);
}

static void
drain_has_a_limit(void **state)
{
	struct bench *b = *state;
	int status;

	start(b, FLAGS("--workers", "1", "--threads", "2", "--drain-timeout", "1"));
	AWAIT(shows(b, "first.example"));
	int fd = half_an_upload(b);
	AWAIT(is_busy(b, 1));
	stop(b, SIGTERM, 0);
	close(fd);
	assert_true(log_has(b, "were still running after 1 s and are cut off"));
	/* and a second signal does not wait for it */
	start(b, FLAGS("--workers", "1", "--threads", "2"));
	AWAIT(shows(b, "first.example"));
	fd = half_an_upload(b);
	AWAIT(is_busy(b, 1));
	assert_int_equal(kill(b->pid, SIGTERM), 0);
	AWAIT(log_has(b, "stopping: 1 workers finish"));
	AWAIT(kill(b->pid, SIGTERM) == 0 && waitpid(b->pid, &status, WNOHANG) == b->pid);
	b->pid = 0;
	close(fd);
	assert_int_equal(status, 0);
}

static void
reload_replaces_without_a_gap(void **state)
{
	struct bench *b = *state;

	start(b, FLAGS("--workers", "2", "--threads", "2"));
	AWAIT(shows(b, "first.example"));
	const int fd = half_an_upload(b);
	AWAIT(is_busy(b, 1));
	configure(b, "second.example");
	assert_int_equal(kill(b->pid, SIGHUP), 0);
	for (int i = 0; !log_has(b, "reload: done") && i < TRIES; i++) /* somebody answers all the time */
		assert_true(fc_ask(b->sock, "GET", "/v2/", NULL, &b->r));
	AWAIT(shows(b, "second.example"));
	finish_upload(b, fd); /* by the old worker */
	stop(b, SIGTERM, 0);
}

static void
bad_configuration_changes_nothing(void **state)
{
	struct bench *b = *state;

	start(b, FLAGS("--workers", "2", "--threads", "2"));
	AWAIT(shows(b, "first.example"));
	configure(b, "not a host");
	/* no signal: the file's time is enough */
	AWAIT(log_has(b, "the new configuration is refused, the old one stays in use"));
	AWAIT(log_has(b, "SERVER_HOSTNAME"));
	assert_true(shows(b, "first.example"));
	/* a worker that dies meanwhile comes back with the old one */
	assert_int_equal(kill((pid_t)member(&b->r, "pid"), SIGKILL), 0);
	AWAIT(log_has(b, "it will be replaced"));
	AWAIT(shows(b, "first.example"));
	configure(b, "third.example");
	AWAIT(shows(b, "third.example"));
	stop(b, SIGTERM, 0);
}

static void
bad_start_says_why(void **state)
{
	struct bench *b = *state;
	int status;

	configure(b, "not a host");
	start(b, FLAGS("--workers", "1"));
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void
logs_are_reopened(void **state)
{
	struct bench *b = *state;
	char old[128];
	struct stat st;

	start(b, FLAGS("--workers", "2", "--threads", "1"));
	AWAIT(shows(b, "first.example"));
	snprintf(old, sizeof old, "%s.1", b->log);
	assert_int_equal(rename(b->log, old), 0);
	assert_int_equal(kill(b->pid, SIGUSR2), 0);
	AWAIT(log_has(b, "logs reopened"));
	/* the workers write there too, all of them: the old file stands still from now on */
	AWAIT(fc_ask(b->sock, "GET", "/v2/", NULL, &b->r) && log_has(b, "\"path\":\"/v2/\""));
	assert_int_equal(stat(old, &st), 0);
	const off_t size = st.st_size;
	for (int i = 0; i < 20; i++)
		assert_true(fc_ask(b->sock, "GET", "/v2/", NULL, &b->r));
	assert_int_equal(stat(old, &st), 0);
	assert_int_equal(st.st_size, size);
	stop(b, SIGTERM, 0);
}

static bool
is_gone(pid_t pid)
{
	return kill(pid, 0) != 0 && errno == ESRCH;
}

static void
workers_die_with_the_parent(void **state)
{
	struct bench *b = *state;

	start(b, FLAGS("--workers", "1", "--threads", "1"));
	AWAIT(shows(b, "first.example"));
	const pid_t worker = (pid_t)member(&b->r, "pid");
	assert_true(worker > 1);
	assert_int_equal(kill(b->pid, SIGKILL), 0);
	assert_int_equal(waitpid(b->pid, NULL, 0), b->pid);
	b->pid = 0;
	AWAIT(is_gone(worker));
	/* the socket that is left behind is replaced */
	start(b, FLAGS("--workers", "1", "--threads", "1"));
	AWAIT(shows(b, "first.example"));
	stop(b, SIGTERM, 0);
}

static void
served_socket_is_not_taken(void **state)
{
	struct bench *b = *state;
	int status;

	const pid_t first = start(b, FLAGS("--workers", "1", "--threads", "1"));
	AWAIT(shows(b, "first.example"));
	const pid_t second = start(b, FLAGS("--workers", "1", "--threads", "1"));
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_int_equal(WEXITSTATUS(status), 1);
	b->pid = first;
	assert_true(shows(b, "first.example"));
	assert_true(log_has(b, "another process serves this socket"));
	stop(b, SIGTERM, 0);
}

static void
workers_are_replaced_after_their_number(void **state)
{
	struct bench *b = *state;

	start(b, FLAGS("--workers", "1", "--threads", "1", "--max-requests", "3"));
	AWAIT(shows(b, "first.example"));
	const int64_t old = member(&b->r, "pid");
	AWAIT(shows(b, "first.example") && member(&b->r, "pid") != old);
	stop(b, SIGTERM, 0);
	assert_false(log_has(b, "it will be replaced")); /* no accident */
}

static void
managed_process_follows_its_configuration(void **state)
{
	struct bench *b = *state;
	int status;

	start(b, FLAGS("--managed", "--threads", "2"));
	AWAIT(shows(b, "first.example"));
	assert_int_equal(member(&b->r, "pid"), b->pid);
	configure(b, "not a host");
	AWAIT(log_has(b, "the new configuration is refused, the old one stays in use"));
	assert_true(shows(b, "first.example"));
	const int fd = half_an_upload(b);
	AWAIT(is_busy(b, 1));
	configure(b, "second.example");
	AWAIT(log_has(b, "new configuration: this process ends after its running requests"));
	finish_upload(b, fd);
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	assert_int_equal(status, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)
int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(starts_and_stops),
		T(killed_worker_is_replaced),
		T(drain_finishes_what_runs),
		T(drain_has_a_limit),
		T(reload_replaces_without_a_gap),
		T(bad_configuration_changes_nothing),
		T(bad_start_says_why),
		T(logs_are_reopened),
		T(workers_die_with_the_parent),
		T(served_socket_is_not_taken),
		T(workers_are_replaced_after_their_number),
		T(managed_process_follows_its_configuration),
	};

	return cmocka_run_group_tests_name("http/process", tests, NULL, NULL);
}
