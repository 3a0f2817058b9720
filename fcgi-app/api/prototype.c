/* Default permissions of an organization: what a new repository gives to whom. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-account.h"
#include "api/view-permission.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

enum account_kind { ACCOUNT_USER = 1, ACCOUNT_ORGANIZATION, ACCOUNT_ROBOT };
enum { P_UUID, P_ROLE, P_ACTIVATING, P_DELEGATE = P_ACTIVATING + 4, P_TEAM = P_DELEGATE + 4, P_COLS };
_Static_assert((int)P_COLS == PROTOTYPE_COLS, "permission.sql and prototype.c differ");

static const struct say SAY_MESSAGE = { 400, "message", "Request error." };
static const struct say SAY_ACTIVATING = { 400, "invalid_request", "Unknown activating user" };
static const struct say SAY_DELEGATE = { 400, "invalid_request", "Missing delegate user or team" };

static const char *const KINDS[] = { "user", "team", NULL };
static const struct field CREATE[] = {
	F_STR("role", F_REQUIRED, .one_of = ROLE_NAMES, .doc = "The role that the delegate gets."),
	F_OBJECT("delegate", F_REQUIRED, .doc = "A user, robot or team: name and kind."),
	F_OBJECT("activating_user", .doc = "Only for repositories that this user makes: name."), F_END
};
static const struct field CHANGE[] = {
	F_STR("role", F_REQUIRED, .one_of = ROLE_NAMES, .doc = "The role that the delegate gets."), F_END
};
static const struct field DELEGATE[] = { F_STR("name", F_REQUIRED),
	                                 F_STR("kind", F_REQUIRED, .one_of = KINDS), F_END };
static const struct field ACTIVATING[] = { F_STR("name", F_REQUIRED), F_END };

static enum err_kind
need_organization(struct req *rq)
{
	return rq->facts.namespace_is_org ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such organization");
}

/* first_col: name, email, kind, whether a member. */
static json_t *
user_view(const struct db_result *r, int row, int first_col)
{
	return view_user_ref(
	    &(struct user_ref){ .name = db_get_str(r, row, first_col),
	                        .email = db_get_str(r, row, first_col + 1),
	                        .is_robot = db_get_i64(r, row, first_col + 2) == ACCOUNT_ROBOT,
	                        .is_org_member = db_get_bool(r, row, first_col + 3) });
}

static void
view_prototype(const struct db_result *r, int row, json_t *o)
{
	const char *team = db_get_str(r, row, P_TEAM);
	json_t *delegate;

	jo_str(o, "id", db_get_str(r, row, P_UUID));
	jo_str(o, "role", view_role((enum role)db_get_i64(r, row, P_ROLE)));
	if (db_is_null(r, row, P_ACTIVATING))
		jo_null(o, "activating_user");
	else
		jo_take(o, "activating_user", user_view(r, row, P_ACTIVATING));
	if (team == NULL) {
		jo_take(o, "delegate", user_view(r, row, P_DELEGATE));
		return;
	}
	delegate = jo_object(o, "delegate");
	jo_str(delegate, "name", team);
	jo_str(delegate, "kind", "team");
	jo_take(delegate, "avatar", view_avatar(AVATAR_TEAM, team, NULL));
}

static enum err_kind
prototypes(struct req *rq, struct str uuid, const struct db_result **r)
{
	TRY(need_organization(rq));
	return db_exec(rq->c, STMT_PROTOTYPE_LIST, DB_ARGS(db_i64(rq->facts.namespace_id), db_strn(uuid)), r);
}

static enum err_kind
prototype_get(struct req *rq, struct str uuid, const struct db_result **r)
{
	TRY(prototypes(rq, uuid, r));
	return (*r)->rows > 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such default permission");
}

static enum err_kind
log_prototype(struct req *rq, enum audit_kind kind, const struct db_result *r, const char *original_role,
              const char *role)
{
	json_t *log = js_object(rq->c);
	const char *team = db_get_str(r, 0, P_TEAM);

	jo_str(log, "prototypeid", db_get_str(r, 0, P_UUID));
	jo_str(log, "username", rq->facts.caller_name);
	jo_str(log, "activating_username", db_get_str(r, 0, P_ACTIVATING));
	jo_str(log, "role", role);
	if (team != NULL)
		jo_str(log, "delegate_team", team);
	else
		jo_str(log, "delegate_user", db_get_str(r, 0, P_DELEGATE));
	if (original_role != NULL)
		jo_str(log, "original_role", original_role);
	return log_action(rq, kind, rq->facts.namespace_id, 0, log);
}

static enum err_kind
api_prototypes(struct req *rq)
{
	const struct db_result *r;
	json_t *list;

	TRY(prototypes(rq, STR0, &r));
	list = jo_array(res_json(rq, 200), "prototypes");
	for (int i = 0; i < r->rows; i++)
		view_prototype(r, i, ja_object(list));
	return ERR_NONE;
}

/* A user, or a robot of this organization. *id 0: there is none. Differs: Quay takes robots of others as delegates.
 * Robots get rights in their own namespace alone, here as in permissions. */
