/* Bodies and answers of quotas. */
#include "api/quota-body.h"

#include "api/view-quota.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/response.h"

static const struct say SAY = { 400, "invalid_request", "Request error." };

const struct field QUOTA_FIELDS[] = { F_INT("limit_bytes", .doc = "Number of bytes the organization is allowed"),
	                              F_STR("limit", .max = 64, .doc = "Human readable storage capacity of the organization"), F_END };
const struct field QUOTA_LIMIT_FIELDS[] = { F_STR("type", F_REQUIRED, .doc = "Type of quota limit: Warning or Reject"),
	                                    F_INT("threshold_percent", F_REQUIRED, .doc = "Quota threshold, in percent of quota"), F_END };
const struct field QUOTA_LIMIT_CHANGE_FIELDS[] = { F_STR("type", .doc = "Type of quota limit: Warning or Reject"),
	                                           F_INT("threshold_percent", .doc = "Quota threshold, in percent of quota"), F_END };

static enum err_kind
refuse_others(struct req *rq)
{
	const char *key;
	json_t     *v;

	json_object_foreach((json_t *)(uintptr_t)rq->body, key, v) if (strcmp(key, "limit_bytes") != 0 && strcmp(key, "limit") != 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Additional properties are not allowed ('%.80s' was unexpected)", key);
	return ERR_NONE;
}

enum err_kind
quota_body_size(struct req *rq, bool is_required, int64_t *bytes, bool *is_set)
{
	const struct str text = js_str(rq->body, "limit");
	const bool       by_number = json_object_get(rq->body, "limit_bytes") != NULL, by_text = text.p != NULL;

	if (!is_required)
		TRY(refuse_others(rq));
	*is_set = by_number || by_text;
	if (by_number && by_text)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Cannot specify both 'limit' and 'limit_bytes'");
	if (!*is_set)
		return is_required ? err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Either 'limit' or 'limit_bytes' must be specified") : ERR_NONE;
	*bytes = js_i64(rq->body, "limit_bytes", 0);
	if (by_text) {
		const enum quota_size e = quota_parse_size(text, bytes);
		if (e == QUOTA_SIZE_LARGE)
			return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Unsupported quota size limit.");
		if (e == QUOTA_SIZE_FORM)
			return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Invalid limit format");
	}
	if (*bytes <= 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Invalid quota size limit value: '%lld'", (long long)*bytes);
	return ERR_NONE;
}

enum err_kind
quota_is_named(struct req *rq, const struct quota *q)
{
	int64_t id;

	if (q->id != 0 && str_to_i64(req_capture(rq, "quota_id"), 1, INT64_MAX, &id) && id == q->id)
		return ERR_NONE;
	return err_set(rq->c, ERR_NOT_FOUND, "no such quota of the namespace");
}

void
quota_answer_list(struct req *rq, const struct quota *q)
{
	json_t *a = res_json_array(rq, 200);

	if (q->id != 0 || rq->c->conf->default_system_reject_quota_bytes != 0)
		ja_take(a, view_quota(rq->c, q));
}

void
quota_answer_one(struct req *rq, const struct quota *q)
{
	json_t *v = view_quota(rq->c, q);

	json_object_update(res_json(rq, 200), v);
	json_decref(v);
}

enum err_kind
quota_find_limit(struct req *rq, const struct quota *q, struct quota_limit *out)
{
	json_t *limits = view_quota_limits(rq->c, q), *v, *holder = js_object(rq->c);
	int64_t id = 0;
	size_t  i;

	jo_take(holder, "limits", limits); /* frees it with the arena */
	(void)str_to_i64(req_capture(rq, "limit_id"), 1, INT64_MAX, &id);
	json_array_foreach(limits, i, v) {
		const bool is_reject = str_eq(js_str(v, "type"), STR("Reject"));
		if (js_i64(v, "id", 0) != id)
			continue;
		*out = (struct quota_limit){ .id = id, .kind = is_reject ? 2 : 1, .type = is_reject ? "Reject" : "Warning", .percent = js_i64(v, "limit_percent", 0) };
		return ERR_NONE;
	}
	return err_set(rq->c, ERR_NOT_FOUND, "no such limit of the quota");
}

enum err_kind
quota_body_limit(struct req *rq, struct quota_limit *l)
{
	const struct str type = js_str(rq->body, "type");

	if (type.p != NULL) {
		l->kind = str_eq_nocase(type, STR("reject")) ? 2 : str_eq_nocase(type, STR("warning")) ? 1 : 0;
		if (l->kind == 0)
			return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Quota limit type must be one of Warning, Reject");
		l->type = l->kind == 2 ? "Reject" : "Warning";
	}
	l->percent = js_i64(rq->body, "threshold_percent", l->percent);
	if (l->percent < 1 || l->percent > 100)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Quota limit threshold must be between 1 and 100");
	return ERR_NONE;
}
