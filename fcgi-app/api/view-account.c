/* Accounts as the REST API shows them. */
#include "api/view-account.h"

#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"

json_t *
view_avatar(enum avatar_kind kind, const char *name, const char *email)
{
	return avatar_to_json(kind, name, email);
}

json_t *
view_user_ref(const struct user_ref *u)
{
	json_t *o = json_object();

	jo_str(o, "name", u->name);
	jo_str(o, "kind", "user");
	jo_bool(o, "is_robot", u->is_robot);
	jo_take(o, "avatar", view_avatar(u->is_robot ? AVATAR_ROBOT : AVATAR_USER, u->name, u->email));
	if (u->is_org_member >= 0)
		jo_bool(o, "is_org_member", u->is_org_member != 0);
	return o;
}

void
view_team_invite(json_t *o, const char *address)
{
	jo_str(o, "email", address);
	jo_str(o, "kind", "invite");
	jo_take(o, "avatar", view_avatar(AVATAR_USER, address, address));
	jo_bool(o, "invited", true);
}

const char *
view_email(const char *email)
{
	return email == NULL || strchr(email, '@') == NULL ? "" : email;
}
