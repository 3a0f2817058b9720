/* The dispatcher: for every row and in this order, registry state → identity → rate class → the row's statement → permission →
 * handler, in its transaction → commit. Permission is decided here and nowhere else. */
#include "http/dispatch.h"

#include <stdatomic.h>
#include <string.h>

#include "auth/bucket.h"
#include "auth/login.h"
#include "auth/network.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "app.h"
#include "http/decide.h"
#include "http/field.h"
#include "http/metrics.h"
#include "http/request.h"
#include "http/response.h"
#include "model/audit.h"
#include "oci/name.h"
#include "oci/say.h"

#define TRIES 4 /* of a handler's transaction */
#define WAKE_EVERY_US 200000

/* What the state of the whole registry forbids. */
static enum err_kind
check_state(struct req *rq)
{
	const struct conf  *cf = rq->c->conf;
	const struct route *rt = rq->route;
	const bool          v2 = rt->proto == PROTO_V2;

	if (cf->account_recovery_mode && v2 && rt->perm != PERM_TOKEN)
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_RECOVERY_MODE);
	if (cf->is_readonly && ((rt->flags & ROUTE_WRITES) != 0 || (rt->proto == PROTO_API && (rq->method & (HTTP_GET | HTTP_HEAD)) == 0)) &&
	    (rt->flags & ROUTE_READONLY_OK) == 0)
		return v2 ? err_say(rq->c, ERR_READ_ONLY, &OCI_SAY_READ_ONLY) : err_set(rq->c, ERR_READ_ONLY, "the registry is read-only");
	if (cf->disable_pushes && (rt->flags & ROUTE_PUSH) != 0)
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_PUSHES_DISABLED);
	return ERR_NONE;
}

static void
identify_by_session(struct req *rq)
{
	session_load(rq);
	if (rq->session.user_uuid != NULL)
		rq->ident = (struct identity){ .kind = IDENTITY_USER, .name = rq->session.user_name, .account_uuid = rq->session.user_uuid,
			                       .scopes = SCOPE_DIRECT };
}

/* Bearer token, else session. A bearer that is not good leaves the call anonymous, and the cookie is not tried. */
static enum err_kind
identify_api(struct req *rq, struct str header)
{
	enum err_kind e;

	if (header.n > 7 && str_eq_nocase(str_sub(header, 0, 7), STR("bearer "))) {
		e = login_oauth(rq->c, rq->app->login, str_trim(str_sub(header, 7, header.n)), &rq->ident);
		if (e != ERR_UNAUTHENTICATED)
			return e;
		err_clear(rq->c);
		rq->ident = (struct identity){ .kind = IDENTITY_ANONYMOUS };
		return ERR_NONE;
	}
	identify_by_session(rq);
	return ERR_NONE;
}

/* Pages for people: a password by Basic, else the session. Robots and tokens of any kind are nobody here, and so is who shows
 * something wrong. */
static enum err_kind
identify_site(struct req *rq, struct str header)
{
	enum err_kind e;

	session_load(rq);
	if (header.n <= 6 || !str_eq_nocase(str_sub(header, 0, 6), STR("basic "))) {
		identify_by_session(rq);
		return ERR_NONE;
	}
	e = login_registry(rq->c, rq->app->login, header, rq->remote_addr, true, &rq->ident);
	if (e == ERR_UNAUTHENTICATED)
		err_clear(rq->c);
	else if (e != ERR_NONE)
		return e;
	if (e != ERR_NONE || rq->ident.kind != IDENTITY_USER)
		rq->ident = (struct identity){ .kind = IDENTITY_ANONYMOUS };
	return ERR_NONE;
}

static enum err_kind
identify(struct req *rq)
{
	const struct str header = req_header(rq, "authorization");

	switch (rq->route->auth) {
	case AUTH_NONE:
		return ERR_NONE;
	case AUTH_REGISTRY:
	case AUTH_BASIC:
		return login_registry(rq->c, rq->app->login, header, rq->remote_addr, rq->route->auth == AUTH_BASIC, &rq->ident);
	case AUTH_API:
		return identify_api(rq, header);
	case AUTH_SITE:
		return identify_site(rq, header);
	}
	return ERR_NONE;
}

