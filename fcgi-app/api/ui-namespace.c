/* Pages of the interface that list namespaces, the people of an organization, and robots: one call a page. */
#include "api/routes.h"
#include "api/ui-list.h"
#include "api/view-account.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/response.h"

enum { KIND_ORGANIZATION = 2 };

static bool
sees_everything(const struct req *rq)
{
	return (decide_caps(rq) & CAPS_SU_READ) != 0;
}

static enum err_kind
bind_namespaces(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(ui_cursor_of(rq, "name").first));
	db_args_add(a, db_i32(ui_limit(rq) + 1));
	db_args_add(a, db_bool(sees_everything(rq)));
	ui_bind_q(rq, a, true);
	db_args_add(a, db_bool(rq->c->conf->feature_quota_management));
	return ERR_NONE;
}

enum { N_ID = UI_NAMESPACES_LOAD_UI_NAMESPACE0, N_NAME, N_KIND, N_EMAIL, N_ENABLED, N_MEMBER, N_ADMIN, N_REPOSITORIES, N_TEAMS, N_MEMBERS, N_ROBOTS, N_USED, N_LIMIT, N_TOTAL };
_Static_assert((int)N_TOTAL == UI_NAMESPACES_LOAD_TOTAL, "ui.sql and ui-namespace.c differ");

static void
count_if(struct req *rq, json_t *o, const char *name, int row, int col)
{
	if (!db_is_null(rq->load, row, col))
		ui_count(o, name, db_get_i64(rq->load, row, col), UI_COUNT_MAX);
}

static void
view_namespace(struct req *rq, int row, json_t *o)
{
	const struct db_result *r = rq->load;
	const bool              is_org = db_get_i64(r, row, N_KIND) == KIND_ORGANIZATION, sees = db_get_bool(r, row, N_ADMIN) || sees_everything(rq);
	const char             *name = db_get_str(r, row, N_NAME), *email = db_get_str(r, row, N_EMAIL);

	jo_str(o, "name", name);
	jo_str(o, "kind", is_org ? "organization" : "user");
	jo_take(o, "avatar", view_avatar(is_org ? AVATAR_ORG : AVATAR_USER, name, email));
	jo_bool(o, "is_member", db_get_bool(r, row, N_MEMBER));
	jo_bool(o, "is_admin", db_get_bool(r, row, N_ADMIN));
	if (sees) {
		jo_str(o, "email", view_email(email));
		jo_bool(o, "is_enabled", db_get_bool(r, row, N_ENABLED));
	}
	count_if(rq, o, "repositories", row, N_REPOSITORIES);
	count_if(rq, o, "teams", row, N_TEAMS);
	count_if(rq, o, "members", row, N_MEMBERS);
	count_if(rq, o, "robots", row, N_ROBOTS);
	if (!db_is_null(r, row, N_USED))
		jo_i64(o, "used_bytes", db_get_i64(r, row, N_USED));
	if (!db_is_null(r, row, N_LIMIT))
		jo_i64(o, "limit_bytes", db_get_i64(r, row, N_LIMIT));
}

static enum err_kind
api_ui_namespaces(struct req *rq)
{
	const int limit = ui_limit(rq);
	json_t   *rows, *root = ui_begin(rq, "namespaces", N_TOTAL, &rows);
	int       n = 0;

	for (; n < rq->load->rows && n < limit && !db_is_null(rq->load, n, N_ID); n++)
		view_namespace(rq, n, ja_object(rows));
	return rq->load->rows > limit ? ui_next(rq, root, "name", &(struct ui_cursor){ .first = db_get_strn(rq->load, n - 1, N_NAME), .second = STR("") }) : ERR_NONE;
}

/* Members and robots: after a name. */
static enum err_kind
bind_names(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(ui_cursor_of(rq, "name").first));
	db_args_add(a, db_i32(ui_limit(rq) + 1));
	ui_bind_q(rq, a, true);
	return ERR_NONE;
}

enum { M_ID = UI_MEMBERS_LOAD_UI_MEMBER0, M_NAME, M_EMAIL, M_TEAMS, M_N_TEAMS, M_REPOSITORIES, M_LAST, M_TOTAL };
_Static_assert((int)M_TOTAL == UI_MEMBERS_LOAD_TOTAL, "ui.sql and ui-namespace.c differ");

