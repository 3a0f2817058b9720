/* Notifications of repositories: their administrators say what is told to whom. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-notification.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/notification.h"

#define NOTE NOTIFICATION_LOAD_NOTE0
static const struct say SAY_NONE = { 400, "invalid_request", "No repository notification found" };
static const struct say SAY_MANY = { 400, "invalid_request", "The repository has too many notifications" };

static enum err_kind
bind_all(struct req *rq, struct db_args *a)
{
	(void)rq;
	db_args_add(a, db_null());
	return ERR_NONE;
}

static enum err_kind
bind_one(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "uuid")));
	return ERR_NONE;
}

static enum err_kind
log_note(struct req *rq, enum audit_kind kind, struct str uuid, const char *event, const char *method)
{
	json_t *o = js_object(rq->c);

	jo_strn(o, "repo", rq->repo);
	jo_strn(o, "namespace", rq->ns);
	jo_strn(o, "notification_id", uuid);
	jo_str(o, "event", event);
	jo_str(o, "method", method);
	return log_action(rq, kind, rq->facts.namespace_id, rq->facts.repository_id, o);
}

static enum err_kind
none(struct req *rq)
{
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_NONE, "No repository notification found for: %.*s, %.*s, %.*s", STRF(rq->ns), STRF(rq->repo),
	                   STRF(req_capture(rq, "uuid")));
}

static enum err_kind
api_notes(struct req *rq)
{
	view_notes(rq, rq->load, NOTE);
	return ERR_NONE;
}

static enum err_kind
api_note(struct req *rq)
{
	json_t *v;

	if (!note_is_there(rq->load, 0, NOTE))
		return err_set(rq->c, ERR_NOT_FOUND, "no such notification of the repository");
	v = view_note(rq, rq->load, 0, NOTE);
	json_object_update(res_json(rq, 200), v);
	json_decref(v);
	return ERR_NONE;
}

static enum err_kind
api_note_create(struct req *rq)
{
	const struct notification_new n = { .of = NOTIFICATION_REPOSITORY, .namespace_id = rq->facts.namespace_id, .repository_id = rq->facts.repository_id, .event = js_str(rq->body, "event"),
		                            .method = js_str(rq->body, "method"), .config = json_object_get(rq->body, "config"),
		                            .event_config = json_object_get(rq->body, "eventConfig") };
	const struct db_result       *r;
	struct str                    config;
	json_t                       *v;

	TRY(notification_check(rq->c, &n, &config));
	TRY(db_exec(rq->c, STMT_NOTIFICATION_ADD,
	            DB_ARGS(db_i64(rq->facts.repository_id), db_strn(n.event), db_strn(n.method), db_strn(js_str(rq->body, "title")), db_strn(config),
	                    db_strn(js_dump(rq->c, n.event_config))),
	            &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_MANY);
	v = view_note(rq, r, 0, NOTIFICATION_ADD_NOTE0);
	json_object_update(res_json(rq, 201), v);
	json_decref(v);
	return log_note(rq, AUDIT_add_repo_notification, db_get_strn(r, 0, NOTIFICATION_ADD_NOTE0), str_dup(rq->c->mem, n.event), str_dup(rq->c->mem, n.method));
}

static enum err_kind
change(struct req *rq, enum stmt stmt, enum audit_kind kind)
{
	const struct str        uuid = req_capture(rq, "uuid");
	const struct db_result *r;

	TRY(db_exec(rq->c, stmt, DB_ARGS(db_i64(rq->facts.repository_id), db_strn(uuid)), &r));
	if (r->rows == 0)
		return none(rq);
	TRY(log_note(rq, kind, uuid, db_get_str(r, 0, 0), db_get_str(r, 0, 1)));
	res_empty(rq, 204);
	return ERR_NONE;
}

static enum err_kind
api_note_remove(struct req *rq)
{
	return change(rq, STMT_NOTIFICATION_REMOVE, AUDIT_delete_repo_notification);
}

static enum err_kind
api_note_reset(struct req *rq)
{
	return change(rq, STMT_NOTIFICATION_RESET, AUDIT_reset_repo_notification);
}

static enum err_kind
api_note_test(struct req *rq)
{
	if (!note_is_there(rq->load, 0, NOTE))
		return none(rq);
	TRY(note_queue_test(rq, rq->load, NOTE, STR0));
	res_json(rq, 200);
	return ERR_NONE;
}

#define ALL    "/api/v1/repository/<repopath:repository>/notification/"
#define ONE    ALL "<name:uuid>"
#define READS  .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN, \
	       .rate = RATE_API_READ, .flags = ROUTE_SU_READ | ROUTE_SU_FULL, .load = STMT_NOTIFICATION_LOAD, .mem_bytes = 16 << 20
#define WRITES .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL, \
	       .tx = TX_WRITE
const struct route API_NOTIFICATION_ROUTES[] = {
	{ .id = "listRepoNotifications", .path = ALL, READS, .bind = bind_all, .run = api_notes, .doc = "The repository's notifications." },
	{ .id = "createRepoNotification", .methods = HTTP_POST, .path = ALL, WRITES, .body = NOTIFICATION_FIELDS, .run = api_note_create,
	  .doc = "Adds a notification." },
	{ .id = "getRepoNotification", .path = ONE, READS, .bind = bind_one, .run = api_note, .doc = "One notification." },
	{ .id = "deleteRepoNotification", .methods = HTTP_DELETE, .path = ONE, WRITES, .run = api_note_remove, .doc = "Removes a notification." },
	{ .id = "resetRepositoryNotificationFailures", .methods = HTTP_POST, .path = ONE, WRITES, .run = api_note_reset,
	  .doc = "Forgets failures, so that the notification is sent again." },
	{ .id = "testRepoNotification", .methods = HTTP_POST, .path = ONE "/test", WRITES, .load = STMT_NOTIFICATION_LOAD, .bind = bind_one,
	  .run = api_note_test, .doc = "Sends a sample." },
	{ .id = NULL }
};
