/* Addresses are compared as 128 bits, IPv4 as its mapped form, so that "::ffff:10.0.0.1" and "10.0.0.1" are one. */
#include "http/client-addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/arena.h"

static const uint8_t MAPPED[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool
parse_addr(struct str s, uint8_t out[16], bool *is_v4)
{
	char text[INET6_ADDRSTRLEN];

	if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*is_v4 = inet_pton(AF_INET, text, out + 12) == 1;
	if (*is_v4) {
		memcpy(out, MAPPED, sizeof MAPPED);
		return true;
	}
	return inet_pton(AF_INET6, text, out) == 1;
}

/* As it stands in X-Forwarded-For: "a.b.c.d", "a.b.c.d:port", "v6", "[v6]", "[v6]:port". */
static bool
parse_hop(struct str s, uint8_t out[16])
{
	struct str head, tail;
	bool v4;

	s = str_trim(s);
	if (s.n > 1 && s.p[0] == '[') {
		str_cut(str_sub(s, 1, s.n), ']', &head, &tail);
		return parse_addr(head, out, &v4) && (tail.n == 0 || tail.p[0] == ':');
	}
	if (parse_addr(s, out, &v4))
		return true;
	return str_rcut(s, ':', &head, &tail) && parse_addr(head, out, &v4) && v4;
}

static bool
in_range(const struct cidr *c, const uint8_t a[16])
{
	const unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (c->local || memcmp(c->addr, a, whole) != 0)
		return false;
	return rest == 0 || ((c->addr[whole] ^ a[whole]) >> (8 - rest)) == 0;
}

bool
cidr_parse(struct str text, struct cidr *out)
{
	struct cidr c = { .bits = 128 };
	struct str addr, bits;
	int64_t n;
	bool v4;

	if (str_eq_c(text, "unix")) {
		*out = (struct cidr){ .local = true };
		return true;
	}
	const bool has_bits = str_cut(text, '/', &addr, &bits);
	if (!parse_addr(addr, c.addr, &v4))
		return false;
	if (has_bits) {
		if (!str_to_i64(bits, 0, v4 ? 32 : 128, &n))
			return false;
		c.bits = (unsigned)n + (v4 ? 96 : 0);
	}
	for (unsigned i = c.bits; i < 128; i++) {
		if ((c.addr[i / 8] >> (7 - i % 8) & 1) != 0)
			return false;
	}
	*out = c;
	return true;
}

static bool
is_local(struct str addr)
{
	return addr.n == 0 || str_starts(addr, STR("unix:"));
}

bool
cidr_has(const struct cidr *list, size_t n, struct str addr)
{
	uint8_t a[16];
	const bool local = is_local(addr);
	bool v4;

	if (!local && !parse_addr(addr, a, &v4))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (local ? list[i].local : in_range(&list[i], a))
			return true;
	}
	return false;
}

static struct str
addr_text(struct arena *mem, const uint8_t a[16])
{
	char *p = arena_alloc(mem, INET6_ADDRSTRLEN);

	if (memcmp(a, MAPPED, sizeof MAPPED) == 0)
		inet_ntop(AF_INET, a + 12, p, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, a, p, INET6_ADDRSTRLEN);
	return str_of(p);
}

struct str
client_addr(struct arena *mem, struct str peer, struct str forwarded, const struct cidr *list, size_t n)
{
	uint8_t a[16];
	struct str now = parse_hop(peer, a) ? addr_text(mem, a) : peer;
	struct str rest = forwarded, hop;

	while (rest.n > 0 && cidr_has(list, n, now)) {
		if (!str_rcut(rest, ',', &rest, &hop)) {
			hop = rest;
			rest = STR0;
		}
		if (!parse_hop(hop, a))
			break; /* a word that no address is: the last good one counts */
		now = addr_text(mem, a);
	}
	return now;
}
