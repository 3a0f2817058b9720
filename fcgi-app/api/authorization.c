/* What a user has granted to applications, and tokens that administrators have offered. */
#include "api/routes.h"
#include "api/view-account.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"

#define LIST_MEM_BYTES (8 << 20)
enum { G_UUID, G_SCOPES, G_REDIRECT_URI, G_RESPONSE_TYPE, G_CLIENT_ID, G_APP_NAME, G_DESCRIPTION, G_APPLICATION_URI, G_AVATAR_EMAIL,
       G_ORG_NAME, G_ORG_EMAIL, G_COLS };
_Static_assert((int)G_COLS == GRANT_COLS, "application.sql and authorization.c differ");

static json_t *
put_application(json_t *o, const struct db_result *r, int row)
{
	json_t     *a = jo_object(o, "application"), *org;
	const char *name = db_get_str(r, row, G_APP_NAME), *org_name = db_get_str(r, row, G_ORG_NAME);
	const char *org_email = db_get_str(r, row, G_ORG_EMAIL), *email = db_get_str(r, row, G_AVATAR_EMAIL);

	jo_str(a, "name", name);
	jo_str(a, "description", db_get_str(r, row, G_DESCRIPTION));
	jo_str(a, "url", db_get_str(r, row, G_APPLICATION_URI));
	jo_take(a, "avatar", view_avatar(AVATAR_APP, name, email != NULL ? email : org_email));
	org = jo_object(a, "organization");
	jo_str(org, "name", org_name);
	jo_take(org, "avatar", view_avatar(AVATAR_ORG, org_name, org_email));
	return a;
}

static void
put_scopes(json_t *o, const struct db_result *r, int row)
{
	const unsigned scopes = scope_parse(db_get_strn(r, row, G_SCOPES));
	json_t        *list = jo_array(o, "scopes");

	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		json_t *s;
		if ((scopes & SCOPES[i].bit) == 0)
			continue;
		s = ja_object(list);
		jo_str(s, "title", SCOPES[i].title);
		jo_str(s, "scope", SCOPES[i].name);
		jo_str(s, "description", SCOPES[i].description);
		jo_str(s, "icon", SCOPES[i].icon);
		jo_bool(s, "dangerous", SCOPES[i].is_dangerous);
	}
}

static void
put_grant(json_t *o, const struct db_result *r, int row)
{
	put_application(o, r, row);
	put_scopes(o, r, row);
	jo_str(o, "uuid", db_get_str(r, row, G_UUID));
}

static enum err_kind
api_grant_list(struct req *rq)
{
	json_t                 *list = jo_array(res_json(rq, 200), "authorizations");
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_USER_GRANTS, DB_ARGS(db_i64(rq->facts.caller_id), db_null()), &r));
	for (int i = 0; i < r->rows; i++)
		put_grant(ja_object(list), r, i);
	return ERR_NONE;
}

static enum err_kind
api_grant_get(struct req *rq)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_USER_GRANTS, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(req_capture(rq, "access_token_uuid"))), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such authorization");
	put_grant(res_json(rq, 200), r, 0);
	return ERR_NONE;
}

static enum err_kind
api_grant_delete(struct req *rq)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_USER_GRANT_REMOVE, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(req_capture(rq, "access_token_uuid"))), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such authorization");
	res_empty(rq, 204);
	return ERR_NONE;
}

/* Who has seen the list needs no note about it any more. */
static enum err_kind
api_assigned_list(struct req *rq)
{
	json_t                 *list = jo_array(res_json(rq, 200), "authorizations");
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_USER_ASSIGNMENTS, DB_ARGS(db_i64(rq->facts.caller_id)), &r));
	for (int i = 0; i < r->rows; i++) {
		json_t *o = ja_object(list);
		jo_str(put_application(o, r, i), "clientId", db_get_str(r, i, G_CLIENT_ID));
		jo_str(o, "uuid", db_get_str(r, i, G_UUID));
		jo_str(o, "redirectUri", db_get_str(r, i, G_REDIRECT_URI));
		put_scopes(o, r, i);
		jo_str(o, "responseType", db_get_str(r, i, G_RESPONSE_TYPE));
	}
	if (rq->c->conf->is_readonly)
		return ERR_NONE;
	return db_exec(rq->c, STMT_ACCOUNT_NOTES_REMOVE, DB_ARGS(db_i64(rq->facts.caller_id), db_str("assigned_authorization")), NULL);
}

static enum err_kind
api_assigned_delete(struct req *rq)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_USER_ASSIGNMENT_REMOVE,
	            DB_ARGS(db_i64(rq->facts.caller_id), db_strn(req_capture(rq, "assigned_authorization_uuid"))), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such assignment");
	res_empty(rq, 204);
	return ERR_NONE;
}

const struct route API_AUTHORIZATION_ROUTES[] = {
	{ .id = "listUserAuthorizations", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/authorizations", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_INTERNAL,
	  .mem_bytes = LIST_MEM_BYTES, .run = api_grant_list, .doc = "What the user has granted to applications." },
	{ .id = "getUserAuthorization", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/authorizations/<name:access_token_uuid>",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_INTERNAL,
	  .run = api_grant_get, .doc = "One of these grants." },
	{ .id = "deleteUserAuthorization", .methods = HTTP_DELETE, .path = "/api/v1/user/authorizations/<name:access_token_uuid>",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_INTERNAL,
	  .run = api_grant_delete, .doc = "Takes a grant back: the token ends at once." },
	{ .id = "listAssignedAuthorizations", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/assignedauthorization", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_INTERNAL,
	  .feature = CONF_FLAG(feature_assign_oauth_token), .mem_bytes = LIST_MEM_BYTES, .run = api_assigned_list,
	  .doc = "Tokens that administrators of organizations offer to the user." },
	{ .id = "deleteAssignedAuthorization", .methods = HTTP_DELETE, .path = "/api/v1/user/assignedauthorization/<name:assigned_authorization_uuid>",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_INTERNAL,
	  .feature = CONF_FLAG(feature_assign_oauth_token), .run = api_assigned_delete, .doc = "Declines such an offer." },
	{ .id = NULL }
};
