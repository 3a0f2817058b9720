/* One worker process: its threads, its signals, its end. */
#ifndef KADE_WORKER_H
#define KADE_WORKER_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct app_settings;
struct counters;
struct listener;
struct log;
struct options;
struct router;

/* What is made of one configuration before the fork. */
struct serving {
	struct app_settings *settings;
	struct router *router;
	struct counters *counters;
	struct log *log, *access;
};
struct worker_args {
	const struct options *o;
	const struct serving *sv;
	const struct listener *listener;
	int ready_fd; /* gets 'R' when requests are being taken, else the reason why not; -1 = none */
	pid_t parent; /* 0 = none: --managed */
};

/* Loads the configuration and makes all of it; false with the reason in why. */
bool serving_open(const struct options *o, struct serving **out, char *why, size_t why_bytes);
void serving_free(struct serving *sv); /* in a process that serves nothing from it; NULL is allowed */
/* Serves until told to stop. The exit code: 0 = asked to end, 1 = could not begin. */
int worker_main(const struct worker_args *wa);
#endif
