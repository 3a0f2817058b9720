/* The audit log of the whole registry, for superusers: every row with the namespace that it is filed under. */
#include "api/routes.h"
#include "api/view-account.h"
#include "api/view-log.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

#define SPAN_MS (INT64_C(32) * 86400000) /* of counts: a month, and the day that the end is moved ahead */
enum { KIND_ORGANIZATION = 2 };

/* {"kind", "name", "avatar"}; nothing where the row is filed under none, or under one that is gone. */
static void
add_namespace(const struct db_result *r, int row, json_t *o)
{
	const bool  is_org = db_get_i64(r, row, LOG_ALL_PAGE_NAMESPACE_KIND) == KIND_ORGANIZATION;
	const char *name = db_get_str(r, row, LOG_ALL_PAGE_NAMESPACE);
	json_t     *n;

	if (name == NULL)
		return;
	n = jo_object(o, "namespace");
	jo_str(n, "kind", is_org ? "org" : "user");
	jo_str(n, "name", name);
	jo_take(n, "avatar", view_avatar(is_org ? AVATAR_ORG : AVATAR_USER, name, db_get_str(r, row, LOG_ALL_PAGE_NAMESPACE_EMAIL)));
}

static enum err_kind
api_su_logs(struct req *rq)
{
	const struct log_window w = log_window_of(rq);
	const struct db_result *r;
	struct db_args          a = { 0 };
	json_t                 *list, *o;
	size_t                  i;

	log_window_args(&a, &w);
	TRY(db_exec(rq->c, STMT_LOG_ALL_PAGE, &a, &r));
	TRY(log_answer(rq, &w, r, LOG_ALL_PAGE_LOG_ROW0));
	list = json_object_get(rq->res.json, "logs");
	json_array_foreach(list, i, o) add_namespace(r, (int)i, o);
	return ERR_NONE;
}

static enum err_kind
api_su_log_counts(struct req *rq)
{
	const struct log_window w = log_window_of(rq);
	const struct db_result *r;

	if (!w.is_valid || w.to_ms - w.from_ms > SPAN_MS)
		return log_window_error(rq);
	TRY(db_exec(rq->c, STMT_LOG_COUNT_ALL, DB_ARGS(db_i64(w.from_ms), db_i64(w.to_ms)), &r));
	log_answer_counts(rq, r);
	return ERR_NONE;
}
_Static_assert((int)LOG_COUNT_ALL_N == (int)LOG_COUNT_NAMESPACE_N, "the counts of the log differ in columns");

static const struct param WINDOW[] = {
	{ .name = "starttime", .doc = "Earliest time from which to get logs. Format: \"%m/%d/%Y\" in UTC." },
	{ .name = "endtime", .doc = "Latest time to which to get logs. Format: \"%m/%d/%Y\" in UTC." },
	{ .name = "page", .is_int = true, .doc = "The page number for the logs" },
	{ .name = "next_page", .doc = "Token of the next page." },
	{ .name = NULL },
};

#define READS .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER_READ, .rate = RATE_API_READ, .flags = ROUTE_FRESH, \
	      .feature = CONF_FLAG(feature_super_users), .query = WINDOW, .mem_bytes = 32 << 20
const struct route API_SUPERUSER_LOG_ROUTES[] = {
	{ .id = "listAllLogs", .path = "/api/v1/superuser/logs", READS, .run = api_su_logs, .doc = "The audit log of the whole registry." },
	{ .id = "listAllAggregateLogs", .path = "/api/v1/superuser/aggregatelogs", READS, .feature_too = CONF_FLAG(feature_aggregated_log_count_retrieval),
	  .run = api_su_log_counts, .doc = "How many rows of each kind there are on each day." },
	{ .id = NULL }
};
