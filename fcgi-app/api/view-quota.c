/* Quotas as the REST API shows them. */
#include "api/view-quota.h"

#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"

bool
quotas_are_on(const struct conf *cf)
{
	return cf->feature_quota_management && cf->feature_edit_quota;
}

json_t *
view_quota_limits(struct ctx *c, const struct quota *q)
{
	json_t *limits = NULL;

	if (q->limits.n > 0 && js_parse(c, q->limits, &JS_API, &limits) == ERR_NONE)
		return json_incref(limits);
	return json_array();
}

json_t *
view_quota(struct ctx *c, const struct quota *q)
{
	const int64_t fallback = c->conf->default_system_reject_quota_bytes;
	const int64_t bytes = q->id != 0 ? q->limit_bytes : fallback;
	json_t       *o = json_object();

	if (q->id != 0)
		jo_i64(o, "id", q->id);
	else
		jo_null(o, "id");
	jo_i64(o, "limit_bytes", bytes);
	jo_str(o, "limit", quota_format_size(c->mem, bytes));
	jo_bool(o, "default_config", q->id == 0);
	jo_take(o, "limits", view_quota_limits(c, q));
	jo_bool(o, "default_config_exists", fallback != 0);
	return o;
}

void
view_quota_short(struct ctx *c, json_t *o, const struct quota *q)
{
	json_t *list, *report;

	if (!quotas_are_on(c->conf))
		return;
	list = jo_array(o, "quotas");
	if (q->id != 0) {
		json_t *one = ja_object(list);
		jo_i64(one, "id", q->id);
		jo_i64(one, "limit_bytes", q->limit_bytes);
		jo_take(one, "limits", view_quota_limits(c, q));
	}
	report = jo_object(o, "quota_report");
	jo_i64(report, "quota_bytes", q->used_bytes);
	if (q->id != 0)
		jo_i64(report, "configured_quota", q->limit_bytes);
	else
		jo_null(report, "configured_quota");
	jo_str(report, "running_backfill", "complete");
	jo_str(report, "backfill_status", "complete");
}

enum err_kind
view_quota_of(struct ctx *c, json_t *o, int64_t namespace_id)
{
	const struct db_result *r;
	struct quota            q;

	if (!quotas_are_on(c->conf))
		return ERR_NONE;
	TRY(db_exec(c, STMT_QUOTA_OF, DB_ARGS(db_i64(namespace_id)), &r));
	quota_from_row(r, 0, QUOTA_OF_QUOTA0, &q);
	view_quota_short(c, o, &q);
	return ERR_NONE;
}
