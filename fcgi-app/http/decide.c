/* Permissions of rows. /v2: a missing right is 401 with the challenge, whoever asks, and a repository that is absent looks like
 * one that may not be read, unless the caller could create it. API: 401 without identity, 403 with. */
#include "http/decide.h"

#include <string.h>

#include "auth/scope.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/request.h"
#include "oci/say.h"

static const struct say SAY_LOGIN = { 401, "error", "Method requires login and no valid login could be loaded." };
static const struct say SAY_STATE = { 503, "message", "Repository is in read only or mirror mode" };

bool
decide_is_repo(const struct route *rt)
{
	return rt->perm >= PERM_REPO_READ && rt->perm <= PERM_REPO_ADMIN;
}

static bool
is_namespace(const struct route *rt)
{
	return rt->perm >= PERM_NS_ANY && rt->perm <= PERM_NS_SUPERUSER;
}

bool
decide_has_facts(const struct route *rt)
{
	return decide_is_repo(rt) || is_namespace(rt);
}

enum role
decide_needed_role(enum perm p)
{
	return p == PERM_REPO_WRITE || p == PERM_REPO_WRITE_EXISTING ? ROLE_WRITE : p == PERM_REPO_ADMIN ? ROLE_ADMIN : ROLE_READ;
}

unsigned
decide_caps(const struct req *rq)
{
	const struct route *rt = rq->route;
	unsigned            caps = facts_caps(rq->c->conf, &rq->ident, rq->ns, rq->repo, decide_needed_role(rt->perm));

	if (rt->proto != PROTO_API)
		return caps;
	if ((rt->flags & ROUTE_SU_FULL) == 0)
		caps &= ~(unsigned)CAPS_SU_ALL;
	if ((rt->flags & ROUTE_SU_READ) == 0 && ((rt->flags & ROUTE_SU_FULL) == 0 || (caps & CAPS_SU_ALL) == 0))
		caps &= ~(unsigned)CAPS_SU_READ;
	return caps;
}

bool
decide_is_alive(const struct req *rq)
{
	return rq->facts.caller_alive &&
	       (rq->ident.name == NULL || rq->facts.caller_name == NULL || strcmp(rq->ident.name, rq->facts.caller_name) == 0);
}

static bool
may_make_namespace(const struct req *rq)
{
	return rq->c->conf->create_namespace_on_push && rq->facts.namespace_id == 0 && rq->facts.caller_id != 0 && rq->ident.kind != IDENTITY_ROBOT &&
	       (facts_caps(rq->c->conf, &rq->ident, rq->ns, rq->repo, ROLE_WRITE) & CAPS_CREATE) != 0;
}

static enum err_kind
refuse(struct req *rq)
{
	if (rq->route->proto == PROTO_SITE && rq->ident.kind == IDENTITY_ANONYMOUS)
		return err_say(rq->c, ERR_UNAUTHENTICATED, &SAY_LOGIN);
	return rq->route->proto == PROTO_API && rq->ident.kind != IDENTITY_ANONYMOUS ? err_set(rq->c, ERR_DENIED, "no right")
	                                                                          : err_set(rq->c, ERR_UNAUTHENTICATED, "no right");
}

/* Who is not signed in asks for the own account: clients tell from the member that they need not sign in to go on. */
static enum err_kind
refuse_own(struct req *rq)
{
	if ((rq->route->flags & ROUTE_SESSION_401) == 0)
		return refuse(rq);
	err_set(rq->c, ERR_UNAUTHENTICATED, "not signed in");
	return err_detail(rq->c, "{\"session_required\":false}");
}

static enum err_kind
decide_absent(struct req *rq)
{
	const struct facts *f = &rq->facts;
	const enum perm     p = rq->route->perm;
	const bool          creates = f->may_create || may_make_namespace(rq);

	if (rq->route->proto == PROTO_API) {
		/* Only who holds the right on any name of the namespace learns that there is none. */
		const bool holds = (f->org_role == ORG_ROLE_ADMIN && scope_max_role(rq->ident.scopes) >= decide_needed_role(p)) ||
		                   (decide_caps(rq) & (decide_needed_role(p) == ROLE_READ || (rq->route->flags & ROUTE_SU_READ) != 0 ? CAPS_SU_READ : CAPS_SU_ALL)) != 0;
		if (holds && (rq->route->flags & ROUTE_ABSENT_OK) != 0)
			return ERR_NONE;
		return holds ? err_set(rq->c, ERR_NOT_FOUND, "no such repository") : refuse(rq);
	}
	if (creates && (p == PERM_REPO_WRITE || p == PERM_REPO_READ_OR_CREATE))
		return ERR_NONE;
	/* Who could make it learns that it is not there; everybody else what they learn of a repository that they may not read. */
	return creates ? err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_NAME_UNKNOWN) : refuse(rq);
}

