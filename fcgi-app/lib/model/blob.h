/* Blobs as one repository sees them: through its link. */
#ifndef KADE_MODEL_BLOB_H
#define KADE_MODEL_BLOB_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;
struct identity;
struct blob_place {
	const char *location; /* name */
	const char *key;      /* NULL = the standard key of the digest */
};
struct blob {
	int64_t                  id, size_bytes;
	int64_t                  idle_since_ms, now_ms; /* idle 0 = a manifest refers to it; both by the database's clock */
	const struct blob_place *places;
	int                      n_places;
};
/* From the rows of blob_load, its own columns beginning at first_col. False: no such blob for this caller. */
bool blob_from_rows(struct ctx *c, const struct db_result *r, int first_col, struct blob *out);
/* An idle link that somebody who may push has just asked for keeps its bytes for a whole window more; at most one write per
 * quarter of the window. ERR_NOT_FOUND: it was collected meanwhile; to be answered like an absent one. */
enum err_kind blob_renew_if_idle(struct ctx *c, int64_t repository_id, const struct blob *b) MUST_CHECK;

struct blob_mount {
	int64_t                target_id; /* repository */
	struct str             digest;
	struct str             from_ns, from_repo; /* p == NULL: any repository that the caller may read */
	const struct identity *caller;
	int64_t                caller_id;          /* account; 0 = none */
};
/* Links a blob of another repository to the target. *mounted = false when there is no source that the caller may read: then
 * nothing tells whether the blob exists elsewhere. */
enum err_kind blob_mount(struct ctx *c, const struct blob_mount *m, bool *mounted) MUST_CHECK;
/* PUSH_TEMP_TAG_EXPIRATION_SEC in milliseconds: how long an idle link, manifest or upload's blob stays. */
int64_t push_window_ms(const struct ctx *c);
#endif
