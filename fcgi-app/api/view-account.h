/* Accounts as the REST API shows them: the members that many calls have in common. Every function returns a new reference for
 * jo_take() or ja_take(), or adds to an object. */
#ifndef KADE_API_VIEW_ACCOUNT_H
#define KADE_API_VIEW_ACCOUNT_H
#include <jansson.h>
#include <stdbool.h>

#include "model/avatar.h"

struct conf;

/* {"name", "hash", "color", "kind"}. The hash is the SHA-256 of the trimmed, lower-case e-mail address; of the name when email
 * is NULL or empty (teams always). */
json_t *view_avatar(enum avatar_kind kind, const char *name, const char *email);

struct user_ref {
	const char *name, *email; /* email NULL for robots */
	bool        is_robot;
	int         is_org_member; /* -1: the member is left out */
};
/* {"name", "kind": "user", "is_robot", "avatar", "is_org_member"?}: robots are of kind "user", too. */
json_t *view_user_ref(const struct user_ref *u);

/* Fills a new member of a team's list: somebody who was invited by address and has no account. {"email", "kind": "invite", "avatar",
 * "invited"}. */
void view_team_invite(json_t *o, const char *address);

/* An address as it may be shown: "" for a placeholder, which is none. */
const char *view_email(const char *email);
#endif
