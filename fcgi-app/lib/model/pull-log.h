/* The audit rows of pulls, collected in the process and written together. A pull is the most frequent request of a registry; a row
 * written by the statement that reads the manifest costs PostgreSQL as much again as the reading. The row of a pull may be lost in a
 * crash (KADE.STRICT_PULL_LOG is off): with synchronous_commit off the database itself keeps it back for up to three times
 * wal_writer_delay. So the rows of a tenth of a second wait here, and one statement writes all of them. Nothing is dropped
 * while the database is away: when the room is used up the caller writes its row itself, and its failure is the pull's.
 * Serves the manifest routes; the worker runs the thread that writes. */
#ifndef KADE_MODEL_PULL_LOG_H
#define KADE_MODEL_PULL_LOG_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct pull_log;

#define PULL_LOG_DELAY_MS 100 /* how long the first row of a batch waits */

struct pull_row { /* kind: pull_repo. Texts are borrowed during the call */
	int64_t    namespace_id, performer_id, repository_id, manifest_id; /* performer 0 = anonymous */
	int64_t    token_id; /* that the caller came with; 0 = none */
	struct str ip, metadata; /* metadata: a JSON object */
	struct str tag;          /* empty: pulled by digest */
};

/* An empty log; base: conf, db, counters and log of the process, copied. No thread yet: rows are refused. NULL: no memory. */
struct pull_log *pull_log_new(const struct ctx *base);
/* Starts the thread that writes. false with errno: none could be made. After fork. */
bool pull_log_start(struct pull_log *l);
/* Writes what waits and ends the thread; true when it ended within wait_ms. Later rows are refused. */
bool pull_log_stop(struct pull_log *l, int wait_ms);
/* After pull_log_stop() was true, or without a thread. NULL is allowed. */
void pull_log_free(struct pull_log *l);
/* Takes a row, or, where there is no room or no thread, writes it at once. ERR_DB, ERR_BUSY, ERR_BUG: it was not written. */
enum err_kind pull_log_add(struct ctx *c, struct pull_log *l, const struct pull_row *row) MUST_CHECK;
#endif
