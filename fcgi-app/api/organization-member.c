/* The people of an organization: members of its teams, and collaborators who have a permission without being in one. */
#include "api/routes.h"
#include "api/view-account.h"
#include "api/view-permission.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/response.h"
#include "model/organization.h"

enum account_kind { ACCOUNT_USER = 1, ACCOUNT_ORGANIZATION, ACCOUNT_ROBOT };

static enum err_kind
need_organization(struct req *rq)
{
	return rq->facts.namespace_is_org ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such organization");
}

/* first_col: of the set `person`; teams and repositories follow. */
static void
add_member(struct req *rq, int row, int first_col, json_t *o)
{
	const struct db_result *r = rq->load;
	const char *name = db_get_str(r, row, first_col + 1);
	const bool is_robot = db_get_i64(r, row, first_col + 2) == ACCOUNT_ROBOT;

	jo_str(o, "name", name);
	jo_str(o, "kind", is_robot ? "robot" : "user");
	jo_take(o, "avatar",
	        view_avatar(is_robot ? AVATAR_ROBOT : AVATAR_USER, name, db_get_str(r, row, first_col + 3)));
	view_team_names(rq->c, o, "teams", db_get_strn(r, row, first_col + PERSON_COLS));
	view_names(rq->c, o, "repositories", db_get_strn(r, row, first_col + PERSON_COLS + 1));
}

static enum err_kind
api_members(struct req *rq)
{
	json_t *list;

	TRY(need_organization(rq));
	list = jo_array(res_json(rq, 200), "members");
	for (int i = 0; i < rq->load->rows; i++)
		if (!db_is_null(rq->load, i, ORGANIZATION_MEMBERS_LOAD_PERSON0))
			add_member(rq, i, ORGANIZATION_MEMBERS_LOAD_PERSON0, ja_object(list));
	return ERR_NONE;
}

static enum err_kind
member_bind(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "membername")));
	return ERR_NONE;
}

static enum err_kind
api_member(struct req *rq)
{
	TRY(need_organization(rq));
	if (db_is_null(rq->load, 0, ORGANIZATION_MEMBER_LOAD_PERSON0))
		return err_set(rq->c, ERR_NOT_FOUND, "no such member");
	add_member(rq, 0, ORGANIZATION_MEMBER_LOAD_PERSON0, res_json(rq, 200));
	return ERR_NONE;
}

/* Leaves no audit entry, as Quay's. */
static enum err_kind
api_member_remove(struct req *rq)
{
	const struct db_result *r;

	TRY(need_organization(rq));
	TRY(db_exec(rq->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_strn(req_capture(rq, "membername"))), &r));
	if (r->rows == 0 || db_get_i64(r, 0, ACCOUNT_BY_NAME_KIND) != ACCOUNT_USER)
		return err_set(rq->c, ERR_NOT_FOUND, "no such user");
	TRY(organization_remove_member(rq->c, rq->facts.namespace_id, db_get_i64(r, 0, ACCOUNT_BY_NAME_ID)));
	res_empty(rq, 204);
	return ERR_NONE;
}

static enum err_kind
api_collaborators(struct req *rq)
{
	const int first = ORGANIZATION_COLLABORATORS_LOAD_PERSON0;
	json_t *list;

	TRY(need_organization(rq));
	list = jo_array(res_json(rq, 200), "collaborators");
	for (int i = 0; i < rq->load->rows; i++) {
		if (db_is_null(rq->load, i, first))
			continue;
		const char *name = db_get_str(rq->load, i, first + 1);
		const bool is_robot = db_get_i64(rq->load, i, first + 2) == ACCOUNT_ROBOT;
		json_t *o = ja_object(list);
		jo_str(o, "kind", "user");
		jo_str(o, "name", name);
		jo_take(o, "avatar",
		        view_avatar(is_robot ? AVATAR_ROBOT : AVATAR_USER, name,
		                    db_get_str(rq->load, i, first + 3)));
		view_names(rq->c, o, "repositories", db_get_strn(rq->load, i, first + PERSON_COLS));
	}
	return ERR_NONE;
}

/* clang-format off */
#define LIST_BYTES (16 << 20) /* of the answer's text, among others */

const struct route API_ORGANIZATION_MEMBER_ROUTES[] = {
	{ .id = "getOrganizationMembers", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/organization/<name:orgname>/members", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_READ, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_READ,
	  .load = STMT_ORGANIZATION_MEMBERS_LOAD, .mem_bytes = LIST_BYTES, .run = api_members, .doc = "People in the organization's teams." },
	{ .id = "getOrganizationMember", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/organization/<name:orgname>/members/<name:membername>",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_READ, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_READ,
	  .load = STMT_ORGANIZATION_MEMBER_LOAD, .bind = member_bind, .mem_bytes = LIST_BYTES, .run = api_member,
	  .doc = "One of them, or a robot of the organization." },
	{ .id = "removeOrganizationMember", .methods = HTTP_DELETE, .path = "/api/v1/organization/<name:orgname>/members/<name:membername>",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_FULL, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE,
	  .tx = TX_WRITE, .run = api_member_remove, .doc = "Takes somebody out of all teams and permissions of the organization." },
	{ .id = "getOrganizationCollaborators", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/organization/<name:orgname>/collaborators",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_READ, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_READ,
	  .load = STMT_ORGANIZATION_COLLABORATORS_LOAD, .mem_bytes = LIST_BYTES, .run = api_collaborators,
	  .doc = "Those with a permission on a repository who are in no team." },
	{ .id = NULL }
};
