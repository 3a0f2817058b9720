/* kade-doctor: the connection. Non-blocking socket, OpenSSL over it where asked, poll() for every wait. */
#include "doctor-wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"

enum step { STEP_DONE, STEP_READ, STEP_WRITE, STEP_END, STEP_LOST };

/* Waits for events on the connection: > 0 ready, 0 time over, -1 the user wants to stop. */
static int
wait_for(struct wire *w, short events, int wait_ms)
{
	struct pollfd p[2] = {
		{.fd = w->fd,         .events = events},
                { .fd = w->signal_fd, .events = POLLIN}
	};
	const int64_t end = clock_mono_us() + (int64_t)wait_ms * 1000;
	const int64_t until = end < w->deadline_us ? end : w->deadline_us;

	for (;;) {
		const int64_t left = until - clock_mono_us();
		int n;
		if (w->stopped)
			return -1;
		n = poll(p, w->signal_fd < 0 ? 1 : 2, left <= 0 ? 0 : (int)(left / 1000) + 1);
		if (n > 0 && w->signal_fd >= 0 && p[1].revents != 0) {
			w->stopped = true;
			return -1;
		}
		if (n > 0 || (n == 0 && clock_mono_us() >= until))
			return n;
		if (n < 0 && errno != EINTR)
			return 1; /* the next read or write says why */
	}
}

static const char *
wait_words(const struct wire *w, int r)
{
	return w->stopped || r < 0 ? "stopped by a signal" : "time-out";
}

static enum step
tls_step(SSL *ssl, int r)
{
	switch (SSL_get_error(ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return STEP_READ;
	case SSL_ERROR_WANT_WRITE:
		return STEP_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return STEP_END;
	default:
		return STEP_LOST;
	}
}

static enum step
read_some(struct wire *w, size_t *n)
{
	if (w->ssl != NULL) {
		const int r = SSL_read(w->ssl, w->in, sizeof w->in);
		*n = r > 0 ? (size_t)r : 0;
		return r > 0 ? STEP_DONE : tls_step(w->ssl, r);
	}
	const ssize_t r = recv(w->fd, w->in, sizeof w->in, 0);
	*n = r > 0 ? (size_t)r : 0;
	if (r == 0)
		return STEP_END;
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? STEP_READ : STEP_LOST;
	return STEP_DONE;
}

static enum step
write_some(struct wire *w, struct str b, size_t *n)
{
	if (w->ssl != NULL) {
		const int r = SSL_write(w->ssl, b.p, b.n > INT32_MAX ? INT32_MAX : (int)b.n);
		*n = r > 0 ? (size_t)r : 0;
		return r > 0 ? STEP_DONE : tls_step(w->ssl, r);
	}
	const ssize_t r = send(w->fd, b.p, b.n, MSG_NOSIGNAL);
	*n = r > 0 ? (size_t)r : 0;
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? STEP_WRITE : STEP_LOST;
	return STEP_DONE;
}

/* Connects to one address. */
static const char *
dial(struct wire *w, const struct addrinfo *ai)
{
	const int one = 1;
	int e = 0, r;
	socklen_t n = sizeof e;

	w->fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
	if (w->fd < 0)
		return "no socket";
	setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(w->fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return NULL;
	if (errno != EINPROGRESS)
		return strerrorname_np(errno);
	if ((r = wait_for(w, POLLOUT, w->idle_ms)) <= 0)
		return wait_words(w, r);
	getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &n);
	return e == 0 ? NULL : e == ECONNREFUSED ? "connection refused" : strerrorname_np(e);
}

/* The names that a certificate is for, as text: what a person needs when the host is not among them. */
static const char *
certificate_names(struct arena *mem, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char text[400];
	size_t at = 0;

	text[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type != GEN_DNS)
			continue;
		const unsigned char *dns = ASN1_STRING_get0_data(g->d.dNSName);
		const int n = snprintf(text + at, sizeof text - at, " %.*s", ASN1_STRING_length(g->d.dNSName),
		                       (const char *)dns);
		if (n < 0 || (size_t)n >= sizeof text - at)
			break;
		at += (size_t)n;
	}
	GENERAL_NAMES_free(names);
	return str_dup_c(mem, text[0] == '\0' ? " (no DNS name at all)" : text);
}

static void
note_tls(const struct wire *w, struct wire_tls *f)
{
	X509 *cert = SSL_get1_peer_certificate(w->ssl);
	int days = 0, s = 0;

	f->used = true;
	f->verify = SSL_get_verify_result(w->ssl);
	f->protocol = SSL_get_version(w->ssl);
	f->reason = X509_verify_cert_error_string(f->verify);
	if (cert == NULL)
		return;
	if (ASN1_TIME_diff(&days, &s, NULL, X509_get0_notAfter(cert)) == 1)
		f->days_left = days;
	if (f->verify == X509_V_ERR_HOSTNAME_MISMATCH)
		f->reason = str_fmt(w->mem, "the certificate is not for %s but for%s", w->host,
		                    certificate_names(w->mem, cert));
	X509_free(cert);
}

