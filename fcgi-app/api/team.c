/* Teams of an organization: roles, members, what they may do in which repositories. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/send-mail.h"
#include "api/view-account.h"
#include "api/view-organization.h"
#include "api/view-permission.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/field.h"
#include "http/response.h"
#include "model/invite.h"
#include "model/mail-code.h"
#include "model/team.h"
#include "net/smtp.h"

enum account_kind { ACCOUNT_USER = 1, ACCOUNT_ORGANIZATION, ACCOUNT_ROBOT };

static const struct say SAY_REQUEST = { 400, "invalid_request", "Request error." };
static const struct say SAY_MESSAGE = { 400, "message", "Request error." };
static const struct say SAY_UNKNOWN_USER = { 400, "invalid_request", "Unknown user" };

static const struct field PUT[] = { F_STR("role", F_REQUIRED, .one_of = TEAM_ROLE_NAMES,
	                                  .doc = "What the members may do in the organization."),
	                            F_STR("description", F_TEXT, .doc = "Markdown."), F_END };

static enum err_kind
team_bind(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "teamname")));
	return ERR_NONE;
}

static enum err_kind
team_member_bind(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "teamname")));
	db_args_add(a, db_strn(req_capture(rq, "membername")));
	return ERR_NONE;
}

/* The team of the path, from the columns behind the facts. ERR_NOT_FOUND: no organization. */
static enum err_kind
team_find(struct req *rq, struct team *t)
{
	if (!rq->facts.namespace_is_org)
		return err_set(rq->c, ERR_NOT_FOUND, "no such organization");
	team_from_row(rq->load, 0, FACTS_COLS, t);
	return ERR_NONE;
}

static enum err_kind
team_get(struct req *rq, struct team *t)
{
	TRY(team_find(rq, t));
	return t->id != 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such team");
}

static enum err_kind
log_team(struct req *rq, enum audit_kind kind, const char *team, const char *key, const char *value)
{
	json_t *log = js_object(rq->c);

	jo_str(log, "team", team);
	if (key != NULL)
		jo_str(log, key, value);
	return log_action(rq, kind, rq->facts.namespace_id, 0, log);
}

static enum err_kind
api_team_put(struct req *rq)
{
	struct team t;
	struct team_change ch;
	struct team_put p = { .caller_id = rq->facts.caller_id,
		              .role = team_role_of(js_str(rq->body, "role")),
		              .description = js_str(rq->body, "description") };
	json_t *o;

	TRY(team_find(rq, &t));
	p.organization_id = rq->facts.namespace_id;
	p.name = req_capture(rq, "teamname");
	TRY(team_put(rq->c, t.id, &p, &ch));
	if (ch.is_new)
		TRY(log_team(rq, AUDIT_org_create_team, ch.team.name, NULL, NULL));
	if (ch.description_changed)
		TRY(log_team(rq, AUDIT_org_set_team_description, ch.team.name, "description",
		             ch.team.description));
	if (ch.role_changed)
		TRY(log_team(rq, AUDIT_org_set_team_role, ch.team.name, "role",
		             view_team_role(ch.team.role)));
	o = res_json(rq, 200);
	jo_str(o, "name", ch.team.name);
	jo_str(o, "description", ch.team.description);
	jo_bool(o, "can_view", true);
	jo_str(o, "role", view_team_role(ch.team.role));
	jo_take(o, "avatar", view_avatar(AVATAR_TEAM, ch.team.name, NULL));
	jo_bool(o, "new_team", ch.is_new);
	return ERR_NONE;
}

static enum err_kind
api_team_delete(struct req *rq)
{
	struct team t;

	TRY(team_find(rq, &t));
	if (t.id == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE,
		                   "Team '%.*s' is not a team in organization '%.*s'",
		                   STRF(req_capture(rq, "teamname")), STRF(rq->ns));
	TRY(team_delete(rq->c, rq->facts.namespace_id, &t, rq->facts.caller_id));
	TRY(log_team(rq, AUDIT_org_delete_team, t.name, NULL, NULL));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* first_col: of the set `person`. */
static void
view_member(const struct db_result *r, int row, int first_col, bool invited, json_t *o)
{
	const char *name = db_get_str(r, row, first_col + 1);
	const bool is_robot = db_get_i64(r, row, first_col + 2) == ACCOUNT_ROBOT;

	jo_str(o, "name", name);
	jo_str(o, "kind", "user");
	jo_bool(o, "is_robot", is_robot);
	jo_take(o, "avatar",
	        view_avatar(is_robot ? AVATAR_ROBOT : AVATAR_USER, name, db_get_str(r, row, first_col + 3)));
	jo_bool(o, "invited", invited);
}

/* Who was invited and has not answered: accounts, and addresses of people who have none. */
static enum err_kind
add_invites(struct req *rq, int64_t team_id, json_t *members)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_TEAM_INVITES, DB_ARGS(db_i64(team_id), db_i64(TEAM_INVITE_LIFE_S * 1000)), &r));
	for (int i = 0; i < r->rows; i++) {
		const char *address = db_get_str(r, i, TEAM_INVITES_ADDRESS);
		if (!db_is_null(r, i, TEAM_INVITES_PERSON0)) {
			view_member(r, i, TEAM_INVITES_PERSON0, true, ja_object(members));
			continue;
		}
		view_team_invite(ja_object(members), address);
	}
	return ERR_NONE;
}

