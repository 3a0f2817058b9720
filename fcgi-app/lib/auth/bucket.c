/* Token buckets as GCRA: a bucket is one time, that at which it will be full again, kept as tag 18 bits |
 * time 46 bits in microseconds (it wraps after 2.2 years; a time further ahead than any rule allows is taken
 * for an old one, also after a reboot). Serves the dispatcher's rate classes. */
#include "auth/bucket.h"

#include "auth/shared-table.h"

#define SETS          8192 /* x 8 words: 65,536 buckets, 512 KiB */
#define LAYOUT        0x6b62756300000001ULL
#define TIME_BITS     46
#define TIME_MASK     ((1ULL << TIME_BITS) - 1)
#define WINDOW_MAX_US 3600000000LL
#define SLACK_US      60000000LL /* a caller's now may be that much older than another's */

struct buckets {
	struct shared_table table;
};

size_t
bucket_bytes(void)
{
	return shared_table_bytes(SETS);
}

struct buckets *
bucket_init(void *mem)
{
	return (struct buckets *)shared_table_init(mem, LAYOUT, SETS);
}

/* How long until the word's bucket is full; 0 for a full one. */
static int64_t
ahead_of(uint64_t word, int64_t now_us, int64_t window_us)
{
	const int64_t ahead = (int64_t)((word - (uint64_t)now_us) & TIME_MASK);

	return word == 0 || ahead > window_us + SLACK_US ? 0 : ahead;
}

/* The bucket's own word, else one whose bucket is full (nothing is lost with it), else the one that is full
 * soonest. */
static int
choose(const _Atomic uint64_t *set, uint64_t tag, int64_t now_us)
{
	int best = 0;
	int64_t best_ahead = INT64_MAX;

	for (int i = 0; i < SHARED_TABLE_WAYS; i++) {
		const uint64_t w = atomic_load_explicit(&set[i], memory_order_relaxed);
		const int64_t ahead = ahead_of(w, now_us, WINDOW_MAX_US);
		if (w != 0 && w >> TIME_BITS == tag)
			return i;
		if (ahead < best_ahead) {
			best_ahead = ahead;
			best = i;
		}
	}
	return best;
}

int64_t
bucket_take(struct buckets *b, struct str class, struct str who, const struct bucket_rule *rule,
            int64_t now_us)
{
	if (rule->interval_us == 0)
		return 0;
	const struct str parts[2] = { class, who };
	const uint64_t hash = shared_table_hash(&b->table, parts, 2), tag = hash >> TIME_BITS;
	const int64_t step = rule->interval_us < WINDOW_MAX_US ? rule->interval_us : WINDOW_MAX_US;
	const int64_t burst = rule->burst == 0 ? 1 : rule->burst;
	const int64_t window = burst < WINDOW_MAX_US / step ? step * burst : WINDOW_MAX_US;
	_Atomic uint64_t *set = shared_table_set(&b->table, hash);

	for (int tries = 0; tries < 64; tries++) {
		_Atomic uint64_t *w = &set[choose(set, tag, now_us)];
		uint64_t was = atomic_load(w);
		int64_t ahead = was >> TIME_BITS == tag ? ahead_of(was, now_us, window) : 0;
		if (ahead + step > window)
			return ahead + step - window;
		const uint64_t full = (uint64_t)(now_us + ahead + step) & TIME_MASK;
		if (atomic_compare_exchange_strong(w, &was, tag << TIME_BITS | full))
			return 0;
	}
	return 1; /* 64 others were quicker within these nanoseconds: come back */
}
