/* An organization as the REST API shows it: to everybody its name, to members its teams, to admins its settings. */
#ifndef KADE_API_VIEW_ORGANIZATION_H
#define KADE_API_VIEW_ORGANIZATION_H
#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct db_result;
struct req;
/* What the caller may see: from the facts, capped by the credential's scopes. Superusers and global readers see all. */
bool organization_is_admin(struct req *rq);
bool organization_is_member(struct req *rq);
/* Adds the members of the view, from the rows of STMT_ORGANIZATION_LOAD. */
enum err_kind view_organization(struct req *rq, const struct db_result *r, json_t *o) MUST_CHECK;
#endif
