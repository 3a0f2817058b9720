/* Audit rows of REST calls. */
#include "api/log-action.h"

#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/request.h"

static bool
is_disabled(const struct req *rq, int64_t namespace_id)
{
	const struct str_list *off = &rq->c->conf->disabled_for_audit_logs;
	struct str             name = STR0;

	if (off->n == 0 || namespace_id == 0)
		return false;
	if (namespace_id == rq->facts.namespace_id)
		name = rq->ns;
	else if (namespace_id == rq->facts.caller_id)
		name = str_of(rq->facts.caller_name);
	return name.p != NULL && str_list_has(off, name);
}

enum err_kind
log_action(struct req *rq, enum audit_kind kind, int64_t namespace_id, int64_t repository_id, json_t *metadata)
{
	if (is_disabled(rq, namespace_id))
		return ERR_NONE;
	return audit_add(rq->c, &(struct audit_row){ .kind = kind,
	                                             .namespace_id = namespace_id,
	                                             .performer_id = rq->facts.caller_id,
	                                             .repository_id = repository_id,
	                                             .ip = rq->remote_addr,
	                                             .metadata = metadata == NULL ? STR("{}") : js_dump(rq->c, metadata),
	                                             .oauth_token_id = rq->ident.kind == IDENTITY_OAUTH ? rq->facts.token_id : 0 });
}
