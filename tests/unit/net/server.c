/* Real servers for the tests of lib/net. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char *
srv_program(const char *name)
{
	const char *path = getenv("PATH");
	char *all = NULL, *save = NULL, *full = NULL;

	if (asprintf(&all, "%s:/usr/sbin:/usr/local/sbin", path == NULL ? "/usr/bin:/bin" : path) < 0)
		abort();
	for (const char *d = strtok_r(all, ":", &save); d != NULL; d = strtok_r(NULL, ":", &save)) {
		if (asprintf(&full, "%s/%s", d, name) < 0)
			abort();
		if (access(full, X_OK) == 0)
			break;
		free(full);
		full = NULL;
	}
	free(all);
	return full;
}

bool
srv_needs(const char *name)
{
	char *program = srv_program(name);

	if (program == NULL)
		printf("1..0 # SKIP %s is not installed\n", name);
	free(program);
	return program != NULL;
}

char *
srv_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = NULL;

	if (asprintf(&dir, "%s/kade-net-XXXXXX", tmp == NULL ? "/tmp" : tmp) < 0 || mkdtemp(dir) == NULL)
		abort();
	return dir;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
srv_remove(char *dir)
{
	if (dir != NULL)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

int
srv_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof in;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&in, n) != 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &n) != 0)
		abort();
	close(fd);
	return ntohs(in.sin_port);
}

pid_t
srv_start(const char *dir, const char *name, const char *const argv[])
{
	const pid_t parent = getpid();
	const pid_t pid = fork();
	char log[300];

	if (pid != 0)
		return pid;
	snprintf(log, sizeof log, "%s.log", name);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || chdir(dir) != 0)
		_exit(127);
	const int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), in = open("/dev/null", O_RDONLY);
	if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

void
srv_stop(pid_t pid, int sig)
{
	if (pid <= 0)
		return;
	kill(pid, sig);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

bool
srv_until(bool (*fn)(void *), void *arg, int timeout_ms)
{
	for (int i = 0; i * 20 < timeout_ms; i++) {
		if (fn(arg))
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	return false;
}

static bool
accepts(const struct sockaddr *sa, socklen_t n)
{
	const int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const bool ok = connect(fd, sa, n) == 0;

	close(fd);
	return ok;
}

static bool
port_accepts(void *arg)
{
	const struct sockaddr_in in = { .sin_family = AF_INET,
		                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		                        .sin_port = htons((uint16_t) * (const int *)arg) };

	return accepts((const struct sockaddr *)&in, sizeof in);
}

static bool
socket_accepts(void *arg)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof un.sun_path, "%s", (const char *)arg);
	return accepts((const struct sockaddr *)&un, sizeof un);
}

bool
srv_wait_port(int port)
{
	return srv_until(port_accepts, &port, 10000);
}

bool
srv_wait_socket(const char *path)
{
	return srv_until(socket_accepts, (void *)(uintptr_t)path, 10000);
}

void
srv_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}
