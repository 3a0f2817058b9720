/* Quotas as the REST API shows them: in full, and shortly beside users and organizations. */
#ifndef KADE_API_VIEW_QUOTA_H
#define KADE_API_VIEW_QUOTA_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/quota.h"

struct conf;
struct ctx;
/* Quotas are managed here: FEATURE_QUOTA_MANAGEMENT and FEATURE_EDIT_QUOTA. */
bool quotas_are_on(const struct conf *cf);
/* {"id", "limit_bytes", "limit", "default_config", "limits", "default_config_exists"}. q->id 0: the default of the whole
 * registry. A new reference. */
json_t *view_quota(struct ctx *c, const struct quota *q);
/* The limits of a quota as an array. A new reference. */
json_t *view_quota_limits(struct ctx *c, const struct quota *q);
/* Adds quotas (one at most) and quota_report to a user or organization where quotas are on. */
void view_quota_short(struct ctx *c, json_t *o, const struct quota *q);
/* The same of a namespace whose quota is asked for now; no statement is sent where quotas are off. */
enum err_kind view_quota_of(struct ctx *c, json_t *o, int64_t namespace_id) MUST_CHECK;
#endif
