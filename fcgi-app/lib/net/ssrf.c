/* The guard of outgoing requests. The blocks are those of the IANA special-purpose registries for IPv4 and
 * IPv6 whose "globally reachable" is false, plus multicast and what the great clouds use for their metadata
 * services. */
#include "net/ssrf.h"

#include <curl/curl.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "net/address.h"

struct ssrf_rules {
	struct addr_block *blocks;
	struct str *hosts; /* lower or upper case as written; a leading "*." means every name below */
	size_t n_blocks, n_hosts;
};
struct refusal {
	bool is_v6;
	uint8_t bits;
	uint8_t net[8]; /* no block is longer than 64 bits, except those spelled out in v6_reason() */
	const char *reason;
};

static const struct refusal REFUSED[] = {
	{false,  8,  { 0 },	                       "unspecified address"},
	{ false, 8,  { 10 },	                      "private network"    },
	{ false, 10, { 100, 64 },                         "carrier-grade NAT"  },
	{ false, 8,  { 127 },	                     "loopback"           },
	{ false, 32, { 169, 254, 169, 254 },              "metadata service"   },
	{ false, 32, { 169, 254, 170, 2 },                "metadata service"   },
	{ false, 16, { 169, 254 },                        "link-local"         },
	{ false, 12, { 172, 16 },                         "private network"    },
	{ false, 24, { 192, 0, 0 },                       "reserved"           },
	{ false, 24, { 192, 0, 2 },                       "documentation"      },
	{ false, 24, { 192, 88, 99 },                     "reserved"           },
	{ false, 16, { 192, 168 },                        "private network"    },
	{ false, 15, { 198, 18 },                         "benchmark network"  },
	{ false, 24, { 198, 51, 100 },                    "documentation"      },
	{ false, 24, { 203, 0, 113 },                     "documentation"      },
	{ false, 32, { 168, 63, 129, 16 },                "metadata service"   }, /* Azure's host channel */
	{ false, 4,  { 224 },	                     "multicast"          },
	{ false, 4,  { 240 },	                     "reserved"           }, /* broadcast too */
	{ true,  32, { 0xfd, 0x00, 0x0e, 0xc2 },          "metadata service"   }, /* fd00:ec2::254, ::23 */
	{ true,  32, { 0xfd, 0x20, 0x00, 0xce },          "metadata service"   }, /* fd20:ce::254 */
	{ true,  7,  { 0xfc },                            "private network"    },
	{ true,  10, { 0xfe, 0x80 },                      "link-local"         },
	{ true,  10, { 0xfe, 0xc0 },                      "site-local"         },
	{ true,  8,  { 0xff },                            "multicast"          },
	{ true,  48, { 0x00, 0x64, 0xff, 0x9b, 0x00, 1 }, "local NAT64"        },
	{ true,  32, { 0x20, 0x01, 0x0d, 0xb8 },          "documentation"      },
	{ true,  20, { 0x3f, 0xff },                      "documentation"      },
	{ true,  23, { 0x20, 0x01 },                      "reserved"           }, /* Teredo and its neighbours */
};
static const char *const NAMES[] = { /* of local and metadata services, whatever they resolve to */
	                             "localhost",
	                             "localhost.localdomain",
	                             "ip6-localhost",
	                             "ip6-loopback",
	                             "metadata",
	                             "metadata.google.internal",
	                             "metadata.azure.internal",
	                             "metadata.goog",
	                             "instance-data",
	                             "instance-data.ec2.internal",
	                             "kubernetes",
	                             "kubernetes.default",
	                             "kubernetes.default.svc",
	                             "kubernetes.default.svc.cluster.local"
};

static struct str
host_bare(struct str host)
{
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 1);
	while (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	return host;
}

static bool
is_host_pattern(struct str s)
{
	if (str_starts(s, STR("*.")))
		s = str_sub(s, 2, s.n);
	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char ch = s.p[i];
		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
		      ch == '-' || ch == '_' || (ch == '.' && i > 0 && s.p[i - 1] != '.')))
			return false;
	}
	return true;
}

enum err_kind
ssrf_rules_new(struct ctx *c, const struct str_list *allowed, const struct ssrf_rules **out)
{
	struct ssrf_rules *r = ARENA_NEW(c->mem, struct ssrf_rules);

	r->blocks = ARENA_ARRAY(c->mem, struct addr_block, allowed->n);
	r->hosts = ARENA_ARRAY(c->mem, struct str, allowed->n);
	for (size_t i = 0; i < allowed->n; i++) {
		const struct str s = str_trim(str_of(allowed->v[i]));
		if (addr_block_parse(s, &r->blocks[r->n_blocks]))
			r->n_blocks++;
		else if (is_host_pattern(s))
			r->hosts[r->n_hosts++] = host_bare(str_of(str_dup(c->mem, s)));
		else
			return err_set(c, ERR_BAD_INPUT,
			               "\"%.200s\" is neither a host name nor an address block",
			               allowed->v[i]);
	}
	*out = r;
	return ERR_NONE;
}

