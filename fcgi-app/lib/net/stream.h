/* A byte stream to a server: TCP or Unix socket, with or without TLS. Every call ends at its deadline
 * (microseconds on clock_mono_us()), whatever the peer does. One thread at a time. Serves the Redis client.
 */
#ifndef KADE_NET_STREAM_H
#define KADE_NET_STREAM_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct stream;
struct tls_client;
enum stream_result { STREAM_OK, STREAM_EOF, STREAM_TIMEOUT, STREAM_FAILED };
#define STREAM_FAULT_BYTES 240
struct stream_target {
	const char *unix_path; /* NULL: host and port */
	const char *host;
	uint16_t port;
	const struct tls_client *tls; /* NULL: plain */
};

/* Connects, TLS handshake included. NULL on failure; fault says why (no secret in it).
 * Taken by the caller. */
struct stream *stream_open(const struct stream_target *to, int64_t deadline_us,
                           char fault[STREAM_FAULT_BYTES]);
void stream_close(struct stream *s); /* NULL is allowed */
/* All of data, or *sent bytes of it. */
enum stream_result stream_write(struct stream *s, struct str data, int64_t deadline_us, size_t *sent);
/* At least one byte. */
enum stream_result stream_read(struct stream *s, char *p, size_t cap, int64_t deadline_us, size_t *got);
/* True while the peer has neither closed the connection nor sent anything: fit for the next question. */
bool stream_is_quiet(struct stream *s);
/* What the last failing call found. */
const char *stream_fault(const struct stream *s);
#endif
