/* Bodies and answers that all paths of quotas have in common. */
#ifndef KADE_API_QUOTA_BODY_H
#define KADE_API_QUOTA_BODY_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "http/field.h"
#include "model/quota.h"

struct req;
extern const struct field QUOTA_FIELDS[];       /* limit_bytes or limit */
extern const struct field QUOTA_LIMIT_FIELDS[]; /* type and threshold_percent, both required */
extern const struct field QUOTA_LIMIT_CHANGE_FIELDS[];

/* The size that the body names: exactly one of limit_bytes and limit. *is_set false: none was named and is_required is false.
 * ERR_BAD_INPUT. */
enum err_kind quota_body_size(struct req *rq, bool is_required, int64_t *bytes, bool *is_set) MUST_CHECK;
/* The quota that the path names by {quota_id} is this one. ERR_NOT_FOUND. */
enum err_kind quota_is_named(struct req *rq, const struct quota *q) MUST_CHECK;
/* 200 with the quotas of a namespace: its own, else the registry's default, else none. */
void quota_answer_list(struct req *rq, const struct quota *q);
/* 200 with one quota. */
void quota_answer_one(struct req *rq, const struct quota *q);

struct quota_limit {
	int64_t     id;
	int         kind; /* 1 warning, 2 reject */
	const char *type; /* the same as the interface calls it */
	int64_t     percent;
};
/* The limit of the quota that the path names by {limit_id}. ERR_NOT_FOUND. */
enum err_kind quota_find_limit(struct req *rq, const struct quota *q, struct quota_limit *out) MUST_CHECK;
/* Type and percent of the body; what it does not name stays as it is in *l. ERR_BAD_INPUT. */
enum err_kind quota_body_limit(struct req *rq, struct quota_limit *l) MUST_CHECK;
#endif
