/* kade-gc: its parts. */
#ifndef KADE_JOBS_GC_H
#define KADE_JOBS_GC_H
#include "job.h"
#include "model/collect.h"

enum gc_option { GC_SCRUB, GC_PREFIX, GC_REMOVE_UNKNOWN, GC_EXPLAIN }; /* j->opt.more[] */

/* The names of the locations that are configured here, as an argument. Given. */
struct db_arg gc_locations(const struct job *j);
/* Counts a slice of the model into the frame's numbers. false: nothing of it could be changed now; the step ends. */
void gc_count(struct job *j, struct job_slice *s, const struct collected *n);
/* Adds to a series of the host: Quay's names, without labels or with the table. */
void gc_metric(struct job *j, const char *name, int64_t n);

/* gc-sweep.c: objects of due tombstones; bytes with a key of their own go to the standard key. */
enum err_kind gc_sweep(struct job *j, struct job_slice *s) MUST_CHECK;
enum err_kind gc_move_own_keys(struct job *j, struct job_slice *s) MUST_CHECK;
/* gc-purge.c: deleted namespaces and repositories. */
enum err_kind gc_namespaces(struct job *j, struct job_slice *s) MUST_CHECK;
enum err_kind gc_repositories(struct job *j, struct job_slice *s) MUST_CHECK;
/* gc-scrub.c: one prefix of the storage against the database. */
enum err_kind gc_scrub(struct job *j, struct job_slice *s) MUST_CHECK;
/* gc-explain.c: --explain, and what --dry-run shows. */
enum err_kind gc_explain(struct job *j, bool *answered) MUST_CHECK;
enum err_kind gc_show(struct job *j, struct buf *out) MUST_CHECK;
#endif