static bool
host_allowed(const struct ssrf_rules *r, struct str host)
{
	for (size_t i = 0; r != NULL && i < r->n_hosts; i++) {
		const struct str h = r->hosts[i];
		if (str_eq_nocase(h, host))
			return true;
		if (str_starts(h, STR("*.")) && host.n >= h.n &&
		    str_eq_nocase(str_sub(h, 1, h.n), str_sub(host, host.n - (h.n - 1), host.n)))
			return true;
	}
	return false;
}

static bool
block_allowed(const struct ssrf_rules *r, const struct addr *a)
{
	for (size_t i = 0; r != NULL && i < r->n_blocks; i++)
		if (addr_block_has(&r->blocks[i], a))
			return true;
	return false;
}

static const char *
table_reason(const struct addr *a)
{
	for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
		struct addr_block block = { .net = { .is_v6 = REFUSED[i].is_v6 }, .bits = REFUSED[i].bits };
		memcpy(block.net.b, REFUSED[i].net, sizeof REFUSED[i].net);
		if (addr_block_has(&block, a))
			return REFUSED[i].reason;
	}
	return NULL;
}

/* The last 64 bits of an ISATAP address carry an IPv4 address behind 0000:5efe or 0200:5efe. */
static bool
isatap_v4(const struct addr *a, struct addr *out)
{
	struct addr v4 = { 0 };

	if ((a->b[8] & 0xfd) != 0 || a->b[9] != 0 || a->b[10] != 0x5e || a->b[11] != 0xfe)
		return false;
	memcpy(v4.b, a->b + 12, 4);
	*out = v4;
	return true;
}

static const char *
v6_reason(const struct addr *a)
{
	static const uint8_t ZERO[15];
	struct addr v4;
	const char *reason;

	if (memcmp(a->b, ZERO, 15) == 0 && a->b[15] <= 1)
		return a->b[15] == 0 ? "unspecified address" : "loopback";
	if ((reason = table_reason(a)) != NULL)
		return reason;
	if (addr_embedded_v4(a, &v4))
		return table_reason(&v4);
	if ((a->b[0] & 0xe0) != 0x20)
		return "reserved"; /* only 2000::/3 is given out as global unicast */
	return isatap_v4(a, &v4) ? table_reason(&v4) : NULL;
}

const char *
ssrf_refuses(const struct ssrf_rules *rules, struct str host, const struct addr *a)
{
	struct addr v4;
	const char *reason = a->is_v6 ? v6_reason(a) : table_reason(a);

	if (reason == NULL || block_allowed(rules, a) ||
	    (addr_embedded_v4(a, &v4) && block_allowed(rules, &v4)) || host_allowed(rules, host_bare(host)))
		return NULL;
	return reason;
}

const char *
ssrf_refuses_name(const struct ssrf_rules *rules, struct str host)
{
	struct addr a;

	host = host_bare(host);
	if (host.n == 0)
		return "no host";
	if (addr_parse(host, &a))
		return ssrf_refuses(rules, host, &a);
	if (host_allowed(rules, host))
		return NULL;
	for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
		if (str_eq_nocase(host, str_of(NAMES[i])))
			return "name of a local service";
	if (host.n > 10 && str_eq_nocase(str_sub(host, host.n - 10, host.n), STR(".localhost")))
		return "name of a local service";
	return NULL;
}

static void
free_url(void *p)
{
	curl_url_cleanup(p);
}

static struct str
url_part(struct ctx *c, CURLU *u, CURLUPart part)
{
	char *v = NULL;
	struct str s = STR0;

	if (curl_url_get(u, part, &v, 0) == CURLUE_OK && v != NULL) {
		arena_defer(c->mem, curl_free, v);
		s = str_of(v);
	}
	return s;
}

enum err_kind
ssrf_check_url(struct ctx *c, const struct ssrf_rules *rules, const char *url)
{
	CURLU *u = curl_url();
	const char *reason;

	if (u == NULL)
		return err_set(c, ERR_BUSY, "out of memory");
	arena_defer(c->mem, free_url, u);
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		return err_set(c, ERR_BAD_INPUT, "not a valid URL");
	const struct str scheme = url_part(c, u, CURLUPART_SCHEME), host = url_part(c, u, CURLUPART_HOST);
	if (!str_eq(scheme, STR("http")) && !str_eq(scheme, STR("https")))
		return err_set(c, ERR_BAD_INPUT, "only http and https URLs are allowed");
	if (url_part(c, u, CURLUPART_USER).p != NULL || url_part(c, u, CURLUPART_PASSWORD).p != NULL)
		return err_set(c, ERR_BAD_INPUT, "a URL with a user name or password is not allowed");
	if ((reason = ssrf_refuses_name(rules, host)) != NULL)
		return err_set(c, ERR_BAD_INPUT, "host %.*s is not allowed: %s",
		               (int)(host.n < 253 ? host.n : 253), host.p, reason);
	return ERR_NONE;
}
