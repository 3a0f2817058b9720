/* Export of the audit log: a call puts a request in the queue, kade-logexport writes the file and calls back. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-log.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "net/ssrf.h"

#define TEXT_MAX 2048

static const struct say SAY_URL = { 400, "invalid_request", "Invalid callback URL" };
static const struct say SAY_EMAIL = { 400, "invalid_request", "Invalid callback e-mail" };
static const struct say SAY_MANY = { 429, "invalid_request", "Too many exports of this namespace are waiting" };

static const struct field EXPORT[] = { F_STR("callback_url", F_NULL, .max = TEXT_MAX, .doc = "Where the job posts its report to."),
	                               F_STR("callback_email", F_NULL, .max = 254, .doc = "Whom it reports to."), F_END };
struct target {
	int64_t    namespace_id, repository_id;
	struct str ns, repo;
};

static enum err_kind
check_callback(struct req *rq, struct str url, struct str email)
{
	const struct ssrf_rules *rules;

	if (url.n > 0) {
		const char *text = str_dup(rq->c->mem, url);
		TRY(ssrf_rules_new(rq->c, &rq->c->conf->ssrf_allowed_hosts, &rules));
		if (text == NULL || ssrf_check_url(rq->c, rules, text) != ERR_NONE)
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_URL);
	}
	for (size_t i = 0; i < email.n; i++)
		if (email.p[i] == '@')
			return ERR_NONE;
	return email.n == 0 ? ERR_NONE : err_say(rq->c, ERR_BAD_INPUT, &SAY_EMAIL);
}

static enum err_kind
log_queued(struct req *rq, const struct target *t, const char *export_id, struct str url, struct str email)
{
	json_t *log = js_object(rq->c);

	jo_str(log, "export_id", export_id);
	jo_str(log, "date/time", clock_iso(rq->c->mem, rq->c->now_ms));
	jo_str(log, "message", "queued for export");
	if (url.n > 0)
		jo_strn(log, "url", url);
	else
		jo_null(log, "url");
	if (email.n > 0)
		jo_strn(log, "email", email);
	else
		jo_null(log, "email");
	if (t->repo.n > 0)
		jo_strn(log, "repo", t->repo);
	return log_action(rq, AUDIT_export_logs_success, t->namespace_id, t->repository_id, log);
}

static enum err_kind
add(struct req *rq, const struct target *t)
{
	const struct log_window w = log_window_of(rq);
	const struct str        url = js_str(rq->body, "callback_url"), email = js_str(rq->body, "callback_email");
	const struct db_result *r;
	json_t                 *o = js_object(rq->c);
	char                    export_id[37];

	if (!w.is_valid)
		return log_window_error(rq);
	TRY(check_callback(rq, url, email));
	random_uuid(export_id);
	jo_str(o, "export_id", export_id);
	jo_i64(o, "namespace_id", t->namespace_id);
	jo_strn(o, "namespace_name", t->ns);
	if (t->repository_id != 0) {
		jo_i64(o, "repository_id", t->repository_id);
		jo_strn(o, "repository_name", t->repo);
	}
	jo_i64(o, "from_ms", w.from_ms);
	jo_i64(o, "to_ms", w.to_ms);
	jo_strn(o, "callback_url", url.p == NULL ? STR("") : url);
	jo_strn(o, "callback_email", email.p == NULL ? STR("") : email);
	TRY(db_exec(rq->c, STMT_LOG_EXPORT_ADD, DB_ARGS(db_str(str_fmt(rq->c->mem, "%.*s/", STRF(t->ns))), db_strn(js_dump(rq->c, o))), &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_RATE, &SAY_MANY);
	TRY(log_queued(rq, t, export_id, url, email));
	jo_str(res_json(rq, 200), "export_id", export_id);
	return ERR_NONE;
}

static enum err_kind
api_export_own(struct req *rq)
{
	return add(rq, &(struct target){ .namespace_id = rq->facts.caller_id, .ns = str_of(rq->facts.caller_name) });
}

static enum err_kind
api_export_org(struct req *rq)
{
	if (rq->facts.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	return add(rq, &(struct target){ .namespace_id = rq->facts.namespace_id, .ns = rq->ns });
}

static enum err_kind
api_export_repo(struct req *rq)
{
	return add(rq, &(struct target){ .namespace_id = rq->facts.namespace_id, .repository_id = rq->facts.repository_id, .ns = rq->ns, .repo = rq->repo });
}

static const struct param WINDOW[] = {
	{ .name = "starttime", .doc = "Earliest time for logs. Format: \"%m/%d/%Y\" in UTC." },
	{ .name = "endtime", .doc = "Latest time for logs. Format: \"%m/%d/%Y\" in UTC." },
	{ .name = NULL },
};

/* clang-format off */
#define ROW(p) .methods = HTTP_POST, .path = (p), .proto = PROTO_API, .auth = AUTH_API, .rate = RATE_API_WRITE, .tx = TX_WRITE, .body = EXPORT, .query = WINDOW, \
	       .feature = CONF_FLAG(feature_log_export), .doc = "Queues an export of the log."
const struct route API_LOG_EXPORT_ROUTES[] = {
	{ .id = "exportUserLogs", ROW("/api/v1/user/exportlogs"), .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .run = api_export_own },
	{ .id = "exportOrgLogs", ROW("/api/v1/organization/<name:orgname>/exportlogs"), .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .flags = ROUTE_SU_READ,
	  .run = api_export_org },
	{ .id = "exportRepoLogs", ROW("/api/v1/repository/<repopath:repository>/exportlogs"), .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN, .flags = ROUTE_SU_FULL,
	  .run = api_export_repo },
	{ .id = NULL }
};