static void
view_member(struct req *rq, int row, json_t *o)
{
	const struct db_result *r = rq->load;
	const char             *name = db_get_str(r, row, M_NAME), *teams = db_get_str(r, row, M_TEAMS);
	json_t                 *list = teams == NULL ? NULL : json_loads(teams, 0, NULL);

	jo_str(o, "name", name);
	jo_take(o, "avatar", view_avatar(AVATAR_USER, name, db_get_str(r, row, M_EMAIL)));
	jo_take(o, "teams", list != NULL ? list : json_array());
	jo_i64(o, "team_count", db_get_i64(r, row, M_N_TEAMS));
	ui_count(o, "repositories", db_get_i64(r, row, M_REPOSITORIES), UI_TOTAL_MAX);
	if (rq->c->conf->feature_user_last_accessed)
		ui_time(rq, o, "last_accessed", db_get_i64(r, row, M_LAST));
}

static enum err_kind
api_ui_members(struct req *rq)
{
	const int limit = ui_limit(rq);
	json_t   *rows, *root;
	int       n = 0;

	if (!rq->facts.namespace_is_org)
		return err_set(rq->c, ERR_NOT_FOUND, "no such organization");
	root = ui_begin(rq, "members", M_TOTAL, &rows);
	for (; n < rq->load->rows && n < limit && !db_is_null(rq->load, n, M_ID); n++)
		view_member(rq, n, ja_object(rows));
	return rq->load->rows > limit ? ui_next(rq, root, "name", &(struct ui_cursor){ .first = db_get_strn(rq->load, n - 1, M_NAME), .second = STR("") }) : ERR_NONE;
}

enum { R_ID = UI_ROBOTS_LOAD_UI_ROBOT0, R_NAME, R_DESCRIPTION, R_CREATED, R_LAST, R_TEAMS, R_REPOSITORIES, R_TOTAL };
_Static_assert((int)R_TOTAL == UI_ROBOTS_LOAD_TOTAL, "ui.sql and ui-namespace.c differ");

static void
view_robot(struct req *rq, int row, json_t *o)
{
	const struct db_result *r = rq->load;

	jo_str(o, "name", db_get_str(r, row, R_NAME));
	jo_str(o, "description", db_get_str(r, row, R_DESCRIPTION));
	ui_time(rq, o, "created", db_get_i64(r, row, R_CREATED));
	if (rq->c->conf->feature_user_last_accessed)
		ui_time(rq, o, "last_accessed", db_get_i64(r, row, R_LAST));
	jo_i64(o, "teams", db_get_i64(r, row, R_TEAMS));
	ui_count(o, "repositories", db_get_i64(r, row, R_REPOSITORIES), UI_TOTAL_MAX);
}

static enum err_kind
api_ui_robots(struct req *rq)
{
	const int limit = ui_limit(rq);
	json_t   *rows, *root;
	int       n = 0;

	if (rq->facts.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	root = ui_begin(rq, "robots", R_TOTAL, &rows);
	for (; n < rq->load->rows && n < limit && !db_is_null(rq->load, n, R_ID); n++)
		view_robot(rq, n, ja_object(rows));
	return rq->load->rows > limit ? ui_next(rq, root, "name", &(struct ui_cursor){ .first = db_get_strn(rq->load, n - 1, R_NAME), .second = STR("") }) : ERR_NONE;
}

/* clang-format off */
#define READS .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .rate = RATE_API_READ, .query = UI_QUERY, .mem_bytes = 8 << 20
#define ONE   "/api/v1/ui/namespace/<name:namespace>"
const struct route API_UI_NAMESPACE_ROUTES[] = {
	{ .id = "uiNamespaces", .path = "/api/v1/ui/namespaces", READS, .perm = PERM_USER_READ, .scope = SCOPE_USER_READ | SCOPE_USER_ADMIN, .flags = ROUTE_SU_READ | ROUTE_INTERNAL,
	  .load = STMT_UI_NAMESPACES_LOAD, .bind = bind_namespaces, .run = api_ui_namespaces, .doc = "Namespaces of the caller, or all, by name, with counts." },
	{ .id = "uiMembers", .path = ONE "/members", READS, .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .flags = ROUTE_SU_READ | ROUTE_INTERNAL,
	  .load = STMT_UI_MEMBERS_LOAD, .bind = bind_names, .run = api_ui_members, .doc = "People of an organization by name." },
	{ .id = "uiRobots", .path = ONE "/robots", READS, .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .flags = ROUTE_SU_READ | ROUTE_INTERNAL,
	  .load = STMT_UI_ROBOTS_LOAD, .bind = bind_names, .run = api_ui_robots, .doc = "Robots of a namespace by name, without tokens." },
	{ .id = NULL }
};
