/* Repositories and namespaces that were deleted are emptied in slices. Serves kade-gc. */
#ifndef KADE_MODEL_PURGE_H
#define KADE_MODEL_PURGE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "model/collect.h"

struct ctx;
struct purge_upload { /* its row is gone; the store still holds what there is of it */
	const char *uuid, *location;
	int64_t offset_bytes;
	struct str hash_state, store_state;
};
struct purge_slice {
	struct collected n;
	const struct purge_upload *uploads; /* to be aborted by the caller; given */
	int n_uploads;
	bool is_gone; /* the repository's row is gone, too */
};
/* The deleted repository after the given id; *id = 0: none. */
enum err_kind purge_next_repository(struct ctx *c, int64_t after_id, int64_t *id) MUST_CHECK;
/* One slice of a deleted repository: what is left of uploads, tags, manifests, links, counts, the row, in this order.
 * n.changed 0 and not is_gone: somebody else holds rows of it, another run goes on. */
enum err_kind purge_repository(struct ctx *c, int64_t id, int64_t max_items,
                               struct purge_slice *out) MUST_CHECK;

/* The deleted namespace after the given id whose grace is over; *id = 0: none. */
enum err_kind purge_next_namespace(struct ctx *c, int64_t after_id, int64_t *id) MUST_CHECK;
/* One slice: its repositories are marked for deletion, and when they are gone robots, teams, tokens, quota, the account. *changed 0
 * and not *is_gone: repositories are still to be emptied. */
enum err_kind purge_namespace(struct ctx *c, int64_t id, int64_t max_items, int64_t *changed,
                              bool *is_gone) MUST_CHECK;
#endif