/* quay_authentication_attempts_total and bearer_token_decoded_total: of credentials that were shown. */
static void
count_identity(struct req *rq, enum err_kind e)
{
	const struct str header = req_header(rq, "authorization");
	const bool       bearer = header.n > 7 && str_eq_nocase(str_sub(header, 0, 7), STR("bearer ")), ok = e == ERR_NONE;

	if (rq->route->auth == AUTH_NONE || (header.n == 0 && rq->session.user_uuid == NULL) || (!ok && e != ERR_UNAUTHENTICATED))
		return;
	if (bearer && rq->route->auth == AUTH_REGISTRY)
		counters_add(rq->c->counters, ok ? CNT_BEARER_GOOD : CNT_BEARER_BAD, 1);
	else
		metrics_auth(rq->c->counters, bearer ? "oauth" : header.n > 0 ? "basic" : "cookie", ok && (!bearer || rq->ident.kind != IDENTITY_ANONYMOUS));
}

static struct bucket_rule
rule_of(const struct conf *cf, enum rate_class class)
{
	double  rate = 0;
	int64_t burst = 1;

	switch (class) {
	case RATE_REGISTRY_READ:
		rate = cf->kade_rate_registry_read, burst = cf->kade_rate_registry_read_burst;
		break;
	case RATE_REGISTRY_WRITE:
		rate = cf->kade_rate_registry_write, burst = cf->kade_rate_registry_write_burst;
		break;
	case RATE_AUTH:
		rate = cf->kade_rate_auth, burst = cf->kade_rate_auth_burst;
		break;
	case RATE_API_READ:
		rate = cf->kade_rate_api_read, burst = cf->kade_rate_api_read_burst;
		break;
	case RATE_API_WRITE:
		rate = cf->kade_rate_api_write, burst = cf->kade_rate_api_write_burst;
		break;
	default:
		break;
	}
	return (struct bucket_rule){ .interval_us = rate <= 0 ? 0 : (uint32_t)(1e6 / rate < 1 ? 1 : 1e6 / rate), .burst = (uint32_t)burst };
}

/* Per account where there is one, else per address (IPv6: /64). FEATURE_RATE_LIMITS switches all classes. */
static enum err_kind
check_rate(struct req *rq)
{
	const struct bucket_rule rule = rule_of(rq->c->conf, rq->route->rate);
	const char               class[2] = { (char)('0' + rq->route->rate), '\0' };
	const struct network     net = network_of(rq->remote_addr);
	int64_t                  wait_us;

	if (!rq->c->conf->feature_rate_limits || rule.interval_us == 0 || rq->app->buckets == NULL || rq->authorizer)
		return ERR_NONE;
	if (rq->ns.n > 0 && str_list_has(&rq->c->conf->non_rate_limited_namespaces, rq->ns))
		return ERR_NONE;
	wait_us = bucket_take(rq->app->buckets, str_of(class),
	                      rq->ident.account_uuid != NULL ? str_of(rq->ident.account_uuid) : network_key(&net), &rule, clock_mono_us());
	if (wait_us <= 0)
		return ERR_NONE;
	err_set(rq->c, ERR_RATE, "rate class %d", (int)rq->route->rate);
	return err_retry_after(rq->c, (int)((wait_us + 999999) / 1000000));
}

/* The caller's own facts lead, then the row's columns. */
static enum err_kind
load_caller(struct req *rq)
{
	const struct identity *id = &rq->ident;
	struct db_args         a = { 0 };

	rq->load_stmt = rq->route->load != STMT_NONE ? rq->route->load : STMT_CALLER_FACTS;
	if (rq->load_stmt == STMT_CALLER_FACTS && id->account_uuid == NULL && id->token_uuid == NULL && id->key_id == NULL) {
		rq->facts.caller_alive = true;
		return ERR_NONE;
	}
	db_args_add(&a, db_str(id->account_uuid));
	db_args_add(&a, db_str(id->token_uuid));
	db_args_add(&a, db_str(id->key_id));
	if (rq->route->bind != NULL)
		TRY(rq->route->bind(rq, &a));
	TRY(db_exec(rq->c, rq->load_stmt, &a, &rq->load));
	rq->facts.caller_id = db_get_i64(rq->load, 0, 0);
	rq->facts.caller_name = db_get_str(rq->load, 0, 1);
	rq->facts.caller_alive = db_get_bool(rq->load, 0, 2);
	rq->facts.token_id = db_get_i64(rq->load, 0, 3);
	return ERR_NONE;
}

