/* Name look-up that ends at a deadline: getaddrinfo() knows no time-out, so it runs in a thread of its own,
 * which is left behind when it is too slow and ends by itself. Literal addresses need no thread. */
#ifndef KADE_NET_RESOLVE_H
#define KADE_NET_RESOLVE_H
#include <stdint.h>
#include <sys/socket.h>

#define RESOLVE_MAX 8
struct resolved {
	unsigned n;
	struct {
		struct sockaddr_storage sa;
		socklen_t len;
	} v[RESOLVE_MAX];
};

/* Addresses of host for stream sockets, in the order of preference of the system. NULL on success; else a
 * constant that says why not. deadline_us is on clock_mono_us(). */
const char *resolve_host(const char *host, uint16_t port, int64_t deadline_us, struct resolved *out);
#endif
