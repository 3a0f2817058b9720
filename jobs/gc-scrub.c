/* kade-gc --scrub: one of 256 slices of each location against the database. Objects that no row knows are leaks, rows whose object is
 * not there are losses. Both are reported; only old leaks are removed, and only when told: they get a tombstone as any other object. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "gc.h"
#include "lost.h"
#include "model/blob.h"
#include "store/key.h"
#include "store/store.h"

#define BATCH  500
#define DAY_MS (INT64_C(86400) * 1000)

struct object {
	const char *key, *digest; /* digest NULL: no key of a blob */
	bool is_standard, is_known;
	int64_t size_bytes, changed_ms;
};
struct scrub {
	struct job *j;
	struct job_slice *s;
	struct store *store;
	VEC(struct object) found;
	bool is_full;
};

/* "sha256/ab/<hex>" or, with a key of its own, "sha256/ab/<hex>.<uuid>". */
static void
name_object(struct arena *mem, struct object *o)
{
	char digest[STORE_KEY_MAX], std[STORE_KEY_MAX];
	const char *dot = strrchr(o->key, '.');

	o->is_standard = store_key_digest(o->key, digest);
	if (o->is_standard) {
		o->digest = str_dup_c(mem, digest);
	} else if (dot != NULL && store_uuid_ok(str_of(dot + 1))) {
		snprintf(std, sizeof std, "%.*s", (int)(dot - o->key), o->key);
		if (store_key_digest(std, digest))
			o->digest = str_dup_c(mem, digest);
	}
}

static enum err_kind
seen(struct ctx *c, void *arg, const char *key, const struct store_info *info)
{
	struct scrub *w = arg;
	struct object o = { .key = str_dup_c(c->mem, key),
		            .size_bytes = info->size_bytes,
		            .changed_ms = info->changed_ms };

	name_object(c->mem, &o);
	vec_push(c->mem, &w->found, o);
	w->is_full = w->found.n == BATCH;
	return w->is_full ? err_set(c, ERR_CONFLICT, "enough for one batch") : ERR_NONE;
}

static int
find_object(const struct scrub *w, const char *digest, const char *key)
{
	for (size_t i = 0; i < w->found.n; i++) {
		const struct object *o = &w->found.v[i];

		if (o->digest != NULL && strcmp(o->digest, digest) == 0 &&
		    (key == NULL ? o->is_standard : strcmp(o->key, key) == 0))
			return (int)i;
	}
	return -1;
}

static enum err_kind
ask_known(struct ctx *c, struct scrub *w)
{
	struct str *digests = ARENA_ARRAY(c->mem, struct str, w->found.n + 1);
	const struct db_result *r;
	size_t n = 0;

	for (size_t i = 0; i < w->found.n; i++)
		if (w->found.v[i].digest != NULL)
			digests[n++] = str_of(w->found.v[i].digest);
	TRY(db_exec(c, STMT_SCRUB_KNOWN, DB_ARGS(db_str(w->store->name), db_str_array(digests, n)), &r));
	for (int row = 0; row < r->rows; row++) {
		const int at = find_object(w, db_get_str(r, row, SCRUB_KNOWN_DIGEST),
		                           db_get_str(r, row, SCRUB_KNOWN_KEY));
		if (at >= 0)
			w->found.v[at].is_known = true;
	}
	return ERR_NONE;
}

/* Old enough that no upload of now put it there, and no backup of the database may know it. */
static bool
is_old(const struct job *j, const struct object *o)
{
	const struct conf *cf = j->c->conf;
	const int64_t window_ms = push_window_ms(j->c), retention_ms = cf->kade_object_retention_s * 1000;

	return o->changed_ms != 0 &&
	       o->changed_ms < clock_now_ms() - (window_ms > retention_ms ? window_ms : retention_ms);
}

