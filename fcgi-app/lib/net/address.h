/* Network addresses and CIDR blocks as values, for whatever decides by address: the SSRF guard, proxy
 * exceptions, rate limits. Names are never resolved here. */
#ifndef KADE_NET_ADDRESS_H
#define KADE_NET_ADDRESS_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct sockaddr;
#define ADDR_TEXT_BYTES 46
struct addr {
	bool is_v6;
	uint8_t b[16]; /* network order; IPv4 uses the first four */
};
struct addr_block { /* a CIDR block; the bits behind `bits` are clear */
	struct addr net;
	uint8_t bits;
};

/* The usual text forms only: dotted quad, RFC 4291 text (in brackets or not). No octal, hexadecimal or short
 * forms. */
bool addr_parse(struct str text, struct addr *out);
/* False for families other than IPv4 and IPv6. */
bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *out);
/* "a", "a/bits"; host bits may be set and are cleared. */
bool addr_block_parse(struct str text, struct addr_block *out);
bool addr_block_has(const struct addr_block *block, const struct addr *a);
/* The IPv4 address that an IPv6 address stands for: v4-mapped, v4-compatible, NAT64 (64:ff9b::/96), 6to4.
 * False when there is none. */
bool addr_embedded_v4(const struct addr *a, struct addr *out);
void addr_text(const struct addr *a, char out[ADDR_TEXT_BYTES]);
#endif
