/* kade-uploads: cancels uploads that were begun more than BLOBUPLOAD_DELETION_DATE_THRESHOLD minutes ago and that nobody is
 * writing to. The row goes first, then what the store holds of it. Once a day it sweeps the locations: objects under uploads/
 * and unfinished uploads of the server that are as old and have no row, left by crashes or by the first step's failures. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "job.h"
#include "store/key.h"
#include "store/store.h"
#include "store/upload.h"

#define SWEEP_EVERY_MS (INT64_C(86400) * 1000)
#define SWEEP_JOB      "uploads-sweep" /* its record in job_run */
#define SWEEP_BATCH    500

static int64_t
threshold_ms(const struct job *j)
{
	return j->c->conf->blobupload_deletion_date_threshold * 60000;
}

static bool
sweep_is_on(const struct job *j)
{
	return j->c->conf->clean_blob_upload_folder || j->c->conf->feature_enable_stale_mpu_cleanup;
}

static void
due_args(const struct job *j, struct db_args *a)
{
	db_args_add(a, db_i64(threshold_ms(j)));
	db_args_add(a, sweep_is_on(j) ? db_i64(SWEEP_EVERY_MS) : db_null());
	db_args_add(a, db_str(SWEEP_JOB));
}

static enum err_kind
abort_one(struct job *j, const struct db_result *r, int i)
{
	const struct store_upload_row row = { .id = db_get_str(r, i, UPLOAD_TAKE_STALE_UUID),
		                              .offset_bytes =
		                                  db_get_i64(r, i, UPLOAD_TAKE_STALE_OFFSET_BYTES),
		                              .hash_state = db_get_strn(r, i, UPLOAD_TAKE_STALE_HASH_STATE),
		                              .store_state =
		                                  db_get_strn(r, i, UPLOAD_TAKE_STALE_STORE_STATE) };
	const char *location = db_get_str(r, i, UPLOAD_TAKE_STALE_LOCATION);
	struct store *s = store_find(j->setup.stores, str_of(location));

	if (s == NULL)
		return err_set(j->c, ERR_STORE, "storage %s is not in the configuration any more", location);
	return store_upload_abort(j->c, s, &row);
}

static enum err_kind
stale(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_UPLOAD_TAKE_STALE, DB_ARGS(db_i64(threshold_ms(j)), db_i64(s->max_items)),
	            &r));
	s->n.selected = r->rows;
	for (int i = 0; i < r->rows;
	     i++) { /* the rows are gone: all of them, whatever job_go_on() would say */
		const char *id = db_get_str(r, i, UPLOAD_TAKE_STALE_UUID);

		if (abort_one(j, r, i) != ERR_NONE) {
			job_item_failed(j, s, id);
			continue;
		}
		s->n.done++;
		s->n.bytes += db_get_i64(r, i, UPLOAD_TAKE_STALE_OFFSET_BYTES);
		log_line(j->c, LOG_LEVEL_DEBUG, "upload %s cancelled", id);
	}
	return ERR_NONE;
}

struct orphan {
	const char *key;
	const char *id;        /* uuid in the key; NULL: none */
	const char *server_id; /* of an unfinished upload; NULL: an object */
	bool is_known;
};
struct sweep {
	struct job *j;
	struct store *store;
	int64_t before_ms;
	VEC(struct orphan) found;
	bool is_full; /* the batch: the listing was ended by us */
};

/* The uuid after the prefix, given; NULL when there is none. */
static const char *
id_in(struct arena *mem, const char *key)
{
	const struct str all = str_of(key), prefix = STR(STORE_UPLOADS_PREFIX);

	if (!str_starts(all, prefix) || all.n < prefix.n + 36 ||
	    !store_uuid_ok(str_sub(all, prefix.n, prefix.n + 36)))
		return NULL;
	return str_dup(mem, str_sub(all, prefix.n, prefix.n + 36));
}

static enum err_kind
seen(struct ctx *c, void *arg, const char *key, const struct store_info *info)
{
	struct sweep *w = arg;

	if (info->changed_ms == 0 || info->changed_ms > w->before_ms)
		return ERR_NONE;
	const struct orphan o = { .key = str_dup_c(c->mem, key), .id = id_in(c->mem, key) };
	vec_push(c->mem, &w->found, o);
	w->is_full = w->found.n == SWEEP_BATCH;
	return w->is_full ? err_set(c, ERR_CONFLICT, "enough for one batch") : ERR_NONE;
}

static enum err_kind
unfinished_seen(struct ctx *c, void *arg, const char *key, const char *server_id, int64_t started_ms)
{
	struct sweep *w = arg;

	if (started_ms == 0 || started_ms > w->before_ms)
		return ERR_NONE;
	const struct orphan o = { .key = str_dup_c(c->mem, key),
		                  .id = id_in(c->mem, key),
		                  .server_id = str_dup_c(c->mem, server_id) };
	vec_push(c->mem, &w->found, o);
	return ERR_NONE;
}