static const char *
greet(struct wire *w, struct wire_tls *facts)
{
	struct wire_tls here = { .verify = X509_V_OK };
	unsigned char ip[16];
	int r;

	w->ssl = SSL_new(w->tls);
	if (w->ssl == NULL || SSL_set_fd(w->ssl, w->fd) != 1)
		return "no TLS object";
	SSL_set_connect_state(w->ssl);
	if (inet_pton(AF_INET, w->host, ip) == 1 || inet_pton(AF_INET6, w->host, ip) == 1) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), w->host);
	} else {
		char *name = str_dup_c(w->mem, w->host); /* the macro wants no const */
		SSL_set_tlsext_host_name(w->ssl, name);
		SSL_set1_host(w->ssl, w->host);
	}
	ERR_clear_error();
	while ((r = SSL_do_handshake(w->ssl)) != 1) {
		const enum step s = tls_step(w->ssl, r);
		if (s != STEP_READ && s != STEP_WRITE) {
			const char *why = ERR_reason_error_string(ERR_peek_last_error());
			return str_fmt(w->mem, "TLS handshake failed: %s",
			               why == NULL ? "connection closed" : why);
		}
		if ((r = wait_for(w, s == STEP_READ ? POLLIN : POLLOUT, w->idle_ms)) <= 0)
			return wait_words(w, r);
	}
	note_tls(w, &here);
	if (facts != NULL)
		*facts = here;
	if (here.verify != X509_V_OK && !w->insecure)
		return str_fmt(w->mem, "the certificate does not verify: %s", here.reason);
	return NULL;
}

bool
wire_open(struct wire *w, struct wire_tls *facts, const char **why)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	int r;

	w->in_at = w->in_n = 0;
	w->at_end = w->wants_write = false;
	w->ssl = NULL;
	w->deadline_us = clock_mono_us() + (int64_t)w->total_ms * 1000;
	if ((r = getaddrinfo(w->dial_host, w->dial_port, &hints, &list)) != 0) {
		*why = str_fmt(w->mem, "%s: %s", w->dial_host, gai_strerror(r));
		return false;
	}
	*why = "no address";
	for (const struct addrinfo *ai = list; ai != NULL && *why != NULL && !w->stopped; ai = ai->ai_next) {
		*why = dial(w, ai);
		if (*why != NULL)
			wire_close(w);
	}
	freeaddrinfo(list);
	if (*why == NULL && w->tls != NULL && (*why = greet(w, facts)) != NULL)
		wire_close(w);
	return *why == NULL;
}

void
wire_close(struct wire *w)
{
	if (w->ssl != NULL)
		SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* Takes what has arrived, without waiting. STEP_DONE: unread bytes are there. */
static enum step
take_arrived(struct wire *w)
{
	size_t n;
	enum step s;

	if (w->in_at < w->in_n)
		return STEP_DONE;
	if (w->at_end)
		return STEP_END;
	s = read_some(w, &n);
	w->wants_write = s == STEP_WRITE;
	if (s == STEP_DONE) {
		w->in_at = 0;
		w->in_n = n;
	} else if (s == STEP_END || s == STEP_LOST) {
		w->at_end = true;
	}
	return s;
}

bool
wire_arrived(struct wire *w)
{
	return take_arrived(w) == STEP_DONE;
}

int
wire_fill(struct wire *w, int wait_ms, const char **why)
{
	for (;;) {
		const enum step s = take_arrived(w);
		int r;
		if (s == STEP_DONE)
			return 1;
		if (s == STEP_END || s == STEP_LOST)
			return 0;
		r = wait_for(w, w->wants_write ? POLLOUT : POLLIN, wait_ms < 0 ? w->idle_ms : wait_ms);
		if (r <= 0) {
			*why = wait_words(w, r);
			return -1;
		}
	}
}

bool
wire_send(struct wire *w, struct str bytes, size_t *taken, const char **why)
{
	*taken = 0;
	while (*taken < bytes.n) {
		size_t n;
		const enum step s = write_some(w, str_sub(bytes, *taken, bytes.n), &n);
		int r;
		*taken += n;
		if (s == STEP_DONE)
			continue;
		if (s == STEP_LOST || s == STEP_END) {
			*why = "the server closed the connection while the request was sent";
			return false;
		}
		if ((r = wait_for(w, s == STEP_READ ? POLLIN : POLLIN | POLLOUT, w->idle_ms)) <= 0) {
			*why = wait_words(w, r);
			return false;
		}
		if (take_arrived(w) == STEP_DONE)
			return true;
	}
	return true;
}
