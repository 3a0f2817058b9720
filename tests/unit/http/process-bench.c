/* What the tests of processes share. */
#include "process-bench.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void
tick(void)
{
	poll(NULL, 0, 25);
}

void
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

bool
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

pid_t
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

int
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

int
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

void
stop(struct bench *b, int sig, int want)
{
	int status;

	assert_int_equal(kill(b->pid, sig), 0);
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

int64_t
member(const struct fc_reply *r, const char *name)
{
	char key[64];
	const char *p;

	snprintf(key, sizeof key, "\"%s\":", name);
	p = strstr(r->body, key);
	return p == NULL ? -1 : strtoll(p + strlen(key), NULL, 10);
}

bool
shows(struct bench *b, const char *host)
{
	char want[128];

	snprintf(want, sizeof want, "\"base\":\"http://%s\"", host);
	return fc_ask(b->sock, "GET", "/api/v1/show", NULL, &b->r) && strstr(b->r.body, want) != NULL;
}

int
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
bool
is_busy(struct bench *b, int in_flight)
{
	int n = 0;

	if (!fc_ask(b->sock, "GET", "/metrics", NULL, &b->r))
		return false;
	for (const char *p = b->r.body; (p = strstr(p, "\nkade_worker_requests_in_flight{")) != NULL; p++)
		n += (int)strtol(strchr(p, '}') + 1, NULL, 10);
	return n == in_flight + 1; /* and the question itself */
}

int64_t
read_number(const char *file)
{
	char text[16] = "";
	const int fd = open(file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	return strtol(text, NULL, 10);
}

bool
is_child_of(pid_t pid, pid_t parent)
{
	char path[64], text[512] = "";

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	const ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	const char *p = n > 0 ? strrchr(text, ')') : NULL;
	return p != NULL && strlen(p) > 4 && strtol(p + 4, NULL, 10) == parent;
}

void
finish_upload(struct bench *b, int fd)
{
	assert_true(fc_body(fd, "abcdefghij", 10));
	assert_true(fc_body(fd, NULL, 0));
	fc_reply(fd, &b->r);
	close(fd);
	assert_int_equal(b->r.status, 201);
	assert_int_equal(member(&b->r, "bytes"), 20);
}
