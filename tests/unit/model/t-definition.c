/* What users define: sizes of quotas, patterns of tags, templates of webhooks, names of service keys. No database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "model/notification.h"
#include "model/quota.h"
#include "model/service-key.h"
#include "model/tag-pattern.h"

static int
setup(void **state)
{
	static struct ctx c;

	c = (struct ctx){ .mem = arena_new(0) };
	*state = &c;
	return 0;
}

static int
teardown(void **state)
{
	arena_free(((struct ctx *)*state)->mem);
	return 0;
}

static void
sizes_are_read(void **state)
{
	static const struct {
		const char     *text;
		enum quota_size result;
		int64_t         bytes;
	} T[] = {
		{ "0", QUOTA_SIZE_GOOD, 0 },          { "12", QUOTA_SIZE_GOOD, 12 },          { "12 B", QUOTA_SIZE_GOOD, 12 },
		{ "1K", QUOTA_SIZE_GOOD, 1000 },      { "1KB", QUOTA_SIZE_GOOD, 1000 },       { "1Ki", QUOTA_SIZE_GOOD, 1024 },
		{ "3 MiB", QUOTA_SIZE_GOOD, 3 << 20 }, { "7EiB", QUOTA_SIZE_GOOD, INT64_C(7) << 60 }, { "9223372036854775807", QUOTA_SIZE_GOOD, INT64_MAX },
		{ "8EiB", QUOTA_SIZE_LARGE, 0 },      { "1ZB", QUOTA_SIZE_LARGE, 0 },         { "9223372036854775808", QUOTA_SIZE_LARGE, 0 },
		{ "", QUOTA_SIZE_FORM, 0 },           { " 1", QUOTA_SIZE_FORM, 0 },           { "1  K", QUOTA_SIZE_FORM, 0 },
		{ "1 ", QUOTA_SIZE_GOOD, 1 },         { "-1", QUOTA_SIZE_FORM, 0 },           { "1k", QUOTA_SIZE_FORM, 0 },
		{ "1i", QUOTA_SIZE_FORM, 0 },         { "1Bi", QUOTA_SIZE_FORM, 0 },          { "1KBB", QUOTA_SIZE_FORM, 0 },
		{ "1.5K", QUOTA_SIZE_FORM, 0 },       { "K", QUOTA_SIZE_FORM, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
		int64_t n = 0;
		if (quota_parse_size(str_of(T[i].text), &n) != T[i].result || n != T[i].bytes)
			fail_msg("\"%s\": %lld", T[i].text, (long long)n);
	}
}

static void
sizes_are_written(void **state)
{
	struct ctx *c = *state;

	assert_string_equal(quota_format_size(c->mem, 0), "0.0 Byte");
	assert_string_equal(quota_format_size(c->mem, 1023), "1023.0 Byte");
	assert_string_equal(quota_format_size(c->mem, 1024), "1.0 KiB");
	assert_string_equal(quota_format_size(c->mem, INT64_C(10) << 30), "10.0 GiB");
	assert_string_equal(quota_format_size(c->mem, INT64_MAX), "8.0 EiB");
}

static bool
fits(const char *pattern, const char *tag)
{
	struct tag_pattern *p = tag_pattern_compile(str_of(pattern));
	const bool          yes = p != NULL && tag_pattern_fits(p, str_of(tag));

	tag_pattern_free(p);
	return yes;
}

static void
patterns_fit_whole_names(void **state)
{
	(void)state;
	assert_true(fits("v[0-9]+", "v12"));
	assert_false(fits("v[0-9]+", "v12a"));
	assert_false(fits("v[0-9]+", "xv12"));
	assert_true(fits("a|ab", "ab")); /* the longer alternative is tried, too */
	assert_true(fits("^v$", "v"));
	assert_false(fits("", "v"));
	assert_false(fits("(", "("));
	assert_false(tag_pattern_valid(STR("\\C"), 10));
	assert_false(tag_pattern_valid(STR("aaaa"), 3));
	assert_true(tag_pattern_valid(STR("(?P<n>a)(?i)B"), 256));
}

static void
hostile_patterns_end(void **state)
{
	char tag[129];

	(void)state;
	memset(tag, 'a', sizeof tag - 1);
	tag[sizeof tag - 1] = '\0';
	assert_false(fits("(a+)+b", tag));
	assert_false(fits("(a|aa)+c", tag));
	assert_false(fits("(?:(?:a*)*)*d", tag));
}

static void
templates(void **state)
{
	static const struct {
		const char *text;
		bool        good;
	} T[] = {
		{ "{}", true },
		{ "{\"a\":\"${x}\"}", true },
		{ "{\"${x.y}\":[\"p ${$} q ${a[0].b[*].c}\"]}", true },
		{ "{\"a\":\"$x {y}\"}", true },
		{ "{\"a\":\"${}\"}", false },
		{ "{\"a\":\"${ }\"}", false },
		{ "{\"a\":\"${x\"}", false },
		{ "{\"a\":\"${x.}\"}", false },
		{ "{\"a\":\"${.x}\"}", false },
		{ "{\"a\":\"${x[}\"}", false },
		{ "{\"a\":\"${x[-1]}\"}", false },
		{ "{\"a\":\"${x[0]y}\"}", false },
		{ "{\"${}\":1}", false },
		{ "[{\"a\":[\"${b c}\"]}]", false },
		{ "{", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof T / sizeof *T; i++)
		if (notification_template_valid(*state, str_of(T[i].text)) != T[i].good)
			fail_msg("%s", T[i].text);
}

static void
names_of_keys(void **state)
{
	(void)state;
	assert_true(service_name_valid(STR("quay_2")));
	assert_false(service_name_valid(STR("")));
	assert_false(service_name_valid(STR("Quay")));
	assert_false(service_name_valid(STR("a-b")));
	assert_true(service_key_name_valid(STR("")));
	assert_true(service_key_name_valid(STR("http://host:80/a_b c-d")));
	assert_false(service_key_name_valid(STR("<b>")));
	assert_false(service_key_name_valid(STR("\xc3\xa9")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sizes_are_read), cmocka_unit_test(sizes_are_written), cmocka_unit_test(patterns_fit_whole_names),
		                            cmocka_unit_test(hostile_patterns_end), cmocka_unit_test(templates), cmocka_unit_test(names_of_keys) };

	return cmocka_run_group_tests_name("model/definition", tests, setup, teardown);
}
