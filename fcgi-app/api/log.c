/* The audit log over the REST API: of the own account, of an organization, of a repository. */
#include "api/routes.h"
#include "api/view-log.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

#define SPAN_MS (INT64_C(32) * 86400000) /* of counts: a month, and the day that the end is moved ahead */

static const struct say SAY_PERFORMER = { 400, "invalid_request", "Unknown performer" };

/* Whose acts alone are asked for: *id 0 = everybody's. */
static enum err_kind
performer_of(struct req *rq, int64_t *id)
{
	const struct str name = req_query(rq, "performer");
	const struct db_result *r;

	*id = 0;
	if (name.n == 0)
		return ERR_NONE;
	TRY(db_exec(rq->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_strn(name)), &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_PERFORMER);
	*id = db_get_i64(r, 0, ACCOUNT_BY_NAME_ID);
	return ERR_NONE;
}

static enum err_kind
bind_window(struct req *rq, struct db_args *a)
{
	const struct log_window w = log_window_of(rq);

	log_window_args(a, &w);
	return ERR_NONE;
}

static enum err_kind
bind_own(struct req *rq, struct db_args *a)
{
	if (rq->ident.account_uuid == NULL || req_query(rq, "performer").n > 0) {
		rq->load_stmt = STMT_CALLER_FACTS;
		return ERR_NONE;
	}
	return bind_window(rq, a);
}

static enum err_kind
bind_namespace(struct req *rq, struct db_args *a)
{
	if (req_query(rq, "performer").n > 0) {
		rq->load_stmt = STMT_REPO_FACTS;
		return ERR_NONE;
	}
	return bind_window(rq, a);
}

/* The page of one performer: a statement of its own, whose index leads with the performer. */
static enum err_kind
answer_performer(struct req *rq, int64_t namespace_id, const struct log_window *w)
{
	const struct db_result *r;
	struct db_args a = { 0 };
	int64_t performer_id;

	TRY(performer_of(rq, &performer_id));
	db_args_add(&a, db_i64(namespace_id));
	db_args_add(&a, db_i64(performer_id));
	log_window_args(&a, w);
	TRY(db_exec(rq->c, STMT_LOG_PERFORMER_PAGE, &a, &r));
	return log_answer(rq, w, r, LOG_PERFORMER_PAGE_LOG_ROW0);
}

static enum err_kind
no_organization(struct req *rq)
{
	return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
}

static enum err_kind
api_log_own(struct req *rq)
{
	const struct log_window w = log_window_of(rq);

	if (rq->load_stmt == STMT_CALLER_FACTS)
		return answer_performer(rq, rq->facts.caller_id, &w);
	return log_answer(rq, &w, rq->load, LOG_OWN_LOAD_LOG_ROW0);
}

static enum err_kind
api_log_org(struct req *rq)
{
	const struct log_window w = log_window_of(rq);

	if (rq->facts.namespace_id == 0)
		return no_organization(rq);
	if (rq->load_stmt == STMT_REPO_FACTS)
		return answer_performer(rq, rq->facts.namespace_id, &w);
	return log_answer(rq, &w, rq->load, LOG_NAMESPACE_LOAD_LOG_ROW0);
}

static enum err_kind
api_log_repo(struct req *rq)
{
	const struct log_window w = log_window_of(rq);

	return log_answer(rq, &w, rq->load, LOG_REPOSITORY_LOAD_LOG_ROW0);
}

/* Counts by day and kind, of a month at most. */
static enum err_kind
answer_counts(struct req *rq, int64_t namespace_id)
{
	const struct log_window w = log_window_of(rq);
	const struct db_result *r;
	int64_t performer_id;

	if (!w.is_valid || w.to_ms - w.from_ms > SPAN_MS)
		return log_window_error(rq);
	TRY(performer_of(rq, &performer_id));
	if (performer_id != 0)
		TRY(db_exec(
		    rq->c, STMT_LOG_COUNT_PERFORMER,
		    DB_ARGS(db_i64(namespace_id), db_i64(performer_id), db_i64(w.from_ms), db_i64(w.to_ms)),
		    &r));
	else
		TRY(db_exec(rq->c, STMT_LOG_COUNT_NAMESPACE,
		            DB_ARGS(db_i64(namespace_id), db_i64(w.from_ms), db_i64(w.to_ms)), &r));
	log_answer_counts(rq, r);
	return ERR_NONE;
}
_Static_assert((int)LOG_COUNT_NAMESPACE_N == (int)LOG_COUNT_PERFORMER_N &&
                   (int)LOG_COUNT_NAMESPACE_N == (int)LOG_COUNT_REPOSITORY_N,
               "the counts of the log differ in columns");

