/* Quotas by other paths: the caller's own, which is looked at only, and those that superusers set for any namespace without a
 * trace in its log (as Quay does). */
#include "api/quota-body.h"
#include "api/routes.h"
#include "api/view-quota.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"

static const struct say SAY_EXISTS = { 400, "invalid_request", "Quota already exists" };

static enum err_kind
bind_own(struct req *rq, struct db_args *a)
{
	(void)rq;
	db_args_add(a, db_null());
	return ERR_NONE;
}

static enum err_kind
bind_any(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "owner")));
	return ERR_NONE;
}

static enum err_kind
loaded(struct req *rq, struct quota *q)
{
	if (db_is_null(rq->load, 0, QUOTA_CALLER_LOAD_NAMESPACE_ID))
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	quota_from_row(rq->load, 0, QUOTA_CALLER_LOAD_QUOTA0, q);
	return ERR_NONE;
}

static enum err_kind
named(struct req *rq, struct quota *q)
{
	TRY(loaded(rq, q));
	return quota_is_named(rq, q);
}

static enum err_kind
api_list(struct req *rq)
{
	struct quota q;

	TRY(loaded(rq, &q));
	quota_answer_list(rq, &q);
	return ERR_NONE;
}

static enum err_kind
api_own(struct req *rq)
{
	struct quota q;

	TRY(named(rq, &q));
	quota_answer_one(rq, &q);
	return ERR_NONE;
}

static enum err_kind
api_own_limits(struct req *rq)
{
	struct quota q;
	json_t      *limits;

	TRY(named(rq, &q));
	limits = view_quota_limits(rq->c, &q);
	json_array_extend(res_json_array(rq, 200), limits);
	json_decref(limits);
	return ERR_NONE;
}

/* The whole quota, as in Quay. */
static enum err_kind
api_own_limit(struct req *rq)
{
	struct quota       q;
	struct quota_limit l;

	TRY(named(rq, &q));
	TRY(quota_find_limit(rq, &q, &l));
	quota_answer_one(rq, &q);
	return ERR_NONE;
}

static enum err_kind
api_su_create(struct req *rq)
{
	const int64_t           namespace_id = db_get_i64(rq->load, 0, QUOTA_CALLER_LOAD_NAMESPACE_ID);
	const struct str        name = req_capture(rq, "owner");
	const struct db_result *r;
	struct quota            q;
	int64_t                 bytes;
	bool                    is_set;

	TRY(loaded(rq, &q));
	TRY(quota_body_size(rq, true, &bytes, &is_set));
	TRY(db_exec(rq->c, STMT_QUOTA_CREATE, DB_ARGS(db_i64(namespace_id), db_i64(bytes)), &r));
	if (r->rows == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_EXISTS, "Quota for '%.*s' already exists", STRF(name));
	res_body(rq, 201, "application/json", STR("\"Created\"\n"));
	return ERR_NONE;
}

static enum err_kind
api_su_change(struct req *rq)
{
	struct quota q;
	int64_t      bytes;
	bool         is_set;

	TRY(named(rq, &q));
	TRY(quota_body_size(rq, false, &bytes, &is_set));
	if (is_set) {
		TRY(db_exec(rq->c, STMT_QUOTA_CHANGE, DB_ARGS(db_i64(q.id), db_i64(bytes)), NULL));
		q.limit_bytes = bytes;
	}
	quota_answer_one(rq, &q);
	return ERR_NONE;
}

static enum err_kind
api_su_remove(struct req *rq)
{
	struct quota q;

	TRY(named(rq, &q));
	TRY(db_exec(rq->c, STMT_QUOTA_REMOVE, DB_ARGS(db_i64(q.id)), NULL));
	res_empty(rq, 204);
	return ERR_NONE;
}

#define FLAGS .feature = CONF_FLAG(feature_super_users), .feature_too = CONF_FLAG(feature_quota_management), .feature_third = CONF_FLAG(feature_edit_quota)
#define OWN   .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, \
	      .rate = RATE_API_READ, .load = STMT_QUOTA_CALLER_LOAD, .bind = bind_own, FLAGS
#define SU    .proto = PROTO_API, .auth = AUTH_API, .load = STMT_QUOTA_CALLER_LOAD, .bind = bind_any, FLAGS
#define READ  .methods = HTTP_GET | HTTP_HEAD, .perm = PERM_SUPERUSER_READ, .rate = RATE_API_READ, .flags = ROUTE_FRESH
#define WRITE .perm = PERM_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .tx = TX_WRITE
#define USERS "/api/v1/superuser/users/<name:owner>/quota"
#define ORGS  "/api/v1/superuser/organization/<name:owner>/quota"
const struct route API_QUOTA_OTHER_ROUTES[] = {
	{ .id = "listUserQuota", .path = "/api/v1/user/quota", OWN, .run = api_list, .doc = "The caller's quota." },
	{ .id = "getUserQuota", .path = "/api/v1/user/quota/<int:quota_id>", OWN, .run = api_own, .doc = "The caller's quota." },
	{ .id = "listUserQuotaLimit", .path = "/api/v1/user/quota/<int:quota_id>/limit", OWN, .run = api_own_limits, .doc = "The limits of the caller's quota." },
	{ .id = "getUserQuotaLimit", .path = "/api/v1/user/quota/<int:quota_id>/limit/<int:limit_id>", OWN, .run = api_own_limit,
	  .doc = "The caller's quota, if it has that limit." },
	{ .id = "listUserQuotaSuperUser", .path = USERS, SU, READ, .run = api_list, .doc = "The quota of a user." },
	{ .id = "createUserQuotaSuperUser", .methods = HTTP_POST, .path = USERS, SU, WRITE, .flags = ROUTE_FRESH, .body = QUOTA_FIELDS, .run = api_su_create,
	  .doc = "Gives a user a quota." },
	{ .id = "changeUserQuotaSuperUser", .methods = HTTP_PUT, .path = USERS "/<int:quota_id>", SU, WRITE, .flags = ROUTE_FRESH, .body = QUOTA_FIELDS,
	  .run = api_su_change, .doc = "Changes a user's quota." },
	{ .id = "deleteUserQuotaSuperUser", .methods = HTTP_DELETE, .path = USERS "/<int:quota_id>", SU, WRITE, .run = api_su_remove,
	  .doc = "Removes a user's quota." },
	{ .id = "listOrganizationQuotaSuperUser", .path = ORGS, SU, READ, .run = api_list, .doc = "The quota of an organization." },
	{ .id = "createOrganizationQuotaSuperUser", .methods = HTTP_POST, .path = ORGS, SU, WRITE, .flags = ROUTE_FRESH, .body = QUOTA_FIELDS,
	  .run = api_su_create, .doc = "Gives an organization a quota." },
	{ .id = "changeOrganizationQuotaSuperUser", .methods = HTTP_PUT, .path = ORGS "/<int:quota_id>", SU, WRITE, .flags = ROUTE_FRESH, .body = QUOTA_FIELDS,
	  .run = api_su_change, .doc = "Changes an organization's quota." },
	{ .id = "deleteOrganizationQuotaSuperUser", .methods = HTTP_DELETE, .path = ORGS "/<int:quota_id>", SU, WRITE, .run = api_su_remove,
	  .doc = "Removes an organization's quota." },
	{ .id = NULL }
};
