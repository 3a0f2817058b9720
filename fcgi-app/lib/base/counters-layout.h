/* The layout of the counters' file, for counters.c and counters-file.c alone. A change raises COUNTERS_VERSION: processes
 * of both releases then use files of their own. */
#ifndef KADE_BASE_COUNTERS_LAYOUT_H
#define KADE_BASE_COUNTERS_LAYOUT_H
#include <stdatomic.h>
#include <stdint.h>

#include "base/counters.h"

#define COUNTERS_MAGIC   UINT64_C(0x3130544e4344414b) /* "KADCNT01" */
#define COUNTERS_VERSION 1
#define ROUTES_MAX       768
#define ROUTE_NAME       63
#define SERIES_MAX       512
#define PROCESSES_MAX    512

/* Names are claimed by moving state from free over claiming to named, with no lock: a process that dies in the middle
 * loses one entry. */
enum { ENTRY_FREE, ENTRY_CLAIMING, ENTRY_NAMED };

struct route_block {
	_Atomic uint32_t state;
	char id[ROUTE_NAME + 1];
	_Alignas(64) _Atomic uint64_t by_class[COUNTERS_CLASSES];
	_Atomic uint64_t bucket[COUNTERS_BUCKETS];
	_Atomic uint64_t sum_us;
};
struct series_entry {
	_Atomic uint32_t state;
	char name[COUNTERS_SERIES_NAME + 1];
	_Atomic int64_t value;
};
struct process_slot {
	_Alignas(64) _Atomic int32_t pid; /* 0 = free, -1 = being filled */
	uint32_t threads;
	uint64_t start_ticks; /* since boot, as the kernel says: tells two processes of one pid apart */
	int64_t started_ms;
	char pool[16];
	_Atomic uint64_t in_flight, requests;
};
struct counters_map {
	uint64_t magic;
	uint32_t version, bytes;
	_Alignas(64) _Atomic uint64_t fixed[128];
	struct route_block route[ROUTES_MAX];
	struct series_entry series[SERIES_MAX];
	struct process_slot process[PROCESSES_MAX];
	_Alignas(4096) unsigned char login_throttle[REGION_LOGIN_THROTTLE_BYTES];
	unsigned char rate_buckets[REGION_RATE_BUCKETS_BYTES];
	unsigned char bcrypt_gate[REGION_BCRYPT_GATE_BYTES];
};
struct counters {
	struct counters_map *m;
};
_Static_assert(CNT_KINDS <= 128, "the fixed set has room for 128 counters");
#endif
