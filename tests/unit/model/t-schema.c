/* Which schemas a program accepts, and what it says about those that it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "model/schema.h"

static enum err_kind
asked(int64_t version, int64_t min_app_version, const char *word)
{
	struct ctx c = { .mem = arena_new(0) };
	const enum err_kind e = schema_accepts(&c, version, min_app_version);

	if (word != NULL && strstr(c.err.text, word) == NULL)
		fail_msg("\"%s\" does not say %s", c.err.text, word);
	arena_free(c.mem);
	return e;
}

static void
accepts_its_own_and_later_ones(void **state)
{
	(void)state;
	assert_int_equal(asked(KADE_SCHEMA_NEEDED, KADE_APP_VERSION, NULL), ERR_NONE);
	assert_int_equal(asked(KADE_SCHEMA_NEEDED + 50, KADE_APP_VERSION, NULL), ERR_NONE);
	assert_int_equal(asked(KADE_SCHEMA_NEEDED, 1, NULL), ERR_NONE);
}

static void
refuses_absent_old_and_too_new_ones(void **state)
{
	(void)state;
	assert_int_equal(asked(0, 0, "kade-migrate"), ERR_UNSUPPORTED);
	assert_int_equal(asked(KADE_SCHEMA_NEEDED - 1, 1, "kade-migrate"), ERR_UNSUPPORTED);
	assert_int_equal(asked(KADE_SCHEMA_NEEDED, KADE_APP_VERSION + 1, "upgrade this host"),
	                 ERR_UNSUPPORTED);
	assert_int_equal(asked(KADE_SCHEMA_NEEDED + 50, KADE_APP_VERSION + 1, "upgrade this host"),
	                 ERR_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(accepts_its_own_and_later_ones),
		                            cmocka_unit_test(refuses_absent_old_and_too_new_ones) };

	return cmocka_run_group_tests_name("model/schema", tests, NULL, NULL);
}
