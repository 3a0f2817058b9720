/* Permissions of a repository: of users and robots, and of teams. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-account.h"
#include "api/view-permission.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

enum account_kind { ACCOUNT_USER = 1, ACCOUNT_ORGANIZATION, ACCOUNT_ROBOT };

static const struct say SAY_MESSAGE = { 400, "message", "Request error." };
static const struct say SAY_OWNER = { 400, "message", "Namespace owner must always be admin." };
static const struct say SAY_NO_USER_PERMISSION = { 400, "message",
	                                           "User does not have permission for repo." };
static const struct say SAY_NO_TEAM_PERMISSION = { 400, "message",
	                                           "Team does not have permission for repo." };

static const struct field ROLE[] = { F_STR("role", F_REQUIRED, .one_of = ROLE_NAMES, .doc = "The new role."),
	                             F_END };

static enum err_kind
user_bind(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "username")));
	return ERR_NONE;
}

static enum err_kind
team_bind(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "teamname")));
	return ERR_NONE;
}

/* Columns behind the facts, of the list as of the one. */
enum { U_ID = FACTS_COLS, U_NAME, U_KIND, U_EMAIL, U_ROLE, U_IS_MEMBER, U_OWNER_ID };
_Static_assert((int)U_ROLE == REPOSITORY_USER_LOAD_PERSON_ROLE &&
                   (int)U_ROLE == REPOSITORY_USERS_LOAD_PERSON_ROLE,
               "permission.sql and permission.c differ");
enum { T_ID = FACTS_COLS, T_NAME, T_ROLE };
_Static_assert((int)T_ROLE == REPOSITORY_TEAM_LOAD_TEAM_ROLE &&
                   (int)T_ROLE == REPOSITORY_TEAMS_LOAD_TEAM_ROLE,
               "permission.sql and permission.c differ");

static void
view_user(struct req *rq, int row, enum role role, json_t *o)
{
	const char *name = db_get_str(rq->load, row, U_NAME);
	const bool is_robot = db_get_i64(rq->load, row, U_KIND) == ACCOUNT_ROBOT;

	jo_str(o, "role", view_role(role));
	jo_str(o, "name", name);
	jo_bool(o, "is_robot", is_robot);
	jo_take(o, "avatar",
	        view_avatar(is_robot ? AVATAR_ROBOT : AVATAR_USER, name, db_get_str(rq->load, row, U_EMAIL)));
	if (rq->facts.namespace_is_org)
		jo_bool(o, "is_org_member", is_robot || db_get_bool(rq->load, row, U_IS_MEMBER));
}

static void
view_team(struct req *rq, int row, enum role role, json_t *o)
{
	const char *name = db_get_str(rq->load, row, T_NAME);

	jo_str(o, "role", view_role(role));
	jo_str(o, "name", name);
	jo_take(o, "avatar", view_avatar(AVATAR_TEAM, name, NULL));
}

static enum role
loaded_role(struct req *rq, int row, int col)
{
	return (enum role)db_get_i64(rq->load, row, col);
}

static enum err_kind
api_user_permissions(struct req *rq)
{
	json_t *all = jo_object(res_json(rq, 200), "permissions");

	for (int i = 0; i < rq->load->rows; i++)
		if (!db_is_null(rq->load, i, U_ID))
			view_user(rq, i, loaded_role(rq, i, U_ROLE),
			          jo_object(all, db_get_str(rq->load, i, U_NAME)));
	return ERR_NONE;
}

static enum err_kind
api_team_permissions(struct req *rq)
{
	json_t *all = jo_object(res_json(rq, 200), "permissions");

	for (int i = 0; i < rq->load->rows; i++)
		if (!db_is_null(rq->load, i, T_ID))
			view_team(rq, i, loaded_role(rq, i, T_ROLE),
			          jo_object(all, db_get_str(rq->load, i, T_NAME)));
	return ERR_NONE;
}

