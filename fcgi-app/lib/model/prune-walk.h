/* Which tags of a repository its prune policies select. Pure: no row, no statement. The tags are shown one by one, the newest
 * first; a tag goes when any rule selects it. Rules by age look first, so that counts apply to what they leave; a tag that one
 * rule selects is not counted by the next. Serves the job, its dry run and the preview of the REST API. */
#ifndef KADE_MODEL_PRUNE_WALK_H
#define KADE_MODEL_PRUNE_WALK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct ctx;
struct prune_group;
struct tag_pattern;
enum prune_method {                       /* by age first */
	            PRUNE_CREATION_DATE,  /* set longer ago than value ms */
	            PRUNE_NOT_PULLED,     /* set, and pulled last, longer ago than value ms */
	            PRUNE_NUMBER_OF_TAGS, /* all but the newest value */
	            PRUNE_NUMBER_PER_GROUP, /* all but the newest value of those with the same first group of the pattern */
	            PRUNE_METHODS
};
extern const char *const PRUNE_METHOD_NAMES[PRUNE_METHODS];
struct prune_rule {
	struct str uuid; /* n == 0: the policy of the configuration */
	enum prune_method method;
	int64_t value;
	struct str text;             /* the value as it was given: 10, 7d */
	struct tag_pattern *pattern; /* fits a part of the name; NULL: every tag */
	bool matches;                /* false: the tags that do not fit */
	bool of_namespace;
	int64_t since_ms; /* when the policy was written: before it, no pull is missed */
	int64_t count;    /* kept so far */
	struct prune_group *groups;
};
struct prune_rules {
	struct prune_rule *v;
	size_t n;
	bool has_counts, wants_pulls;
	struct arena *mem; /* of the groups */
	int groups_left;   /* that may still be told apart; tags of others stay */
};
struct prune_tag {
	int64_t id;
	struct str name;
	int64_t start_ms, pulled_ms; /* pulled 0: never, as far as is known */
};

/* Is the value one for the method: a number from 1, or a duration (5m 12h 7d 2w 1y) from 1? */
bool prune_value_read(enum prune_method method, struct str text, int64_t *value);
/* The method of a name; PRUNE_METHODS: there is none. */
enum prune_method prune_method_find(struct str name);
/* Adds a rule at its place. False: method, value or pattern cannot be used. pattern.p NULL: every tag. The rule's other members
 * are copied from base. */
bool prune_rules_add(struct ctx *c, struct prune_rules *rules, const struct prune_rule *base,
                     struct str pattern);
/* Tags that were set later than this are selected by no rule. */
int64_t prune_rules_before_ms(const struct prune_rules *rules, int64_t now_ms);
/* Counting begins anew, for another repository; mem (taken as long as counting goes on): for the groups, 50,000 at most. */
void prune_rules_begin(struct prune_rules *rules, struct arena *mem);
/* The next tag, older than all before it; immutable tags and those of cosign are not shown. The rule that selects it, or NULL. */
const struct prune_rule *prune_rules_select(struct prune_rules *rules, const struct prune_tag *t,
                                            int64_t now_ms);
#endif
