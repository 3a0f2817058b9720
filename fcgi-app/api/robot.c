/* Robot accounts: of the caller's own namespace and of organizations, by the same code. */
#include "api/log-action.h"
#include "api/robot-owner.h"
#include "api/routes.h"
#include "api/view-account.h"
#include "api/view-permission.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/field.h"
#include "http/response.h"
#include "model/account.h"
#include "model/robot.h"
#include "oci/name.h"

#define BODY_BYTES (1 << 20)
static const struct say SAY_BODY = { 400, "invalid_request", "The body is too large" };

static const struct field CREATE[] = { F_STR("description", F_TEXT, .max = 255, .doc = "Free text."),
	                               F_OBJECT("unstructured_metadata", .doc = "Any members."), F_END };

void
robot_owner(struct req *rq, struct robot_owner *o)
{
	const bool own = req_capture(rq, "orgname").p == NULL;
	const enum org_role cap = scope_max_org_role(rq->ident.scopes);

	*o = (struct robot_owner){
		.id = own ? rq->facts.caller_id : rq->facts.namespace_id,
		.name = own ? str_of(rq->facts.caller_name) : rq->ns,
		.short_name = req_capture(rq, "robot_shortname"),
	};
	o->is_admin = own || (rq->facts.org_role == ORG_ROLE_ADMIN && cap == ORG_ROLE_ADMIN) ||
	              (decide_caps(rq) & CAPS_SU_ALL) != 0;
	o->robot = o->short_name.p == NULL ? NULL : oci_robot_name(rq->c, o->name, o->short_name);
}

/* views: what beyond the fixed members. */
enum view { VIEW_TOKEN = 1, VIEW_METADATA = 2, VIEW_PERMISSIONS = 4 };

static void
view_robot(struct req *rq, const struct robot *r, unsigned views, json_t *o)
{
	json_t *metadata;

	jo_str(o, "name", r->name);
	jo_str(o, "created", clock_rfc2822(rq->c->mem, r->created_ms));
	if (rq->c->conf->feature_user_last_accessed && r->last_accessed_ms != 0)
		jo_str(o, "last_accessed", clock_rfc2822(rq->c->mem, r->last_accessed_ms));
	else
		jo_null(o, "last_accessed");
	jo_str(o, "description", r->description);
	if ((views & VIEW_TOKEN) != 0)
		jo_str(o, "token", r->token);
	if ((views & VIEW_METADATA) != 0) {
		metadata = json_loads(r->metadata == NULL ? "{}" : r->metadata, 0, NULL);
		jo_take(o, "unstructured_metadata", metadata != NULL ? metadata : json_object());
	}
	if ((views & VIEW_PERMISSIONS) != 0) {
		view_team_names(rq->c, o, "teams", r->teams);
		view_names(rq->c, o, "repositories", r->repositories);
	}
}

