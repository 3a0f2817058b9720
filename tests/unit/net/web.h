/* For the tests of the HTTP client: http-server.py with its listeners. */
#ifndef KADE_TESTS_NET_WEB_H
#define KADE_TESTS_NET_WEB_H
#include <sys/types.h>

struct ctx;
struct web {
	char *dir; /* also for the test's own files; made by web_dir() */
	pid_t pid; /* 0: python3 is not installed */
};
void web_dir(struct web *w);
/* Starts the listeners (see http-server.py; at most 16). False: python3 is not installed. */
int web_start(struct web *w, const char *const listeners[]);
int web_port(const struct web *w, const char *name);
void web_stop(struct web *w);
#endif
