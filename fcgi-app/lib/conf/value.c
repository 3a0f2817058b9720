/* Checks of single texts, named "@…" in the table of keys. None of them needs the network. */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "base/ctx.h"
#include "base/digest.h"
#include "conf/load.h"

/* Values that public documents and source code give as defaults or examples, and that installations therefore have. Each was
 * found there; a value that is only short or easy to guess does not belong here. */
static const char *const PUBLISHED[] = {
	/* Quay: the default of PAGE_TOKEN_KEY; the keys of its tests; of its local development stack */
	"0OYrc16oBuksR8T3JGB-xxYSlZ2-7I_zzqrLzggBJ58=",
	"superdupersecret!!!1",
	"anothercrazykey!",
	"30060361640793187613697366923211113205676925445650250274752125083971638376224",
	/* the guide to a first Quay, from where dozens of scripts copied SECRET_KEY and DATABASE_SECRET_KEY */
	"e9bd34f4-900c-436a-979e-7530e5d74ac8",
	"a8c2744b-7004-4af2-bcee-e417e7bdd235",
	/* the first releases of the installer of Quay's mirror registry */
	"30824339799025335633887256663000123118247018465144108496567331049820667127217",
	"81541057085600720484162638317561463611194901378275494293746615390984668417511",
	/* examples of SECRET_KEY in many projects */
	"changeme",
	"password",
};

static const char *
check_secret(const struct load *l, const char *text)
{
	(void)l;
	for (size_t i = 0; i < sizeof PUBLISHED / sizeof PUBLISHED[0]; i++)
		if (strcmp(text, PUBLISHED[i]) == 0)
			return "this value is published: everybody knows it";
	return NULL;
}

static const char *
check_fernet(const struct load *l, const char *text)
{
	struct str s = str_of(text), raw;

	while (s.n > 0 && s.p[s.n - 1] == '=')
		s.n--;
	if (!base64url_get(l->c->mem, s, &raw) || raw.n != 32)
		return "URL-safe base64 of 32 bytes is wanted";
	return check_secret(l, text);
}

static const char *
check_base64(const struct load *l, const char *text)
{
	struct str raw;

	return base64_get(l->c->mem, str_of(text), &raw) && raw.n > 0 ? NULL : "base64 is wanted";
}

static const char *
check_hostport(const struct load *l, const char *text)
{
	static const char wrong[] = "a host name is wanted, or host:port, without a scheme or path";
	struct str host, port;
	int64_t n;

	(void)l;
	if (str_cut(str_of(text), ':', &host, &port) && !str_to_i64(port, 1, 65535, &n))
		return wrong;
	if (host.n == 0 || host.n > 253)
		return wrong;
	for (size_t i = 0; i < host.n; i++)
		if (!isalnum((unsigned char)host.p[i]) && host.p[i] != '.' && host.p[i] != '-')
			return wrong;
	return NULL;
}

static const char *
check_url(const struct load *l, const char *text)
{
	struct str s = str_of(text);

	(void)l;
	if (str_starts(s, STR("http://")))
		s = str_sub(s, 7, s.n);
	else if (str_starts(s, STR("https://")))
		s = str_sub(s, 8, s.n);
	else
		return "an address that begins with http:// or https:// is wanted";
	if (s.n == 0 || s.p[0] == '/')
		return "the address has no host";
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return "an address holds no blanks";
	return NULL;
}

static const char *
check_ldapuri(const struct load *l, const char *text)
{
	(void)l;
	return str_starts(str_of(text), STR("ldap://")) || str_starts(str_of(text), STR("ldaps://"))
	           ? NULL
	           : "an address that begins with ldap:// or ldaps:// is wanted";
}

static const char *
check_cidr(const struct load *l, const char *text)
{
	static const char wrong[] = "an address or block like 192.0.2.0/24 or 2001:db8::/32 is wanted";
	struct str addr, bits;
	unsigned char raw[16];
	char z[64];
	int64_t n;

	(void)l;
	const bool has_bits = str_cut(str_of(text), '/', &addr, &bits);
	if (addr.n >= sizeof z)
		return wrong;
	memcpy(z, addr.p, addr.n);
	z[addr.n] = '\0';
	if (inet_pton(AF_INET, z, raw) == 1)
		return !has_bits || str_to_i64(bits, 0, 32, &n) ? NULL : wrong;
	return inet_pton(AF_INET6, z, raw) == 1 && (!has_bits || str_to_i64(bits, 0, 128, &n)) ? NULL : wrong;
}