static enum err_kind
find_account(struct req *rq, struct str name, int64_t *id)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_strn(name)), &r));
	*id = 0;
	if (r->rows == 0 || db_get_i64(r, 0, ACCOUNT_BY_NAME_KIND) == ACCOUNT_ORGANIZATION)
		return ERR_NONE;
	if (db_get_i64(r, 0, ACCOUNT_BY_NAME_KIND) == ACCOUNT_ROBOT &&
	    db_get_i64(r, 0, ACCOUNT_BY_NAME_OWNER_ID) != rq->facts.namespace_id)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE,
		                   "Cannot add robot %.*s under namespace %.*s", STRF(name), STRF(rq->ns));
	*id = db_get_i64(r, 0, ACCOUNT_BY_NAME_ID);
	return ERR_NONE;
}

static enum err_kind
find_team(struct req *rq, struct str name, int64_t *id)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_TEAM_BY_NAME, DB_ARGS(db_i64(rq->facts.namespace_id), db_strn(name)), &r));
	if (r->rows == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_MESSAGE, "No team %.*s in organization %.*s",
		                   STRF(name), STRF(rq->ns));
	*id = db_get_i64(r, 0, TEAM_BY_NAME_ID);
	return ERR_NONE;
}

static enum err_kind
api_prototype_create(struct req *rq)
{
	json_t *delegate = json_object_get(rq->body, "delegate"),
	       *activating = json_object_get(rq->body, "activating_user");
	const struct str name = js_str(delegate, "name");
	const enum role role = role_of(js_str(rq->body, "role"));
	int64_t activating_id = 0, account_id = 0, team_id = 0;
	const struct db_result *r;

	TRY(field_check(rq, delegate, DELEGATE));
	if (activating != NULL)
		TRY(field_check(rq, activating, ACTIVATING));
	TRY(need_organization(rq));
	if (activating != NULL) {
		TRY(find_account(rq, js_str(activating, "name"), &activating_id));
		if (activating_id == 0)
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_ACTIVATING);
	}
	if (str_eq(js_str(delegate, "kind"), STR("team")))
		TRY(find_team(rq, name, &team_id));
	else
		TRY(find_account(rq, name, &account_id));
	if (team_id == 0 && account_id == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_DELEGATE);
	TRY(db_exec(rq->c, STMT_PROTOTYPE_CREATE,
	            DB_ARGS(db_i64(rq->facts.namespace_id), db_i64_or_null(activating_id),
	                    db_i64_or_null(account_id), db_i64_or_null(team_id), db_i32((int32_t)role)),
	            &r));
	TRY(prototype_get(rq, db_get_strn(r, 0, PROTOTYPE_CREATE_UUID), &r));
	TRY(log_prototype(rq, AUDIT_create_prototype_permission, r, NULL, view_role(role)));
	view_prototype(r, 0, res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
api_prototype_change(struct req *rq)
{
	const struct str uuid = req_capture(rq, "prototypeid");
	const enum role role = role_of(js_str(rq->body, "role"));
	const struct db_result *was, *r;

	TRY(prototype_get(rq, uuid, &was));
	TRY(db_exec(rq->c, STMT_PROTOTYPE_SET_ROLE,
	            DB_ARGS(db_i64(rq->facts.namespace_id), db_strn(uuid), db_i32((int32_t)role)), NULL));
	TRY(prototype_get(rq, uuid, &r));
	TRY(log_prototype(rq, AUDIT_modify_prototype_permission, r,
	                  view_role((enum role)db_get_i64(was, 0, P_ROLE)), view_role(role)));
	view_prototype(r, 0, res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
api_prototype_delete(struct req *rq)
{
	const struct str uuid = req_capture(rq, "prototypeid");
	const struct db_result *r;

	TRY(prototype_get(rq, uuid, &r));
	TRY(db_exec(rq->c, STMT_PROTOTYPE_REMOVE, DB_ARGS(db_i64(rq->facts.namespace_id), db_strn(uuid)),
	            NULL));
	TRY(log_prototype(rq, AUDIT_delete_prototype_permission, r, NULL,
	                  view_role((enum role)db_get_i64(r, 0, P_ROLE))));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* clang-format off */
#define LIST  "/api/v1/organization/<name:orgname>/prototypes"
#define ADMIN .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN
#define WRITES ADMIN, .flags = ROUTE_SU_FULL, .rate = RATE_API_WRITE, .tx = TX_WRITE

const struct route API_PROTOTYPE_ROUTES[] = {
	{ .id = "getOrganizationPrototypePermissions", .methods = HTTP_GET | HTTP_HEAD, .path = LIST, ADMIN, .flags = ROUTE_SU_READ, .rate = RATE_API_READ,
	  .mem_bytes = 16 << 20, .run = api_prototypes, .doc = "Default permissions of an organization." },
	{ .id = "createOrganizationPrototypePermission", .methods = HTTP_POST, .path = LIST, WRITES, .body = CREATE, .run = api_prototype_create,
	  .doc = "Adds a default permission." },
	{ .id = "updateOrganizationPrototypePermission", .methods = HTTP_PUT, .path = LIST "/<name:prototypeid>", WRITES, .body = CHANGE,
	  .run = api_prototype_change, .doc = "Changes the role of a default permission." },
	{ .id = "deleteOrganizationPrototypePermission", .methods = HTTP_DELETE, .path = LIST "/<name:prototypeid>", WRITES, .run = api_prototype_delete,
	  .doc = "Removes a default permission." },
	{ .id = NULL }
};