static enum err_kind
api_log_count_own(struct req *rq)
{
	return answer_counts(rq, rq->facts.caller_id);
}

static enum err_kind
api_log_count_org(struct req *rq)
{
	return rq->facts.namespace_id == 0 ? no_organization(rq) : answer_counts(rq, rq->facts.namespace_id);
}

static enum err_kind
api_log_count_repo(struct req *rq)
{
	const struct log_window w = log_window_of(rq);
	const struct db_result *r;

	if (!w.is_valid || w.to_ms - w.from_ms > SPAN_MS)
		return log_window_error(rq);
	TRY(db_exec(rq->c, STMT_LOG_COUNT_REPOSITORY,
	            DB_ARGS(db_i64(rq->facts.repository_id), db_i64(w.from_ms), db_i64(w.to_ms)), &r));
	log_answer_counts(rq, r);
	return ERR_NONE;
}

static const struct param WINDOW[] = {
	{.name = "starttime",	                                  .doc = "Earliest time for logs. Format: \"%m/%d/%Y\" in UTC." },
	{ .name = "endtime",	                                                   .doc = "Latest time for logs. Format: \"%m/%d/%Y\" in UTC." },
	{ .name = "performer",.doc = "Username for which to filter logs." },
	{ .name = "next_page",	                                 .doc = "Token of the next page." },
	{ .name = NULL	                                                  },
};

#define ROW(p)                                                                                               \
	.methods = HTTP_GET | HTTP_HEAD, .path = (p), .proto = PROTO_API, .auth = AUTH_API,                  \
	.rate = RATE_API_READ, .query = WINDOW, .mem_bytes = 32 << 20
#define OWN     .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN
#define ORG     .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .flags = ROUTE_SU_READ
#define REPO    .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN, .flags = ROUTE_SU_READ
#define COUNTED .feature = CONF_FLAG(feature_aggregated_log_count_retrieval)
const struct route API_LOG_ROUTES[] = {
	{.id = "listUserLogs",
         ROW("/api/v1/user/logs"),
         OWN, .load = STMT_LOG_OWN_LOAD,
         .bind = bind_own,
         .run = api_log_own,
         .doc = "List the logs for the current user." },
	{ .id = "listOrgLogs",
         ROW("/api/v1/organization/<name:orgname>/logs"),
         ORG, .load = STMT_LOG_NAMESPACE_LOAD,
         .bind = bind_namespace,
         .run = api_log_org,
         .doc = "List the logs for the specified organization." },
	{ .id = "listRepoLogs",
         ROW("/api/v1/repository/<repopath:repository>/logs"),
         REPO, .load = STMT_LOG_REPOSITORY_LOAD,
         .bind = bind_window,
         .run = api_log_repo,
         .doc = "List the logs for the specified repository." },
	{ .id = "getAggregateUserLogs",
         ROW("/api/v1/user/aggregatelogs"),
         OWN, COUNTED,
         .run = api_log_count_own,
         .doc = "Returns the aggregated logs for the current user." },
	{ .id = "getAggregateOrgLogs",
         ROW("/api/v1/organization/<name:orgname>/aggregatelogs"),
         ORG, COUNTED,
         .run = api_log_count_org,
         .doc = "Gets the aggregated logs for the specified organization." },
	{ .id = "getAggregateRepoLogs",
         ROW("/api/v1/repository/<repopath:repository>/aggregatelogs"),
         REPO, COUNTED,
         .run = api_log_count_repo,
         .doc = "Returns the aggregated logs for the specified repository." },
	{ .id = NULL	              }
};
