/* Teams: an organization's groups of users and of its own robots. A role in the organization comes from the highest team. */
#ifndef KADE_MODEL_TEAM_H
#define KADE_MODEL_TEAM_H
#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;
struct team {
	int64_t id; /* 0: no such team */
	const char *name, *description;
	enum org_role role;
	bool has_caller; /* the caller is in it */
	bool is_synced;  /* follows a group of a login service */
};
/* From the columns of the set `team`. Borrowed from the result. */
void team_from_row(const struct db_result *r, int row, int first_col, struct team *out);

struct team_put {
	int64_t organization_id, caller_id;
	struct str name;
	enum org_role role;
	struct str description; /* p == NULL: as it is, "" for a new one */
};
struct team_change {
	struct team team; /* as it is now */
	bool is_new, role_changed, description_changed;
};
/* Makes the team (id 0), or changes it. ERR_BAD_INPUT: a name that breaks the rules, or the caller would lose the last role of
 * an administrator. In a transaction. */
enum err_kind team_put(struct ctx *c, int64_t team_id, const struct team_put *p,
                       struct team_change *out) MUST_CHECK;
/* ERR_BAD_INPUT: the caller, or everybody, would no longer administrate the organization. In a transaction. */
enum err_kind team_delete(struct ctx *c, int64_t organization_id, const struct team *t,
                          int64_t caller_id) MUST_CHECK;
/* ERR_BAD_INPUT: not a member, or the caller would leave the last team of administrators. In a transaction. */
enum err_kind team_remove_member(struct ctx *c, int64_t organization_id, const struct team *t,
                                 int64_t member_id, int64_t caller_id) MUST_CHECK;
#endif
