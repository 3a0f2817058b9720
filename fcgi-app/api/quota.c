/* Quotas of organizations and users: everybody in an organization sees its quota, superusers set it. The limits of a user's quota
 * are set under the organization's path with the user's name. */
#include "api/log-action.h"
#include "api/quota-body.h"
#include "api/routes.h"
#include "api/view-quota.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"

static const struct say SAY_EXISTS = { 400, "invalid_request", "Organization quota already exists" };
static const struct say SAY_LIMIT_EXISTS = { 400, "invalid_request", "Quota limit already exists" };

/* The quota of the namespace of the path. ERR_NOT_FOUND: no such namespace. */
static enum err_kind
loaded(struct req *rq, struct quota *q)
{
	if (rq->facts.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	quota_from_row(rq->load, 0, QUOTA_LOAD_QUOTA0, q);
	return ERR_NONE;
}

/* And it is the one that the path names. */
static enum err_kind
named(struct req *rq, struct quota *q)
{
	TRY(loaded(rq, q));
	return quota_is_named(rq, q);
}

static json_t *
audit(struct req *rq)
{
	json_t *o = js_object(rq->c);

	jo_strn(o, "namespace", rq->ns);
	return o;
}

static void
audit_size(struct req *rq, json_t *o, const char *bytes_name, const char *text_name, int64_t bytes)
{
	jo_i64(o, bytes_name, bytes);
	jo_str(o, text_name, quota_format_size(rq->c->mem, bytes));
}

/* As it is after the change. */
static enum err_kind
answer_again(struct req *rq)
{
	const struct db_result *r;
	struct quota            q;

	TRY(db_exec(rq->c, STMT_QUOTA_OF, DB_ARGS(db_i64(rq->facts.namespace_id)), &r));
	quota_from_row(r, 0, QUOTA_OF_QUOTA0, &q);
	quota_answer_one(rq, &q);
	return ERR_NONE;
}

static enum err_kind
api_quotas(struct req *rq)
{
	struct quota q;

	TRY(loaded(rq, &q));
	quota_answer_list(rq, &q);
	return ERR_NONE;
}

static enum err_kind
api_quota(struct req *rq)
{
	struct quota q;

	TRY(named(rq, &q));
	quota_answer_one(rq, &q);
	return ERR_NONE;
}

static enum err_kind
api_quota_create(struct req *rq)
{
	const struct db_result *r;
	struct quota            q;
	int64_t                 bytes;
	bool                    is_set;
	json_t                 *o = audit(rq);

	TRY(loaded(rq, &q));
	TRY(quota_body_size(rq, true, &bytes, &is_set));
	TRY(db_exec(rq->c, STMT_QUOTA_CREATE, DB_ARGS(db_i64(rq->facts.namespace_id), db_i64(bytes)), &r));
	if (r->rows == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_EXISTS, "Organization quota for '%.*s' already exists", STRF(rq->ns));
	audit_size(rq, o, "limit_bytes", "limit", bytes);
	TRY(log_action(rq, AUDIT_org_create_quota, rq->facts.namespace_id, 0, o));
	res_body(rq, 201, "application/json", STR("\"Created\"\n"));
	return ERR_NONE;
}

static enum err_kind
api_quota_change(struct req *rq)
{
	struct quota q;
	int64_t      bytes;
	bool         is_set;
	json_t      *o = audit(rq);

	TRY(named(rq, &q));
	TRY(quota_body_size(rq, false, &bytes, &is_set));
	if (is_set) {
		TRY(db_exec(rq->c, STMT_QUOTA_CHANGE, DB_ARGS(db_i64(q.id), db_i64(bytes)), NULL));
		audit_size(rq, o, "limit_bytes", "limit", bytes);
		audit_size(rq, o, "previous_limit_bytes", "previous_limit", q.limit_bytes);
		TRY(log_action(rq, AUDIT_org_change_quota, rq->facts.namespace_id, 0, o));
	}
	return answer_again(rq);
}

static enum err_kind
api_quota_remove(struct req *rq)
{
	struct quota q;
	json_t      *o = audit(rq);

	TRY(named(rq, &q));
	TRY(db_exec(rq->c, STMT_QUOTA_REMOVE, DB_ARGS(db_i64(q.id)), NULL));
	jo_i64(o, "quota_id", q.id);
	audit_size(rq, o, "limit_bytes", "limit", q.limit_bytes);
	TRY(log_action(rq, AUDIT_org_delete_quota, rq->facts.namespace_id, 0, o));
	res_empty(rq, 204);
	return ERR_NONE;
}

static enum err_kind
api_limits(struct req *rq)
{
	struct quota q;
	json_t      *limits;

	TRY(named(rq, &q));
	limits = view_quota_limits(rq->c, &q);
	json_array_extend(res_json_array(rq, 200), limits);
	json_decref(limits);
	return ERR_NONE;
}

static enum err_kind
api_limit(struct req *rq)
{
	struct quota       q;
	struct quota_limit l;
	json_t            *o;

	TRY(named(rq, &q));
	TRY(quota_find_limit(rq, &q, &l));
	o = res_json(rq, 200);
	jo_i64(o, "id", l.id);
	jo_str(o, "type", l.type);
	jo_i64(o, "limit_percent", l.percent);
	return ERR_NONE;
}

static enum err_kind
api_limit_create(struct req *rq)
{
	const struct db_result *r;
	struct quota            q;
	struct quota_limit      l = { 0 };
	json_t                 *o = audit(rq);

	TRY(named(rq, &q));
	TRY(quota_body_limit(rq, &l));
	TRY(db_exec(rq->c, STMT_QUOTA_LIMIT_ADD, DB_ARGS(db_i64(q.id), db_i32(l.kind), db_i32((int32_t)l.percent)), &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_LIMIT_EXISTS);
	jo_str(o, "type", l.type);
	jo_i64(o, "threshold_percent", l.percent);
	TRY(log_action(rq, AUDIT_org_create_quota_limit, rq->facts.namespace_id, 0, o));
	res_body(rq, 201, "application/json", STR("\"Created\"\n"));
	return ERR_NONE;
}

static enum err_kind
api_limit_change(struct req *rq)
{
	struct quota       q;
	struct quota_limit was, l;
	json_t            *o = audit(rq);
	enum err_kind      e;

	TRY(named(rq, &q));
	TRY(quota_find_limit(rq, &q, &was));
	l = was;
	TRY(quota_body_limit(rq, &l));
	e = db_exec(rq->c, STMT_QUOTA_LIMIT_CHANGE, DB_ARGS(db_i64(q.id), db_i64(l.id), db_i32(l.kind), db_i32((int32_t)l.percent)), NULL);
	if (e == ERR_BUG && strcmp(db_sqlstate(rq->c), "23505") == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_LIMIT_EXISTS);
	TRY(e);
	jo_str(o, "type", l.type);
	jo_i64(o, "threshold_percent", l.percent);
	jo_str(o, "previous_type", was.type);
	jo_i64(o, "previous_threshold_percent", was.percent);
	TRY(log_action(rq, AUDIT_org_change_quota_limit, rq->facts.namespace_id, 0, o));
	return answer_again(rq);
}

static enum err_kind
api_limit_remove(struct req *rq)
{
	struct quota       q;
	struct quota_limit l;
	json_t            *o = audit(rq);

	TRY(named(rq, &q));
	TRY(quota_find_limit(rq, &q, &l));
	TRY(db_exec(rq->c, STMT_QUOTA_LIMIT_REMOVE, DB_ARGS(db_i64(q.id), db_i64(l.id)), NULL));
	jo_i64(o, "limit_id", l.id);
	jo_str(o, "type", l.type);
	jo_i64(o, "threshold_percent", l.percent);
	TRY(log_action(rq, AUDIT_org_delete_quota_limit, rq->facts.namespace_id, 0, o));
	res_empty(rq, 204);
	return ERR_NONE;
}

#define ALL    "/api/v1/organization/<name:orgname>/quota"
#define ONE    ALL "/<int:quota_id>"
#define LIMITS ONE "/limit"
#define LIMIT  LIMITS "/<int:limit_id>"
#define FLAGS  .feature = CONF_FLAG(feature_super_users), .feature_too = CONF_FLAG(feature_quota_management), .feature_third = CONF_FLAG(feature_edit_quota)
#define READS  .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_MEMBER, .rate = RATE_API_READ, \
	       .flags = ROUTE_SU_READ | ROUTE_SU_FULL, .load = STMT_QUOTA_LOAD, FLAGS
#define WRITES .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL, \
	       .tx = TX_WRITE, .load = STMT_QUOTA_LOAD, FLAGS
const struct route API_QUOTA_ROUTES[] = {
	{ .id = "listOrganizationQuota", .path = ALL, READS, .run = api_quotas, .doc = "The quota of a namespace." },
	{ .id = "createOrganizationQuota", .methods = HTTP_POST, .path = ALL, WRITES, .body = QUOTA_FIELDS, .run = api_quota_create, .doc = "Gives a namespace a quota." },
	{ .id = "getOrganizationQuota", .path = ONE, READS, .run = api_quota, .doc = "One quota." },
	{ .id = "changeOrganizationQuota", .methods = HTTP_PUT, .path = ONE, WRITES, .body = QUOTA_FIELDS, .run = api_quota_change, .doc = "Changes a quota." },
	{ .id = "deleteOrganizationQuota", .methods = HTTP_DELETE, .path = ONE, WRITES, .run = api_quota_remove, .doc = "Removes a quota and its limits." },
	{ .id = "listOrganizationQuotaLimit", .path = LIMITS, READS, .run = api_limits, .doc = "The limits of a quota." },
	{ .id = "createOrganizationQuotaLimit", .methods = HTTP_POST, .path = LIMITS, WRITES, .body = QUOTA_LIMIT_FIELDS, .run = api_limit_create,
	  .doc = "Adds a limit." },
	{ .id = "getOrganizationQuotaLimit", .path = LIMIT, READS, .run = api_limit, .doc = "One limit." },
	{ .id = "changeOrganizationQuotaLimit", .methods = HTTP_PUT, .path = LIMIT, WRITES, .body = QUOTA_LIMIT_CHANGE_FIELDS, .run = api_limit_change,
	  .doc = "Changes a limit." },
	{ .id = "deleteOrganizationQuotaLimit", .methods = HTTP_DELETE, .path = LIMIT, WRITES, .run = api_limit_remove, .doc = "Removes a limit." },
	{ .id = NULL }
};
