/* Messages of the operator, shown to everybody above the interface. */
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "auth/scope.h"
#include "http/field.h"
#include "http/response.h"
#include "api/routes.h"

#define CONTENT_MAX 65536

static const char *const SEVERITIES[] = { "info", "warning", "error", NULL };
static const char *const MEDIA_TYPES[] = { "text/plain", "text/markdown", NULL };
static const struct field MESSAGE[] = { F_OBJECT("message", F_REQUIRED, .doc = "The message."), F_END };
static const struct field INNER[] = {
	F_STR("content", F_TEXT, F_REQUIRED, .max = CONTENT_MAX, .doc = "The text."),
	F_STR("media_type", F_REQUIRED, .one_of = MEDIA_TYPES, .doc = "How the text is to be read."),
	F_STR("severity", F_REQUIRED, .one_of = SEVERITIES, .doc = "How it is shown."),
	F_END
};

static enum err_kind
api_messages(struct req *rq)
{
	const struct db_result *r;
	json_t                 *list;

	TRY(db_exec(rq->c, STMT_MESSAGES, DB_NO_ARGS, &r));
	list = jo_array(res_json(rq, 200), "messages");
	for (int i = 0; i < r->rows; i++) {
		json_t *m = ja_object(list);
		jo_str(m, "uuid", db_get_str(r, i, MESSAGES_UUID));
		jo_str(m, "content", db_get_str(r, i, MESSAGES_CONTENT));
		jo_str(m, "severity", db_get_str(r, i, MESSAGES_SEVERITY));
		jo_str(m, "media_type", db_get_str(r, i, MESSAGES_MEDIA_TYPE));
	}
	return ERR_NONE;
}

static enum err_kind
api_message_create(struct req *rq)
{
	json_t *m = json_object_get(rq->body, "message");

	TRY(field_check(rq, m, INNER));
	TRY(db_exec(rq->c, STMT_MESSAGE_ADD, DB_ARGS(db_strn(js_str(m, "content")), db_strn(js_str(m, "severity")), db_strn(js_str(m, "media_type"))), NULL));
	res_body(rq, 201, "text/html; charset=utf-8", STR(""));
	return ERR_NONE;
}

static enum err_kind
api_message_remove(struct req *rq)
{
	TRY(db_exec(rq->c, STMT_MESSAGE_REMOVE, DB_ARGS(db_strn(req_capture(rq, "uuid"))), NULL));
	res_empty(rq, 204);
	return ERR_NONE;
}

const struct route API_MESSAGE_ROUTES[] = {
	{ .id = "getGlobalMessages", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/messages", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NONE,
	  .rate = RATE_API_READ, .mem_bytes = 4 << 20, .run = api_messages, .doc = "Messages of the operator." },
	{ .id = "createGlobalMessage", .methods = HTTP_POST, .path = "/api/v1/messages", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER,
	  .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH, .tx = TX_WRITE, .feature = CONF_FLAG(feature_super_users),
	  .body = MESSAGE, .run = api_message_create, .doc = "Shows a message to everybody." },
	{ .id = "deleteGlobalMessage", .methods = HTTP_DELETE, .path = "/api/v1/message/<name:uuid>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH, .tx = TX_WRITE,
	  .feature = CONF_FLAG(feature_super_users), .run = api_message_remove, .doc = "Takes a message away." },
	{ .id = NULL }
};
