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
	char tmp[108];       /* the socket's name until listener_publish(); "" = it has its own */
	pid_t before;        /* who serves path until then; 0 = nobody that is known */
	char text[160];      /* for the log: where it came from and what it is */
	const char *warning; /* for the log; NULL = none */
};

/* Descriptor 0 if it is a listening socket, else LISTEN_FDS, else o->listen. A stale Unix socket is replaced only when
 * nobody answers on it; with o->take_over a socket that is served by another kade.fcgi of this user is left to it until
 * listener_publish(). False with the reason in why. */
bool listener_open(const struct options *o, struct listener *out, char *why, size_t why_bytes);
/* The socket takes its path, in one step, from whom it had before; that process is asked to end, and serves what waits in its
 * own socket first. Nothing to do without o->take_over. */
bool listener_publish(struct listener *l, char *why, size_t why_bytes);
/* No new connection comes any more: the path goes, unless somebody else's socket stands there now. What waits in the socket
 * can still be accepted. Sockets that are not made here stay as they are. */
void listener_hide(const struct listener *l);
/* Can no new connection come, because the path is gone or another's? False for sockets that are not made here. */
bool listener_is_hidden(const struct listener *l);
/* Closes; removes the path unless somebody else's socket stands there now. */
void listener_close(struct listener *l);
#endif
