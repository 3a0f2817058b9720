/* Placements whose object is lost. Serves kade-gc --scrub and kade-admin after-restore. */
#ifndef KADE_JOBS_LOST_H
#define KADE_JOBS_LOST_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ctx;
struct store;
struct lost_range {
	struct store *store;
	const char *from, *upto;  /* digests: from <= d < upto */
	bool (*go_on)(void *arg); /* NULL: to the end */
	void *arg;
};
struct lost_counts {
	int64_t looked_at, lost, bytes;
};
/* Asks the store for the object of each placement in the range, and prints a line for each one that is not there or has another size,
 * with the tags that need it. Memory is that of one page. ERR_STORE: the store does not answer. */
enum err_kind lost_find(struct ctx *c, const struct lost_range *range, struct lost_counts *n) MUST_CHECK;
#endif
