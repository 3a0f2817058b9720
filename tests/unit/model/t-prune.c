/* Which tags prune policies select: ages, counts, groups, patterns, and how they combine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "model/prune-walk.h"
#include "model/tag-policy.h"

#define DAY INT64_C(86400000)
#define NOW (1000 * DAY)

static struct ctx *
context(void)
{
	struct ctx *c = calloc(1, sizeof *c);

	c->mem = arena_new(0);
	return c;
}

static void
drop(struct ctx *c)
{
	arena_free(c->mem);
	free(c);
}

static bool
add(struct ctx *c, struct prune_rules *rules, enum prune_method m, const char *value, const char *pattern)
{
	return prune_rules_add(c, rules, &(struct prune_rule){ .method = m, .text = str_of(value), .matches = true }, str_of(pattern));
}

/* The names that go, of tags given newest first: "name/age in days[/pulled days ago]". */
static const char *
gone(struct ctx *c, struct prune_rules *rules, const char *const *tags)
{
	char *out = str_dup_c(c->mem, "");

	prune_rules_begin(rules, c->mem);
	for (int i = 0; tags[i] != NULL; i++) {
		char name[64];
		int age = 0, pulled = -1;
		sscanf(tags[i], "%63[^/]/%d/%d", name, &age, &pulled);
		const struct prune_tag t = { .name = str_of(name), .start_ms = NOW - age * DAY - 1, .pulled_ms = pulled < 0 ? 0 : NOW - pulled * DAY };
		if (prune_rules_select(rules, &t, NOW) != NULL)
			out = str_fmt(c->mem, "%s%s ", out, name);
	}
	return out;
}

static const char *const TAGS[] = { "main/0", "v3/1", "dev-b/2", "v2/5", "dev-a/7", "v1/30", "old/90", NULL };

static void
by_age(void **state)
{
	struct ctx *c = context();
	struct prune_rules r = { 0 };

	(void)state;
	assert_true(add(c, &r, PRUNE_CREATION_DATE, "7d", NULL));
	assert_string_equal(gone(c, &r, TAGS), "dev-a v1 old ");
	assert_int_equal(prune_rules_before_ms(&r, NOW), NOW - 7 * DAY);
	r = (struct prune_rules){ 0 };
	assert_true(add(c, &r, PRUNE_CREATION_DATE, "7d", "v"));
	assert_string_equal(gone(c, &r, TAGS), "dev-a v1 "); /* any part of the name */
	r = (struct prune_rules){ 0 };
	assert_true(add(c, &r, PRUNE_CREATION_DATE, "7d", "^v"));
	assert_string_equal(gone(c, &r, TAGS), "v1 ");
	r.v[0].matches = false;
	assert_string_equal(gone(c, &r, TAGS), "dev-a old ");
	drop(c);
}

static void
by_number(void **state)
{
	struct ctx *c = context();
	struct prune_rules r = { 0 };

	(void)state;
	assert_true(add(c, &r, PRUNE_NUMBER_OF_TAGS, "3", NULL));
	assert_string_equal(gone(c, &r, TAGS), "v2 dev-a v1 old ");
	assert_int_equal(prune_rules_before_ms(&r, NOW), INT64_MAX);
	assert_string_equal(gone(c, &r, TAGS), "v2 dev-a v1 old "); /* counting begins anew */
	r = (struct prune_rules){ 0 };
	assert_true(add(c, &r, PRUNE_NUMBER_OF_TAGS, "1", "^v[0-9]"));
	assert_string_equal(gone(c, &r, TAGS), "v2 v1 "); /* of those that match */
	r.v[0].matches = false;
	assert_string_equal(gone(c, &r, TAGS), "dev-b dev-a old ");
	drop(c);
}

/* Ages first, whatever the order of the policies: counts apply to what is left. */
static void
together(void **state)
{
	struct ctx *c = context();
	struct prune_rules r = { 0 };

	(void)state;
	assert_true(add(c, &r, PRUNE_NUMBER_OF_TAGS, "3", NULL));
	assert_true(add(c, &r, PRUNE_CREATION_DATE, "1d", "^dev"));
	assert_int_equal(r.v[0].method, PRUNE_CREATION_DATE);
	assert_string_equal(gone(c, &r, TAGS), "dev-b dev-a v1 old ");
	/* a tag that one count selects is not counted by the next */
	r = (struct prune_rules){ 0 };
	assert_true(add(c, &r, PRUNE_NUMBER_OF_TAGS, "1", "^v"));
	assert_true(add(c, &r, PRUNE_NUMBER_OF_TAGS, "4", NULL));
	assert_string_equal(gone(c, &r, TAGS), "v2 v1 old ");
	drop(c);
}

static void
by_group(void **state)
{
	static const char *const builds[] = { "a-3/0", "b-2/1", "a-2/2", "c/3", "b-1/4", "a-1/5", NULL };
	struct ctx *c = context();
	struct prune_rules r = { 0 };

	(void)state;
	assert_true(add(c, &r, PRUNE_NUMBER_PER_GROUP, "1", "^([a-z]+)-[0-9]+$"));
	assert_string_equal(gone(c, &r, builds), "a-2 b-1 a-1 ");
	r.v[0].value = 2;
	assert_string_equal(gone(c, &r, builds), "a-1 ");
	/* without a group the match itself is the name */
	r = (struct prune_rules){ 0 };
	assert_true(add(c, &r, PRUNE_NUMBER_PER_GROUP, "1", "^[a-z]"));
	assert_string_equal(gone(c, &r, builds), "a-2 b-1 a-1 ");
	drop(c);
}

