/* The transport: one connection of the web server at a time, behind libfcgi. Nothing else in the tree knows FastCGI. One
 * struct fcgi_conn per thread; all threads of all processes share one non-blocking listening socket. */
#ifndef KADE_HTTP_FCGI_H
#define KADE_HTTP_FCGI_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct fcgi_conn;
enum fcgi_event { FCGI_EVENT_REQUEST, FCGI_EVENT_STOP };
enum fcgi_role { FCGI_AS_RESPONDER = 1, FCGI_AS_AUTHORIZER = 2, FCGI_AS_FILTER = 3 };

struct fcgi_param {
	struct str name, value;
};
/* How the threads of a process are told to take no more requests: the flag is looked at before each accept, the eventfd
 * wakes those that wait. Once set it stays set. A connection that this thread alone was woken for is still served. */
struct fcgi_stop {
	_Atomic bool set;
	_Atomic bool empty; /* what waits in the socket is served first */
	int event_fd;
};

/* Once per process, before the first thread: libfcgi's own set-up. SIGPIPE must be ignored already. */
bool fcgi_init(void);
/* A connection object for this thread. io_timeout_s: how long the web server may send or take nothing in the middle of a
 * request. NULL when the kernel has no descriptors left. Taken. */
struct fcgi_conn *fcgi_new(int listen_fd, struct fcgi_stop *stop, int io_timeout_s);
void fcgi_free(struct fcgi_conn *f);
void fcgi_stop(struct fcgi_stop *stop);
/* As fcgi_stop(), once the connections that wait in the socket are served. Only when no new ones can come. */
void fcgi_stop_empty(struct fcgi_stop *stop);

/* Waits for the next request whose parameters are complete. Connections that bring garbage are closed on the way. */
enum fcgi_event fcgi_wait(struct fcgi_conn *f);
enum fcgi_role fcgi_role(const struct fcgi_conn *f);
/* All parameters in the order received, copied: the access log still needs them after fcgi_end(). Given. */
size_t fcgi_params(struct fcgi_conn *f, struct arena *mem, struct fcgi_param **out);

/* Up to n bytes of the body; less than n only at its end or at a failure. *why: 0, or an errno value (EAGAIN: nothing came
 * within the idle time), or a negative code of libfcgi (the web server closed or broke the connection, or aborted). */
size_t fcgi_read(struct fcgi_conn *f, void *p, size_t n, int *why);
/* False when nobody reads any more; then every later call is false too. Large pieces bypass libfcgi's 8 KiB buffer. */
bool fcgi_write(struct fcgi_conn *f, const void *p, size_t n);
bool fcgi_flush(struct fcgi_conn *f);

/* Ends the request. body_left: the client was still sending when the answer was given. Such a body is not taken in; what
 * the web server goes on sending is thrown away for two seconds at most, until it closes, because closing on unread bytes
 * may cost it the answer. */
void fcgi_end(struct fcgi_conn *f, bool body_left);
/* Breaks the connection without ending the request: the only way to tell the client that an answer of unknown length is
 * not whole. */
void fcgi_abort(struct fcgi_conn *f);
#endif