static enum err_kind
decide_repo(struct req *rq)
{
	const struct facts *f = &rq->facts;
	const struct route *rt = rq->route;
	const bool          v2 = rt->proto == PROTO_V2;
	bool                ok;

	if (v2 && f->namespace_id != 0 && !f->namespace_enabled && (f->role != ROLE_NONE || f->is_public))
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_NAMESPACE_DISABLED);
	if (f->repository_id == 0)
		return decide_absent(rq);
	if (v2 && f->repository_kind != REPO_KIND_IMAGE && f->may_read)
		return err_say(rq->c, ERR_UNSUPPORTED, &OCI_SAY_APP_REPOSITORY);
	switch (decide_needed_role(rt->perm)) {
	case ROLE_ADMIN:
		ok = f->may_admin || ((rt->flags & ROUTE_SU_READ) != 0 && f->caller_alive && (decide_caps(rq) & CAPS_SU_READ) != 0);
		break;
	case ROLE_WRITE:
		ok = f->may_write && (!v2 || f->repository_state == REPO_NORMAL);
		if (ok && v2 && facts_is_restricted(rq->c->conf, &rq->ident, rq->ns)) {
			refuse(rq);
			return err_detail(rq->c, "\"Disallowed for restricted users.\"");
		}
		break;
	default:
		ok = f->may_read;
	}
	if (ok && (rt->flags & ROUTE_STATE_NORMAL) != 0 && f->repository_state != REPO_NORMAL)
		return err_say_fmt(rq->c, ERR_BUSY, &SAY_STATE, "Repository is in read only or mirror mode: %d", (int)f->repository_state);
	return ok ? ERR_NONE : refuse(rq);
}

static enum err_kind
decide_namespace(struct req *rq)
{
	/* of PERM_NS_ANY and those after it: any, member, creator, admin, team (admin unless in it), superuser */
	static const unsigned NEED[] = { ORG_ROLE_NONE, ORG_ROLE_MEMBER, ORG_ROLE_CREATOR, ORG_ROLE_ADMIN, ORG_ROLE_ADMIN, ORG_ROLE_ADMIN + 1 };
	const unsigned        need = NEED[rq->route->perm - PERM_NS_ANY];
	const enum org_role cap = scope_max_org_role(rq->ident.scopes);
	const enum org_role role = rq->facts.org_role < cap ? rq->facts.org_role : cap;
	const unsigned      caps = decide_caps(rq);

	if (rq->route->perm == PERM_NS_ANY || (rq->ident.kind != IDENTITY_ANONYMOUS && (unsigned)role >= need))
		return ERR_NONE;
	if (rq->route->perm == PERM_NS_TEAM && role >= ORG_ROLE_MEMBER && db_get_bool(rq->load, 0, FACTS_COLS))
		return ERR_NONE;
	if ((caps & CAPS_SU_ALL) != 0 || ((rq->route->flags & ROUTE_SU_READ) != 0 && (caps & CAPS_SU_READ) != 0))
		return ERR_NONE;
	return refuse(rq);
}

static bool
is_own_account(const struct req *rq, enum user_role need)
{
	return rq->facts.caller_id != 0 && (rq->ident.kind == IDENTITY_USER || rq->ident.kind == IDENTITY_OAUTH) &&
	       scope_max_user_role(rq->ident.scopes) >= need;
}

/* The caller's own account, for writes in it or beside it. */
static enum err_kind
decide_own(struct req *rq)
{
	static const struct say SAY_RESTRICTED = { 403, "message", "Operation not allowed on restricted user owned namespace" };
	const struct conf      *cf = rq->c->conf;
	const bool              is_restricted = facts_is_restricted(cf, &rq->ident, str_of(rq->ident.name));

	if (!is_own_account(rq, USER_ROLE_ADMIN))
		return refuse(rq);
	if (is_restricted && (rq->route->flags & ROUTE_NOT_RESTRICTED) != 0)
		return err_say(rq->c, ERR_DENIED, &SAY_RESTRICTED);
	if (rq->route->perm == PERM_NEW_ORGANIZATION &&
	    (is_restricted || (cf->feature_superusers_org_creation_only && (!facts_is_superuser(cf, &rq->ident) || facts_is_global_reader(cf, &rq->ident)))))
		return refuse(rq);
	return ERR_NONE;
}

enum err_kind
decide(struct req *rq)
{
	const bool known = rq->ident.kind != IDENTITY_ANONYMOUS;

	if (!decide_is_alive(rq) && (known || rq->ident.key_id != NULL))
		return err_set(rq->c, ERR_UNAUTHENTICATED, "account, token or key is not alive");
	if (decide_is_repo(rq->route))
		return decide_repo(rq);
	if (is_namespace(rq->route))
		return decide_namespace(rq);
	switch (rq->route->perm) {
	case PERM_CALLER:
		return known ? ERR_NONE : refuse(rq);
	case PERM_TOKEN:
		return known || rq->ident.key_id != NULL ? ERR_NONE : refuse(rq);
	case PERM_USER_READ:
		return is_own_account(rq, USER_ROLE_READ) ? ERR_NONE : refuse_own(rq);
	case PERM_USER_ADMIN:
	case PERM_NEW_ORGANIZATION:
		return decide_own(rq);
	case PERM_SUPERUSER:
		return known && facts_is_superuser(rq->c->conf, &rq->ident) && !facts_is_global_reader(rq->c->conf, &rq->ident) ? ERR_NONE : refuse(rq);
	case PERM_SUPERUSER_READ:
		return known && (facts_is_superuser(rq->c->conf, &rq->ident) || facts_is_global_reader(rq->c->conf, &rq->ident)) ? ERR_NONE : refuse(rq);
	case PERM_SU_FULL_READ:
		return known && (facts_is_global_reader(rq->c->conf, &rq->ident) ||
		                 (facts_is_superuser(rq->c->conf, &rq->ident) && rq->c->conf->feature_superusers_full_access))
		           ? ERR_NONE
		           : refuse(rq);
	default:
		return ERR_NONE;
	}
}
