/* Repositories: creation by the first write. */
#include "model/repo.h"

#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "oci/name.h"

enum err_kind
repo_ensure(struct ctx *c, struct str ns, struct str repo, struct facts *f)
{
	const struct db_result *r;

	if (f->repository_id != 0)
		return ERR_NONE;
	TRY(oci_repo_check(c, repo, c->conf->feature_extended_repository_names));
	if (f->namespace_id == 0) {
		TRY(oci_namespace_check(c, ns));
		TRY(db_exec(c, STMT_ORGANIZATION_ENSURE, DB_ARGS(db_strn(ns), db_null(), db_i64(f->caller_id), db_i64(c->conf->default_tag_expiration_s)), &r));
		f->namespace_id = db_get_i64(r, 0, ORGANIZATION_ENSURE_ID);
		f->namespace_is_org = true;
		if (f->namespace_id == 0)
			return err_set(c, ERR_DENIED, "the namespace belongs to somebody else");
	}
	TRY(db_exec(c, STMT_REPOSITORY_ENSURE,
	            DB_ARGS(db_i64(f->namespace_id), db_strn(repo), db_i64_or_null(f->caller_id),
	                    db_bool(!c->conf->create_private_repo_on_push), db_i32(REPO_KIND_IMAGE)),
	            &r));
	f->repository_id = db_get_i64(r, 0, REPOSITORY_ENSURE_ID);
	f->repository_kind = REPO_KIND_IMAGE;
	f->repository_state = REPO_NORMAL;
	return ERR_NONE;
}
