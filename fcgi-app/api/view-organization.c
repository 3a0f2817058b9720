/* An organization as the REST API shows it. */
#include "api/view-organization.h"

#include "api/view-account.h"
#include "api/view-permission.h"
#include "api/view-quota.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/request.h"

static bool
holds(struct req *rq, enum org_role need)
{
	const enum org_role cap = scope_max_org_role(rq->ident.scopes);
	const enum org_role role = rq->facts.org_role < cap ? rq->facts.org_role : cap;

	return (rq->ident.kind != IDENTITY_ANONYMOUS && role >= need) ||
	       (decide_caps(rq) & (CAPS_SU_READ | CAPS_SU_ALL)) != 0;
}

bool
organization_is_admin(struct req *rq)
{
	return holds(rq, ORG_ROLE_ADMIN);
}

bool
organization_is_member(struct req *rq)
{
	return holds(rq, ORG_ROLE_MEMBER);
}

enum {
	T_ID = ORGANIZATION_LOAD_TEAM_ITEM0,
	T_NAME,
	T_ROLE,
	T_DESCRIPTION,
	T_MEMBERS,
	T_REPOSITORIES,
	T_IS_SYNCED,
	T_HAS_CALLER
};
enum { O_NAME = ORGANIZATION_LOAD_ORG0, O_EMAIL, O_INVOICE, O_INVOICE_ADDRESS, O_WINDOW_S, O_IS_FREE };

static void
add_team(const struct db_result *r, int row, bool sees_all, json_t *teams)
{
	const char *name = db_get_str(r, row, T_NAME);
	json_t *t = jo_object(teams, name);

	jo_str(t, "name", name);
	jo_str(t, "description", db_get_str(r, row, T_DESCRIPTION));
	jo_str(t, "role", view_team_role((enum org_role)db_get_i64(r, row, T_ROLE)));
	jo_take(t, "avatar", view_avatar(AVATAR_TEAM, name, NULL));
	jo_bool(t, "can_view", sees_all || db_get_bool(r, row, T_HAS_CALLER));
	jo_i64(t, "repo_count", db_get_i64(r, row, T_REPOSITORIES));
	jo_i64(t, "member_count", db_get_i64(r, row, T_MEMBERS));
	jo_bool(t, "is_synced", db_get_bool(r, row, T_IS_SYNCED));
}

static void
add_teams(const struct db_result *r, bool sees_all, json_t *o)
{
	json_t *teams = jo_object(o, "teams"), *ordered = jo_array(o, "ordered_teams");

	for (int i = 0; i < r->rows; i++) {
		if (db_is_null(r, i, T_ID))
			continue;
		add_team(r, i, sees_all, teams);
		ja_str(ordered, db_get_str(r, i, T_NAME));
	}
}

enum err_kind
view_organization(struct req *rq, const struct db_result *r, json_t *o)
{
	const bool is_admin = organization_is_admin(rq), is_member = organization_is_member(rq);
	const char *name = db_get_str(r, 0, O_NAME), *email = db_get_str(r, 0, O_EMAIL);

	jo_str(o, "name", name);
	jo_str(o, "email", is_admin ? view_email(email) : "");
	jo_take(o, "avatar", view_avatar(AVATAR_ORG, name, email));
	jo_bool(o, "is_admin", is_admin);
	jo_bool(o, "is_member", is_member);
	if (is_member)
		add_teams(r, is_admin, o);
	if (is_admin) {
		jo_bool(o, "invoice_email", db_get_bool(r, 0, O_INVOICE));
		jo_str(o, "invoice_email_address", db_get_str(r, 0, O_INVOICE_ADDRESS));
		jo_i64(o, "tag_expiration_s", db_get_i64(r, 0, O_WINDOW_S));
		jo_bool(o, "is_free_account", db_get_bool(r, 0, O_IS_FREE));
	}
	return is_member ? view_quota_of(rq->c, o, rq->facts.namespace_id) : ERR_NONE;
}
