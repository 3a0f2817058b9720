/* Reading and adding. Every access is one relaxed atomic; names are published with release and read with acquire. */
#include "base/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters-layout.h"

#define HELP_PULLS  "Manifests pulled."
#define HELP_BEARER "Registry tokens checked."

static const struct counters_info INFO[CNT_KINDS] = {
	[CNT_REQUESTS] = {"kade_requests_total",                     NULL,                                         "Requests answered."                          },
	[CNT_BYTES_IN] = { "kade_request_body_bytes_total",          NULL,                                         "Bytes of request bodies read."               },
	[CNT_BYTES_OUT] = { "kade_response_body_bytes_total",         NULL,
                          "Bytes of response bodies written by this program."	                                                                            },
	[CNT_CLIENT_GONE] = { "kade_clients_gone_total",                NULL,
                          "Requests whose client vanished before the end."	                                                                               },
	[CNT_ARENA_FULL] = { "kade_requests_over_memory_total",        NULL,
                          "Requests ended by their memory limit."	                                                                                        },
	[CNT_STATEMENTS] = { "kade_statements_total",                  NULL,                                         "Statements sent to the database by requests."},
	[CNT_LOG_DROPPED] = { "kade_log_lines_dropped_total",           NULL,                                         "Log lines that the sink did not take."       },
	[CNT_WORKER_STARTS] = { "kade_worker_starts_total",               NULL,                                         "Worker processes started."                   },
	[CNT_WORKER_DEATHS] = { "kade_worker_deaths_total",               NULL,
                          "Worker processes that ended by a signal or an error."                                                                                 },
	[CNT_RELOADS] = { "kade_reloads_total",                     NULL,                                         "Configurations loaded while running."        },
	[CNT_RELOADS_FAILED] = { "kade_reloads_failed_total",              NULL,                                         "Configurations refused while running."       },
	[CNT_RATE_LIMITED] = { "kade_rate_limited_total",                NULL,                                         "Requests refused by a rate class."           },
	[CNT_PUSHED_BYTES] = { "quay_registry_image_pushed_bytes_total", NULL,                                         "Bytes of blobs pushed."                      },
	[CNT_MULTIPART_STARTED] = { "quay_multipart_uploads_started_total",   NULL,
                          "Multipart uploads begun at a store."	                                                                                          },
	[CNT_MULTIPART_COMPLETED] = { "quay_multipart_uploads_completed_total", NULL,
                          "Multipart uploads completed at a store."	                                                                                      },
	[CNT_PULL_TAG] = { "quay_registry_image_pulls_total",        "protocol=\"v2\",ref=\"tag\",status=\"200\"",
                          HELP_PULLS	                                                                                                                     },
	[CNT_PULL_TAG_ABSENT] = { "quay_registry_image_pulls_total",
                          "protocol=\"v2\",ref=\"tag\",status=\"404\"",                                            HELP_PULLS                                    },
	[CNT_PULL_MANIFEST] = { "quay_registry_image_pulls_total",
                          "protocol=\"v2\",ref=\"manifest\",status=\"200\"",                                       HELP_PULLS                                    },
	[CNT_PULL_MANIFEST_ABSENT] = { "quay_registry_image_pulls_total",
                          "protocol=\"v2\",ref=\"manifest\",status=\"404\"",                                       HELP_PULLS                                    },
	[CNT_BEARER_GOOD] = { "bearer_token_decoded_total",             "success=\"True\"",                           HELP_BEARER                                   },
	[CNT_BEARER_BAD] = { "bearer_token_decoded_total",             "success=\"False\"",                          HELP_BEARER                                   },
};

const int64_t COUNTERS_BUCKET_US[COUNTERS_BUCKETS] = { 1000,     2500,     5000,     10000,
	                                               25000,    50000,    100000,   250000,
	                                               500000,   1000000,  2500000,  5000000,
	                                               10000000, 30000000, 60000000, INT64_MAX };

static void
bump(_Atomic uint64_t *v, uint64_t n)
{
	atomic_fetch_add_explicit(v, n, memory_order_relaxed);
}

void
counters_add(struct counters *cs, enum counter which, uint64_t n)
{
	if (cs != NULL && which < CNT_KINDS)
		bump(&cs->m->fixed[which], n);
}

uint64_t
counters_get(const struct counters *cs, enum counter which)
{
	return atomic_load_explicit(&cs->m->fixed[which], memory_order_relaxed);
}