static enum err_kind
api_team_members(struct req *rq)
{
	const struct db_result *r;
	struct team t;
	json_t *root, *members;
	const bool is_admin = organization_is_admin(rq);

	TRY(team_get(rq, &t));
	TRY(db_exec(rq->c, STMT_TEAM_MEMBERS, DB_ARGS(db_i64(t.id)), &r));
	root = res_json(rq, 200);
	jo_str(root, "name", t.name);
	members = jo_array(root, "members");
	for (int i = 0; i < r->rows; i++)
		view_member(r, i, TEAM_MEMBERS_PERSON0, false, ja_object(members));
	if (is_admin && param_bool(rq, "includePending", false))
		TRY(add_invites(rq, t.id, members));
	jo_bool(root, "can_edit", is_admin && !facts_is_global_reader(rq->c->conf, &rq->ident));
	return ERR_NONE;
}

/* A team that follows a group of a login service takes robots alone. */
static enum err_kind
check_synced(struct req *rq, const struct team *t, bool is_robot)
{
	if (!t->is_synced || is_robot || !rq->c->conf->feature_team_syncing)
		return ERR_NONE;
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_REQUEST,
	                   "Cannot call this method on an auth-synced team");
}

enum { M_ID = TEAM_MEMBER_LOAD_PERSON0, M_NAME, M_KIND, M_EMAIL };

/* Somebody who is not in the organization yet is asked. */
static bool
needs_invitation(const struct req *rq)
{
	const struct conf *cf = rq->c->conf;

	return cf->feature_mailing && cf->feature_require_team_invite && db_get_i64(rq->load, 0, M_KIND) == ACCOUNT_USER &&
	       !db_get_bool(rq->load, 0, TEAM_MEMBER_LOAD_IS_IN_ORGANIZATION);
}

static enum err_kind
prepare_member(struct req *rq)
{
	const struct str address = db_get_strn(rq->load, 0, M_EMAIL);

	return needs_invitation(rq) && smtp_address_ok(address) ? send_mail_limit(rq, address, NULL) : ERR_NONE;
}

static enum err_kind
invite_member(struct req *rq, const struct team *t)
{
	const struct str address = db_get_strn(rq->load, 0, M_EMAIL);
	const char *name = db_get_str(rq->load, 0, M_NAME);
	json_t *log = js_object(rq->c);

	TRY(invite_make(rq->c, &rq->app->login->secrets,
	                &(struct invite_new){ .team_id = t->id,
	                                      .account_id = db_get_i64(rq->load, 0, M_ID),
	                                      .inviter_id = rq->facts.caller_id,
	                                      .address = smtp_address_ok(address) ? address : STR0,
	                                      .team = t->name,
	                                      .organization = str_dup(rq->c->mem, rq->ns),
	                                      .inviter = rq->facts.caller_name }));
	jo_str(log, "user", name);
	jo_str(log, "member", name);
	jo_str(log, "team", t->name);
	TRY(log_action(rq, AUDIT_org_invite_team_member, rq->facts.namespace_id, 0, log));
	view_member(rq->load, 0, M_ID, true, res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
api_team_member_put(struct req *rq)
{
	const struct db_result *r;
	const bool is_robot = db_get_i64(rq->load, 0, M_KIND) == ACCOUNT_ROBOT;
	const char *name = db_get_str(rq->load, 0, M_NAME);
	struct team t;

	TRY(team_get(rq, &t));
	TRY(check_synced(rq, &t, is_robot));
	if (name == NULL)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_UNKNOWN_USER);
	if (is_robot && db_get_i64(rq->load, 0, TEAM_MEMBER_LOAD_PERSON_OWNER_ID) != rq->facts.namespace_id)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE,
		                   "Cannot add robot %s under namespace %.*s", name, STRF(rq->ns));
	if (needs_invitation(rq))
		return invite_member(rq, &t);
	TRY(db_exec(rq->c, STMT_TEAM_ADD_MEMBER, DB_ARGS(db_i64(t.id), db_i64(db_get_i64(rq->load, 0, M_ID))),
	            &r));
	if (r->affected == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE,
		                   "User '%s' is already a member of team '%s'", name, t.name);
	TRY(log_team(rq, AUDIT_org_add_team_member, t.name, "member", name));
	view_member(rq->load, 0, M_ID, false, res_json(rq, 200));
	return ERR_NONE;
}