/* Tokens are for those who administrate the namespace; a global reader sees everything else. */
static enum err_kind
api_robots(struct req *rq)
{
	const struct secrets *s = &rq->app->login->secrets;
	struct robot_query q = { .max = req_query_i64(rq, "limit", 1, INT32_MAX, 0) };
	const struct db_result *r;
	struct robot_owner o;
	struct robot one;
	json_t *list;
	bool reads_all;

	robot_owner(rq, &o);
	reads_all = o.is_admin || (decide_caps(rq) & CAPS_SU_READ) != 0;
	q.owner_id = o.id;
	q.with_token = o.is_admin && param_bool(rq, "token", true);
	q.with_permissions = reads_all && param_bool(rq, "permissions", false);
	TRY(robot_list(rq->c, &q, &r));
	list = jo_array(res_json(rq, 200), "robots");
	for (int i = 0; i < r->rows; i++) {
		const struct arena_mark m = arena_mark(rq->c->mem);
		TRY(robot_from_row(rq->c, s, r, i, &one));
		view_robot(rq, &one,
		           (q.with_token ? VIEW_TOKEN : 0) | (q.with_permissions ? VIEW_PERMISSIONS : 0),
		           ja_object(list));
		arena_rewind(rq->c->mem, m);
	}
	res_header(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

/* The one robot as an answer, with its token where the caller may have it. */
static enum err_kind
show(struct req *rq, const struct robot_owner *o, int status)
{
	const struct robot_query q = { .owner_id = o->id, .name = o->robot, .with_token = o->is_admin };
	struct robot r;

	TRY(robot_get(rq->c, &rq->app->login->secrets, &q, &r));
	view_robot(rq, &r, VIEW_METADATA | (q.with_token ? VIEW_TOKEN : 0), res_json(rq, status));
	res_header(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

static enum err_kind
api_robot(struct req *rq)
{
	struct robot_owner o;

	robot_owner(rq, &o);
	return show(rq, &o, 200);
}

/* The body is optional: what is absent or no JSON object is taken as none. */
static enum err_kind
robot_prepare(struct req *rq)
{
	const struct js_limits limits = { .bytes = BODY_BYTES,
		                          .depth = JS_API.depth,
		                          .values = JS_API.values };
	struct str bytes, media, params;
	json_t *root;
	enum err_kind e;

	str_cut(req_header(rq, "content-type"), ';', &media, &params);
	e = req_body_all(rq, BODY_BYTES, &bytes);
	if (e == ERR_TOO_LARGE)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_BODY);
	TRY(e);
	if (bytes.n == 0 || !str_eq_nocase(str_trim(media), STR("application/json")))
		return ERR_NONE;
	e = js_parse(rq->c, bytes, &limits, &root);
	if (e != ERR_NONE || !json_is_object(root)) {
		err_clear(rq->c);
		return ERR_NONE;
	}
	TRY(field_check(rq, root, CREATE));
	rq->body = root;
	return ERR_NONE;
}

static enum err_kind
log_robot(struct req *rq, enum audit_kind kind, const struct robot_owner *o, json_t *log)
{
	jo_strn(log, "robot", o->short_name);
	return log_action(rq, kind, o->id, 0, log);
}

static enum err_kind
api_robot_create(struct req *rq)
{
	struct robot_owner o;
	struct robot_new n;
	const json_t *metadata = json_object_get(rq->body, "unstructured_metadata");
	json_t *log = js_object(rq->c);
	int64_t id;

	robot_owner(rq, &o);
	if (o.id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such organization");
	n = (struct robot_new){ .owner_id = o.id,
		                .ns = o.name,
		                .short_name = o.short_name,
		                .description = js_str(rq->body, "description"),
		                .metadata =
		                    metadata == NULL ? "{}" : str_dup(rq->c->mem, js_dump(rq->c, metadata)) };
	if (n.description.p == NULL)
		n.description = STR("");
	TRY(robot_create(rq->c, &rq->app->login->secrets, &n, &id));
	jo_strn(log, "description", n.description);
	if (metadata == NULL)
		jo_object(log, "unstructured_metadata");
	else
		jo_take(log, "unstructured_metadata", json_deep_copy(metadata));
	TRY(log_robot(rq, AUDIT_create_robot, &o, log));
	return show(rq, &o, 201);
}

static enum err_kind
api_robot_delete(struct req *rq)
{
	struct robot_owner o;

	robot_owner(rq, &o);
	TRY(robot_delete(rq->c, o.id, o.robot));
	TRY(log_robot(rq, AUDIT_delete_robot, &o, js_object(rq->c)));
	res_empty(rq, 204);
	return ERR_NONE;
}

enum err_kind
robot_owner_get(struct req *rq, struct robot_owner *o, int64_t *robot_id)
{
	struct robot r;
	struct robot_query q;

	robot_owner(rq, o);
	q = (struct robot_query){ .owner_id = o->id, .name = o->robot };
	TRY(robot_get(rq->c, &rq->app->login->secrets, &q, &r));
	*robot_id = r.id;
	return ERR_NONE;
}

static enum err_kind
api_robot_regenerate(struct req *rq)
{
	struct robot_owner o;
	int64_t id;
	char token[TOKEN_TEXT_MAX + 1];

	TRY(robot_owner_get(rq, &o, &id));
	TRY(account_robot_renew(rq->c, &rq->app->login->secrets, id, token));
	explicit_bzero(token, sizeof token);
	TRY(log_robot(rq, AUDIT_regenerate_robot_token, &o, js_object(rq->c)));
	return show(rq, &o, 200);
}

static enum err_kind
api_robot_permissions(struct req *rq)
{
	const struct db_result *r;
	struct robot_owner o;
	int64_t id;

	TRY(robot_owner_get(rq, &o, &id));
	TRY(db_exec(rq->c, STMT_ROBOT_REPOSITORIES, DB_ARGS(db_i64(o.id), db_i64(id)), &r));
	view_repository_roles(res_json(rq, 200), r);
	return ERR_NONE;
}

/* clang-format off */
static const struct param LIST_QUERY[] = { { "permissions", false, NULL }, { "token", false, NULL },
	                                   { "limit", true, "If specified, the number of robots to return." }, { NULL, false, NULL } };

#define LIST_BYTES (16 << 20)
#define GETS  .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .rate = RATE_API_READ
#define WRITES .proto = PROTO_API, .auth = AUTH_API, .rate = RATE_API_WRITE, .tx = TX_WRITE
#define OWN   "/api/v1/user/robots"
#define ORG   "/api/v1/organization/<name:orgname>/robots"
#define ONE   "/<name:robot_shortname>"
#define OWN_READ  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN
#define OWN_WRITE OWN_READ, .flags = ROUTE_NOT_RESTRICTED
#define ORG_READ  .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .flags = ROUTE_SU_FULL | ROUTE_SU_READ
#define ORG_WRITE .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .flags = ROUTE_SU_FULL

const struct route API_ROBOT_ROUTES[] = {
	{ .id = "getUserRobots", .path = OWN, GETS, OWN_READ, .query = LIST_QUERY, .mem_bytes = LIST_BYTES, .run = api_robots, .doc = "Robots of the caller." },
	{ .id = "getOrgRobots", .path = ORG, GETS, .perm = PERM_NS_MEMBER, .scope = SCOPE_ORG_ADMIN, .flags = ROUTE_SU_FULL | ROUTE_SU_READ,
	  .query = LIST_QUERY, .mem_bytes = LIST_BYTES, .run = api_robots, .doc = "Robots of an organization; their tokens for admins." },
	{ .id = "getUserRobot", .path = OWN ONE, GETS, OWN_READ, .run = api_robot, .doc = "A robot with its token." },
	{ .id = "getOrgRobot", .path = ORG ONE, GETS, ORG_READ, .run = api_robot, .doc = "A robot with its token." },
	{ .id = "createUserRobot", .methods = HTTP_PUT, .path = OWN ONE, WRITES, OWN_WRITE, .prepare = robot_prepare, .mem_bytes = 4 << 20,
	  .run = api_robot_create, .doc = "Makes a robot." },
	{ .id = "createOrgRobot", .methods = HTTP_PUT, .path = ORG ONE, WRITES, ORG_WRITE, .prepare = robot_prepare, .mem_bytes = 4 << 20,
	  .run = api_robot_create, .doc = "Makes a robot." },
	{ .id = "deleteUserRobot", .methods = HTTP_DELETE, .path = OWN ONE, WRITES, OWN_WRITE, .run = api_robot_delete, .doc = "Deletes a robot." },
	{ .id = "deleteOrgRobot", .methods = HTTP_DELETE, .path = ORG ONE, WRITES, ORG_WRITE, .run = api_robot_delete, .doc = "Deletes a robot." },
	{ .id = "regenerateUserRobotToken", .methods = HTTP_POST, .path = OWN ONE "/regenerate", WRITES, OWN_WRITE, .run = api_robot_regenerate,
	  .doc = "A new token; the old one ends at once." },
	{ .id = "regenerateOrgRobotToken", .methods = HTTP_POST, .path = ORG ONE "/regenerate", WRITES, ORG_WRITE, .run = api_robot_regenerate,
	  .doc = "A new token; the old one ends at once." },
	{ .id = "getUserRobotPermissions", .path = OWN ONE "/permissions", GETS, OWN_READ, .mem_bytes = LIST_BYTES, .run = api_robot_permissions,
	  .doc = "Repositories on which a robot has a permission." },
	/* As Quay's: a token needs the scope of the caller's own account beside the right on the organization. */
	{ .id = "getOrgRobotPermissions", .path = ORG ONE "/permissions", GETS, .perm = PERM_NS_ADMIN, .scope = SCOPE_USER_ADMIN,
	  .flags = ROUTE_SU_FULL | ROUTE_SU_READ, .mem_bytes = LIST_BYTES, .run = api_robot_permissions,
	  .doc = "Repositories on which a robot has a permission." },
	{ .id = NULL }
};
