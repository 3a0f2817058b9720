/* Whose policies a request is about: those of a namespace, of a repository, or of the caller's own namespace. */
#ifndef KADE_API_POLICY_TARGET_H
#define KADE_API_POLICY_TARGET_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

struct req;
struct policy_target {
	int64_t    namespace_id, repository_id; /* repository_id 0: of the namespace. namespace_id 0: there is none of that name */
	struct str ns, repo;
	int        first_col;                   /* of the row's own columns in rq->load */
};
/* From the row's permission and facts. */
struct policy_target policy_target(const struct req *rq);
/* For .bind: all policies, or the one of {policy_uuid}. */
enum err_kind policy_bind_all(struct req *rq, struct db_args *a);
enum err_kind policy_bind_one(struct req *rq, struct db_args *a);
/* {"namespace", "repo"?}: the start of audit rows. Freed with c->mem. */
json_t *policy_audit(struct req *rq, const struct policy_target *t);
/* NULL for a namespace's policies. */
static inline struct db_arg
policy_repository(const struct policy_target *t)
{
	return db_i64_or_null(t->repository_id);
}
/* 200 or 201 with {"uuid": …}. */
void policy_answer_uuid(struct req *rq, int status, struct str uuid);
#endif
