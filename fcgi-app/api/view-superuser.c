/* Users and organizations as superusers see them. */
#include "api/view-superuser.h"

#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "api/view-account.h"

enum { A_ID, A_NAME, A_EMAIL, A_IS_VERIFIED, A_IS_ENABLED, A_COLS };
_Static_assert((int)A_COLS == SU_ACCOUNT_COLS, "superuser.sql and view-superuser.c differ");

void
su_account_from_row(const struct db_result *r, int row, int first_col, struct su_account *out)
{
	*out = (struct su_account){
		.id = db_get_i64(r, row, first_col + A_ID),
		.name = db_get_str(r, row, first_col + A_NAME),
		.email = db_get_str(r, row, first_col + A_EMAIL),
		.is_verified = db_get_bool(r, row, first_col + A_IS_VERIFIED),
		.is_enabled = db_get_bool(r, row, first_col + A_IS_ENABLED),
	};
}

bool
su_is_superuser(const struct conf *cf, const char *name)
{
	return cf->feature_super_users && str_list_has(&cf->super_users, str_of(name));
}

json_t *
view_su_user(const struct conf *cf, const struct su_account *a)
{
	json_t *o = json_object();

	jo_str(o, "kind", "user");
	jo_str(o, "name", a->name);
	jo_str(o, "username", a->name);
	jo_str(o, "email", view_email(a->email));
	jo_bool(o, "verified", a->is_verified);
	jo_take(o, "avatar", view_avatar(AVATAR_USER, a->name, a->email));
	jo_bool(o, "super_user", su_is_superuser(cf, a->name));
	jo_bool(o, "global_readonly_super_user", cf->feature_super_users && str_list_has(&cf->global_readonly_super_users, str_of(a->name)));
	jo_bool(o, "enabled", a->is_enabled);
	return o;
}

json_t *
view_su_org(const struct su_account *a)
{
	json_t *o = json_object();

	jo_str(o, "name", a->name);
	jo_str(o, "email", view_email(a->email));
	jo_take(o, "avatar", view_avatar(AVATAR_ORG, a->name, a->email));
	return o;
}
