/* Free text: one spelling, no controls that turn the reading order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/text-clean.h"

static void
cleaned(const char *in, size_t n, const char *want)
{
	struct arena    *mem = arena_new(0);
	const struct str out = text_clean(mem, (struct str){ in, n });

	assert_int_equal(out.n, strlen(want));
	assert_memory_equal(out.p, want, out.n);
	arena_free(mem);
}
#define CLEANED(in, want) cleaned(in, sizeof(in) - 1, want)

static void
texts(void **state)
{
	(void)state;
	CLEANED("", "");
	CLEANED("plain text\n", "plain text\n");
	CLEANED("e\xcc\x81t\xc3\xa9", "\xc3\xa9t\xc3\xa9");                         /* e + acute */
	CLEANED("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c");            /* three letters of Hangul */
	CLEANED("a\xe2\x80\xae" "b\xe2\x81\xa6" "c\xe2\x80\xac\xe2\x81\xa9", "abc"); /* override, isolate, their ends */
	CLEANED("\xe2\x80\x8f\xd7\x90", "\xe2\x80\x8f\xd7\x90");                    /* a mark stays */
	CLEANED("a\0b", "ab");
	CLEANED("a\0\xc3\xa9", "a\xc3\xa9");
	CLEANED("\xff\xfe", "\xff\xfe"); /* no UTF-8: as it is */
	CLEANED("\xe2\x80", "\xe2\x80");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(texts) };

	return cmocka_run_group_tests_name("base/text-clean", tests, NULL, NULL);
}
