/* FastCGI over libfcgi 2.4. Facts that shape this file (measured or read in libfcgi):
 * - FCGX_Accept_r() cannot be woken by a signal in a threaded process, and after an accept it reads without a time limit.
 *   So connections are accepted here, with time-outs set, and handed over through ipcFd, as FCGX_Accept_r() finds them
 *   itself after a kept connection. ipcFd, keepConnection and requestId are used nowhere else.
 * - Waiting is by epoll with EPOLLEXCLUSIVE: with plain poll() every connection would wake every idle thread. A thread that
 *   was woken for a connection is the only one that knows of it: one that is to stop looks once more before it goes, and
 *   for the case that a whole process is killed just then, the others look by themselves every LOOK_MS.
 * - Closing a connection makes libfcgi read until the peer closes; FCGX_Detach() turns that off, linger() below does it
 *   with a limit, and only where bytes may be unread.
 * - The writer makes a record and a write per 8 KiB. Pieces of 16 KiB and more go out as 64 KiB records of our own.
 * - libfcgi reserves the length that a parameter announces (up to 4 GiB) before its bytes are there, and ends the process
 *   when that fails. Only whoever may open the socket can do that: the web server, which does not. The parent starts
 *   another worker.
 * - A connection that the web server keeps (FCGI_KEEP_CONN) pins this thread; it is given up after KEEP_IDLE_MS. */
#include "http/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"

#define KEEP_IDLE_MS   10000
#define LOOK_MS        2000
#define SETTLE_MS      50 /* who found the path before it went has connected by then */
#define LINGER_MS      2000
#define HEAD_S         30    /* for the parameters, and for the end of an input that nobody reads; a body has io_timeout_s */
#define DIRECT_BYTES   16384
#define QUIET_BYTES    65536 /* so much fits into the buffer of a Unix socket: the writer cannot wait yet */
#define RECORD_BYTES   65528 /* a multiple of 8 below 64 KiB: no padding */
#define RECORD_STDOUT  6
#define RECORD_VERSION 1

struct fcgi_conn {
	FCGX_Request r;
	int listen_fd, epoll_fd;
	struct fcgi_stop *stop;
	struct timeval timeout;
	bool is_tcp;
	bool patient;  /* the socket has io_timeout_s for reading */
	size_t sent;   /* on this connection, while the socket has no time limit for writing; SIZE_MAX: it has */
	bool in_ended; /* the end of the body was seen */
	bool broken;   /* a write failed */
	bool last;     /* stopping, and the last look was taken */
};

bool
fcgi_init(void)
{
	return FCGX_Init() == 0;
}

static bool
watch(struct fcgi_conn *f)
{
	struct epoll_event listener = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = f->listen_fd };
	struct epoll_event stop = { .events = EPOLLIN, .data.fd = f->stop->event_fd };

	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return f->epoll_fd >= 0 && epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, f->listen_fd, &listener) == 0 &&
	       epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, f->stop->event_fd, &stop) == 0;
}

struct fcgi_conn *
fcgi_new(int listen_fd, struct fcgi_stop *stop, int io_timeout_s)
{
	struct fcgi_conn *f = calloc(1, sizeof *f);
	struct sockaddr sa = { 0 };
	socklen_t n = sizeof sa;

	if (f == NULL)
		return NULL;
	f->listen_fd = listen_fd;
	f->stop = stop;
	f->timeout.tv_sec = io_timeout_s;
	f->is_tcp = getsockname(listen_fd, &sa, &n) == 0 && sa.sa_family != AF_UNIX;
	FCGX_InitRequest(&f->r, -1, 0);
	if (!watch(f)) {
		fcgi_free(f);
		return NULL;
	}
	return f;
}

void
fcgi_free(struct fcgi_conn *f)
{
	if (f == NULL)
		return;
	FCGX_Detach(&f->r);
	FCGX_Free(&f->r, 1);
	if (f->epoll_fd >= 0)
		close(f->epoll_fd);
	free(f);
}

