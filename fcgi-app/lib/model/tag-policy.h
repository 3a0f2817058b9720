/* Policies that make tags immutable, as one repository knows them: its own and those of its namespace. A tag that a policy wants is
 * immutable from the moment it is made. Tags that were there before the policy are marked by a job; until it is through, they are
 * held all the same: every way to change a tag asks here. Serves pushes, the REST API and jobs. */
#ifndef KADE_MODEL_TAG_POLICY_H
#define KADE_MODEL_TAG_POLICY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;
struct tag_policy;
struct tag_policies {
	struct tag_policy *v;
	size_t n;
	bool has_pending; /* some may hold tags that are not marked yet */
};
/* Adds a policy; what is no regular expression wants nothing. pending_ms: when it was written, while tags of before may not be
 * marked; 0: they are. The compiled pattern goes with c->mem. */
void tag_policies_add(struct ctx *c, struct tag_policies *p, struct str pattern, bool matches,
                      int64_t pending_ms);
/* Of one repository. Without FEATURE_IMMUTABLE_TAGS there are none, and no statement is sent. */
enum err_kind tag_policies_load(struct ctx *c, int64_t repository_id, struct tag_policies *out) MUST_CHECK;
/* From the rows of STMT_TAG_POLICIES. */
void tag_policies_from_rows(struct ctx *c, const struct db_result *r, struct tag_policies *out);
/* Is a tag of this name to be immutable when it is made? */
bool tag_policies_want(const struct tag_policies *p, struct str name);
/* Is a live tag of this name immutable although its row does not say so yet? released_ms: when an administrator made it
 * changeable (0 = never), against which policies of before count no more. */
bool tag_policies_hold(const struct tag_policies *p, struct str name, int64_t released_ms);
/* The live tags of a manifest that are held so. Given. */
enum err_kind tag_policies_hold_of_manifest(struct ctx *c, const struct tag_policies *p, int64_t manifest_id,
                                            struct str **names, size_t *n) MUST_CHECK;
#endif
