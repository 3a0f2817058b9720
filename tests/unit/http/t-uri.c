/* REQUEST_URI, forms, and the client's address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/client-addr.h"
#include "http/uri.h"

static int
open_mem(void **state)
{
	*state = arena_new(0);
	return 0;
}

static int
close_mem(void **state)
{
	arena_free(*state);
	return 0;
}

/* "a|b/c*" : segments joined with '|', a star behind one that held an encoded slash. */
static const char *
joined(struct arena *mem, const struct uri *u)
{
	struct buf b = BUF(mem);

	for (int i = 0; i < u->n; i++) {
		if (i > 0)
			buf_putc(&b, '|');
		buf_put(&b, u->seg[i].text);
		if (u->seg[i].has_slash)
			buf_putc(&b, '*');
	}
	return buf_cstr(&b);
}

static void
paths(void **state)
{
	static const struct {
		const char *uri, *mount;
		enum uri_result result;
		const char *segments, *query;
	} CASE[] = {
		{"/",		           "",          URI_OK,     "",                 ""           },
		{ "/v2/",                       "",          URI_OK,     "v2",               ""           },
		{ "/v2",                        "",          URI_OK,     "v2",               ""           },
		{ "/v2/a/b?x=1&y=/../z",        "",          URI_OK,     "v2|a|b",           "x=1&y=/../z"},
		{ "/v2?",                       "",          URI_OK,     "v2",               ""           },
		{ "/v2?a?b",                    "",          URI_OK,     "v2",               "a?b"        },
		{ "http://evil.example/v2/x?q", "",          URI_OK,     "v2|x",             "q"          },
		{ "HTTPS://evil.example",       "",          URI_OK,     "",                 ""           },
		{ "/a%20b/%C3%A9/c%2Bd",        "",          URI_OK,     "a b|\xc3\xa9|c+d", ""           },
		{ "/a%2Fb/c",                   "",          URI_OK,     "a/b*|c",           ""           },
		{ "/a%2fb%2Fc",                 "",          URI_OK,     "a/b/c*",           ""           },
		{ "/a+b",                       "",          URI_OK,     "a+b",              ""           },
		{ "/sha256:abc",                "",          URI_OK,     "sha256:abc",       ""           },
		{ "//v2",                       "",          URI_ABSENT, NULL,               ""           },
		{ "/v2//x",                     "",          URI_ABSENT, NULL,               ""           },
		{ "/v2//",                      "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/./x",                    "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/../x",                   "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/%2e%2E/x",               "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/a%2F..%2Fb",             "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/a%2F",                   "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/%2Fa",                   "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/...",                    "",          URI_OK,     "v2|...",           ""           },
		{ "/v2/%ff",                    "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/%c0%ae",                 "",          URI_ABSENT, NULL,               ""           },
		{ "/v2/%00",                    "",          URI_BAD,    NULL,               ""           },
		{ "/v2/%zz",                    "",          URI_BAD,    NULL,               ""           },
		{ "/v2/%4",                     "",          URI_BAD,    NULL,               ""           },
		{ "/v2/%",                      "",          URI_BAD,    NULL,               ""           },
		{ "",		           "",          URI_BAD,    NULL,               ""           },
		{ "v2",		         "",          URI_BAD,    NULL,               ""           },
		{ "*",		          "",          URI_BAD,    NULL,               ""           },
		{ "/registry/v2/x",             "/registry", URI_OK,     "v2|x",             ""           },
		{ "/registry",                  "/registry", URI_OK,     "",                 ""           },
		{ "/registry/",                 "/registry", URI_OK,     "",                 ""           },
		{ "/registryv2",                "/registry", URI_ABSENT, NULL,               ""           },
		{ "/v2",                        "/registry", URI_ABSENT, NULL,               ""           },
	};
	struct uri u;

	for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
		const enum uri_result r = uri_parse(*state, str_of(CASE[i].uri), CASE[i].mount, &u);
		if (r != CASE[i].result)
			fail_msg("%s: %d, expected %d", CASE[i].uri, (int)r, (int)CASE[i].result);
		if (r == URI_OK) {
			assert_string_equal(joined(*state, &u), CASE[i].segments);
			assert_true(str_eq_c(u.query, CASE[i].query));
		}
	}
}

static void
limits(void **state)
{
	static char text[URI_BYTES + 2];
	struct uri u;

	memset(text, 'a', sizeof text);
	text[0] = '/';
	assert_int_equal(uri_parse(*state, (struct str){ text, URI_BYTES + 1 }, "", &u), URI_TOO_LONG);
	assert_int_equal(uri_parse(*state, (struct str){ text, URI_BYTES }, "", &u), URI_OK);
	for (size_t i = 0; i < URI_SEGMENTS * 2; i += 2)
		text[i] = '/';
	assert_int_equal(uri_parse(*state, (struct str){ text, URI_SEGMENTS * 2 }, "", &u), URI_OK);
	assert_int_equal(u.n, URI_SEGMENTS);
	text[URI_SEGMENTS * 2] = '/';
	assert_int_equal(uri_parse(*state, (struct str){ text, URI_SEGMENTS * 2 + 2 }, "", &u), URI_ABSENT);
}

