/* kade-gc: the objects of due tombstones are deleted, and bytes that got a key of their own, because their standard key was being
 * deleted when they came, move there. No transaction is open during work of the store. */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "db/db.h"
#include "gc.h"
#include "store/key.h"
#include "store/store.h"

#define READ_BYTES 262144

struct swept { /* rows whose object is gone */
	struct str *digests, *locations, *keys;
	size_t n;
};

static void
swept_new(struct job *j, struct swept *w, int rows)
{
	w->digests = ARENA_ARRAY(j->c->mem, struct str, (size_t)rows + 1);
	w->locations = ARENA_ARRAY(j->c->mem, struct str, (size_t)rows + 1);
	w->keys = ARENA_ARRAY(j->c->mem, struct str, (size_t)rows + 1);
	w->n = 0;
}

static void
swept_add(struct swept *w, const struct db_result *r, int i)
{
	w->digests[w->n] = db_get_strn(r, i, 0);
	w->locations[w->n] = db_get_strn(r, i, 1);
	w->keys[w->n++] = db_get_strn(r, i, 2);
}

static struct db_args
swept_args(const struct swept *w)
{
	return (struct db_args){ .n = 3,
		                 .v = { db_str_array(w->digests, w->n), db_str_array(w->locations, w->n),
		                        db_str_array(w->keys, w->n) } };
}

/* Deletes one object. ERR_NONE: the store says that it is gone. */
static enum err_kind
remove_object(struct job *j, const struct db_result *r, int i)
{
	const char *location = db_get_str(r, i, SWEEP_START_LOCATION);
	struct store *store = store_find(j->setup.stores, str_of(location));
	const struct str own = db_get_strn(r, i, SWEEP_START_KEY);
	char key[STORE_KEY_MAX];

	if (store == NULL)
		return err_set(j->c, ERR_STORE, "storage %s is not open", location);
	if (own.n == 0 && !store_key_blob(db_get_strn(r, i, SWEEP_START_DIGEST), key))
		return err_set(j->c, ERR_BUG, "a tombstone without a key");
	switch (store_remove(j->c, store, own.n == 0 ? key : db_get_str(r, i, SWEEP_START_KEY))) {
	case STORE_GONE:
		return ERR_NONE;
	case STORE_STILL_THERE:
		return err_set(j->c, ERR_STORE, "storage %s refused: %.300s", location, j->c->err.text);
	case STORE_UNKNOWN:
		break;
	}
	return err_set(j->c, ERR_STORE, "storage %s did not say what became of it: %.300s", location,
	               j->c->err.text);
}

static void
sweep_one(struct job *j, struct job_slice *s, const struct db_result *r, int i, struct swept *gone)
{
	const char *digest = db_get_str(r, i, SWEEP_START_DIGEST);
	const int64_t fate = db_get_i64(r, i, SWEEP_START_FATE);

	if (fate == 1) {
		s->n.done++; /* the row alone went: the object is a living blob's */
	} else if (fate == 2) {
		(void)err_set(j->c, ERR_BUG,
		              "a placement names an object that is being deleted: it is left alone");
		job_item_failed(j, s, digest);
	} else if (remove_object(j, r, i) != ERR_NONE) {
		job_item_failed(j, s, digest);
	} else {
		swept_add(gone, r, i);
		s->n.done++;
		gc_metric(j, "quay_gc_storage_blobs_deleted_total", 1);
		log_line(j->c, LOG_LEVEL_DEBUG, "%s deleted from %s", digest,
		         db_get_str(r, i, SWEEP_START_LOCATION));
	}
}

enum err_kind
gc_sweep(struct job *j, struct job_slice *s)
{
	const struct db_result *due, *r;
	struct swept all, gone;
	struct db_args args;

	TRY(db_begin(j->c, DB_TX_DEFAULT));
	TRY(db_exec(j->c, STMT_SWEEP_LOCK, DB_ARGS(gc_locations(j), db_i64(s->max_items)), &due));
	swept_new(j, &all, due->rows);
	for (int i = 0; i < due->rows; i++)
		swept_add(&all, due, i);
	args = swept_args(&all);
	TRY(db_exec(j->c, STMT_SWEEP_START, &args, &r));
	TRY(db_commit(j->c));
	s->n.selected = r->rows;
	s->is_last = r->rows == 0;
	swept_new(j, &gone, r->rows);
	/* The rows say "being deleted" now: what a signal leaves undone is due again in a quarter of an hour. */
	for (int i = 0; i < r->rows && job_go_on(j); i++)
		sweep_one(j, s, r, i, &gone);
	args = swept_args(&gone);
	return gone.n == 0 ? ERR_NONE : db_exec(j->c, STMT_SWEEP_DONE, &args, NULL);
}