/* An invitation goes before a membership. */
static enum err_kind
api_team_member_delete(struct req *rq)
{
	const int64_t id = db_get_i64(rq->load, 0, M_ID);
	const char *name = db_get_str(rq->load, 0, M_NAME);
	const struct db_result *r;
	struct team t;
	json_t *log = js_object(rq->c);

	TRY(team_get(rq, &t));
	TRY(check_synced(rq, &t, db_get_i64(rq->load, 0, M_KIND) == ACCOUNT_ROBOT));
	if (name == NULL)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE,
		                   "The user does not belong to team '%s'", t.name);
	TRY(db_exec(rq->c, STMT_TEAM_INVITE_REMOVE, DB_ARGS(db_i64(t.id), db_i64(id), db_null()), &r));
	if (r->affected > 0) {
		TRY(invite_note_remove(rq->c, t.id, id));
		jo_str(log, "user", rq->facts.caller_name);
		jo_str(log, "team", t.name);
		jo_str(log, "member", name);
		TRY(log_action(rq, AUDIT_org_delete_team_member_invite, rq->facts.namespace_id, 0, log));
	} else {
		TRY(team_remove_member(rq->c, rq->facts.namespace_id, &t, id, rq->facts.caller_id));
		TRY(log_team(rq, AUDIT_org_remove_team_member, t.name, "member", name));
	}
	res_empty(rq, 204);
	return ERR_NONE;
}

static enum err_kind
api_team_permissions(struct req *rq)
{
	const struct db_result *r;
	struct team t;

	TRY(team_get(rq, &t));
	TRY(db_exec(rq->c, STMT_TEAM_REPOSITORIES, DB_ARGS(db_i64(t.id)), &r));
	view_repository_roles(res_json(rq, 200), r);
	return ERR_NONE;
}

/* clang-format off */
#define TEAM    "/api/v1/organization/<name:orgname>/team/<name:teamname>"
#define ADMIN   .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_FULL, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .tx = TX_WRITE
#define LIST_BYTES (16 << 20)

/* Groups of login services (FEATURE_TEAM_SYNCING) are not built: without rows they answer as with their feature switched off. */
const struct route API_TEAM_ROUTES[] = {
	{ .id = "updateOrganizationTeam", .methods = HTTP_PUT, .path = TEAM, ADMIN, .load = STMT_TEAM_LOAD, .bind = team_bind, .body = PUT,
	  .run = api_team_put, .doc = "Makes a team, or changes its role and description." },
	{ .id = "deleteOrganizationTeam", .methods = HTTP_DELETE, .path = TEAM, ADMIN, .load = STMT_TEAM_LOAD, .bind = team_bind,
	  .run = api_team_delete, .doc = "Deletes a team." },
	{ .id = "getOrganizationTeamMembers", .methods = HTTP_GET | HTTP_HEAD, .path = TEAM "/members", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_TEAM, .flags = ROUTE_SU_FULL | ROUTE_SU_READ, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_READ, .load = STMT_TEAM_LOAD,
	  .bind = team_bind, .mem_bytes = LIST_BYTES, .run = api_team_members, .doc = "Members of a team." },
	{ .id = "updateOrganizationTeamMember", .methods = HTTP_PUT, .path = TEAM "/members/<name:membername>", ADMIN, .load = STMT_TEAM_MEMBER_LOAD,
	  .bind = team_member_bind, .prepare = prepare_member, .run = api_team_member_put,
	  .doc = "Adds a user or a robot of the organization, or invites a user." },
	{ .id = "deleteOrganizationTeamMember", .methods = HTTP_DELETE, .path = TEAM "/members/<name:membername>", ADMIN,
	  .load = STMT_TEAM_MEMBER_LOAD, .bind = team_member_bind, .run = api_team_member_delete, .doc = "Removes a member, or takes an invitation back." },
	{ .id = "getOrganizationTeamPermissions", .methods = HTTP_GET | HTTP_HEAD, .path = TEAM "/permissions", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_READ, .rate = RATE_API_READ, .load = STMT_TEAM_LOAD, .bind = team_bind, .mem_bytes = LIST_BYTES,
	  .run = api_team_permissions, .doc = "Repositories on which a team has a permission." },
	{ .id = NULL }
};
