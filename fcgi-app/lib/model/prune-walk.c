/* Which tags of a repository its prune policies select. */
#include "model/prune-walk.h"

#include "base/arena.h"
#include "base/ctx.h"
#include "model/tag-pattern.h"
#include "oci/label.h"

#define ARENA_HASH_MEM (rules->mem)
#define HASH_FUNCTION  HASH_FNV /* uthash's own default falls through cases without saying so: clang warns */
#include <uthash.h>

#define GROUPS_MAX 50000

struct prune_group {
	struct str name;
	int64_t count;
	UT_hash_handle hh;
};

const char *const PRUNE_METHOD_NAMES[PRUNE_METHODS] = {
	[PRUNE_CREATION_DATE] = "creation_date",
	[PRUNE_NOT_PULLED] = "not_pulled",
	[PRUNE_NUMBER_OF_TAGS] = "number_of_tags",
	[PRUNE_NUMBER_PER_GROUP] = "number_per_group",
};

static bool
is_by_age(enum prune_method m)
{
	return m == PRUNE_CREATION_DATE || m == PRUNE_NOT_PULLED;
}

enum prune_method
prune_method_find(struct str name)
{
	int m = 0;

	while (m < PRUNE_METHODS && !str_eq(name, str_of(PRUNE_METHOD_NAMES[m])))
		m++;
	return (enum prune_method)m;
}

bool
prune_value_read(enum prune_method method, struct str text, int64_t *value)
{
	if (is_by_age(method))
		return oci_duration_parse(text, value) && *value > 0;
	return str_to_i64(text, 1, INT64_MAX, value);
}

static void
free_pattern(void *p)
{
	tag_pattern_free(p);
}

bool
prune_rules_add(struct ctx *c, struct prune_rules *rules, const struct prune_rule *base, struct str pattern)
{
	struct prune_rule rule = *base, *v;
	size_t at = 0;

	if ((unsigned)rule.method >= PRUNE_METHODS || !prune_value_read(rule.method, rule.text, &rule.value))
		return false;
	if (rule.method == PRUNE_NUMBER_PER_GROUP && (pattern.p == NULL || !rule.matches))
		return false;
	rule.pattern = pattern.p == NULL ? NULL : tag_pattern_compile_part(pattern);
	if (pattern.p != NULL && rule.pattern == NULL)
		return false;
	if (rule.pattern != NULL)
		arena_defer(c->mem, free_pattern, rule.pattern);
	v = ARENA_ARRAY(c->mem, struct prune_rule, rules->n + 1);
	while (at < rules->n && rules->v[at].method <= rule.method)
		at++;
	for (size_t i = 0; i < rules->n; i++)
		v[i + (i >= at)] = rules->v[i];
	v[at] = rule;
	rules->v = v;
	rules->n++;
	rules->has_counts |= !is_by_age(rule.method);
	rules->wants_pulls |= rule.method == PRUNE_NOT_PULLED;
	return true;
}

int64_t
prune_rules_before_ms(const struct prune_rules *rules, int64_t now_ms)
{
	int64_t before_ms = 0;

	if (rules->has_counts)
		return INT64_MAX;
	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].value < now_ms && now_ms - rules->v[i].value > before_ms)
			before_ms = now_ms - rules->v[i].value;
	return before_ms;
}

void
prune_rules_begin(struct prune_rules *rules, struct arena *mem)
{
	rules->mem = mem;
	rules->groups_left = GROUPS_MAX;
	for (size_t i = 0; i < rules->n; i++) {
		rules->v[i].count = 0;
		rules->v[i].groups = NULL;
	}
}

/* Counts the tag in its group; the number of tags in it so far, 0 where there are too many groups. */
static int64_t
count_in_group(struct prune_rules *rules, struct prune_rule *rule, struct str name)
{
	struct prune_group *g;

	HASH_FIND(hh, rule->groups, name.p, name.n, g);
	if (g == NULL) {
		if (rules->groups_left-- <= 0)
			return 0;
		g = ARENA_NEW(rules->mem, struct prune_group);
		g->name = str_of(str_dup(rules->mem, name));
		HASH_ADD_KEYPTR(hh, rule->groups, g->name.p, g->name.n, g);
	}
	return ++g->count;
}

static bool
is_too_old(const struct prune_rule *rule, const struct prune_tag *t, int64_t now_ms)
{
	int64_t used_ms = t->start_ms;

	if (rule->method == PRUNE_NOT_PULLED) {
		used_ms = t->pulled_ms > used_ms ? t->pulled_ms : used_ms;
		used_ms = rule->since_ms > used_ms ? rule->since_ms : used_ms;
	}
	return now_ms - used_ms > rule->value;
}

const struct prune_rule *
prune_rules_select(struct prune_rules *rules, const struct prune_tag *t, int64_t now_ms)
{
	for (size_t i = 0; i < rules->n; i++) {
		struct prune_rule *rule = &rules->v[i];
		struct str group = STR0;

		if (rule->method == PRUNE_NUMBER_PER_GROUP) {
			if (tag_pattern_group(rule->pattern, t->name, &group) &&
			    count_in_group(rules, rule, group) > rule->value)
				return rule;
			continue;
		}
		if (rule->pattern != NULL && tag_pattern_fits(rule->pattern, t->name) != rule->matches)
			continue;
		if (is_by_age(rule->method) ? is_too_old(rule, t, now_ms) : ++rule->count > rule->value)
			return rule;
	}
	return NULL;
}
