/* The message catalogue: both languages say the same with the same values, and values are escaped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/text.h"

static bool
has_name(struct str text, struct str name)
{
	struct str head, one;

	while (str_cut(text, '{', &head, &text)) {
		str_cut(text, '}', &one, &text);
		if (str_eq(one, name))
			return true;
	}
	return false;
}

static void
every_name_of(enum text t, enum text_lang in, enum text_lang other)
{
	struct str rest = str_of(text_get(in, t)), head, name;

	while (str_cut(rest, '{', &head, &rest)) {
		assert_true(str_cut(rest, '}', &name, &rest));
		assert_true(name.n > 0);
		if (!has_name(str_of(text_get(other, t)), name))
			fail_msg("text %d: {%.*s} is missing in %s", (int)t, STRF(name),
			         text_lang_tag(other));
	}
}

static int
paragraphs_of(const char *text)
{
	struct str rest = str_of(text), one;
	int n = 0;

	while (text_paragraph(&rest, &one)) {
		assert_true(one.n > 0);
		n++;
	}
	return n;
}

static void
languages_agree(void **state)
{
	(void)state;
	for (int t = 0; t < TEXTS; t++) {
		for (int l = 0; l < TEXT_LANGS; l++) {
			const char *s = text_get((enum text_lang)l, (enum text)t);
			assert_non_null(s);
			assert_true(str_is_utf8(str_of(s)));
			assert_int_equal(paragraphs_of(s), paragraphs_of(text_get(TEXT_EN, (enum text)t)));
		}
		every_name_of((enum text)t, TEXT_EN, TEXT_KO);
		every_name_of((enum text)t, TEXT_KO, TEXT_EN);
	}
}

static void
values_are_escaped(void **state)
{
	struct arena *mem = arena_new(0);
	struct buf b = BUF(mem), plain = BUF(mem);
	const struct text_value v[] = {
		{"who", STR("<b>{what}\"")},
                { NULL, STR0              }
	};

	(void)state;
	text_put(&b, STR("a < {who} & {none}."), v, buf_put_html);
	assert_string_equal(buf_cstr(&b), "a &lt; &lt;b&gt;{what}&quot; &amp; .");
	text_put(&plain, STR("{who}{who"), v, buf_put);
	assert_string_equal(buf_cstr(&plain), "<b>{what}\"<b>{what}\"");
	arena_free(mem);
}

static void
the_reader_chooses(void **state)
{
	(void)state;
	assert_int_equal(text_lang_accepted(STR("ko-KR,ko;q=0.9,en;q=0.8"), TEXT_EN), TEXT_KO);
	assert_int_equal(text_lang_accepted(STR("de, EN-us"), TEXT_KO), TEXT_EN);
	assert_int_equal(text_lang_accepted(STR("fr"), TEXT_KO), TEXT_KO);
	assert_int_equal(text_lang_accepted(STR0, TEXT_KO), TEXT_KO);
	assert_int_equal(text_lang_accepted(STR("korean,,;"), TEXT_EN), TEXT_EN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(languages_agree),
		                            cmocka_unit_test(values_are_escaped),
		                            cmocka_unit_test(the_reader_chooses) };

	return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
