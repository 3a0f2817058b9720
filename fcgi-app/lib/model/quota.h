/* Quotas of namespaces: their rows, and sizes as people write them. */
#ifndef KADE_MODEL_QUOTA_H
#define KADE_MODEL_QUOTA_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct ctx;
struct db_result;
struct quota {
	int64_t    id;          /* 0: the namespace has none of its own. The namespace's id */
	int64_t    limit_bytes;
	struct str limits;      /* JSON: [{"id", "type", "limit_percent"}]; empty: none */
	int64_t    used_bytes;
};
/* From the columns of the set `quota`. Borrowed from the result. */
void quota_from_row(const struct db_result *r, int row, int first_col, struct quota *out);
/* A size in text: digits, a blank at most, and a unit: none or B; K KB … Y YB (powers of 1000); Ki KiB … Yi YiB (of 1024).
 * QUOTA_SIZE_FORM: it is none; QUOTA_SIZE_LARGE: more than can be counted. */
enum quota_size { QUOTA_SIZE_GOOD, QUOTA_SIZE_FORM, QUOTA_SIZE_LARGE };
enum quota_size quota_parse_size(struct str text, int64_t *bytes);
/* What collection takes from a namespace's account. Links are about to be removed in the open transaction, which locked them:
 * begin before, end after that and before the blobs' rows go. Membership that no link justifies any more ends, and the
 * ledger gets the negative row. */
struct quota_release {
	int64_t n; /* links: three arrays side by side */
	const int64_t *repositories, *blobs, *namespaces;
	const struct db_result *tried; /* filled by begin */
};
enum err_kind quota_release_begin(struct ctx *c, struct quota_release *q) MUST_CHECK;
enum err_kind quota_release_end(struct ctx *c, const struct quota_release *q) MUST_CHECK; /* queued: goes with the next statement */

/* "10.0 GiB": the best binary unit, one decimal. Given. */
char *quota_format_size(struct arena *mem, int64_t bytes);
#endif
