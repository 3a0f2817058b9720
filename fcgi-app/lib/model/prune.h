/* Pruning of a repository's tags by policies: the rules as rows and configuration have them, pages of what they select, and the
 * removal of a page. The selection itself is model/prune-walk.h. Serves kade-autoprune and the preview of the REST API. */
#ifndef KADE_MODEL_PRUNE_H
#define KADE_MODEL_PRUNE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/prune-walk.h"
#include "model/tag-policy.h"

struct ctx;
struct prune_target { /* a repository */
	int64_t namespace_id, repository_id, window_ms;
	struct str ns, repo;
};
/* Are pulls counted, and filed up to an hour ago? Only then are rules by pulls used. */
enum err_kind prune_pulls_known(struct ctx *c, bool *known) MUST_CHECK;
/* The rules of the namespace and the repository. Those that cannot be used are left out. */
enum err_kind prune_rules_load(struct ctx *c, const struct prune_target *t, bool pulls_known,
                               struct prune_rules *out) MUST_CHECK;
/* Adds DEFAULT_NAMESPACE_AUTOPRUNE_POLICY, if there is one that can be used. */
void prune_rules_default(struct ctx *c, struct prune_rules *rules);

struct prune_victim {
	struct prune_tag tag; /* borrowed from the page's rows */
	const struct prune_rule *rule;
};
struct prune_walk {
	const struct prune_target *target;
	struct prune_rules *rules;
	struct tag_policies policies; /* what is held is not selected */
	int64_t now_ms, before_ms;
	int64_t started_us;
	struct arena *mem; /* of the groups */
	char after[130];
	bool is_end;
	struct prune_victim *victims; /* of the page, the newest first */
	size_t n;
};
/* Begins a walk over the live tags of a repository. */
enum err_kind prune_walk_begin(struct ctx *c, const struct prune_target *t, struct prune_rules *rules,
                               struct prune_walk *w) MUST_CHECK;
/* Looks at the next tags (a thousand at most): fills victims and n. Its memory may be taken back before the next page.
 * ERR_TOO_LARGE: the rules' patterns have taken more than a minute. */
enum err_kind prune_walk_page(struct ctx *c, struct prune_walk *w) MUST_CHECK;
void prune_walk_end(struct ctx *c, struct prune_walk *w);
/* Removes the page's victims in a transaction, with their audit rows. *removed: those that were still live and not immutable. */
enum err_kind prune_walk_remove(struct ctx *c, const struct prune_walk *w, int64_t *removed) MUST_CHECK;
/* Why a tag is selected, in words: "set more than 7d ago", "not among the newest 10". Given. */
char *prune_reason(struct ctx *c, const struct prune_rule *rule);
#endif
