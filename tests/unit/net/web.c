/* http-server.py for the tests of the HTTP client. */
#include "web.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"

void
web_dir(struct web *w)
{
	w->dir = srv_dir();
}

static bool
file_exists(void *path)
{
	return access(path, R_OK) == 0;
}

int
web_start(struct web *w, const char *const listeners[])
{
	const char *argv[20] = { srv_program("python3") }, *top = getenv("top_srcdir");
	char *script = NULL, *ports = NULL;
	int n = 2;

	if (argv[0] == NULL)
		return 0;
	if (asprintf(&script, "%s/tests/unit/net/http-server.py", top == NULL ? "." : top) < 0 ||
	    asprintf(&ports, "%s/ports", w->dir) < 0)
		abort();
	argv[1] = realpath(script, NULL);
	if (argv[1] == NULL) {
		fprintf(stderr, "%s is not there: set top_srcdir\n", script);
		abort();
	}
	for (; n < 18 && listeners[n - 2] != NULL; n++)
		argv[n] = listeners[n - 2];
	w->pid = srv_start(w->dir, "web", argv);
	if (!srv_until(file_exists, ports, 20000))
		abort();
	free((void *)(uintptr_t)argv[0]);
	free((void *)(uintptr_t)argv[1]);
	free(script);
	free(ports);
	return 1;
}

int
web_port(const struct web *w, const char *name)
{
	char path[300], found[64];
	int port = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/ports", w->dir);
	if ((f = fopen(path, "r")) == NULL)
		abort();
	while (fscanf(f, "%63s %d", found, &port) == 2)
		if (strcmp(found, name) == 0)
			break;
	fclose(f);
	return port;
}

void
web_stop(struct web *w)
{
	srv_stop(w->pid, SIGKILL);
	srv_remove(w->dir);
}
