/* The permission facts: arguments and columns of repo_facts(). */
#include "model/facts.h"

#include "base/ctx.h"
#include "conf/conf.h"
#include "auth/scope.h"
#include "db/db.h"

enum { F_NAMESPACE_ID, F_NAMESPACE_KIND, F_NAMESPACE_ENABLED, F_REPOSITORY_ID, F_REPOSITORY_KIND, F_REPOSITORY_STATE, F_IS_PUBLIC,
       F_CALLER_ID, F_CALLER_NAME, F_CALLER_ALIVE, F_ROLE, F_ORG_ROLE, F_MAY_READ, F_MAY_WRITE, F_MAY_ADMIN, F_MAY_CREATE, F_TOKEN_ID, F_COLS };
_Static_assert((int)F_COLS == FACTS_COLS, "facts.sql and facts.c differ");
#define ACCOUNT_ORGANIZATION 2

void
facts_args(struct db_args *a, struct str ns, struct str repo, const struct identity *id, unsigned caps)
{
	db_args_add(a, db_strn(ns));
	db_args_add(a, db_strn(repo));
	db_args_add(a, db_str(id->account_uuid));
	db_args_add(a, db_str(id->token_uuid));
	db_args_add(a, db_str(id->key_id));
	db_args_add(a, db_i32((int32_t)caps));
}

void
facts_from_row(struct ctx *c, const struct db_result *r, int first_col, struct facts *out)
{
	facts_from_rows(c, r, 0, first_col, out);
}

void
facts_from_rows(struct ctx *c, const struct db_result *r, int row, int first_col, struct facts *out)
{
	(void)c;
	*out = (struct facts){
		.namespace_id = db_get_i64(r, row, first_col + F_NAMESPACE_ID),
		.namespace_is_org = db_get_i64(r, row, first_col + F_NAMESPACE_KIND) == ACCOUNT_ORGANIZATION,
		.namespace_enabled = db_get_bool(r, row, first_col + F_NAMESPACE_ENABLED),
		.repository_id = db_get_i64(r, row, first_col + F_REPOSITORY_ID),
		.repository_kind = (enum repo_kind)db_get_i64(r, row, first_col + F_REPOSITORY_KIND),
		.repository_state = (enum repo_state)db_get_i64(r, row, first_col + F_REPOSITORY_STATE),
		.is_public = db_get_bool(r, row, first_col + F_IS_PUBLIC),
		.caller_id = db_get_i64(r, row, first_col + F_CALLER_ID),
		.caller_name = db_get_str(r, row, first_col + F_CALLER_NAME),
		.caller_alive = db_get_bool(r, row, first_col + F_CALLER_ALIVE),
		.role = (enum role)db_get_i64(r, row, first_col + F_ROLE),
		.org_role = (enum org_role)db_get_i64(r, row, first_col + F_ORG_ROLE),
		.may_read = db_get_bool(r, row, first_col + F_MAY_READ),
		.may_write = db_get_bool(r, row, first_col + F_MAY_WRITE),
		.may_admin = db_get_bool(r, row, first_col + F_MAY_ADMIN),
		.may_create = db_get_bool(r, row, first_col + F_MAY_CREATE),
		.token_id = db_get_i64(r, row, first_col + F_TOKEN_ID),
	};
}

/* The role that the credential names for this repository: a registry token's grant, else what its scopes allow. */
static enum role
named_role(struct str ns, struct str repo, const struct identity *id)
{
	enum role best = ROLE_NONE;

	if (!id->has_grants)
		return id->kind == IDENTITY_ANONYMOUS ? ROLE_READ : id->kind == IDENTITY_ACCESS_TOKEN ? ROLE_ADMIN : scope_max_role(id->scopes);
	for (size_t i = 0; i < id->n_grants; i++) {
		const struct str g = id->grants[i].repository;
		if (g.n == ns.n + 1 + repo.n && str_starts(g, ns) && g.p[ns.n] == '/' && str_ends(g, repo) && id->grants[i].role > best)
			best = id->grants[i].role;
	}
	return best;
}

bool
facts_is_restricted(const struct conf *cf, const struct identity *id, struct str ns)
{
	struct str owner, tail;

	if (!cf->feature_restricted_users || id->name == NULL)
		return false;
	str_cut(str_of(id->name), '+', &owner, &tail);
	return str_eq(owner, ns) && !str_list_has(&cf->restricted_users_whitelist, owner) && !facts_is_superuser(cf, id);
}

bool
facts_is_superuser(const struct conf *cf, const struct identity *id)
{
	return cf->feature_super_users && id->name != NULL && id->kind != IDENTITY_ROBOT && scope_allows_superuser(id->scopes) &&
	       str_list_has(&cf->super_users, str_of(id->name));
}

bool
facts_reads_everything(const struct conf *cf, const struct identity *id)
{
	return cf->feature_super_users && id->name != NULL && scope_allows_superuser(id->scopes) &&
	       (str_list_has(&cf->global_readonly_super_users, str_of(id->name)) || (cf->feature_superusers_full_access && facts_is_superuser(cf, id)));
}

bool
facts_is_global_reader(const struct conf *cf, const struct identity *id)
{
	return cf->feature_super_users && id->name != NULL && id->kind != IDENTITY_ROBOT &&
	       str_list_has(&cf->global_readonly_super_users, str_of(id->name));
}

unsigned
facts_caps(const struct conf *cf, const struct identity *id, struct str ns, struct str repo, enum role need)
{
	const enum role role = named_role(ns, repo, id);
	const bool      known = id->kind != IDENTITY_ANONYMOUS;
	unsigned        caps = (unsigned)role;

	if (cf->feature_anonymous_access || known)
		caps |= CAPS_PUBLIC;
	if (known && role >= ROLE_READ && facts_reads_everything(cf, id)) {
		caps |= CAPS_SU_READ;
		if (role >= ROLE_WRITE && !str_list_has(&cf->global_readonly_super_users, str_of(id->name)))
			caps |= CAPS_SU_ALL;
	}
	if (known && id->kind != IDENTITY_ACCESS_TOKEN && !facts_is_restricted(cf, id, ns) &&
	    (id->has_grants ? role >= need : scope_max_org_role(id->scopes) >= ORG_ROLE_CREATOR))
		caps |= CAPS_CREATE;
	return caps;
}
