/* The dispatcher: for every row and in this order, registry state → identity → rate class → the row's statement → permission →
 * handler, in its transaction → commit. Permission is decided here and nowhere else. */
#include "http/dispatch.h"

#include <string.h>

#include "auth/bucket.h"
#include "auth/login.h"
#include "auth/network.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "app.h"
#include "http/request.h"
#include "http/response.h"
#include "model/audit.h"
#include "oci/name.h"
#include "oci/say.h"

#define TRIES 4 /* of a handler's transaction */

/* What the state of the whole registry forbids. */
static enum err_kind
check_state(struct req *rq)
{
	const struct conf  *cf = rq->c->conf;
	const struct route *rt = rq->route;
	const bool          v2 = rt->proto == PROTO_V2;

	if (cf->account_recovery_mode && v2 && rt->perm != PERM_TOKEN)
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_RECOVERY_MODE);
	if (cf->is_readonly && (rt->flags & ROUTE_WRITES) != 0)
		return v2 ? err_say(rq->c, ERR_READ_ONLY, &OCI_SAY_READ_ONLY) : err_set(rq->c, ERR_READ_ONLY, "the registry is read-only");
	if (cf->disable_pushes && (rt->flags & ROUTE_PUSH) != 0)
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_PUSHES_DISABLED);
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
		if (header.n > 7 && str_eq_nocase(str_sub(header, 0, 7), STR("bearer ")))
			return login_oauth(rq->c, rq->app->login, str_trim(str_sub(header, 7, header.n)), &rq->ident);
		return ERR_NONE;
	}
	return ERR_NONE;
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

static enum role
needed_role(enum perm p)
{
	return p == PERM_REPO_WRITE || p == PERM_REPO_WRITE_EXISTING ? ROLE_WRITE : p == PERM_REPO_ADMIN ? ROLE_ADMIN : ROLE_READ;
}

static bool
is_repo_route(const struct route *rt)
{
	return rt->perm >= PERM_REPO_READ && rt->perm <= PERM_REPO_ADMIN;
}

/* The row's statement, with the facts as its leading columns. */
static enum err_kind
load(struct req *rq)
{
	struct ctx         *c = rq->c;
	const struct route *rt = rq->route;
	struct db_args      a = { 0 };
	enum err_kind       e;

	if (rt->perm == PERM_NONE && rq->ident.kind == IDENTITY_ANONYMOUS && rt->load == STMT_NONE)
		return ERR_NONE;
	if (!is_repo_route(rt)) {
		if (rt->auth == AUTH_NONE || (rq->ident.account_uuid == NULL && rq->ident.token_uuid == NULL && rq->ident.key_id == NULL))
			return ERR_NONE;
		TRY(db_exec(c, STMT_CALLER_FACTS, DB_ARGS(db_str(rq->ident.account_uuid), db_str(rq->ident.token_uuid), db_str(rq->ident.key_id)), &rq->load));
		rq->facts.caller_id = db_get_i64(rq->load, 0, 0);
		rq->facts.caller_name = db_get_str(rq->load, 0, 1);
		rq->facts.caller_alive = db_get_bool(rq->load, 0, 2);
		rq->facts.token_id = db_get_i64(rq->load, 0, 3);
		return rq->facts.caller_alive ? ERR_NONE : err_set(c, ERR_UNAUTHENTICATED, "account, token or key is not alive");
	}
	for (;;) {
		a.n = 0;
		rq->load_stmt = rt->load != STMT_NONE ? rt->load : STMT_REPO_FACTS;
		facts_args(&a, rq->ns, rq->repo, &rq->ident, facts_caps(c->conf, &rq->ident, rq->ns, rq->repo, needed_role(rt->perm)));
		if (rt->bind != NULL)
			TRY(rt->bind(rq, &a));
		e = db_exec(c, rq->load_stmt, &a, &rq->load);
		if (e == ERR_NONE)
			break;
		if (!audit_was_overflow(c))
			return e;
	}
	facts_from_row(c, rq->load, 0, &rq->facts);
	return ERR_NONE;
}

/* A superuser's powers were asked for by name: the account must still have that name. */
static bool
name_still_fits(const struct req *rq)
{
	return rq->ident.name == NULL || rq->facts.caller_name == NULL || strcmp(rq->ident.name, rq->facts.caller_name) == 0;
}

static bool
may_make_namespace(const struct req *rq)
{
	return rq->c->conf->create_namespace_on_push && rq->facts.namespace_id == 0 && rq->facts.caller_id != 0 && rq->ident.kind != IDENTITY_ROBOT &&
	       (facts_caps(rq->c->conf, &rq->ident, rq->ns, rq->repo, ROLE_WRITE) & CAPS_CREATE) != 0;
}

static enum err_kind
unauthorized(struct req *rq)
{
	return rq->route->proto == PROTO_API && rq->ident.kind != IDENTITY_ANONYMOUS ? err_set(rq->c, ERR_DENIED, "no right")
	                                                                          : err_set(rq->c, ERR_UNAUTHENTICATED, "no right");
}

