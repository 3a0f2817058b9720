/* Dates: what is read, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"

static void
reads_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t     ms;
	} GOOD[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T00:00:00", 0 },
		{ "1969-12-31T23:59:59.5Z", -500 },
		{ "2024-02-29T23:59:59.123456789Z", INT64_C(1709251199123) },
		{ "2024-03-01T12:00:00+09:00", INT64_C(1709262000000) },
		{ "2024-02-29 22:30:00-04:30", INT64_C(1709262000000) },
		{ "2016-12-31T23:59:60z", INT64_C(1483228800000) },
		{ "9999-12-31T23:59:59Z", INT64_C(253402300799000) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
		int64_t ms = 1;
		if (!clock_iso_parse(str_of(GOOD[i].text), &ms) || ms != GOOD[i].ms)
			fail_msg("%s: %lld", GOOD[i].text, (long long)ms);
	}
}

static void
refuses_what_is_no_date(void **state)
{
	static const char *const BAD[] = { "", "2024", "2024-01-01", "2024-01-01T00:00", "2024-13-01T00:00:00Z", "2024-01-32T00:00:00Z",
		                           "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z", "0000-01-01T00:00:00Z",
		                           "-024-01-01T00:00:00Z", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+0900", "2024-01-01T00:00:00+24:00",
		                           "2024-01-01T00:00:00Zx", "2024-01-01X00:00:00Z", "2024-01-01T-1:00:00Z", "not a date, but long enough" };

	(void)state;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		int64_t ms = 7;
		if (clock_iso_parse(str_of(BAD[i]), &ms) || ms != 7)
			fail_msg("%s was read as %lld", BAD[i], (long long)ms);
	}
}

static void
writes_what_it_reads(void **state)
{
	struct arena *mem = arena_new(0);
	int64_t       ms;

	(void)state;
	assert_true(clock_iso_parse(str_of(clock_iso_ms(mem, INT64_C(1709251199123))), &ms));
	assert_int_equal(ms, INT64_C(1709251199123));
	assert_string_equal(clock_rfc2822(mem, ms), "Thu, 29 Feb 2024 23:59:59 -0000");
	arena_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads_dates), cmocka_unit_test(refuses_what_is_no_date), cmocka_unit_test(writes_what_it_reads) };

	return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
