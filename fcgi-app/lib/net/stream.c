/* A byte stream to a server. Sockets are non-blocking from the start; poll() waits, TLS included. */
#include "net/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/resolve.h"
#include "net/tls.h"

struct stream {
	int fd;
	SSL *tls; /* NULL: plain */
	char fault[STREAM_FAULT_BYTES];
};

const char *
stream_fault(const struct stream *s)
{
	return s->fault;
}

void
stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	SSL_free(s->tls); /* no close_notify: it could block, and Redis does not look at it */
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static enum stream_result
fail(struct stream *s, enum stream_result r, const char *text)
{
	snprintf(s->fault, sizeof s->fault, "%s", text);
	return r;
}

static enum stream_result
wait_for(struct stream *s, short events, int64_t deadline_us)
{
	for (;;) {
		const int64_t left = deadline_us - clock_mono_us();
		struct pollfd p = { .fd = s->fd, .events = events };
		const int rc =
		    left <= 0 ? 0 : poll(&p, 1, left > 3600000000 ? 3600000 : (int)((left + 999) / 1000));

		if (rc > 0)
			return STREAM_OK;
		if (rc == 0 && deadline_us - clock_mono_us() <= 0)
			return fail(s, STREAM_TIMEOUT, "timed out");
		if (rc < 0 && errno != EINTR)
			return fail(s, STREAM_FAILED, strerrordesc_np(errno));
	}
}

/* After an SSL_* call that returned rc <= 0: waits for what it needs (STREAM_OK: call again) or says why it
 * failed. */
static enum stream_result
tls_wait(struct stream *s, int rc, int64_t deadline_us)
{
	switch (SSL_get_error(s->tls, rc)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(s, POLLIN, deadline_us);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(s, POLLOUT, deadline_us);
	case SSL_ERROR_ZERO_RETURN:
		return fail(s, STREAM_EOF, "the server closed the connection");
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return fail(s, STREAM_EOF,
		            errno != 0 ? strerrordesc_np(errno) : "the server closed the connection");
	default:
		tls_reason(s->tls, s->fault, sizeof s->fault);
		return STREAM_FAILED;
	}
}

static enum stream_result
tls_handshake(struct stream *s, int64_t deadline_us)
{
	for (;;) {
		ERR_clear_error();
		errno = 0;
		const int rc = SSL_do_handshake(s->tls);
		if (rc == 1)
			return STREAM_OK;
		const enum stream_result r = tls_wait(s, rc, deadline_us);
		if (r != STREAM_OK)
			return r;
	}
}

static enum stream_result
connect_to(struct stream *s, const struct sockaddr *sa, socklen_t len, int64_t deadline_us)
{
	const int one = 1;
	int why = 0;
	socklen_t n = sizeof why;

	s->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return fail(s, STREAM_FAILED, strerrordesc_np(errno));
	if (sa->sa_family != AF_UNIX) {
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	}
	if (connect(s->fd, sa, len) == 0)
		return STREAM_OK;
	if (errno != EINPROGRESS) /* EAGAIN on a Unix socket: its backlog is full */
		return fail(s, STREAM_FAILED, strerrordesc_np(errno));
	const enum stream_result r = wait_for(s, POLLOUT, deadline_us);
	if (r != STREAM_OK)
		return r;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0 || why != 0)
		return fail(s, STREAM_FAILED, strerrordesc_np(why != 0 ? why : errno));
	return STREAM_OK;
}

static enum stream_result
connect_unix(struct stream *s, const char *path, int64_t deadline_us)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof un.sun_path)
		return fail(s, STREAM_FAILED, "the socket's path is too long");
	memcpy(un.sun_path, path, strlen(path) + 1);
	return connect_to(s, (const struct sockaddr *)&un, sizeof un, deadline_us);
}