/* Marks those that have a row: those are the first step's. */
static enum err_kind
ask_known(struct ctx *c, struct sweep *w)
{
	struct str *ids = ARENA_ARRAY(c->mem, struct str, w->found.n + 1);
	const struct db_result *r;
	size_t n = 0;

	for (size_t i = 0; i < w->found.n; i++)
		if (w->found.v[i].id != NULL)
			ids[n++] = str_of(w->found.v[i].id);
	TRY(db_exec(c, STMT_UPLOAD_KNOWN, DB_ARGS(db_str_array(ids, n)), &r));
	for (int row = 0; row < r->rows; row++)
		for (size_t i = 0; i < w->found.n; i++)
			if (w->found.v[i].id != NULL && strcmp(w->found.v[i].id, db_get_str(r, row, 0)) == 0)
				w->found.v[i].is_known = true;
	return ERR_NONE;
}

static enum err_kind
remove_orphan(struct ctx *c, struct sweep *w, const struct orphan *o)
{
	const struct store_upload_row row = { .id = o->id, .hash_state = STR(""), .store_state = STR("") };

	if (o->server_id != NULL)
		return store_abort_unfinished(c, w->store, o->key, o->server_id);
	if (o->id != NULL && strlen(o->key) == strlen(STORE_UPLOADS_PREFIX) + 36)
		TRY(store_upload_abort(c, w->store, &row)); /* refuses one that a request has open */
	return store_remove(c, w->store, o->key) == STORE_GONE ? ERR_NONE : ERR_STORE;
}

static enum err_kind
remove_orphans(struct job *j, struct job_slice *s, struct sweep *w)
{
	TRY(ask_known(j->c, w));
	for (size_t i = 0; i < w->found.n && job_go_on(j); i++) {
		const struct orphan *o = &w->found.v[i];

		s->n.selected++;
		if (o->is_known) {
			s->n.skipped++;
		} else if (remove_orphan(j->c, w, o) != ERR_NONE) {
			job_item_failed(j, s, o->key);
		} else {
			s->n.done++;
			log_line(j->c, LOG_LEVEL_DEBUG, "%s: %s removed", w->store->name, o->key);
		}
	}
	return ERR_NONE;
}

static enum err_kind
sweep_objects(struct job *j, struct job_slice *s, struct store *store, int64_t before_ms)
{
	const char *after = NULL;

	for (;;) {
		struct sweep w = { .j = j, .store = store, .before_ms = before_ms };
		const enum err_kind e =
		    store_list(j->c, store,
		               &(struct store_list){
		                   .prefix = STORE_UPLOADS_PREFIX, .after = after, .seen = seen, .arg = &w });

		if (e != ERR_NONE && !w.is_full)
			return e;
		err_clear(j->c);
		TRY(remove_orphans(j, s, &w));
		if (!w.is_full || j->stopped != NULL)
			return ERR_NONE;
		after = w.found.v[w.found.n - 1].key;
	}
}

static enum err_kind
sweep_unfinished(struct job *j, struct job_slice *s, struct store *store, int64_t before_ms)
{
	struct sweep w = { .j = j, .store = store, .before_ms = before_ms };

	TRY(store_list_unfinished(j->c, store, unfinished_seen, &w));
	return remove_orphans(j, s, &w);
}

/* A location that does not answer is a failed item; the others are swept. */
static enum err_kind
sweep(struct job *j, struct job_slice *s)
{
	const struct conf *cf = j->c->conf;
	const int64_t before_ms = clock_now_ms() - threshold_ms(j);
	int64_t last_ms;

	s->is_last = true;
	TRY(job_part_last(j, SWEEP_JOB, &last_ms));
	if (last_ms != 0 && last_ms > j->due.now_ms - SWEEP_EVERY_MS)
		return ERR_NONE;
	for (size_t i = 0; i < store_count(j->setup.stores) && j->stopped == NULL; i++) {
		struct store *store = store_at(j->setup.stores, i);
		enum err_kind e = ERR_NONE;

		if (cf->clean_blob_upload_folder)
			e = sweep_objects(j, s, store, before_ms);
		if (e == ERR_NONE && cf->feature_enable_stale_mpu_cleanup && j->stopped == NULL)
			e = sweep_unfinished(j, s, store, before_ms);
		if (e != ERR_NONE)
			job_item_failed(j, s, store->name);
	}
	return j->stopped != NULL ? ERR_NONE : job_part_done(j, SWEEP_JOB, &s->n);
}

static enum err_kind
show(struct job *j, struct buf *out)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_UPLOAD_STALE, DB_ARGS(db_i64(threshold_ms(j)), db_i32(100)), &r));
	for (int i = 0; i < r->rows; i++)
		buf_putf(out, "upload %s in %s\n", db_get_str(r, i, UPLOAD_STALE_UUID),
		         db_get_str(r, i, UPLOAD_STALE_LOCATION));
	return ERR_NONE;
}

static const struct job_step STEPS[] = {
	{.name = "stale uploads", .slice = stale, .slice_items = 100 },
	{ .name = "sweep",     .is_on = sweep_is_on, .slice = sweep, .slice_items = SWEEP_BATCH },
	{ .name = NULL       },
};
static const struct job_def UPLOADS = {
	.name = "uploads",
	.doc = "Cancels uploads that nobody finished, and removes what forgotten ones left in the storage.",
	.id = JOB_ID_UPLOADS,
	.lock = JOB_LOCK_FLEET,
	.flags = JOB_STORES | JOB_DELETES_OBJECTS,
	.due = STMT_UPLOAD_DUE,
	.due_args = due_args,
	.show = show,
	.interval_s = 3600,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&UPLOADS, argc, argv);
}