const struct counters_info *
counters_info(enum counter which)
{
	return &INFO[which];
}

/* Names entry at state/name, or finds that it bears the name already. */
enum claim { CLAIM_OTHER, CLAIM_OURS };
static enum claim
claim_entry(_Atomic uint32_t *state, char *name, size_t bytes, const char *want)
{
	uint32_t s = atomic_load_explicit(state, memory_order_acquire);

	if (s == ENTRY_FREE && atomic_compare_exchange_strong(state, &s, ENTRY_CLAIMING)) {
		snprintf(name, bytes, "%s", want);
		atomic_store_explicit(state, ENTRY_NAMED, memory_order_release);
		return CLAIM_OURS;
	}
	for (int i = 0; i < 1000000 && s == ENTRY_CLAIMING;
	     i++) /* another process is writing a name; or it died there */
		s = atomic_load_explicit(state, memory_order_acquire);
	return s == ENTRY_NAMED && strncmp(name, want, bytes) == 0 ? CLAIM_OURS : CLAIM_OTHER;
}

unsigned
counters_route(struct counters *cs, const char *id)
{
	if (cs == NULL)
		return 0;
	claim_entry(&cs->m->route[0].state, cs->m->route[0].id, ROUTE_NAME + 1, "other");
	if (strlen(id) > ROUTE_NAME)
		return 0;
	for (unsigned i = 0; i < ROUTES_MAX; i++) {
		struct route_block *b = &cs->m->route[i];
		if (claim_entry(&b->state, b->id, sizeof b->id, id) == CLAIM_OURS)
			return i;
	}
	return 0;
}

void
counters_route_add(struct counters *cs, unsigned index, int status, int64_t took_us)
{
	const int class = status / 100 - 1;
	int k = 0;

	if (cs == NULL || index >= ROUTES_MAX)
		return;
	struct route_block *b = &cs->m->route[index];
	while (k < COUNTERS_BUCKETS - 1 && took_us > COUNTERS_BUCKET_US[k])
		k++;
	bump(&b->by_class[class >= 0 && class < COUNTERS_CLASSES ? class : COUNTERS_CLASSES - 1], 1);
	bump(&b->bucket[k], 1);
	bump(&b->sum_us, took_us > 0 ? (uint64_t)took_us : 0);
}

bool
counters_route_get(const struct counters *cs, unsigned index, struct route_counts *out)
{
	if (index >= ROUTES_MAX)
		return false;
	const struct route_block *b = &cs->m->route[index];
	const uint32_t s = atomic_load_explicit(&b->state, memory_order_acquire);
	if (s == ENTRY_FREE)
		return false;
	out->id = s == ENTRY_NAMED ? b->id : "";
	for (int i = 0; i < COUNTERS_CLASSES; i++)
		out->by_class[i] = atomic_load_explicit(&b->by_class[i], memory_order_relaxed);
	for (int i = 0; i < COUNTERS_BUCKETS; i++)
		out->bucket[i] = atomic_load_explicit(&b->bucket[i], memory_order_relaxed);
	out->sum_us = atomic_load_explicit(&b->sum_us, memory_order_relaxed);
	return true;
}

int
counters_series(struct counters *cs, const char *name)
{
	if (cs == NULL || strlen(name) > COUNTERS_SERIES_NAME)
		return -1;
	for (int i = 0; i < SERIES_MAX; i++) {
		struct series_entry *e = &cs->m->series[i];
		if (claim_entry(&e->state, e->name, sizeof e->name, name) == CLAIM_OURS)
			return i;
	}
	return -1;
}

void
counters_series_add(struct counters *cs, int series, int64_t n)
{
	if (cs != NULL && series >= 0 && series < SERIES_MAX)
		atomic_fetch_add_explicit(&cs->m->series[series].value, n, memory_order_relaxed);
}

void
counters_series_set(struct counters *cs, int series, int64_t value)
{
	if (cs != NULL && series >= 0 && series < SERIES_MAX)
		atomic_store_explicit(&cs->m->series[series].value, value, memory_order_relaxed);
}

void
counters_bump(struct counters *cs, const char *name, int64_t n)
{
	counters_series_add(cs, counters_series(cs, name), n);
}

