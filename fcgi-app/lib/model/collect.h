/* Garbage collection in the database: from ended tags to tombstones. Serves kade-gc. Each call is one short transaction that
 * leaves a state from which the next run goes on. No lock is waited for: what a push holds waits for the next run. */
#ifndef KADE_MODEL_COLLECT_H
#define KADE_MODEL_COLLECT_H
#include <stdint.h>

#include "base/err.h"

struct ctx;
struct collected {
	int64_t selected; /* rows that were due */
	int64_t changed;  /* rows that are due no longer: removed, or found to be needed */
	int64_t tags, manifests, links, blobs;
	int64_t bytes; /* of the blobs: their objects have tombstones now */
};

/* Ends tags whose time has passed. selected 0: nothing is left; so below. */
enum err_kind collect_expired(struct ctx *c, int64_t max_items, struct collected *out) MUST_CHECK;
/* Ended tags that the time machine has let go of for a push window; marks manifests that nothing holds any more. */
enum err_kind collect_tags(struct ctx *c, int64_t max_items, struct collected *out) MUST_CHECK;
/* Idle manifests without tag, parent and subject; their labels, their links to children and blobs, counts of pulls. */
enum err_kind collect_manifests(struct ctx *c, int64_t max_items, struct collected *out) MUST_CHECK;
/* Idle links; membership and ledger of their namespaces; blobs without a link, whose objects get tombstones. */
enum err_kind collect_links(struct ctx *c, int64_t max_items, struct collected *out) MUST_CHECK;
/* All links of a repository that is being emptied and has no manifest any more. */
enum err_kind collect_links_of(struct ctx *c, int64_t repository_id, int64_t max_items,
                               struct collected *out) MUST_CHECK;
#endif
