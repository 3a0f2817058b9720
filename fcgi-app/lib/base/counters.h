/* Counters of one host in a file-backed shared mapping, so that /metrics is whole whichever process answers it, and stays
 * whole when a process dies. Every process of the host that uses the same state folder maps the same file: all pools,
 * old and new workers during a reload, jobs. Adds are atomic and need no lock.
 *
 * Three kinds: a fixed set (enum counter), one block per route (found by the route's id, so that programs of two releases
 * can share the file), and named series with labels. Besides them the file holds regions of memory for the login throttle
 * and the rate buckets, and a slot per process for gauges. All pages are allocated when the file is made: a disk that
 * fills later cannot kill a process. */
#ifndef KADE_BASE_COUNTERS_H
#define KADE_BASE_COUNTERS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counters;

enum counter { /* one row each in counters.c: name and help in the exposition */
	       CNT_REQUESTS,
	       CNT_BYTES_IN,
	       CNT_BYTES_OUT,
	       CNT_CLIENT_GONE,
	       CNT_ARENA_FULL,
	       CNT_STATEMENTS,
	       CNT_LOG_DROPPED,
	       CNT_WORKER_STARTS,
	       CNT_WORKER_DEATHS,
	       CNT_RELOADS,
	       CNT_RELOADS_FAILED,
	       CNT_RATE_LIMITED,
	       CNT_PUSHED_BYTES,
	       CNT_MULTIPART_STARTED,
	       CNT_MULTIPART_COMPLETED,
	       CNT_PULL_TAG, /* quay_registry_image_pulls_total, by what was asked for and the outcome */
	       CNT_PULL_TAG_ABSENT,
	       CNT_PULL_MANIFEST,
	       CNT_PULL_MANIFEST_ABSENT,
	       CNT_BEARER_GOOD, /* bearer_token_decoded_total */
	       CNT_BEARER_BAD,
	       CNT_KINDS
};
enum region { REGION_LOGIN_THROTTLE, REGION_RATE_BUCKETS, REGION_BCRYPT_GATE, REGIONS };
#define REGION_LOGIN_THROTTLE_BYTES ((size_t)1 << 20)
#define REGION_RATE_BUCKETS_BYTES   ((size_t)2 << 20)
#define REGION_BCRYPT_GATE_BYTES    ((size_t)4 << 10)

#define COUNTERS_BUCKETS 16                                /* of a latency histogram, the last is +Inf */
#define COUNTERS_CLASSES 5                                 /* 1xx … 5xx */
extern const int64_t COUNTERS_BUCKET_US[COUNTERS_BUCKETS]; /* upper bounds, the last INT64_MAX */

struct counters_info {
	const char *name, *labels,
	    *help; /* of an enum counter; labels without braces, NULL = none; equal names stand together */
};
struct route_counts {
	const char *id;
	uint64_t by_class[COUNTERS_CLASSES];
	uint64_t bucket[COUNTERS_BUCKETS]; /* not cumulated */
	uint64_t sum_us;
};
struct process_gauges {
	int pid;
	char pool[16];
	int64_t started_ms;
	uint64_t threads, in_flight, requests;
};

/* Maps path, making it when it is absent or of another layout (the other file is then renamed over, processes that still
 * map it go on with theirs). The mode is 0600. False with the reason in why[why_bytes]. *out taken; never unmapped
 * but by counters_close(). */
bool counters_open(const char *path, struct counters **out, char *why, size_t why_bytes);
/* Without a file, for tests and tools: private to this process and its children. */
struct counters *counters_anonymous(void);
void counters_close(struct counters *cs); /* NULL is allowed */

/* All adders take cs == NULL (tools without counters) and then do nothing. */
void counters_add(struct counters *cs, enum counter which, uint64_t n);
uint64_t counters_get(const struct counters *cs, enum counter which);
const struct counters_info *counters_info(enum counter which);

/* The block of a route, found or claimed by id (at start, not per request). 0 = the block "other", also when the table
 * is full. */
unsigned counters_route(struct counters *cs, const char *id);
void counters_route_add(struct counters *cs, unsigned index, int status, int64_t took_us);
/* Reads block index; false past the last. */
bool counters_route_get(const struct counters *cs, unsigned index, struct route_counts *out);

/* A series by its full name with labels, `kade_job_runs_total{job="tokens",exit="0"}`, found or claimed. -1 when the
 * table is full or the name longer than COUNTERS_SERIES_NAME. Label values must come from fixed sets, never from a client.
 * Values are signed: gauges are set, counters added to. */
#define COUNTERS_SERIES_NAME 151
int counters_series(struct counters *cs, const char *name);
void counters_series_add(struct counters *cs, int series, int64_t n);
void counters_series_set(struct counters *cs, int series, int64_t value);
/* Finds or claims by name and adds, for callers that do it rarely. */
void counters_bump(struct counters *cs, const char *name, int64_t n);
/* Reads series i in order of claiming: false past the last. The name is borrowed from the mapping. */
bool counters_series_get(const struct counters *cs, int i, const char **name, int64_t *value);

/* The memory of a region, zeroed when the file was made; NULL when bytes are more than the region's. Shared by all
 * processes of the host: the owner of the region's format uses atomics and a version word of its own. */
void *counters_region(struct counters *cs, enum region which, size_t bytes);

/* A slot for this process: gauges that vanish with it. A slot whose process is gone (pid and start time) is taken over
 * or skipped, so kill -9 leaves nothing behind. -1 when all slots are taken: the gauges are then not counted. */
int counters_process_begin(struct counters *cs, const char *pool, unsigned threads);
void counters_process_end(struct counters *cs, int slot);
/* For the parent: pid was reaped. */
void counters_process_reap(struct counters *cs, int pid);
/* A request of this process starts (+1) or ends (-1, also counted as done). */
void counters_in_flight(struct counters *cs, int slot, int delta);
/* The slots of living processes, one by one from *pos = 0; false at the end. */
bool counters_process_next(const struct counters *cs, int *pos, struct process_gauges *out);
#endif
