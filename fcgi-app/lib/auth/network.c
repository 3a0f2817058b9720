/* Client networks for throttling and rate limits. */
#include "auth/network.h"

#include <arpa/inet.h>
#include <stdio.h>

_Static_assert(sizeof(struct network) == 9, "struct network is hashed as bytes");

struct network
network_of(struct str address)
{
	static const uint8_t MAPPED[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct network out = { .family = 0 };
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;
	struct str bare, zone;

	str_cut(address, '%', &bare, &zone);
	if (bare.n == 0 || bare.n >= sizeof text || memchr(bare.p, '\0', bare.n) != NULL)
		return out;
	memcpy(text, bare.p, bare.n);
	text[bare.n] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1) {
		out.family = 4;
		memcpy(out.bytes, &v4, 4);
	} else if (inet_pton(AF_INET6, text, &v6) == 1) {
		const bool mapped = memcmp(&v6, MAPPED, sizeof MAPPED) == 0;
		out.family = mapped ? 4 : 6;
		memcpy(out.bytes, v6.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
	}
	return out;
}

void
network_text(struct network n, char out[NETWORK_TEXT])
{
	struct in6_addr v6 = { 0 };

	if (n.family == 4) {
		inet_ntop(AF_INET, n.bytes, out, NETWORK_TEXT);
	} else if (n.family == 6) {
		memcpy(v6.s6_addr, n.bytes, sizeof n.bytes);
		inet_ntop(AF_INET6, &v6, out, NETWORK_TEXT);
		memcpy(out + strlen(out), "/64", 4); /* at most "xxxx:xxxx:xxxx:xxxx::" before */
	} else {
		snprintf(out, NETWORK_TEXT, "unknown");
	}
}
