/* What may stand in the headers and the envelope of a mail. The talk with a server: tests/e2e/test_mail.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "net/smtp.h"

static void
addresses(void **state)
{
	static const char *const GOOD[] = { "a@b.example",
		                            "john.smith+tag@mail.example.com",
		                            "o'neil@example.com",
		                            "\"(odd)\"@example.com",
		                            "gr\xc3\xbc\xc3\x9f@example.com",
		                            "a@xn--bcher-kva.example",
		                            "a@b\xc3\xbc"
		                            "cher.example",
		                            "a@1.2" };
	static const char *const BAD[] = { "",
		                           "a",
		                           "@b.example",
		                           "a@",
		                           "a@b",
		                           "a@.b",
		                           "a@b..c",
		                           "a@b.",
		                           "a b@c.example",
		                           "a@b.example\r\nX: y",
		                           "a\n@b.example",
		                           "a>@b.example",
		                           "<a@b.example>",
		                           "a@b.example,c@d.example",
		                           "a,b@c.example",
		                           "a;b@c.example",
		                           "a@b@c.example",
		                           "\"a\"b\"@c.example",
		                           "\"a\\\"@c.example",
		                           "\"\"@c.example",
		                           "\"a b\"@c.example",
		                           ".a@b.example",
		                           "a.@b.example",
		                           "a..b@c.example",
		                           "a@b.example SIZE=1",
		                           "a@b_c.example",
		                           "a@[1.2.3.4]",
		                           "a\x7f@b.example",
		                           "a@-b.example",
		                           "\xff@b.example",
		                           "a@b.example\t" };
	char long_one[300];

	(void)state;
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
		if (!smtp_address_ok(str_of(GOOD[i])))
			fail_msg("refused: %s", GOOD[i]);
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		if (smtp_address_ok(str_of(BAD[i])))
			fail_msg("taken: %s", BAD[i]);
	assert_false(smtp_address_ok((struct str){ "a\0@b.example", 12 }));
	memset(long_one, 'a', sizeof long_one);
	memcpy(long_one + 200, "@b.example", 10);
	assert_true(smtp_address_ok((struct str){ long_one, 210 }));
	memset(long_one, 'a', sizeof long_one);
	memcpy(long_one + 250, "@b.example", 10);
	assert_false(smtp_address_ok((struct str){ long_one, 260 }));
}

static const char *
words(struct arena *mem, struct str s)
{
	struct buf b = BUF(mem);

	smtp_put_words(&b, s);
	return buf_cstr(&b);
}

static void
headers(void **state)
{
	struct arena *mem = arena_new(0);
	char text[400];
	size_t n = 0;

	(void)state;
	assert_string_equal(words(mem, STR("plain [x] \"y\"")), "plain [x] \"y\"");
	assert_string_equal(words(mem, STR("a\r\nBcc: x@y.example")), "aBcc: x@y.example");
	assert_string_equal(words(mem, STR("=?UTF-8?B?eA==?=")), "=?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?=");
	assert_string_equal(words(mem, STR("gr\xc3\xbc\xc3\x9f"
	                                   "e")),
	                    "=?UTF-8?B?Z3LDvMOfZQ==?=");
	assert_string_equal(words(mem, STR("")), "");
	for (int i = 0; i < 100; i++, n += 3)
		memcpy(text + n, "\xed\x95\x9c", 3); /* one syllable */
	for (const char *p = words(mem, (struct str){ text, n }); *p != '\0';) {
		const size_t line = strcspn(p, "\r");
		struct str raw;
		assert_true(line <= 75);
		assert_memory_equal(p, "=?UTF-8?B?", 10);
		assert_true(base64_get(mem, (struct str){ p + 10, line - 12 }, &raw));
		assert_true(str_is_utf8(raw)); /* no character is cut */
		p += line;
		if (*p == '\r') {
			assert_memory_equal(p, "\r\n ", 3);
			p += 3;
		}
	}
	arena_free(mem);
}

static void
senders(void **state)
{
	static const char *const GOOD[] = { "a@b.example", " Kade <a@b.example> ",
		                            "\"Kade, Inc.\" <a@b.example>", "<a@b.example>" };
	static const char *const BAD[] = {
		"", "Kade", "Kade <a>", "Kade a@b.example>", "Kade <a@b.example", "a@b.example\r\nX: y"
	};
	struct ctx c = { .mem = arena_new(0) };

	(void)state;
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
		struct smtp *s = NULL;
		assert_int_equal(
		    smtp_open(&c, &(struct smtp_conf){ .host = "localhost", .port = 1, .sender = GOOD[i] },
		              &s),
		    ERR_NONE);
		smtp_close(s);
	}
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct smtp *s = NULL;
		assert_int_equal(
		    smtp_open(&c, &(struct smtp_conf){ .host = "localhost", .port = 1, .sender = BAD[i] },
		              &s),
		    ERR_BAD_INPUT);
	}
	arena_free(c.mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(addresses), cmocka_unit_test(headers),
		                            cmocka_unit_test(senders) };

	return cmocka_run_group_tests_name("net/smtp", tests, NULL, NULL);
}
