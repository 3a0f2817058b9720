/* The network that a client address belongs to, as far as limits are concerned: the IPv4 address itself, or
 * the /64 of an IPv6 address (one household or host has 2^64 of them). */
#ifndef KADE_AUTH_NETWORK_H
#define KADE_AUTH_NETWORK_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct network {
	uint8_t family;   /* 4, 6; 0 = the text was no address: all such callers share one network */
	uint8_t bytes[8]; /* IPv4: the first four, the rest 0 */
};
#define NETWORK_TEXT 48

/* From "192.0.2.1" or "2001:db8::1", also "::ffff:192.0.2.1" (counts as IPv4) and with a zone
 * ("fe80::1%eth0"). */
struct network network_of(struct str address);
/* "192.0.2.1", "2001:db8:0:1::/64" or "unknown", with a NUL. */
void network_text(struct network n, char out[NETWORK_TEXT]);
static inline struct str
network_key(const struct network *n)
{
	return (struct str){ (const char *)n, sizeof *n };
}
#endif