struct own {
	const char *digest, *location, *key;
	int64_t size_bytes;
};
struct hashing {
	struct sha256 sha;
	int64_t n;
};

static enum err_kind
hash_more(struct ctx *c, void *arg, const void *p, size_t n)
{
	struct hashing *h = arg;

	(void)c;
	sha256_feed(&h->sha, p, n);
	h->n += (int64_t)n;
	return ERR_NONE;
}

/* Are the bytes under the key those of the digest? SHA-512 is compared by size alone, as the store did when it copied. */
static enum err_kind
verify(struct job *j, struct store *store, const struct own *o, const char *key)
{
	const struct arena_mark mark = arena_mark(j->c->mem);
	struct hashing h = { .n = 0 };
	uint8_t sum[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];

	sha256_start(&h.sha);
	TRY(store_get(j->c, store,
	              &(struct store_get){ .key = key,
	                                   .range = STORE_WHOLE,
	                                   .buf = arena_array(j->c->mem, READ_BYTES, 1),
	                                   .buf_bytes = READ_BYTES,
	                                   .sink = hash_more,
	                                   .arg = &h }));
	arena_rewind(j->c->mem, mark);
	sha256_end(&h.sha, sum);
	hex_put(hex, sum, sizeof sum);
	if (h.n != o->size_bytes ||
	    (str_starts(str_of(o->digest), STR("sha256:")) && strcmp(hex, o->digest + 7) != 0))
		return err_set(j->c, ERR_STORE, "%s: the copy under its standard key is damaged", o->digest);
	return ERR_NONE;
}

/* Announce, copy, compare, and only then name the new key; the old one gets a tombstone in the same transaction. */
static enum err_kind
move_one(struct job *j, const struct own *o, bool *moved)
{
	struct store *store = store_find(j->setup.stores, str_of(o->location));
	const struct db_result *r;
	char key[STORE_KEY_MAX];

	*moved = false;
	if (store == NULL || !store_key_blob(str_of(o->digest), key))
		return err_set(j->c, ERR_STORE, "storage %s is not open, or no key", o->location);
	TRY(db_exec(j->c, STMT_OWN_KEY_ANNOUNCE, DB_ARGS(db_str(o->digest), db_str(o->location)), &r));
	if (r->rows == 0)
		return ERR_NONE; /* it is being deleted again */
	TRY(store_copy(j->c, store,
	               &(struct store_copy){
	                   .from = store, .from_key = o->key, .to_key = key, .size_bytes = o->size_bytes }));
	TRY(verify(j, store, o, key));
	TRY(db_exec(j->c, STMT_OWN_KEY_SETTLE,
	            DB_ARGS(db_str(o->digest), db_str(o->location), db_str(o->key)), &r));
	*moved = db_get_bool(r, 0, OWN_KEY_SETTLE_MOVED);
	return ERR_NONE;
}

enum err_kind
gc_move_own_keys(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_OWN_KEY_DUE, DB_ARGS(gc_locations(j), db_i64(s->max_items)), &r));
	s->n.selected = r->rows;
	for (int i = 0; i < r->rows && job_go_on(j); i++) {
		const struct own o = { .digest = db_get_str(r, i, OWN_KEY_DUE_DIGEST),
			               .location = db_get_str(r, i, OWN_KEY_DUE_LOCATION),
			               .key = db_get_str(r, i, OWN_KEY_DUE_KEY),
			               .size_bytes = db_get_i64(r, i, OWN_KEY_DUE_SIZE_BYTES) };
		bool moved;

		if (move_one(j, &o, &moved) != ERR_NONE)
			job_item_failed(j, s, o.digest);
		else if (moved)
			s->n.done++;
		else
			s->n.skipped++;
	}
	s->is_last = s->n.done == 0;
	return ERR_NONE;
}