void
fcgi_stop(struct fcgi_stop *stop)
{
	const uint64_t one = 1;

	atomic_store(&stop->set, true);
	while (write(stop->event_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void
fcgi_stop_empty(struct fcgi_stop *stop)
{
	atomic_store(&stop->empty, true);
	fcgi_stop(stop);
}

static void
limit_reading(struct fcgi_conn *f, bool patient)
{
	const struct timeval brief = { .tv_sec = HEAD_S };
	const struct timeval *t = patient || f->timeout.tv_sec < HEAD_S ? &f->timeout : &brief;

	f->patient = patient;
	setsockopt(f->r.ipcFd, SOL_SOCKET, SO_RCVTIMEO, t, sizeof *t);
}

/* Called with what is to be written: the time limit is set when a write may have to wait. Most answers are short. */
static void
limit_writing(struct fcgi_conn *f, size_t n)
{
	if (f->sent == SIZE_MAX)
		return;
	f->sent += n;
	if (!f->is_tcp && f->sent <= QUIET_BYTES)
		return;
	f->sent = SIZE_MAX;
	setsockopt(f->r.ipcFd, SOL_SOCKET, SO_SNDTIMEO, &f->timeout, sizeof f->timeout);
}

static void
set_up(struct fcgi_conn *f)
{
	const int one = 1;

	f->sent = 0;
	limit_reading(f, false);
	if (f->is_tcp)
		setsockopt(f->r.ipcFd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* A new connection into r.ipcFd; false when the process is to stop. */
static bool
accept_next(struct fcgi_conn *f)
{
	struct epoll_event ev;
	struct pollfd stop = { .fd = f->stop->event_fd, .events = POLLIN },
	              queue = { .fd = f->listen_fd, .events = POLLIN };
	bool settled = false;

	while (!f->last) {
		const bool stopping = atomic_load(&f->stop->set);
		f->last = stopping && !atomic_load(&f->stop->empty);
		const int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			f->r.ipcFd = fd;
			set_up(f);
			f->r.keepConnection = 1; /* else FCGX_Accept_r() closes what it finds */
			return true;
		}
		if (f->last || settled)
			break;
		if (stopping && (errno == EAGAIN || errno == EWOULDBLOCK))
			settled = poll(&queue, 1, SETTLE_MS) == 0;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			epoll_wait(f->epoll_fd, &ev, 1, LOOK_MS);
		else if (errno != EINTR &&
		         errno != ECONNABORTED) /* no descriptors, no memory: others may end first */
			poll(&stop, 1, 100);
	}
	return false;
}

/* The connection that the web server keeps: true when something comes in time. */
static bool
kept_has_more(struct fcgi_conn *f)
{
	struct pollfd p[2] = {
		{.fd = f->r.ipcFd,         .events = POLLIN},
                { .fd = f->stop->event_fd, .events = POLLIN}
	};

	return poll(p, 2, KEEP_IDLE_MS) > 0 && p[1].revents == 0 && (p[0].revents & POLLIN) != 0;
}

static void
close_now(struct fcgi_conn *f)
{
	FCGX_Detach(&f->r);
	FCGX_Free(&f->r, 1);
}

enum fcgi_event
fcgi_wait(struct fcgi_conn *f)
{
	for (;;) {
		if (f->r.ipcFd >= 0 && !kept_has_more(f))
			close_now(f);
		if (f->r.ipcFd < 0 && !accept_next(f))
			return FCGI_EVENT_STOP;
		FCGX_Detach(
		    &f->r); /* when the bytes are no request it closes the connection, then fails on listen_sock -1 */
		if (FCGX_Accept_r(&f->r) == 0) {
			f->in_ended = f->broken = false;
			return FCGI_EVENT_REQUEST;
		}
	}
}

enum fcgi_role
fcgi_role(const struct fcgi_conn *f)
{
	return (enum fcgi_role)f->r.role;
}

size_t
fcgi_params(struct fcgi_conn *f, struct arena *mem, struct fcgi_param **out)
{
	size_t n = 0, bytes = 0;

	for (char **e = f->r.envp; *e != NULL; e++, n++)
		bytes += strlen(*e);
	*out = ARENA_ARRAY(mem, struct fcgi_param, n);
	char *text = arena_alloc(mem, bytes);
	n = 0;
	for (char **e = f->r.envp; *e != NULL; e++) {
		struct fcgi_param *p = &(*out)[n];
		const size_t len = strlen(*e);
		memcpy(text, *e, len);
		if (str_cut((struct str){ text, len }, '=', &p->name, &p->value))
			n++;
		text += len;
	}
	return n;
}

static size_t
read_input(struct fcgi_conn *f, void *p, size_t n, int *why)
{
	size_t got = 0;

	*why = 0;
	while (got < n && !f->in_ended) {
		const size_t want = n - got > INT32_MAX ? INT32_MAX : n - got;
		const int k = FCGX_GetStr((char *)p + got, (int)want, f->r.in);
		if (k > 0)
			got += (size_t)k;
		if (k < (int)want) { /* a short read is the end or a failure */
			*why = FCGX_GetError(f->r.in);
			f->in_ended = true;
		}
	}
	return got;
}

size_t
fcgi_read(struct fcgi_conn *f, void *p, size_t n, int *why)
{
	if (!f->patient && !f->in_ended)
		limit_reading(f, true);
	return read_input(f, p, n, why);
}

/* All of iov on the socket; its parts are consumed. */
static bool
write_all(int fd, struct iovec *iov, int n)
{
	while (n > 0) {
		ssize_t k = writev(fd, iov, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return false;
		for (; n > 0 && (size_t)k >= iov->iov_len; iov++, n--)
			k -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + k;
			iov->iov_len -= (size_t)k;
		}
	}
	return true;
}

static bool
write_records(struct fcgi_conn *f, const char *p, size_t n)
{
	while (n > 0) {
		const size_t len = n > RECORD_BYTES ? RECORD_BYTES : n;
		const size_t pad = (8 - len % 8) % 8;
		unsigned char zero[8] = { 0 };
		unsigned char head[8] = { RECORD_VERSION,
			                  RECORD_STDOUT,
			                  (unsigned char)(f->r.requestId >> 8),
			                  (unsigned char)f->r.requestId,
			                  (unsigned char)(len >> 8),
			                  (unsigned char)len,
			                  (unsigned char)pad,
			                  0 };
		char *data = (char *)(uintptr_t)p; /* writev() takes no const */
		struct iovec iov[3] = {
			{head,  sizeof head},
                        { data, len        },
                        { zero, pad        }
		};
		if (!write_all(f->r.ipcFd, iov, pad == 0 ? 2 : 3))
			return false;
		p += len;
		n -= len;
	}
	return true;
}

bool
fcgi_write(struct fcgi_conn *f, const void *p, size_t n)
{
	bool ok = !f->broken;

	limit_writing(f, n);
	if (ok && n >= DIRECT_BYTES) {
		ok = FCGX_FFlush(f->r.out) == 0 && write_records(f, p, n);
	} else {
		for (size_t done = 0; ok && done < n;) {
			const int k = FCGX_PutStr((const char *)p + done, (int)(n - done), f->r.out);
			ok = k > 0 && FCGX_GetError(f->r.out) == 0;
			done += k > 0 ? (size_t)k : 0;
		}
	}
	f->broken = !ok;
	return ok;
}

bool
fcgi_flush(struct fcgi_conn *f)
{
	if (!f->broken && (FCGX_FFlush(f->r.out) != 0 || FCGX_GetError(f->r.out) != 0))
		f->broken = true;
	return !f->broken;
}

/* Says "no more" and throws away what still comes, until the peer closes or the time is over. */
static void
linger(int fd)
{
	char trash[16384];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const int64_t until_us = clock_mono_us() + LINGER_MS * 1000;
	int64_t left_us;

	if (shutdown(fd, SHUT_WR) != 0)
		return;
	while ((left_us = until_us - clock_mono_us()) > 0 && poll(&p, 1, (int)(left_us / 1000) + 1) > 0) {
		const ssize_t k = recv(fd, trash, sizeof trash, MSG_DONTWAIT);
		if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR))
			break;
	}
}

/* The empty record that ends the input may still be on its way: httpd writes it apart from the parameters, and takes a
 * connection that is closed before that for a failure of ours (503). The answer is out; mostly the record is here already. */
static void
await_input_end(struct fcgi_conn *f)
{
	char one;
	int why;

	if (f->patient)
		limit_reading(f, false);
	if (read_input(f, &one, 1, &why) != 0)
		f->in_ended = false;
	if (why != 0)
		f->broken = true;
}

void
fcgi_end(struct fcgi_conn *f, bool body_left)
{
	int unread = 0;

	if (FCGX_FClose(f->r.err) != 0 || FCGX_FClose(f->r.out) != 0 || FCGX_GetError(f->r.in) != 0)
		f->broken = true;
	if (!f->broken && !body_left && !f->in_ended && f->r.role != FCGI_AS_AUTHORIZER)
		await_input_end(f);
	if (f->r.keepConnection && !f->broken && !body_left && f->in_ended) {
		FCGX_Detach(&f->r);
		FCGX_Finish_r(&f->r);
		return;
	}
	if (!f->broken &&
	    (body_left || (!f->in_ended && ioctl(f->r.ipcFd, FIONREAD, &unread) == 0 && unread > 0)))
		linger(f->r.ipcFd);
	close_now(f);
}

void
fcgi_abort(struct fcgi_conn *f)
{
	close_now(f);
}