static void
forms(void **state)
{
	struct str rest = STR("a=1&b&&=x&c=a%20b+c&%61=2"), name, value;
	int seen = 0;

	assert_true(form_next(&rest, &seen, &name, &value));
	assert_true(str_eq_c(name, "a") && str_eq_c(value, "1"));
	assert_true(form_next(&rest, &seen, &name, &value));
	assert_true(str_eq_c(name, "b") && value.n == 0);
	assert_true(form_next(&rest, &seen, &name, &value));
	assert_true(name.n == 0 && str_eq_c(value, "x"));
	assert_true(form_next(&rest, &seen, &name, &value));
	assert_true(str_eq_c(form_decode(*state, value), "a b c"));
	assert_true(form_next(&rest, &seen, &name, &value));
	assert_true(form_name_is(name, "a"));
	assert_false(form_name_is(name, "ab"));
	assert_false(form_name_is(name, ""));
	assert_false(form_next(&rest, &seen, &name, &value));
	assert_true(str_eq_c(form_decode(*state, STR("%zz%4")), "%zz%4"));
	assert_true(str_eq_c(form_decode(*state, STR("a%00b%ffc")), "a\xef\xbf\xbd"
	                                                            "b\xef\xbf\xbd"
	                                                            "c"));
	assert_true(str_eq_c(form_decode(*state, STR("\xc3\xa9%C3%A9")), "\xc3\xa9\xc3\xa9"));
}

static void
forms_are_bounded(void **state)
{
	static char text[2 * 1000];
	struct str rest = { text, sizeof text }, name, value;
	int seen = 0, n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof text; i += 2)
		memcpy(text + i, "x&", 2);
	while (form_next(&rest, &seen, &name, &value))
		n++;
	assert_int_equal(n, FORM_PAIRS);
}

static void
ranges(void **state)
{
	static const char *const BAD[] = {
		"",          "x",      "10.0.0.0/33",    "10.0.0.1/8", "10.0.0.0/-1",
		"10.0.0.0/", "::/129", "2001:db8::1/32", "10.0.0",     "unix:x"
	};
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		assert_false(cidr_parse(str_of(BAD[i]), &c));
	assert_true(cidr_parse(STR("10.0.0.0/9"), &c));
	assert_true(cidr_has(&c, 1, STR("10.127.0.1")));
	assert_true(cidr_has(&c, 1, STR("::ffff:10.127.0.1")));
	assert_false(cidr_has(&c, 1, STR("10.128.0.1")));
	assert_false(cidr_has(&c, 1, STR("unix:")));
	assert_true(cidr_parse(STR("2001:db8::/33"), &c));
	assert_true(cidr_has(&c, 1, STR("2001:db8:7fff::1")));
	assert_false(cidr_has(&c, 1, STR("2001:db8:8000::1")));
	assert_true(cidr_parse(STR("192.0.2.1"), &c));
	assert_true(cidr_has(&c, 1, STR("192.0.2.1")));
	assert_false(cidr_has(&c, 1, STR("192.0.2.2")));
	assert_true(cidr_parse(STR("0.0.0.0/0"), &c));
	assert_true(cidr_has(&c, 1, STR("8.8.8.8")));
	assert_false(cidr_has(&c, 1, STR("2001:db8::1")));
}

static void
clients(void **state)
{
	static const struct {
		const char *peer, *forwarded, *want;
	} CASE[] = {
		{"192.0.2.1",        NULL,                         "192.0.2.1"  },
		{ "192.0.2.1",       "1.1.1.1",                    "192.0.2.1"  }, /* not a listed proxy */
		{ "10.0.0.1",        "1.1.1.1",                    "1.1.1.1"    }, /* listed */
		{ "10.0.0.1",        "6.6.6.6, 1.1.1.1",           "1.1.1.1"    }, /* what the client claimed does not count */
		{ "10.0.0.1",        "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"    }, /* a chain of listed ones */
		{ "10.0.0.1",        "10.0.0.3,10.0.0.2",          "10.0.0.3"   }, /* all listed: the first */
		{ "10.0.0.1",        "6.6.6.6, nonsense",          "10.0.0.1"   }, /* the proxy wrote no address */
		{ "10.0.0.1",        "1.1.1.1:5555",               "1.1.1.1"    },
		{ "10.0.0.1",        "[2001:DB8::1]:99",           "2001:db8::1"},
		{ "10.0.0.1",        "2001:db8::1",                "2001:db8::1"},
		{ "::ffff:10.0.0.1", "1.1.1.1",                    "1.1.1.1"    },
		{ "10.0.0.1",        "",                           "10.0.0.1"   },
		{ "10.0.0.1",        ",,,",                        "10.0.0.1"   },
		{ "unix:",           "1.1.1.1",                    "unix:"      },
	};
	struct cidr c[2];

	assert_true(cidr_parse(STR("10.0.0.0/8"), &c[0]));
	assert_true(cidr_parse(STR("unix"), &c[1]));
	for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
		const struct str a =
		    client_addr(*state, str_of(CASE[i].peer), str_of(CASE[i].forwarded), c, 1);
		if (!str_eq_c(a, CASE[i].want))
			fail_msg("%s, %s: %.*s", CASE[i].peer, CASE[i].forwarded, STRF(a));
	}
	assert_true(str_eq_c(client_addr(*state, STR("unix:"), STR("1.1.1.1"), c, 2), "1.1.1.1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paths, open_mem, close_mem),
		cmocka_unit_test_setup_teardown(limits, open_mem, close_mem),
		cmocka_unit_test_setup_teardown(forms, open_mem, close_mem),
		cmocka_unit_test(forms_are_bounded),
		cmocka_unit_test(ranges),
		cmocka_unit_test_setup_teardown(clients, open_mem, close_mem),
	};

	return cmocka_run_group_tests_name("http/uri", tests, NULL, NULL);
}