static enum err_kind
unknown(struct scrub *w, const struct object *o)
{
	struct job *j = w->j;
	const bool told = j->opt.more[GC_REMOVE_UNKNOWN] != NULL;
	const struct db_result *r;

	w->s->n.selected++;
	w->s->n.bytes += o->size_bytes;
	if (told && o->digest != NULL && is_old(j, o)) {
		TRY(db_exec(j->c, STMT_SCRUB_CONDEMN,
		            DB_ARGS(db_str(w->store->name), db_str(o->digest),
		                    db_str(o->is_standard ? "" : o->key), db_i64(o->size_bytes)),
		            &r));
		if (r->rows > 0) {
			w->s->n.done++;
			printf("condemned %s %s: %lld bytes\n", w->store->name, o->key,
			       (long long)o->size_bytes);
			return ERR_NONE;
		}
	}
	w->s->n.skipped++;
	printf("unknown %s %s: %lld bytes%s\n", w->store->name, o->key, (long long)o->size_bytes,
	       o->digest == NULL ? ", not a key of a blob"
	       : is_old(j, o)    ? ""
	                         : ", too young to be removed");
	return ERR_NONE;
}

static enum err_kind
find_unknown(struct job *j, struct job_slice *s, struct store *store, const char *prefix)
{
	const char *after = NULL;

	for (;;) {
		struct scrub w = { .j = j, .s = s, .store = store };
		const enum err_kind e = store_list(
		    j->c, store,
		    &(struct store_list){ .prefix = prefix, .after = after, .seen = seen, .arg = &w });

		if (e != ERR_NONE && !w.is_full)
			return e;
		err_clear(j->c);
		TRY(ask_known(j->c, &w));
		for (size_t i = 0; i < w.found.n && job_go_on(j); i++)
			if (!w.found.v[i].is_known)
				TRY(unknown(&w, &w.found.v[i]));
		if (!w.is_full || j->stopped != NULL)
			return ERR_NONE;
		after = w.found.v[w.found.n - 1].key;
	}
}

static bool
go_on(void *arg)
{
	return job_go_on(arg);
}

static enum err_kind
find_lost(struct job *j, struct job_slice *s, struct store *store, const char *alg, unsigned slice)
{
	struct lost_counts n = { 0 };
	struct lost_range range = { .store = store, .go_on = go_on, .arg = j };

	range.from = str_fmt(j->c->mem, "%s:%02x", alg, slice);
	range.upto =
	    slice == 0xff ? str_fmt(j->c->mem, "%s;", alg) : str_fmt(j->c->mem, "%s:%02x", alg, slice + 1);
	TRY(lost_find(j->c, &range, &n));
	s->n.selected += n.looked_at;
	s->n.done += n.looked_at - n.lost;
	if (n.lost == 0)
		return ERR_NONE;
	(void)err_set(j->c, ERR_STORE, "%lld objects are missing or damaged, %lld bytes", (long long)n.lost,
	              (long long)n.bytes);
	job_item_failed(j, s, store->name);
	return ERR_NONE;
}

static enum err_kind
scrub_location(struct job *j, struct job_slice *s, struct store *store, unsigned slice)
{
	static const char *const ALGS[] = { "sha256", "sha512" };

	for (size_t i = 0; i < sizeof ALGS / sizeof *ALGS && j->stopped == NULL; i++) {
		TRY(find_unknown(j, s, store, str_fmt(j->c->mem, "%s/%02x/", ALGS[i], slice)));
		if (j->stopped == NULL)
			TRY(find_lost(j, s, store, ALGS[i], slice));
	}
	return ERR_NONE;
}

enum err_kind
gc_scrub(struct job *j, struct job_slice *s)
{
	const char *prefix = j->opt.more[GC_PREFIX];
	uint8_t slice = (uint8_t)(j->due.now_ms / DAY_MS % 256);

	s->is_last = true;
	if (prefix != NULL && !hex_get(str_of(prefix), &slice, 1))
		return err_set(j->c, ERR_UNSUPPORTED, "--prefix wants two hex digits");
	for (size_t i = 0; i < store_count(j->setup.stores) && j->stopped == NULL; i++) {
		struct store *store = store_at(j->setup.stores, i);

		if (scrub_location(j, s, store, slice) != ERR_NONE)
			job_item_failed(j, s, store->name);
	}
	return ERR_NONE;
}