/* Tries each address; one that does not answer gets only its share of the time. */
static enum stream_result
connect_tcp(struct stream *s, const struct stream_target *to, int64_t deadline_us)
{
	struct resolved r = { 0 };
	const char *why = resolve_host(to->host, to->port, deadline_us, &r);
	enum stream_result rc = STREAM_FAILED;

	if (why != NULL)
		return fail(s, STREAM_FAILED, why);
	for (unsigned i = 0; i < r.n; i++) {
		const int64_t now = clock_mono_us();
		if (i > 0 && now >= deadline_us)
			return rc;
		rc = connect_to(s, (const struct sockaddr *)&r.v[i].sa, r.v[i].len,
		                now + (deadline_us - now) / (int64_t)(r.n - i));
		if (rc == STREAM_OK)
			return rc;
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
	}
	return rc;
}

struct stream *
stream_open(const struct stream_target *to, int64_t deadline_us, char fault[STREAM_FAULT_BYTES])
{
	struct stream *s = calloc(1, sizeof *s);
	enum stream_result r;

	if (s == NULL) {
		snprintf(fault, STREAM_FAULT_BYTES, "out of memory");
		return NULL;
	}
	s->fd = -1;
	r = to->unix_path != NULL ? connect_unix(s, to->unix_path, deadline_us)
	                          : connect_tcp(s, to, deadline_us);
	if (r == STREAM_OK && to->tls != NULL) {
		s->tls = tls_session(to->tls, s->fd, to->host != NULL ? to->host : "localhost");
		r = s->tls == NULL ? fail(s, STREAM_FAILED, "TLS: out of memory")
		                   : tls_handshake(s, deadline_us);
	}
	if (r == STREAM_OK)
		return s;
	memcpy(fault, s->fault, STREAM_FAULT_BYTES);
	stream_close(s);
	return NULL;
}

static enum stream_result
plain_wait(struct stream *s, short events, int64_t deadline_us)
{
	if (errno == EAGAIN)
		return wait_for(s, events, deadline_us);
	if (errno == EINTR)
		return STREAM_OK;
	return fail(s, errno == EPIPE || errno == ECONNRESET ? STREAM_EOF : STREAM_FAILED,
	            strerrordesc_np(errno));
}

enum stream_result
stream_write(struct stream *s, struct str data, int64_t deadline_us, size_t *sent)
{
	*sent = 0;
	while (*sent < data.n) {
		enum stream_result r;
		const char *p = data.p + *sent;
		const size_t n = data.n - *sent;
		if (s->tls != NULL) {
			ERR_clear_error();
			errno = 0;
			const int rc = SSL_write(s->tls, p, n > 1 << 20 ? 1 << 20 : (int)n);
			r = rc > 0 ? STREAM_OK : tls_wait(s, rc, deadline_us);
			*sent += rc > 0 ? (size_t)rc : 0;
		} else {
			const ssize_t rc = send(s->fd, p, n, MSG_NOSIGNAL);
			r = rc >= 0 ? STREAM_OK : plain_wait(s, POLLOUT, deadline_us);
			*sent += rc > 0 ? (size_t)rc : 0;
		}
		if (r != STREAM_OK)
			return r;
	}
	return STREAM_OK;
}

enum stream_result
stream_read(struct stream *s, char *p, size_t cap, int64_t deadline_us, size_t *got)
{
	for (;;) {
		enum stream_result r;
		if (s->tls != NULL) {
			ERR_clear_error();
			errno = 0;
			const int rc = SSL_read(s->tls, p, cap > 1 << 20 ? 1 << 20 : (int)cap);
			if (rc > 0) {
				*got = (size_t)rc;
				return STREAM_OK;
			}
			r = tls_wait(s, rc, deadline_us);
		} else {
			const ssize_t rc = recv(s->fd, p, cap, 0);
			if (rc > 0) {
				*got = (size_t)rc;
				return STREAM_OK;
			}
			r = rc == 0 ? fail(s, STREAM_EOF, "the server closed the connection")
			            : plain_wait(s, POLLIN, deadline_us);
		}
		if (r != STREAM_OK)
			return r;
	}
}

bool
stream_is_quiet(struct stream *s)
{
	char b;

	if (s->tls != NULL) { /* session tickets may be waiting: only OpenSSL can tell them from data */
		ERR_clear_error();
		const int rc = SSL_peek(s->tls, &b, 1);
		return rc <= 0 && SSL_get_error(s->tls, rc) == SSL_ERROR_WANT_READ;
	}
	return recv(s->fd, &b, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}
