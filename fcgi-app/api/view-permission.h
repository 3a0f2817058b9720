/* Roles and permissions as the REST API shows them. */
#ifndef KADE_API_VIEW_PERMISSION_H
#define KADE_API_VIEW_PERMISSION_H
#include <jansson.h>

#include "auth/identity.h"
#include "base/str.h"

struct ctx;
struct db_result;
/* "read", "write", "admin"; of a team: "member", "creator", "admin". NULL-terminated, for a field's one_of. */
extern const char *const ROLE_NAMES[], *const TEAM_ROLE_NAMES[];
const char *view_role(enum role r);
const char *view_team_role(enum org_role r);
/* The role of that name, or ROLE_NONE. */
enum role role_of(struct str name);
enum org_role team_role_of(struct str name);

/* {"permissions": [{"repository": {"name", "is_public"}, "role"}]} from rows of name, is_public, role. */
void view_repository_roles(json_t *root, const struct db_result *r);
/* A JSON list of names from the database, added to o under key; absent: an empty list. */
void view_names(struct ctx *c, json_t *o, const char *key, struct str list);
/* The same of teams: [{"name", "avatar"}]. */
void view_team_names(struct ctx *c, json_t *o, const char *key, struct str list);
#endif