static enum err_kind
decide_repo(struct req *rq)
{
	const struct facts *f = &rq->facts;
	const enum perm     p = rq->route->perm;
	bool                ok;

	if (!f->caller_alive || !name_still_fits(rq))
		return err_set(rq->c, ERR_UNAUTHENTICATED, "account, token or key is not alive");
	if (f->namespace_id != 0 && !f->namespace_enabled && (f->role != ROLE_NONE || f->is_public))
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_NAMESPACE_DISABLED);
	if (f->repository_id == 0) {
		if ((f->may_create || may_make_namespace(rq)) && (p == PERM_REPO_WRITE || p == PERM_REPO_READ_OR_CREATE))
			return ERR_NONE;
		/* Who could make it learns that it is not there; everybody else what they learn of a repository that they may
		 * not read. */
		return f->may_create || may_make_namespace(rq) ? err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_NAME_UNKNOWN) : unauthorized(rq);
	}
	if (f->repository_kind != REPO_KIND_IMAGE && rq->route->proto == PROTO_V2 && f->may_read)
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_APP_REPOSITORY);
	switch (needed_role(p)) {
	case ROLE_ADMIN:
		ok = f->may_admin;
		break;
	case ROLE_WRITE:
		ok = f->may_write && f->repository_state == REPO_NORMAL;
		if (ok && rq->route->proto == PROTO_V2 && facts_is_restricted(rq->c->conf, &rq->ident, rq->ns)) {
			unauthorized(rq);
			return err_detail(rq->c, "\"Disallowed for restricted users.\"");
		}
		break;
	default:
		ok = f->may_read;
	}
	return ok ? ERR_NONE : unauthorized(rq);
}

static enum err_kind
decide(struct req *rq)
{
	const bool known = rq->ident.kind != IDENTITY_ANONYMOUS;

	switch (rq->route->perm) {
	case PERM_NONE:
		return ERR_NONE;
	case PERM_CALLER:
		return known ? ERR_NONE : unauthorized(rq);
	case PERM_TOKEN:
		return known || rq->ident.key_id != NULL ? ERR_NONE : unauthorized(rq);
	case PERM_SUPERUSER:
		return known && facts_is_superuser(rq->c->conf, &rq->ident) && name_still_fits(rq) ? ERR_NONE : unauthorized(rq);
	default:
		return decide_repo(rq);
	}
}

static enum err_kind
check_scope(struct req *rq)
{
	if (rq->route->scope == 0 || rq->ident.kind != IDENTITY_OAUTH || (scope_implied(rq->ident.scopes) & rq->route->scope) != 0)
		return ERR_NONE;
	return err_set(rq->c, ERR_DENIED, "the token lacks the scope");
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
		if (e == ERR_NONE || (!db_is_retryable(c->sqlstate) && !audit_was_overflow(c)))
			return e;
		const struct err kept = c->err;
		const bool       overflow = c->audit_overflow;
		arena_rewind(c->mem, m);
		memset(&rq->res, 0, sizeof rq->res);
		rq->res.length = -1;
		c->err = kept;
		c->audit_overflow = overflow;
	}
	return e;
}

/* The namespace and name of a repository route. */
static enum err_kind
split_repository(struct req *rq)
{
	const struct oci_name_rules rules = { str_of(rq->c->conf->library_namespace), rq->c->conf->feature_library_support };
	const struct str            path = req_capture(rq, "repository");

	if (path.p == NULL || !is_repo_route(rq->route))
		return ERR_NONE;
	return oci_name_split(rq->c, path, &rules, &rq->ns, &rq->repo);
}

static enum err_kind
serve(struct req *rq)
{
	enum err_kind e;

	TRY(split_repository(rq));
	TRY(check_state(rq));
	if (rq->route->rate == RATE_AUTH)
		TRY(check_rate(rq)); /* before any secret is looked at: by address */
	e = identify(rq);
	if (rq->route->rate != RATE_AUTH && (e == ERR_NONE || e == ERR_UNAUTHENTICATED)) {
		const struct err kept = rq->c->err;
		TRY(check_rate(rq)); /* a wrong credential counts for its address */
		rq->c->err = kept;
	}
	TRY(e);
	TRY(load(rq));
	TRY(decide(rq));
	TRY(check_scope(rq));
	if (rq->authorizer) {
		if ((rq->route->flags & ROUTE_UPLOAD_ID) != 0 && db_is_null(rq->load, 0, FACTS_COLS))
			return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_BLOB_UPLOAD_UNKNOWN);
		res_empty(rq, 200);
		return ERR_NONE;
	}
	return rq->route->tx == TX_WRITE ? run_in_tx(rq) : rq->route->run(rq);
}

void
dispatch(struct req *rq)
{
	rq->c->audit_overflow = false;
	if (serve(rq) != ERR_NONE && !rq->res.sent)
		res_problem(rq);
}
