/* Quotas of namespaces: their rows, what a push is told, the folding of the ledger, sizes as people write them. */
#ifndef KADE_MODEL_QUOTA_H
#define KADE_MODEL_QUOTA_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct conf;
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
/* Are pushes refused at all: FEATURE_QUOTA_MANAGEMENT and FEATURE_VERIFY_QUOTA? */
bool quota_is_verified(const struct conf *cf);
struct quota_verdict {
	bool    is_refused; /* the namespace has reached a limit */
	bool    is_warned;  /* its people were warned just now */
	int64_t unfolded;   /* rows of the ledger, up to 1,001 */
};
/* Queues, as the last statements of a push's transaction, the wait for other pushes near the limit and the verdict. *r stays NULL
 * where pushes are not checked. */
enum err_kind quota_queue_verdict(struct ctx *c, int64_t namespace_id, const struct db_result **r) MUST_CHECK;
void          quota_read_verdict(const struct db_result *r, struct quota_verdict *out); /* NULL: nothing is refused */
/* After the transaction of a push has ended: its refusal is told to the namespace's people, a long ledger is folded. A failure is
 * logged and fails nothing. */
void quota_after_push(struct ctx *c, int64_t namespace_id, const struct quota_verdict *v);
/* Folds up to max rows of a namespace's ledger into its totals; *folded 0: none are left, or somebody else is at it. */
enum err_kind quota_fold(struct ctx *c, int64_t namespace_id, int64_t max, int64_t *folded) MUST_CHECK;

struct quota_removed { /* links of repositories to blobs that were removed; parallel arrays */
	const int64_t *namespace_ids;
	const int64_t *repository_ids; /* 0: the repository's size does not change */
	const int64_t *blob_ids;
	size_t         n;
};
/* Takes what nothing holds any more out of the sizes, in the open transaction, in which the links (those that were counted:
 * repository_blob.is_counted) have been deleted and the blobs have not. Waits for pushes that are counting the same blobs.
 * Serves the collection of garbage and kade-quota. */
enum err_kind quota_release(struct ctx *c, const struct quota_removed *d) MUST_CHECK;

/* A size in text: digits, a blank at most, and a unit: none or B; K KB … Y YB (powers of 1000); Ki KiB … Yi YiB (of 1024).
 * QUOTA_SIZE_FORM: it is none; QUOTA_SIZE_LARGE: more than can be counted. */
enum quota_size { QUOTA_SIZE_GOOD, QUOTA_SIZE_FORM, QUOTA_SIZE_LARGE };
enum quota_size quota_parse_size(struct str text, int64_t *bytes);
/* "10.0 GiB": the best binary unit, one decimal. Given. */
char *quota_format_size(struct arena *mem, int64_t bytes);
#endif