static enum err_kind
api_user_permission(struct req *rq)
{
	if (db_is_null(rq->load, 0, U_ROLE))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_USER_PERMISSION);
	view_user(rq, 0, loaded_role(rq, 0, U_ROLE), res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
api_team_permission(struct req *rq)
{
	if (db_is_null(rq->load, 0, T_ROLE))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_TEAM_PERMISSION);
	jo_str(res_json(rq, 200), "role", view_role(loaded_role(rq, 0, T_ROLE)));
	return ERR_NONE;
}

/* One for each grant, the strongest first. */
static enum err_kind
api_user_transitive(struct req *rq)
{
	json_t *list;

	if (db_is_null(rq->load, 0, REPOSITORY_USER_GRANTS_LOAD_GRANT_ROLE))
		return err_set(rq->c, ERR_NOT_FOUND, "no permission");
	list = jo_array(res_json(rq, 200), "permissions");
	for (int i = 0; i < rq->load->rows; i++)
		jo_str(ja_object(list), "role",
		       view_role(loaded_role(rq, i, REPOSITORY_USER_GRANTS_LOAD_GRANT_ROLE)));
	return ERR_NONE;
}

/* A user whose permission can be changed: not the owner, and no robot of others. */
static enum err_kind
check_user(struct req *rq)
{
	const struct str name = req_capture(rq, "username");

	if (str_eq(name, rq->ns))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_OWNER);
	if (db_is_null(rq->load, 0, U_ID))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE, "Invalid username: %.*s", STRF(name));
	if (db_get_i64(rq->load, 0, U_KIND) == ACCOUNT_ROBOT &&
	    db_get_i64(rq->load, 0, U_OWNER_ID) != rq->facts.namespace_id)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE,
		                   "Cannot add robot %.*s under namespace %.*s", STRF(name), STRF(rq->ns));
	return ERR_NONE;
}

static enum err_kind
check_team(struct req *rq)
{
	if (!db_is_null(rq->load, 0, T_ID))
		return ERR_NONE;
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE, "No team %.*s in organization %.*s",
	                   STRF(req_capture(rq, "teamname")), STRF(rq->ns));
}

/* role ROLE_NONE: the permission was removed. */
static enum err_kind
log_permission(struct req *rq, enum role role)
{
	const bool of_team = req_capture(rq, "teamname").p != NULL;
	json_t *log = js_object(rq->c);

	jo_strn(log, of_team ? "team" : "username", req_capture(rq, of_team ? "teamname" : "username"));
	jo_strn(log, "repo", rq->repo);
	if (!of_team)
		jo_strn(log, "namespace", rq->ns);
	if (role != ROLE_NONE)
		jo_str(log, "role", view_role(role));
	return log_action(rq, role != ROLE_NONE ? AUDIT_change_repo_permission : AUDIT_delete_repo_permission,
	                  rq->facts.namespace_id, rq->facts.repository_id, log);
}