bool
counters_series_get(const struct counters *cs, int i, const char **name, int64_t *value)
{
	if (i < 0 || i >= SERIES_MAX)
		return false;
	const struct series_entry *e = &cs->m->series[i];
	const uint32_t s = atomic_load_explicit(&e->state, memory_order_acquire);
	if (s == ENTRY_FREE)
		return false;
	*name = s == ENTRY_NAMED ? e->name : "";
	*value = atomic_load_explicit(&e->value, memory_order_relaxed);
	return true;
}

void *
counters_region(struct counters *cs, enum region which, size_t bytes)
{
	if (cs == NULL)
		return NULL;
	switch (which) {
	case REGION_LOGIN_THROTTLE:
		return bytes <= REGION_LOGIN_THROTTLE_BYTES ? cs->m->login_throttle : NULL;
	case REGION_BCRYPT_GATE:
		return bytes <= REGION_BCRYPT_GATE_BYTES ? cs->m->bcrypt_gate : NULL;
	case REGION_RATE_BUCKETS:
		return bytes <= REGION_RATE_BUCKETS_BYTES ? cs->m->rate_buckets : NULL;
	case REGIONS:
		break;
	}
	return NULL;
}

/* The 22nd field of /proc/PID/stat: start time in ticks since boot. 0 = no such process (or no /proc). */
static uint64_t
start_ticks(int pid)
{
	char path[32], text[1024];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	const char *p = strrchr(text, ')'); /* the program's name may hold blanks and brackets */
	for (int field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p == NULL ? 0 : strtoull(p + 1, NULL, 10);
}

static bool
is_alive(const struct process_slot *s, int pid)
{
	if (kill(pid, 0) != 0 && errno == ESRCH)
		return false;
	const uint64_t ticks = start_ticks(pid);
	return ticks == 0 || s->start_ticks == 0 || ticks == s->start_ticks;
}

int
counters_process_begin(struct counters *cs, const char *pool, unsigned threads)
{
	if (cs == NULL)
		return -1;
	for (int i = 0; i < PROCESSES_MAX; i++) {
		struct process_slot *s = &cs->m->process[i];
		int32_t pid = atomic_load(&s->pid);
		if (pid < 0 || (pid > 0 && pid != (int32_t)getpid() && is_alive(s, pid)))
			continue;
		if (!atomic_compare_exchange_strong(&s->pid, &pid, -1))
			continue;
		s->threads = threads;
		s->start_ticks = start_ticks((int)getpid());
		s->started_ms = clock_now_ms();
		snprintf(s->pool, sizeof s->pool, "%s", pool);
		atomic_store(&s->in_flight, 0);
		atomic_store(&s->requests, 0);
		atomic_store(&s->pid, (int32_t)getpid());
		return i;
	}
	return -1;
}

void
counters_process_end(struct counters *cs, int slot)
{
	if (cs != NULL && slot >= 0 && slot < PROCESSES_MAX)
		atomic_store(&cs->m->process[slot].pid, 0);
}

void
counters_process_reap(struct counters *cs, int pid)
{
	for (int i = 0; cs != NULL && i < PROCESSES_MAX; i++) {
		int32_t want = pid;
		atomic_compare_exchange_strong(&cs->m->process[i].pid, &want, 0);
	}
}

void
counters_in_flight(struct counters *cs, int slot, int delta)
{
	if (cs == NULL || slot < 0 || slot >= PROCESSES_MAX)
		return;
	struct process_slot *s = &cs->m->process[slot];
	bump(&s->in_flight, (uint64_t)(int64_t)delta);
	if (delta < 0)
		bump(&s->requests, 1);
}

bool
counters_process_next(const struct counters *cs, int *pos, struct process_gauges *out)
{
	for (; *pos < PROCESSES_MAX; (*pos)++) {
		const struct process_slot *s = &cs->m->process[*pos];
		const int32_t pid = atomic_load(&s->pid);
		if (pid <= 0 || !is_alive(s, pid))
			continue;
		out->pid = pid;
		memcpy(out->pool, s->pool, sizeof out->pool);
		out->pool[sizeof out->pool - 1] = '\0';
		out->started_ms = s->started_ms;
		out->threads = s->threads;
		out->in_flight = atomic_load_explicit(&s->in_flight, memory_order_relaxed);
		out->requests = atomic_load_explicit(&s->requests, memory_order_relaxed);
		(*pos)++;
		return true;
	}
	return false;
}
