/* Notes that the interface shows a user: the user's own, and those of organizations that the user administrates. */
#include "api/routes.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

#define LIMIT_DEFAULT 5
#define LIMIT_MAX     100
#define SKIP_MAX      5000

enum { N_UUID, N_ORGANIZATION, N_KIND, N_METADATA, N_DISMISSED, N_CREATED_MS, N_COLS };
_Static_assert((int)N_COLS == USER_NOTE_COLS, "user.sql and user-note.c differ");

static const struct field UPDATE[] = { F_BOOL("dismissed", .doc = "Whether the notification is dismissed by the user."), F_END };
static const struct param LIST[] = { { "page", true, "Offset page number. (int)" },
	                             { "limit", true, "Limit to the number of results to return per page. Max 100." },
	                             { NULL, false, NULL } };

static enum err_kind
put_note(struct req *rq, json_t *o, const struct db_result *r, int row)
{
	json_t *metadata;

	TRY(js_parse(rq->c, db_get_strn(r, row, N_METADATA), &JS_API, &metadata));
	jo_str(o, "id", db_get_str(r, row, N_UUID));
	jo_str(o, "organization", db_get_str(r, row, N_ORGANIZATION));
	jo_str(o, "kind", db_get_str(r, row, N_KIND));
	jo_str(o, "created", clock_rfc2822(rq->c->mem, db_get_i64(r, row, N_CREATED_MS)));
	jo_take(o, "metadata", json_incref(metadata));
	jo_bool(o, "dismissed", db_get_bool(r, row, N_DISMISSED));
	return ERR_NONE;
}

/* Pages count from 0, and 0 and 1 are the same one. */
static enum err_kind
api_note_list(struct req *rq)
{
	const int64_t           limit = req_query_i64(rq, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
	const int64_t           page = req_query_i64(rq, "page", 1, SKIP_MAX / limit + 1, 1);
	json_t                 *o = res_json(rq, 200), *a = jo_array(o, "notifications");
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_USER_NOTES,
	            DB_ARGS(db_i64(rq->facts.caller_id), db_i32((int32_t)limit + 1), db_i32((int32_t)((page - 1) * limit))), &r));
	for (int i = 0; i < r->rows && i < limit; i++)
		TRY(put_note(rq, ja_object(a), r, i));
	jo_bool(o, "additional", r->rows > limit);
	return ERR_NONE;
}

static enum err_kind
find_note(struct req *rq, const struct db_result **r)
{
	TRY(db_exec(rq->c, STMT_USER_NOTE, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(req_capture(rq, "uuid"))), r));
	return (*r)->rows == 1 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such notification");
}

static enum err_kind
api_note_get(struct req *rq)
{
	const struct db_result *r;

	TRY(find_note(rq, &r));
	return put_note(rq, res_json(rq, 200), r, 0);
}

static enum err_kind
api_note_update(struct req *rq)
{
	const bool              dismissed = js_bool(rq->body, "dismissed", false);
	const struct db_result *r;
	json_t                 *o = res_json(rq, 200);

	TRY(find_note(rq, &r));
	TRY(db_exec(rq->c, STMT_USER_NOTE_DISMISS, DB_ARGS(db_strn(db_get_strn(r, 0, N_UUID)), db_bool(dismissed)), NULL));
	TRY(put_note(rq, o, r, 0));
	jo_bool(o, "dismissed", dismissed);
	return ERR_NONE;
}

const struct route API_USER_NOTE_ROUTES[] = {
	{ .id = "listUserNotifications", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/notifications", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_INTERNAL, .query = LIST, .run = api_note_list,
	  .doc = "List the user's notifications." },
	{ .id = "getUserNotification", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/notifications/<name:uuid>", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_INTERNAL, .run = api_note_get,
	  .doc = "Look up one notification." },
	{ .id = "updateUserNotification", .methods = HTTP_PUT, .path = "/api/v1/user/notifications/<name:uuid>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_INTERNAL, .tx = TX_WRITE, .body = UPDATE,
	  .run = api_note_update, .doc = "Dismiss a notification, or show it again." },
	{ .id = NULL }
};