static enum err_kind
api_user_permission_put(struct req *rq)
{
	const enum role role = role_of(js_str(rq->body, "role"));

	TRY(check_user(rq));
	TRY(db_exec(rq->c, STMT_PERMISSION_SET_ACCOUNT,
	            DB_ARGS(db_i64(rq->facts.repository_id), db_i64(db_get_i64(rq->load, 0, U_ID)),
	                    db_i32((int32_t)role)),
	            NULL));
	TRY(log_permission(rq, role));
	view_user(rq, 0, role, res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
api_team_permission_put(struct req *rq)
{
	const enum role role = role_of(js_str(rq->body, "role"));

	TRY(check_team(rq));
	TRY(db_exec(rq->c, STMT_PERMISSION_SET_TEAM,
	            DB_ARGS(db_i64(rq->facts.repository_id), db_i64(db_get_i64(rq->load, 0, T_ID)),
	                    db_i32((int32_t)role)),
	            NULL));
	TRY(log_permission(rq, role));
	view_team(rq, 0, role, res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
remove_permission(struct req *rq, int64_t account_id, int64_t team_id, const struct say *none)
{
	const struct db_result *r;

	TRY(db_exec(
	    rq->c, STMT_PERMISSION_REMOVE,
	    DB_ARGS(db_i64(rq->facts.repository_id), db_i64_or_null(account_id), db_i64_or_null(team_id)),
	    &r));
	if (r->affected == 0)
		return err_say(rq->c, ERR_BAD_INPUT, none);
	TRY(log_permission(rq, ROLE_NONE));
	res_empty(rq, 204);
	return ERR_NONE;
}

static enum err_kind
api_user_permission_delete(struct req *rq)
{
	TRY(check_user(rq));
	return remove_permission(rq, db_get_i64(rq->load, 0, U_ID), 0, &SAY_NO_USER_PERMISSION);
}

static enum err_kind
api_team_permission_delete(struct req *rq)
{
	TRY(check_team(rq));
	return remove_permission(rq, 0, db_get_i64(rq->load, 0, T_ID), &SAY_NO_TEAM_PERMISSION);
}

/* clang-format off */
#define LIST_BYTES (16 << 20)
#define ADMIN  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN
#define GETS   .methods = HTTP_GET | HTTP_HEAD, ADMIN, .flags = ROUTE_SU_READ, .rate = RATE_API_READ
#define WRITES ADMIN, .flags = ROUTE_SU_FULL, .rate = RATE_API_WRITE, .tx = TX_WRITE
#define USERS  "/api/v1/repository/<repopath:repository>/permissions/user/"
#define TEAMS  "/api/v1/repository/<repopath:repository>/permissions/team/"
#define USER   .load = STMT_REPOSITORY_USER_LOAD, .bind = user_bind
#define TEAM   .load = STMT_REPOSITORY_TEAM_LOAD, .bind = team_bind

const struct route API_PERMISSION_ROUTES[] = {
	{ .id = "listRepoUserPermissions", .path = USERS, GETS, .load = STMT_REPOSITORY_USERS_LOAD, .mem_bytes = LIST_BYTES, .run = api_user_permissions,
	  .doc = "Permissions of users and robots." },
	{ .id = "listRepoTeamPermissions", .path = TEAMS, GETS, .load = STMT_REPOSITORY_TEAMS_LOAD, .mem_bytes = LIST_BYTES, .run = api_team_permissions,
	  .doc = "Permissions of teams." },
	{ .id = "getUserPermissions", .path = USERS "<name:username>", GETS, USER, .run = api_user_permission, .doc = "The permission of one user or robot." },
	{ .id = "getTeamPermissions", .path = TEAMS "<name:teamname>", GETS, TEAM, .run = api_team_permission, .doc = "The permission of one team." },
	{ .id = "getUserTransitivePermission", .path = USERS "<name:username>/transitive", GETS, .load = STMT_REPOSITORY_USER_GRANTS_LOAD, .bind = user_bind,
	  .run = api_user_transitive, .doc = "What a user was granted, own and through teams." },
	{ .id = "changeUserPermissions", .methods = HTTP_PUT, .path = USERS "<name:username>", WRITES, USER, .body = ROLE, .run = api_user_permission_put,
	  .doc = "Gives a user or robot a role." },
	{ .id = "changeTeamPermissions", .methods = HTTP_PUT, .path = TEAMS "<name:teamname>", WRITES, TEAM, .body = ROLE, .run = api_team_permission_put,
	  .doc = "Gives a team a role." },
	{ .id = "deleteUserPermissions", .methods = HTTP_DELETE, .path = USERS "<name:username>", WRITES, USER, .run = api_user_permission_delete,
	  .doc = "Takes the role of a user or robot away." },
	{ .id = "deleteTeamPermissions", .methods = HTTP_DELETE, .path = TEAMS "<name:teamname>", WRITES, TEAM, .run = api_team_permission_delete,
	  .doc = "Takes the role of a team away." },
	{ .id = NULL }
};
