/* The listening socket of the pool: inherited, or made. */
#ifndef KADE_LISTEN_H
#define KADE_LISTEN_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct options;
struct listener {
	int fd; /* non-blocking, close-on-exec */
	const char
	    *path; /* of a Unix socket made here, to be removed at the end; NULL = not ours to remove */
	dev_t dev; /* of path */
	ino_t ino;
	char text[160];      /* for the log: where it came from and what it is */
	const char *warning; /* for the log; NULL = none */
};

/* Descriptor 0 if it is a listening socket, else LISTEN_FDS, else o->listen. A stale Unix socket is replaced only when
 * nobody answers on it. False with the reason in why. */
bool listener_open(const struct options *o, struct listener *out, char *why, size_t why_bytes);
/* Closes; removes the path unless somebody else's socket stands there now. */
void listener_close(struct listener *l);
#endif
