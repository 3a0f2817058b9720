/* Where an application may send a browser: a wrong yes gives tokens away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "model/application.h"
#include "model/user.h"

#define BASE "https://registry.example"
#define HOME "https://client.example/cb"

static bool
allowed(const char *registered, const char *uri)
{
	return redirect_is_allowed(BASE, str_of(registered), str_of(uri));
}

static void
the_local_page_is_always_allowed(void **state)
{
	(void)state;
	assert_true(allowed("", BASE "/oauth/localapp"));
	assert_true(allowed(HOME, BASE "/oauth/localapp"));
	assert_false(allowed("", BASE "/oauth/localapp/x"));
	assert_false(allowed("", BASE "/oauth/localapp?x"));
	assert_false(allowed("", BASE ".evil/oauth/localapp"));
	assert_false(allowed("", "https://evil.example/oauth/localapp"));
	assert_false(allowed("", BASE));
	assert_false(allowed("", HOME));
}

static void
what_is_registered_is_allowed(void **state)
{
	static const char *const GOOD[] = { HOME, HOME "/", HOME "/deep/er", HOME "?a=b&c=d", HOME "?next=https://x.example/", "HTTPS://CLIENT.EXAMPLE/cb",
		                            HOME "/a.b", HOME "/v1.2.3" };

	(void)state;
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
		if (!allowed(HOME, GOOD[i]))
			fail_msg("refused: %s", GOOD[i]);
	assert_true(allowed("https://client.example", "https://client.example/any/where"));
	assert_true(allowed("myapp://callback", "myapp://callback"));
	assert_true(allowed("http://localhost:8080/", "http://localhost:8080/x"));
	assert_true(allowed("https://client.example/a%20b", "https://client.example/a%20b/c"));
}

static void
everything_else_is_refused(void **state)
{
	static const char *const BAD[] = {
		"", "/", "cb", "//client.example/cb", "https:/client.example/cb", "https:client.example/cb", "https://", "://client.example/cb",
		"http://client.example/cb", "https://client.example:443/cb", "https://client.example.evil.example/cb", "https://evil.example/cb",
		"https://evil.example/https://client.example/cb", "https://client.example@evil.example/cb", "https://x@client.example/cb",
		"https://x:y@client.example/cb", "https://client.example/", "https://client.example/CB", "https://client.example/cb/..",
		"https://client.example/cb/../..", "https://client.example/cb/%2e%2e/x", "https://client.example/cb/%2E./x", "https://client.example/cb/.%2e/x",
		"https://client.example/cb/%252e%252e/x", "https://client.example/cb%2f", "https://client.example/cb/%", "https://client.example/cb/%zz",
		"https://client.example/cb/@x", "https://client.example/cb#x", "https://client.example/cb?x#y", "https://client.example\\.evil.example/cb",
		"https://client.example/cb\\x", "https://client.example/cb\n", "https://client.example/cb x", "https://client.example/cb\x7f",
		"https://client.example/cb\xc3\xa9", "javascript:alert(1)//client.example/cb", "javascript://client.example/cb", "data://client.example/cb",
		"ht tp://client.example/cb", "1https://client.example/cb", "https://client.example/cb\"x", "https://client.example/cb<x>"
	};

	(void)state;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		if (allowed(HOME, BAD[i]))
			fail_msg("allowed: %s", BAD[i]);
	assert_false(allowed("javascript://client.example/cb", "javascript://client.example/cb"));
	assert_false(allowed("data://x/cb", "data://x/cb"));
	assert_false(allowed("nonsense", "nonsense"));
}

static void
addresses(void **state)
{
	static const char *const GOOD[] = { "a@b.c", "first.last+tag@sub.example.com", "\xed\x95\x9c@example.kr" };
	static const char *const BAD[] = { "", "a", "@b.c", "a@", "a@b", "a@.c", "a@b.", "a@b..c", "a@b@c.d", "a b@c.d", "a@b.c\n" };

	(void)state;
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
		if (!email_is_valid(str_of(GOOD[i])))
			fail_msg("refused: %s", GOOD[i]);
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		if (email_is_valid(str_of(BAD[i])))
			fail_msg("accepted: %s", BAD[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_local_page_is_always_allowed), cmocka_unit_test(what_is_registered_is_allowed),
		                            cmocka_unit_test(everything_else_is_refused), cmocka_unit_test(addresses) };

	return cmocka_run_group_tests_name("model/application", tests, NULL, NULL);
}