/* Memory has an end: what cannot be told apart any more stays. */
static void
too_many_groups(void **state)
{
	struct ctx *c = context();
	struct prune_rules r = { 0 };
	int gone_first = 0, gone_late = 0;

	(void)state;
	assert_true(add(c, &r, PRUNE_NUMBER_PER_GROUP, "1", "^.*"));
	prune_rules_begin(&r, c->mem);
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 50100; i++) {
			const struct prune_tag t = { .name = str_of(str_fmt(c->mem, "t%d", i)), .start_ms = 1 };
			if (prune_rules_select(&r, &t, NOW) != NULL)
				*(i < 50000 ? &gone_first : &gone_late) += 1;
		}
	assert_int_equal(gone_first, 50000);
	assert_int_equal(gone_late, 0);
	drop(c);
}

static void
by_pulls(void **state)
{
	static const char *const tags[] = { "new/1", "pulled/40/2", "idle/40/35", "never/40", NULL };
	struct ctx *c = context();
	struct prune_rules r = { 0 };

	(void)state;
	assert_true(add(c, &r, PRUNE_NOT_PULLED, "30d", NULL));
	assert_true(r.wants_pulls);
	assert_string_equal(gone(c, &r, tags), "idle never ");
	/* nothing is known of the time before the policy */
	r.v[0].since_ms = NOW - 29 * DAY;
	assert_string_equal(gone(c, &r, tags), "");
	r.v[0].since_ms = NOW - 31 * DAY;
	assert_string_equal(gone(c, &r, tags), "idle never ");
	drop(c);
}

static void
what_cannot_be_used(void **state)
{
	static const struct {
		enum prune_method m;
		const char *value, *pattern;
	} bad[] = { { PRUNE_METHODS, "1", NULL },          { PRUNE_NUMBER_OF_TAGS, "0", NULL },    { PRUNE_NUMBER_OF_TAGS, "-1", NULL },
		    { PRUNE_NUMBER_OF_TAGS, "7d", NULL },  { PRUNE_CREATION_DATE, "7", NULL },     { PRUNE_CREATION_DATE, "0d", NULL },
		    { PRUNE_CREATION_DATE, "", NULL },     { PRUNE_CREATION_DATE, "7d", "(" },     { PRUNE_NUMBER_PER_GROUP, "1", NULL },
		    { PRUNE_NOT_PULLED, "x", NULL } };
	struct ctx *c = context();
	struct prune_rules r = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(add(c, &r, bad[i].m, bad[i].value, bad[i].pattern));
	assert_int_equal(r.n, 0);
	assert_int_equal(prune_method_find(STR("creation_date")), PRUNE_CREATION_DATE);
	assert_int_equal(prune_method_find(STR("nothing")), PRUNE_METHODS);
	assert_int_equal(prune_rules_before_ms(&r, NOW), 0);
	drop(c);
}

/* A pattern that is dear to try fits nothing, and ends. */
static void
a_dear_pattern(void **state)
{
	struct ctx *c = context();
	struct prune_rules r = { 0 };
	const struct prune_tag t = { .name = STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), .start_ms = 1 };

	(void)state;
	assert_true(add(c, &r, PRUNE_CREATION_DATE, "1d", "^(a+)+$"));
	assert_null(prune_rules_select(&r, &t, NOW));
	drop(c);
}

static void
policies_of_immutability(void **state)
{
	struct ctx *c = context();
	struct tag_policies p = { 0 };

	(void)state;
	assert_false(tag_policies_want(&p, STR("v1")));
	tag_policies_add(c, &p, STR("v[0-9]+"), true, 0);
	assert_true(tag_policies_want(&p, STR("v1")));
	assert_false(tag_policies_want(&p, STR("v1-dev"))); /* the whole name */
	assert_false(tag_policies_hold(&p, STR("v1"), 0)); /* its tags are marked */
	tag_policies_add(c, &p, STR("("), true, 5);
	assert_false(p.has_pending); /* no expression: it wants nothing */
	tag_policies_add(c, &p, STR("dev.*"), false, 5);
	assert_true(p.has_pending && tag_policies_hold(&p, STR("main"), 0) && tag_policies_want(&p, STR("main")));
	assert_false(tag_policies_hold(&p, STR("dev-1"), 0));
	assert_true(tag_policies_hold(&p, STR("main"), 4)); /* released before the policy */
	assert_false(tag_policies_hold(&p, STR("main"), 5));
	for (int i = 0; i < 40; i++)
		tag_policies_add(c, &p, str_of(str_fmt(c->mem, "n%d", i)), true, 5);
	assert_true(tag_policies_want(&p, STR("n0")) && tag_policies_want(&p, STR("n39")) && tag_policies_want(&p, STR("v7")));
	drop(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(by_age),           cmocka_unit_test(by_number),
		                            cmocka_unit_test(together),         cmocka_unit_test(by_group),
		                            cmocka_unit_test(by_pulls),         cmocka_unit_test(too_many_groups),
		                                   cmocka_unit_test(what_cannot_be_used),
		                            cmocka_unit_test(a_dear_pattern),   cmocka_unit_test(policies_of_immutability) };

	return cmocka_run_group_tests_name("model/prune", tests, NULL, NULL);
}
