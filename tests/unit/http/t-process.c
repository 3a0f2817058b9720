/* Real processes: start, restart, reload, drain, reopen, death of worker and parent. */
#include "process-bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
starts_and_stops(void **state)
{
	struct bench *b = *state;
	struct stat st;
	char pid_file[128];

	snprintf(pid_file, sizeof pid_file, "%s/pid", b->dir);
	start(b, FLAGS("--workers", "2", "--threads", "2", "--pid-file", pid_file));
	AWAIT(shows(b, "first.example"));
	AWAIT(log_has(b, "ready: 2 workers, 2 threads each"));
	assert_int_equal(stat(b->sock, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(read_number(pid_file), b->pid);
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

/* Has one of the pool's processes this file open? */
static bool
is_open_in(pid_t pid, const char *file)
{
	char dir[64], where[512], path[512];
	bool found = false;

	snprintf(dir, sizeof dir, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(dir);
	for (const struct dirent *e; d != NULL && !found && (e = readdir(d)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		const ssize_t n = readlink(path, where, sizeof where - 1);
		if (n > 0) {
			where[n] = '\0';
			found = strcmp(where, file) == 0;
		}
	}
	if (d != NULL)
		closedir(d);
	return found;
}

static bool
is_open_in_pool(const struct bench *b, const char *file)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)b->pid, (int)b->pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	bool found = is_open_in(b->pid, file);
	for (char *p = text, *end; !found; p = end) {
		const long pid = strtol(p, &end, 10);
		if (end == p)
			break;
		found = is_open_in((pid_t)pid, file);
	}
	return found;
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
	AWAIT(!is_open_in_pool(b, old));
	/* the workers write there too, all of them: the old file stands still from now on */
	assert_true(fc_ask(b->sock, "GET", "/v2/", NULL, &b->r));
	AWAIT(log_has(b, "\"path\":\"/v2/\""));
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
