/* Notifications of namespaces, about their quota: of organizations by their administrators, of users by themselves. */
#include "api/log-action.h"
#include "api/policy-target.h"
#include "api/routes.h"
#include "api/view-notification.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/notification.h"

static const struct say SAY_MANY = { 400, "invalid_request", "The namespace has too many notifications" };

static enum err_kind
bind_one(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "uuid")));
	return ERR_NONE;
}

static enum err_kind
found(struct req *rq, const struct policy_target *t)
{
	return note_is_there(rq->load, 0, t->first_col) ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such notification of the namespace");
}

static enum err_kind
log_note(struct req *rq, const struct policy_target *t, enum audit_kind kind, const struct db_result *r, int first_col)
{
	json_t *o = policy_audit(rq, t), *v = view_note(rq, r, 0, first_col);

	jo_take(o, "notification_id", json_incref(json_object_get(v, "uuid")));
	jo_take(o, "event", json_incref(json_object_get(v, "event")));
	jo_take(o, "method", json_incref(json_object_get(v, "method")));
	json_decref(v);
	return log_action(rq, kind, t->namespace_id, 0, o);
}

static enum err_kind
api_notes(struct req *rq)
{
	const struct policy_target t = policy_target(rq);

	if (t.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	view_notes(rq, rq->load, t.first_col);
	return ERR_NONE;
}

static enum err_kind
api_note(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	json_t                    *v;

	TRY(found(rq, &t));
	v = view_note(rq, rq->load, 0, t.first_col);
	json_object_update(res_json(rq, 200), v);
	json_decref(v);
	return ERR_NONE;
}

static enum err_kind
api_note_create(struct req *rq)
{
	const struct policy_target    t = policy_target(rq);
	const struct notification_new n = { .of = NOTIFICATION_NAMESPACE, .namespace_id = t.namespace_id, .event = js_str(rq->body, "event"),
		                            .method = js_str(rq->body, "method"), .config = json_object_get(rq->body, "config"),
		                            .event_config = json_object_get(rq->body, "eventConfig") };
	const struct db_result       *r;
	struct str                    config;
	json_t                       *v;

	if (t.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	TRY(notification_check(rq->c, &n, &config));
	TRY(db_exec(rq->c, STMT_NAMESPACE_NOTIFICATION_ADD,
	            DB_ARGS(db_i64(t.namespace_id), db_strn(n.event), db_strn(n.method), db_strn(js_str(rq->body, "title")), db_strn(config),
	                    db_strn(js_dump(rq->c, n.event_config))),
	            &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_MANY);
	v = view_note(rq, r, 0, NAMESPACE_NOTIFICATION_ADD_NOTE0);
	json_object_update(res_json(rq, 201), v);
	json_decref(v);
	return log_note(rq, &t, AUDIT_create_namespace_notification, r, NAMESPACE_NOTIFICATION_ADD_NOTE0);
}

static enum err_kind
change(struct req *rq, enum stmt stmt, enum audit_kind kind)
{
	const struct policy_target t = policy_target(rq);

	TRY(found(rq, &t));
	TRY(db_exec(rq->c, stmt, DB_ARGS(db_i64(t.namespace_id), db_strn(req_capture(rq, "uuid"))), NULL));
	res_empty(rq, 204);
	return log_note(rq, &t, kind, rq->load, t.first_col);
}

static enum err_kind
api_note_remove(struct req *rq)
{
	return change(rq, STMT_NAMESPACE_NOTIFICATION_REMOVE, AUDIT_delete_namespace_notification);
}

static enum err_kind
api_note_reset(struct req *rq)
{
	return change(rq, STMT_NAMESPACE_NOTIFICATION_RESET, AUDIT_reset_namespace_notification);
}

static enum err_kind
api_note_test(struct req *rq)
{
	const struct policy_target t = policy_target(rq);

	TRY(found(rq, &t));
	TRY(note_queue_test(rq, rq->load, t.first_col, t.ns));
	res_json(rq, 200);
	return ERR_NONE;
}

#define ORG    "/api/v1/organization/<name:orgname>/notifications"
#define OWN    "/api/v1/user/namespacenotifications"
#define UUID   "/<name:uuid>"
#define COMMON .proto = PROTO_API, .auth = AUTH_API, .feature = CONF_FLAG(feature_quota_notifications)
#define READS  COMMON, .methods = HTTP_GET | HTTP_HEAD, .rate = RATE_API_READ, .mem_bytes = 16 << 20
#define WRITES COMMON, .rate = RATE_API_WRITE, .tx = TX_WRITE
#define IN_ORG .perm = PERM_NS_ADMIN, .load = STMT_NAMESPACE_NOTIFICATION_LOAD
#define IN_OWN .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .load = STMT_OWN_NOTIFICATION_LOAD
#define SU_R   .flags = ROUTE_SU_READ | ROUTE_SU_FULL
#define SU_W   .flags = ROUTE_SU_FULL
const struct route API_NAMESPACE_NOTIFICATION_ROUTES[] = {
	{ .id = "listOrgNotifications", .path = ORG, READS, IN_ORG, SU_R, .bind = policy_bind_all, .run = api_notes, .doc = "The organization's notifications." },
	{ .id = "createOrgNotification", .methods = HTTP_POST, .path = ORG, WRITES, IN_ORG, SU_W, .bind = policy_bind_all, .body = NOTIFICATION_FIELDS,
	  .run = api_note_create, .doc = "Adds a notification." },
	{ .id = "getOrgNotification", .path = ORG UUID, READS, IN_ORG, SU_R, .bind = bind_one, .run = api_note, .doc = "One notification." },
	{ .id = "deleteOrgNotification", .methods = HTTP_DELETE, .path = ORG UUID, WRITES, IN_ORG, SU_W, .bind = bind_one, .run = api_note_remove,
	  .doc = "Removes a notification." },
	{ .id = "resetOrgNotificationFailures", .methods = HTTP_POST, .path = ORG UUID, WRITES, IN_ORG, SU_W, .bind = bind_one, .run = api_note_reset,
	  .doc = "Forgets failures, so that the notification is sent again." },
	{ .id = "testOrgNotification", .methods = HTTP_POST, .path = ORG UUID "/test", WRITES, IN_ORG, SU_W, .bind = bind_one, .run = api_note_test,
	  .doc = "Sends a sample." },
	{ .id = "listUserNamespaceNotifications", .path = OWN, READS, IN_OWN, .bind = policy_bind_all, .run = api_notes, .doc = "The caller's notifications." },
	{ .id = "createUserNamespaceNotification", .methods = HTTP_POST, .path = OWN, WRITES, IN_OWN, .bind = policy_bind_all, .body = NOTIFICATION_FIELDS,
	  .run = api_note_create, .doc = "Adds a notification." },
	{ .id = "getUserNamespaceNotification", .path = OWN UUID, READS, IN_OWN, .bind = bind_one, .run = api_note, .doc = "One notification." },
	{ .id = "deleteUserNamespaceNotification", .methods = HTTP_DELETE, .path = OWN UUID, WRITES, IN_OWN, .bind = bind_one, .run = api_note_remove,
	  .doc = "Removes a notification." },
	{ .id = "resetUserNamespaceNotificationFailures", .methods = HTTP_POST, .path = OWN UUID, WRITES, IN_OWN, .bind = bind_one, .run = api_note_reset,
	  .doc = "Forgets failures, so that the notification is sent again." },
	{ .id = "testUserNamespaceNotification", .methods = HTTP_POST, .path = OWN UUID "/test", WRITES, IN_OWN, .bind = bind_one, .run = api_note_test,
	  .doc = "Sends a sample." },
	{ .id = NULL }
};
