/* Notifications as the REST API shows them. */
#include "api/view-notification.h"

#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/http-conf.h"
#include "http/response.h"
#include "model/notification.h"

enum { N_UUID, N_TITLE, N_EVENT, N_METHOD, N_CONFIG, N_EVENT_CONFIG, N_FAILURES, N_COLS };
_Static_assert((int)N_COLS == NOTE_COLS, "notification.sql and view-notification.c differ");

const struct field NOTIFICATION_FIELDS[] = {
	F_STR("event", F_REQUIRED, .max = 64, .doc = "The event on which the notification will respond"),
	F_STR("method", F_REQUIRED, .max = 64, .doc = "The method of notification (such as email or web callback)"),
	F_OBJECT("config", F_REQUIRED, .doc = "JSON config information for the specific method of notification"),
	F_OBJECT("eventConfig", F_REQUIRED, .doc = "JSON config information for the specific event of notification"),
	F_STR("title", F_TEXT, F_NULL, .max = 1024, .doc = "The human-readable title of the notification"),
	F_END
};

bool
note_is_there(const struct db_result *r, int row, int first_col)
{
	return row < r->rows && !db_is_null(r, row, first_col + N_UUID);
}

/* A stored JSON text. */
static json_t *
stored(struct req *rq, const struct db_result *r, int row, int col)
{
	json_t *v;

	return js_parse(rq->c, db_get_strn(r, row, col), &JS_API, &v) == ERR_NONE ? json_incref(v) : json_object();
}

json_t *
view_note(struct req *rq, const struct db_result *r, int row, int first_col)
{
	json_t *o = json_object();

	jo_str(o, "uuid", db_get_str(r, row, first_col + N_UUID));
	jo_str(o, "title", db_get_str(r, row, first_col + N_TITLE));
	jo_str(o, "event", db_get_str(r, row, first_col + N_EVENT));
	jo_str(o, "method", db_get_str(r, row, first_col + N_METHOD));
	jo_take(o, "config", stored(rq, r, row, first_col + N_CONFIG));
	jo_take(o, "event_config", stored(rq, r, row, first_col + N_EVENT_CONFIG));
	jo_i64(o, "number_of_failures", db_get_i64(r, row, first_col + N_FAILURES));
	return o;
}

void
view_notes(struct req *rq, const struct db_result *r, int first_col)
{
	json_t *a = jo_array(res_json(rq, 200), "notifications");

	for (int i = 0; i < r->rows && note_is_there(r, i, first_col); i++)
		ja_take(a, view_note(rq, r, i, first_col));
}

enum err_kind
note_queue_test(struct req *rq, const struct db_result *r, int first_col, struct str namespace)
{
	struct arena     *mem = rq->c->mem;
	const struct str  event = db_get_strn(r, 0, first_col + N_EVENT);
	const char       *uuid = db_get_str(r, 0, first_col + N_UUID), *base = req_base_url(rq);
	json_t           *body = js_object(rq->c), *data = jo_object(body, "event_data"), *event_config;
	const struct str  ns = namespace.p != NULL ? namespace : rq->ns;
	const char       *name;

	jo_str(body, "notification_uuid", uuid);
	jo_strn(data, "namespace", ns);
	if (namespace.p == NULL) {
		const char *path = str_fmt(mem, "%.*s/%.*s", STRF(rq->ns), STRF(rq->repo));
		jo_str(data, "repository", path);
		jo_strn(data, "name", rq->repo);
		jo_str(data, "docker_url", str_fmt(mem, "%s/%s", rq->http->host, path));
		jo_str(data, "homepage", str_fmt(mem, "%s/repository/%s", base, path));
	} else {
		jo_str(data, "homepage", str_fmt(mem, "%s/organization/%.*s", base, STRF(ns)));
		jo_str(body, "notification_type", "namespace");
	}
	TRY(js_parse(rq->c, db_get_strn(r, 0, first_col + N_EVENT_CONFIG), &JS_API, &event_config));
	notification_sample(data, event, event_config);
	(void)jo_object(body, "performer_data");
	name = str_fmt(mem, "%.*s/%s/%.*s", STRF(ns), uuid, STRF(event));
	return db_exec(rq->c, STMT_QUEUE_PUT, DB_ARGS(db_str("notification"), db_str(name), db_strn(js_dump(rq->c, body))), NULL);
}
