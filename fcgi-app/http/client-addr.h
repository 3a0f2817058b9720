/* Who the client is when proxies stand between: REMOTE_ADDR, or the last entry of X-Forwarded-For that no listed proxy
 * wrote. Nobody is trusted by default. */
#ifndef KADE_HTTP_CLIENT_ADDR_H
#define KADE_HTTP_CLIENT_ADDR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct cidr {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;    /* of the 128 */
	bool local;       /* "unix": a peer on a Unix socket, which has no address */
};

/* "10.0.0.0/8", "2001:db8::/32", a single address, or "unix". False when it is none of these or has host bits set. */
bool cidr_parse(struct str text, struct cidr *out);
bool cidr_has(const struct cidr *list, size_t n, struct str addr);
/* The client's address: canonical text, given in mem; what the web server said when that is no address. */
struct str client_addr(struct arena *mem, struct str peer, struct str forwarded, const struct cidr *list,
                       size_t n);
#endif
