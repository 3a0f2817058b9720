/* Organizations as superusers manage them: renamed, deleted, taken over. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-quota.h"
#include "api/view-superuser.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/organization.h"
#include "oci/name.h"

enum { KIND_ORGANIZATION = 2, TEAM_ADMIN = 3 };

static const struct say SAY_NAME_TAKEN = { 400, "invalid_request", "Organization name already exists" };
static const struct say SAY_TAKE_SUPERUSER = { 400, "invalid_request", "Cannot take ownership of a superuser" };
static const struct field RENAME[] = { F_STR("name", .doc = "The new name for the organization."), F_END };

static enum err_kind
bind_org(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "name")));
	db_args_add(a, db_i32(KIND_ORGANIZATION));
	db_args_add(a, db_bool(quotas_are_on(rq->c->conf)));
	return ERR_NONE;
}

/* A user or an organization. */
static enum err_kind
bind_namespace(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "owner")));
	db_args_add(a, db_null());
	db_args_add(a, db_bool(false));
	return ERR_NONE;
}

static enum err_kind
loaded(struct req *rq, struct su_account *a)
{
	su_account_from_row(rq->load, 0, SU_ACCOUNT_LOAD_SU_ACCOUNT0, a);
	return a->id != 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
}

static enum err_kind
rename_org(struct req *rq, struct su_account *a, struct str name)
{
	const struct db_result *r;
	enum err_kind           e;
	json_t                 *o = js_object(rq->c);

	TRY(oci_namespace_check(rq->c, name));
	e = db_exec(rq->c, STMT_SU_ORG_RENAME, DB_ARGS(db_i64(a->id), db_str(a->name), db_strn(name)), &r);
	if ((e == ERR_BUG && strcmp(db_sqlstate(rq->c), "23505") == 0) || (e == ERR_NONE && r->rows == 0))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NAME_TAKEN);
	TRY(e);
	jo_str(o, "old_name", a->name);
	jo_strn(o, "new_name", name);
	jo_str(o, "superuser", rq->facts.caller_name);
	TRY(log_action(rq, AUDIT_org_change_name, a->id, 0, o));
	a->name = str_dup(rq->c->mem, name);
	return ERR_NONE;
}

static enum err_kind
api_su_org_change(struct req *rq)
{
	const struct str  name = js_str(rq->body, "name");
	struct su_account a;
	struct quota      q;
	json_t           *o, *v;

	TRY(loaded(rq, &a));
	if (name.p != NULL && !str_eq_c(name, a.name))
		TRY(rename_org(rq, &a, name));
	o = res_json(rq, 200);
	v = view_su_org(&a);
	json_object_update(o, v);
	json_decref(v);
	quota_from_row(rq->load, 0, SU_ACCOUNT_LOAD_QUOTA0, &q);
	view_quota_short(rq->c, o, &q);
	return ERR_NONE;
}

static enum err_kind
api_su_org_delete(struct req *rq)
{
	struct su_account a;
	json_t           *o;

	TRY(loaded(rq, &a));
	TRY(organization_delete(rq->c, a.id));
	o = js_object(rq->c);
	jo_str(o, "namespace", a.name);
	TRY(log_action(rq, AUDIT_org_delete, a.id, 0, o));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* The caller becomes an administrator of the organization, which gets a team of owners if it has none. */
static enum err_kind
join(struct req *rq, int64_t org_id)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_SU_ORG_JOIN_ADMINS, DB_ARGS(db_i64(org_id), db_i64(rq->facts.caller_id)), &r));
	if (r->rows > 0)
		return ERR_NONE;
	TRY(db_exec(rq->c, STMT_TEAM_CREATE, DB_ARGS(db_i64(org_id), db_str("owners"), db_i32(TEAM_ADMIN)), &r));
	return db_exec(rq->c, STMT_TEAM_ADD_MEMBER, DB_ARGS(db_i64(db_get_i64(r, 0, TEAM_CREATE_ID)), db_i64(rq->facts.caller_id)), NULL);
}

static enum err_kind
api_su_take(struct req *rq)
{
	struct su_account a;
	bool              was_user;
	json_t           *o;

	TRY(loaded(rq, &a));
	was_user = db_get_i64(rq->load, 0, SU_ACCOUNT_LOAD_KIND) != KIND_ORGANIZATION;
	if (was_user && su_is_superuser(rq->c->conf, a.name))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_TAKE_SUPERUSER);
	if (was_user)
		TRY(db_exec(rq->c, STMT_USER_CONVERT, DB_ARGS(db_i64(a.id), db_i64(rq->facts.caller_id)), NULL));
	else
		TRY(join(rq, a.id));
	o = js_object(rq->c);
	jo_i64(o, "entity_id", a.id);
	jo_str(o, "namespace", a.name);
	jo_bool(o, "was_user", was_user);
	jo_str(o, "superuser", rq->facts.caller_name);
	TRY(log_action(rq, AUDIT_take_ownership, rq->facts.caller_id, 0, o));
	jo_str(res_json(rq, 200), "namespace", a.name);
	return ERR_NONE;
}

#define WRITES .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH, \
	       .tx = TX_WRITE, .feature = CONF_FLAG(feature_super_users), .load = STMT_SU_ACCOUNT_LOAD
const struct route API_SUPERUSER_ORG_ROUTES[] = {
	{ .id = "changeOrganization", .methods = HTTP_PUT, .path = "/api/v1/superuser/organizations/<name:name>", WRITES, .bind = bind_org, .body = RENAME,
	  .run = api_su_org_change, .doc = "Renames an organization." },
	{ .id = "deleteOrganization", .methods = HTTP_DELETE, .path = "/api/v1/superuser/organizations/<name:name>", WRITES, .bind = bind_org,
	  .run = api_su_org_delete, .doc = "Deletes an organization." },
	{ .id = "takeOwnership", .methods = HTTP_POST, .path = "/api/v1/superuser/takeownership/<name:owner>", WRITES, .bind = bind_namespace,
	  .run = api_su_take, .doc = "Makes the caller an administrator of a namespace; a user becomes an organization." },
	{ .id = NULL }
};
