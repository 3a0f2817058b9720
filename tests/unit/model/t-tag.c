/* Tags: the bounds of an expiry, and patterns made of what people type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "model/like.h"
#include "model/tag.h"

#define HOUR INT64_C(3600000)
#define WEEK (7 * 24 * HOUR)

static void
bounds_an_expiry(void **state)
{
	struct conf      *cf = calloc(1, sizeof *cf);
	const struct ctx  c = { .conf = cf };
	const int64_t     start = 1000 * WEEK, now = start + HOUR / 2;

	(void)state;
	cf->labeled_expiration_minimum_s = 3600;
	cf->labeled_expiration_maximum_s = 104 * 7 * 24 * 3600;
	assert_int_equal(tag_clamp_expiry(&c, now + 1, start, now), start + HOUR);
	assert_int_equal(tag_clamp_expiry(&c, start + WEEK, start, now), start + WEEK);
	assert_int_equal(tag_clamp_expiry(&c, start + 500 * WEEK, start, now), start + 104 * WEEK);
	/* a tag that is older than the maximum: never an end in the past */
	assert_int_equal(tag_clamp_expiry(&c, start + 300 * WEEK, start, start + 299 * WEEK), start + 300 * WEEK);
	assert_int_equal(tag_clamp_expiry(&c, start + 900 * WEEK, start, start + 299 * WEEK), start + (299 + 104) * WEEK);
	free(cf);
}

static void
the_end_of_a_tag(void **state)
{
	(void)state;
	assert_int_equal(tag_end_ms(&(struct tag_item){ .expires_ms = 9, .ended_ms = 5 }), 5);
	assert_int_equal(tag_end_ms(&(struct tag_item){ .expires_ms = 9 }), 9);
	assert_int_equal(tag_end_ms(&(struct tag_item){ .start_ms = 1 }), 0);
}

static void
wildcards_are_text(void **state)
{
	struct arena *mem = arena_new(0);

	(void)state;
	assert_true(str_eq(like_pattern(mem, STR("a%b_c\\d"), LIKE_ANYWHERE), STR("%a\\%b\\_c\\\\d%")));
	assert_true(str_eq(like_pattern(mem, STR("ab"), LIKE_BEGINNING), STR("ab%")));
	assert_true(str_eq(like_pattern(mem, STR(""), LIKE_ANYWHERE), STR("%%")));
	arena_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bounds_an_expiry), cmocka_unit_test(the_end_of_a_tag), cmocka_unit_test(wildcards_are_text) };

	return cmocka_run_group_tests_name("model/tag", tests, NULL, NULL);
}
