/* Runs the handlers of rows that ask for nothing: no credential, no permission, no statement, no transaction. Every other
 * row is refused. */
#include "http/dispatch.h"

#include "base/ctx.h"
#include "http/request.h"
#include "http/response.h"

void
dispatch(struct req *rq)
{
	const struct route *rt = rq->route;

	if (rt->auth != AUTH_NONE || rt->perm != PERM_NONE || rt->tx != TX_NONE || rt->bind != NULL) {
		err_set(rq->c, ERR_BUSY, "route %s asks for more than this dispatcher does", rt->id);
		res_problem(rq);
		return;
	}
	if (rt->run(rq) != ERR_NONE && !rq->res.sent)
		res_problem(rq);
}
