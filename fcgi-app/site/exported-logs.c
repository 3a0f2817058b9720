/* Files that kade-logexport wrote, where the store gives no addresses of its own. The name is the secret: two random ids. */
#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "http/response.h"
#include "app.h"
#include "site/routes.h"
#include "store/key.h"
#include "store/store.h"

#define STREAM_BYTES 65536
#define UUID_TEXT    36

static enum err_kind
to_client(struct ctx *c, void *arg, const void *p, size_t n)
{
	(void)c;
	return res_stream_write(arg, p, n);
}

/* <uuid>-<uuid>: nothing else becomes part of a key. */
static bool
is_file_id(struct str id)
{
	return id.n == 2 * UUID_TEXT + 1 && id.p[UUID_TEXT] == '-' && store_uuid_ok(str_sub(id, 0, UUID_TEXT)) && store_uuid_ok(str_sub(id, UUID_TEXT + 1, id.n));
}

static enum err_kind
site_exported_logs(struct req *rq)
{
	struct store     *s = store_preferred(rq->app->stores);
	const struct str  id = req_capture(rq, "file_id");
	const int64_t     life_ms = rq->c->conf->export_action_logs_seconds * 1000;
	struct store_info info;
	const char       *key;

	if (s == NULL || (s->caps & STORE_CAP_LOCAL_PATH) == 0 || !is_file_id(id))
		return err_set(rq->c, ERR_NOT_FOUND, "no such file");
	key = str_fmt(rq->c->mem, "%s/%.*s", rq->c->conf->export_action_logs_storage_path, STRF(id));
	if (!store_key_ok(str_of(key)))
		return err_set(rq->c, ERR_NOT_FOUND, "no such file");
	TRY(store_stat(rq->c, s, key, &info));
	if (!info.exists || (info.changed_ms != 0 && info.changed_ms + life_ms < rq->c->now_ms))
		return err_set(rq->c, ERR_NOT_FOUND, "no such file, or its time is over");
	res_header(rq, "Content-Type", STR("application/json"));
	res_header(rq, "Cache-Control", STR("private, no-store"));
	res_header(rq, "Content-Disposition", STR("attachment; filename=\"logs.json\""));
	res_length(rq, info.size_bytes);
	TRY(res_stream_begin(rq));
	return rq->method == HTTP_HEAD ? ERR_NONE
	                               : store_get(rq->c, s, &(struct store_get){ .key = key, .range = STORE_WHOLE, .buf = arena_alloc(rq->c->mem, STREAM_BYTES),
	                                                                          .buf_bytes = STREAM_BYTES, .sink = to_client, .arg = rq });
}

const struct route SITE_EXPORTED_LOGS_ROUTES[] = {
	{ .id = "web.exportedlogs", .methods = HTTP_GET | HTTP_HEAD, .path = "/exportedlogs/<name:file_id>", .proto = PROTO_SITE, .auth = AUTH_NONE, .perm = PERM_NONE,
	  .flags = ROUTE_TRANSFER, .feature = CONF_FLAG(feature_log_export), .run = site_exported_logs, .doc = "A file of exported logs." },
	{ .id = NULL }
};