static const char *
check_token(const struct load *l, const char *text)
{
	(void)l;
	for (const char *p = text; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("_-.;", *p) == NULL)
			return "letters, digits, _ - . only";
	return NULL;
}

static const char *
check_prefix(const struct load *l, const char *text)
{
	const size_t n = strlen(text);

	(void)l;
	if (text[0] != '/' || (n > 1 && text[n - 1] == '/') || strstr(text, "//") != NULL ||
	    strstr(text, "/..") != NULL || text[strcspn(text, " \t\r\n?#%\"\\")] != '\0')
		return "a path that begins and does not end with / is wanted";
	return n == 1 ? "the root is meant by an empty text" : NULL;
}

static const char *
check_abspath(const struct load *l, const char *text)
{
	(void)l;
	return text[0] == '/' || strncmp(text, "conf/stack/", 11) == 0 ? NULL : "an absolute path is wanted";
}

static const char *
check_contact(const struct load *l, const char *text)
{
	static const char *const schemes[] = { "mailto:", "tel:", "irc://", "http://", "https://" };

	(void)l;
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (str_starts(str_of(text), str_of(schemes[i])))
			return NULL;
	return "mailto:, tel:, irc://, http:// or https:// is wanted";
}

static const char *
check_dotted(const struct load *l, const char *text)
{
	(void)l;
	return str_ends(str_of(text), STR(".")) ? NULL : "the text has to end in a dot";
}

static const char *
check_duration(const struct load *l, const char *text)
{
	int64_t s;

	(void)l;
	return duration_parse(str_of(text), &s) ? NULL : "a duration like 30s, 5m, 12h, 3d or 2w is wanted";
}

static const char *
check_accesslog(const struct load *l, const char *text)
{
	int64_t n;

	(void)l;
	if (strcmp(text, "off") == 0 || strcmp(text, "false") == 0 || strcmp(text, "no") == 0 ||
	    strcmp(text, "errors") == 0 || strcmp(text, "all") == 0)
		return NULL;
	return strncmp(text, "sampled:", 8) == 0 && str_to_i64(str_of(text + 8), 1, 1000000, &n)
	           ? NULL
	           : "off, errors, sampled:N or all is wanted";
}

/* Parentheses of an LDAP filter match; its grammar is the LDAP library's business. */
static const char *
check_filter(const struct load *l, const char *text)
{
	int open = 0;

	(void)l;
	for (const char *p = text; *p != '\0'; p++) {
		open += *p == '(';
		open -= *p == ')';
		if (open < 0)
			break;
	}
	return open == 0 ? NULL : "the parentheses of the filter do not match";
}

static const char *
check_postgres(const struct load *l, const char *text)
{
	struct str_list kw, values;
	const char *why;

	return db_uri_parse(l->c->mem, text, &kw, &values, &why) ? NULL : why;
}

static const struct {
	const char *name;
	const char *(*check)(const struct load *l, const char *text);
} CHECKS[] = {
	{"@abspath",    check_abspath  },
        { "@accesslog", check_accesslog},
        { "@base64",    check_base64   },
	{ "@cidr",      check_cidr     },
        { "@contact",   check_contact  },
        { "@dotted",    check_dotted   },
	{ "@duration",  check_duration },
        { "@fernet",    check_fernet   },
        { "@filter",    check_filter   },
	{ "@hostport",  check_hostport },
        { "@ldapuri",   check_ldapuri  },
        { "@postgres",  check_postgres },
	{ "@prefix",    check_prefix   },
        { "@secret",    check_secret   },
        { "@token",     check_token    },
	{ "@url",       check_url      },
};

const char *
value_check(const struct load *l, const char *check, const char *text)
{
	for (size_t i = 0; check != NULL && i < sizeof CHECKS / sizeof CHECKS[0]; i++)
		if (strcmp(CHECKS[i].name, check) == 0)
			return CHECKS[i].check(l, text);
	return NULL;
}
