/* A small HTTP/1.1 client over a socket and OpenSSL for kade-doctor. It exists because the checks need what a
 * client library hides on purpose: bodies cut in the middle, lengths that are announced and never sent, two
 * header lines of one name, the exact framing of the answer, and how much of a body the server took before it
 * answered. One connection per exchange. Every wait has an end: an idle time-out, a limit for the whole
 * exchange, and limits on what is read (head 64 KiB, 128 header lines, 1 GiB of body, of which the first 256
 * KiB are kept). */
#ifndef KADE_JOBS_DOCTOR_WIRE_H
#define KADE_JOBS_DOCTOR_WIRE_H
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
#define WIRE_IO_BYTES 65536
#define WIRE_HEADERS  128
#define WIRE_KEPT     (256 << 10)

/* Where to connect and how. One per run; the io buffers serve the one connection that is open. */
struct wire {
	struct arena *mem;
	const char *host;      /* for SNI, certificate and Host header */
	const char *authority; /* host[:port], as the Host header has it */
	const char *dial_host; /* what is connected to */
	const char *dial_port;
	SSL_CTX *tls;  /* NULL: plain */
	int idle_ms;   /* without a byte in either direction */
	int total_ms;  /* for one exchange */
	int signal_fd; /* readable: the user wants to stop; -1 = none */
	bool stopped;  /* signal_fd was readable */
	bool insecure; /* go on with a certificate that does not verify */
	/* the open connection */
	int fd;
	SSL *ssl;
	int64_t deadline_us;
	bool wants_write; /* TLS: reading waits for the socket to take data */
	bool at_end;      /* the peer has closed */
	char in[WIRE_IO_BYTES], out[WIRE_IO_BYTES];
	size_t in_at, in_n; /* unread bytes of in: [in_at, in_n) */
};

/* What the certificate check of the first connection found. */
struct wire_tls {
	bool used;
	long verify;          /* X509_V_OK or the reason */
	const char *reason;   /* in words; the certificate's names included where they do not match */
	const char *protocol; /* "TLSv1.3" */
	int days_left;        /* until the certificate ends */
};

/* Connects (and greets over TLS). False and *why on failure. A certificate that does not verify is a failure
 * unless w->insecure; facts (may be NULL) is filled either way. */
bool wire_open(struct wire *w, struct wire_tls *facts, const char **why);
/* Closes at once, without a goodbye: also in the middle of a body. */
void wire_close(struct wire *w);
/* Sends n bytes. False: the time is over, the peer is gone, or the user wants to stop; *why in words. Stops
 * early with true and *taken < n as soon as bytes from the peer have arrived (the caller looks at them and
 * may go on). */
bool wire_send(struct wire *w, struct str bytes, size_t *taken, const char **why);
/* Waits at most wait_ms (-1: idle_ms) for bytes. 1: there are unread bytes in w->in; 0: the peer closed;
 * -1: time-out or stop, *why in words. */
int wire_fill(struct wire *w, int wait_ms, const char **why);
/* True when bytes of the peer are there now. Does not wait. */
bool wire_arrived(struct wire *w);

enum framing { FRAME_NONE, FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE };

struct ask {
	const char *method, *target;
	const char *auth;   /* Authorization's value, or NULL */
	const char *lines;  /* further header lines, each ended by CRLF, or NULL */
	struct str body;    /* a small body; p NULL: none */
	int64_t fill_bytes; /* or a generated one of that many bytes */
	int64_t fill_from;  /* position of its first byte in the generated stream */
	uint64_t fill_seed; /* which stream: ask_fill() */
	int64_t announce;   /* Content-Length to write when it is not the body's; 0: the body's */
	int64_t cut_after;  /* > 0: after that many body bytes wait cut_wait_ms for an answer, then cut */
	int cut_wait_ms;
	bool chunked; /* Transfer-Encoding: chunked, no length */
	bool expect;  /* Expect: 100-continue; the body follows the 100, or 5 s of silence */
};
struct header {
	struct str name, value;
};
struct answer {
	int status;       /* 0: there was none */
	const char *fail; /* why not, or why the body is incomplete; NULL: complete */
	struct header headers[WIRE_HEADERS];
	int n_headers;
	bool saw_100;
	bool early;        /* the answer began before the whole body was sent */
	int64_t sent;      /* body bytes given to the kernel until then */
	int64_t waited_us; /* from the first byte of the request to the first of the answer */
	enum framing framing;
	int64_t length;     /* Content-Length; -1: none */
	int64_t body_bytes; /* received, after chunks are undone */
	struct str body;    /* the first WIRE_KEPT of them */
	char sha256[65];    /* of all of them */
};

/* One request and its answer. Always fills *out. */
void ask_run(struct wire *w, const struct ask *a, struct answer *out);
/* A header's value: the first of that name; n 0 and p NULL when absent. */
struct str answer_header(const struct answer *r, const char *name);
int answer_count(const struct answer *r, const char *name);
/* Bytes [from, from + n) of the endless stream `seed`: they do not compress and differ between runs. */
void ask_fill(uint64_t seed, int64_t from, void *p, size_t n);
#endif
