/* Network addresses and CIDR blocks. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

bool
addr_parse(struct str text, struct addr *out)
{
	char z[ADDR_TEXT_BYTES];
	struct addr a = { 0 };

	if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = str_sub(text, 1, text.n - 1);
	if (text.n == 0 || text.n >= sizeof z || str_find(text, '\0') >= 0)
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	a.is_v6 = str_find(text, ':') >= 0;
	if (inet_pton(a.is_v6 ? AF_INET6 : AF_INET, z, a.b) != 1)
		return false;
	*out = a;
	return true;
}

bool
addr_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
	struct addr a = { 0 };

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		memcpy(a.b, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof in6);
		memcpy(a.b, &in6.sin6_addr, 16);
		a.is_v6 = true;
	} else {
		return false;
	}
	*out = a;
	return true;
}

static void
clear_host_bits(struct addr_block *block)
{
	const unsigned whole = block->bits / 8, rest = block->bits % 8;

	if (whole == sizeof block->net.b)
		return;
	block->net.b[whole] = (uint8_t)(block->net.b[whole] & (0xff00u >> rest));
	memset(block->net.b + whole + 1, 0, sizeof block->net.b - whole - 1);
}

bool
addr_block_parse(struct str text, struct addr_block *out)
{
	struct addr_block block;
	struct str base, bits;
	int64_t n;
	const bool has_bits = str_cut(text, '/', &base, &bits);

	if (!addr_parse(base, &block.net))
		return false;
	n = block.net.is_v6 ? 128 : 32;
	if (has_bits && !str_to_i64(bits, 0, n, &n))
		return false;
	block.bits = (uint8_t)n;
	clear_host_bits(&block);
	*out = block;
	return true;
}

bool
addr_block_has(const struct addr_block *block, const struct addr *a)
{
	const unsigned whole = block->bits / 8, rest = block->bits % 8;

	if (block->net.is_v6 != a->is_v6 || memcmp(block->net.b, a->b, whole) != 0)
		return false;
	return rest == 0 || ((block->net.b[whole] ^ a->b[whole]) & (uint8_t)(0xff00u >> rest)) == 0;
}

bool
addr_embedded_v4(const struct addr *a, struct addr *out)
{
	static const uint8_t ZERO[12];
	static const uint8_t MAPPED[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	static const uint8_t NAT64[12] = { 0, 0x64, 0xff, 0x9b };
	struct addr v4 = { 0 };

	if (!a->is_v6)
		return false;
	if (a->b[0] == 0x20 && a->b[1] == 0x02) { /* 6to4: 2002:AABB:CCDD::/48 */
		memcpy(v4.b, a->b + 2, 4);
	} else if (memcmp(a->b, MAPPED, 12) == 0 || memcmp(a->b, NAT64, 12) == 0) {
		memcpy(v4.b, a->b + 12, 4);
	} else if (memcmp(a->b, ZERO, 12) == 0 && (a->b[12] | a->b[13]) != 0) { /* :: and ::1 are their own */
		memcpy(v4.b, a->b + 12, 4);
	} else {
		return false;
	}
	*out = v4;
	return true;
}

void
addr_text(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	if (inet_ntop(a->is_v6 ? AF_INET6 : AF_INET, a->b, out, ADDR_TEXT_BYTES) == NULL)
		out[0] = '\0';
}