/* The facts of repository or namespace lead. */
static enum err_kind
load_facts(struct req *rq)
{
	struct db_args a = { 0 };
	enum err_kind  e;

	do {
		a.n = 0;
		rq->load_stmt = rq->route->load != STMT_NONE ? rq->route->load : STMT_REPO_FACTS;
		facts_args(&a, rq->ns, rq->repo, &rq->ident, decide_caps(rq));
		if (rq->route->bind != NULL)
			TRY(rq->route->bind(rq, &a));
		e = db_exec(rq->c, rq->load_stmt, &a, &rq->load);
	} while (e != ERR_NONE && audit_was_overflow(rq->c));
	TRY(e);
	facts_from_row(rq->c, rq->load, 0, &rq->facts);
	return ERR_NONE;
}

/* The row's statement. An API credential whose account is gone counts as none: the same again, as anonymous. */
static enum err_kind
load(struct req *rq)
{
	const struct route *rt = rq->route;

	/* AUTH_BASIC: the credential was looked up a moment ago, and the statement of the scopes looks again. */
	if ((rt->auth == AUTH_NONE || rt->auth == AUTH_BASIC) && rt->load == STMT_NONE && !decide_has_facts(rt)) {
		rq->facts.caller_alive = true;
		return ERR_NONE;
	}
	for (;;) {
		memset(&rq->facts, 0, sizeof rq->facts);
		TRY(decide_has_facts(rt) ? load_facts(rq) : load_caller(rq));
		if ((rt->auth != AUTH_API && rt->auth != AUTH_SITE) || rq->ident.kind == IDENTITY_ANONYMOUS || decide_is_alive(rq))
			return ERR_NONE;
		rq->ident = (struct identity){ .kind = IDENTITY_ANONYMOUS };
	}
}

/* A row for everybody refuses no token: its handler gives what the token allows. */
static enum err_kind
check_scope(struct req *rq)
{
	if (rq->route->scope == 0 || rq->route->perm == PERM_NONE || rq->ident.kind != IDENTITY_OAUTH || (scope_implied(rq->ident.scopes) & rq->route->scope) != 0)
		return ERR_NONE;
	return err_set(rq->c, ERR_DENIED, "the token lacks the scope");
}

/* 23503: something that the row's statement found (an account, a team, a repository) was deleted before the handler wrote what
 * refers to it. Loaded again, it is absent, and the handler gives the answer for that. */
static bool
is_gone(const struct req *rq, enum err_kind e)
{
	return e == ERR_BUG && rq->proto == PROTO_API && strcmp(db_sqlstate(rq->c), "23503") == 0;
}

/* The handler in its transaction; run again when rows changed under it. Nothing outside the database happens inside. */
static enum err_kind
run_in_tx(struct req *rq)
{
	struct ctx   *c = rq->c;
	enum err_kind e = ERR_NONE;

	for (int i = 0; i < TRIES; i++) {
		const struct arena_mark m = arena_mark(c->mem);
		TRY(db_begin(c, DB_TX_DEFAULT));
		e = rq->route->run(rq);
		if (e == ERR_NONE)
			e = db_commit(c);
		else
			db_rollback(c);
		const bool vanished = is_gone(rq, e);
		if (e == ERR_NONE || (!db_is_retryable(c->sqlstate) && !audit_was_overflow(c) && !vanished))
			return e;
		const struct err kept = c->err;
		const bool       overflow = c->audit_overflow;
		arena_rewind(c->mem, m);
		memset(&rq->res, 0, sizeof rq->res);
		rq->res.length = -1;
		c->err = kept;
		c->audit_overflow = overflow;
		if (vanished && i + 1 < TRIES) {
			TRY(load(rq));
			TRY(decide(rq));
		}
	}
	/* Made anew and deleted again under each try: nothing was changed, and the caller may ask again. */
	return is_gone(rq, e) ? err_set(c, ERR_CONFLICT, "what the request names is being deleted; try again") : e;
}

/* A resident job hears of new work, on its own and not too often; it also looks by itself. */
static void
wake_job(struct req *rq)
{
	_Atomic int64_t *last = &rq->app->woke_us;
	const int64_t    now_us = clock_mono_us();
	int64_t          then = atomic_load(last);

	if (rq->c->wake == NULL || now_us - then < WAKE_EVERY_US || !atomic_compare_exchange_strong(last, &then, now_us))
		return;
	if (db_exec(rq->c, STMT_JOB_WAKE, DB_ARGS(db_str(rq->c->wake)), NULL) != ERR_NONE)
		err_clear(rq->c);
}

