/* Whose policies a request is about. */
#include "api/policy-target.h"

#include "base/ctx.h"
#include "base/js.h"
#include "http/response.h"

struct policy_target
policy_target(const struct req *rq)
{
	if (rq->route->perm == PERM_USER_ADMIN)
		return (struct policy_target){ .namespace_id = rq->facts.caller_id, .ns = str_of(rq->facts.caller_name), .first_col = CALLER_COLS };
	return (struct policy_target){ .namespace_id = rq->facts.namespace_id, .repository_id = rq->facts.repository_id, .ns = rq->ns, .repo = rq->repo,
		                       .first_col = FACTS_COLS };
}

enum err_kind
policy_bind_all(struct req *rq, struct db_args *a)
{
	(void)rq;
	db_args_add(a, db_null());
	return ERR_NONE;
}

enum err_kind
policy_bind_one(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "policy_uuid")));
	return ERR_NONE;
}

json_t *
policy_audit(struct req *rq, const struct policy_target *t)
{
	json_t *o = js_object(rq->c);

	jo_strn(o, "namespace", t->ns);
	if (t->repository_id != 0)
		jo_strn(o, "repo", t->repo);
	return o;
}

void
policy_answer_uuid(struct req *rq, int status, struct str uuid)
{
	jo_strn(res_json(rq, status), "uuid", uuid);
}