/* The namespace and name that the row's facts are about. */
static enum err_kind
split_target(struct req *rq)
{
	const struct oci_name_rules rules = { str_of(rq->c->conf->library_namespace), rq->c->conf->feature_library_support };
	struct str                  path = req_capture(rq, "repository");

	if (decide_is_repo(rq->route) && path.p != NULL)
		return oci_name_split(rq->c, path, &rules, &rq->ns, &rq->repo);
	rq->ns = req_capture(rq, "orgname");
	if (rq->ns.p == NULL)
		rq->ns = req_capture(rq, "namespace");
	return ERR_NONE;
}

/* What an API call must show besides its rights. */
static enum err_kind
check_api(struct req *rq)
{
	static const struct say SAY_ANONYMOUS = { 401, "error", "Anonymous access is not allowed" };
	const struct route     *rt = rq->route;
	const bool              by_cookie = rq->ident.kind != IDENTITY_OAUTH;

	if (rt->proto != PROTO_API)
		return ERR_NONE;
	if (by_cookie && (rq->method & (HTTP_GET | HTTP_HEAD)) == 0 && (rt->flags & ROUTE_NO_CSRF) == 0)
		TRY(session_check_csrf(rq));
	if (rq->ident.kind == IDENTITY_ANONYMOUS && !rq->c->conf->feature_anonymous_access && (rt->flags & ROUTE_ANONYMOUS_OK) == 0)
		return err_say(rq->c, ERR_UNAUTHENTICATED, &SAY_ANONYMOUS);
	return ERR_NONE;
}

/* A browser shows its API reads by a header that no page of another site can send. */
static enum err_kind
check_browser(struct req *rq)
{
	static const struct say  SAY_XHR = { 400, "error", "API calls must be invoked with an X-Requested-With header if called from a browser" };
	static const char *const FAMILY[] = { "Mozilla/", "Opera/" };

	if (rq->route->proto != PROTO_API || rq->method != HTTP_GET || !rq->c->conf->browser_api_calls_xhr_only ||
	    str_eq_nocase(req_header(rq, "x-requested-with"), STR("XMLHttpRequest")))
		return ERR_NONE;
	for (size_t i = 0; i < sizeof FAMILY / sizeof *FAMILY; i++)
		if (str_starts(rq->user_agent, str_of(FAMILY[i])))
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_XHR);
	return ERR_NONE;
}

static enum err_kind
check_fresh(struct req *rq)
{
	if ((rq->route->flags & ROUTE_FRESH) == 0 || rq->ident.kind == IDENTITY_OAUTH || session_is_fresh(rq))
		return ERR_NONE;
	return err_set(rq->c, ERR_FRESH_LOGIN, "the login is too old");
}

static enum err_kind
serve(struct req *rq)
{
	enum err_kind e;

	TRY(split_target(rq));
	TRY(check_browser(rq));
	if (rq->route->rate == RATE_AUTH)
		TRY(check_rate(rq)); /* before any secret is looked at: by address */
	TRY(check_state(rq));
	e = identify(rq);
	count_identity(rq, e);
	if (rq->route->rate != RATE_AUTH && (e == ERR_NONE || e == ERR_UNAUTHENTICATED)) {
		const struct err kept = rq->c->err;
		TRY(check_rate(rq)); /* a wrong credential counts for its address */
		rq->c->err = kept;
	}
	TRY(e);
	TRY(load(rq));
	TRY(check_api(rq));
	TRY(decide(rq));
	TRY(check_scope(rq));
	TRY(check_fresh(rq));
	if (rq->authorizer) {
		if ((rq->route->flags & ROUTE_UPLOAD_ID) != 0 && db_is_null(rq->load, 0, FACTS_COLS))
			return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_BLOB_UPLOAD_UNKNOWN);
		res_empty(rq, 200);
		return ERR_NONE;
	}
	TRY(param_check(rq, rq->route->query));
	if (rq->route->body != NULL)
		TRY(field_read_body(rq, rq->route->body, rq->route->body_bytes != 0 ? rq->route->body_bytes : JS_API.bytes));
	if (rq->route->prepare != NULL)
		TRY(rq->route->prepare(rq));
	TRY(rq->route->tx == TX_WRITE ? run_in_tx(rq) : rq->route->run(rq));
	wake_job(rq);
	return ERR_NONE;
}

void
dispatch(struct req *rq)
{
	rq->c->audit_overflow = false;
	rq->c->wake = NULL;
	if ((rq->route->proto != PROTO_SITE && app_schema_fits(rq->app, rq->c) != ERR_NONE ? rq->c->err.kind : serve(rq)) != ERR_NONE && !rq->res.sent)
		res_problem(rq);
	if (!rq->res.sent)
		session_save(rq);
}
