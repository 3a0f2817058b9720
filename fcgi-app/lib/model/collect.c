/* Garbage collection in the database. The order of locks is tag, manifest, repository_blob, namespace_blob, blob, tombstone.
 * A statement locks, a later one of the same transaction sees what was committed before the lock and decides. */
#include "model/collect.h"

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/blob.h"
#include "model/quota.h"

#define MORE_MANIFESTS 1000 /* referrers that are taken with the due ones */

enum fate { FATE_GONE, FATE_HELD, FATE_LATER, FATE_BUSY }; /* as the statements number them */

/* One column of a result as an array. Given. */
static int64_t *
column(struct ctx *c, const struct db_result *r, int col)
{
	int64_t *v = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows + 1);

	for (int i = 0; i < r->rows; i++)
		v[i] = db_get_i64(r, i, col);
	return v;
}

static struct db_arg
array_of(const int64_t *v, int64_t n)
{
	return db_i64_array(v, (size_t)n);
}

enum err_kind
collect_expired(struct ctx *c, int64_t max_items, struct collected *out)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_GC_EXPIRED_END, DB_ARGS(db_i64(max_items)), &r));
	out->selected = out->changed = r->affected;
	return ERR_NONE;
}

struct gone_tags {
	int64_t n, *manifests, *ended, *repositories;
	struct str *names;
};

static void
gone_tags(struct ctx *c, const struct db_result *r, struct gone_tags *g, struct collected *out)
{
	g->manifests = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows + 1);
	g->ended = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows + 1);
	g->repositories = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows + 1);
	g->names = ARENA_ARRAY(c->mem, struct str, (size_t)r->rows + 1);
	for (int i = 0; i < r->rows; i++) {
		const enum fate fate = (enum fate)db_get_i64(r, i, GC_TAGS_TAKE_FATE);

		out->changed += fate != FATE_BUSY;
		if (fate != FATE_GONE)
			continue;
		g->manifests[g->n] = db_get_i64(r, i, GC_TAGS_TAKE_MANIFEST_ID);
		g->ended[g->n] = db_get_i64(r, i, GC_TAGS_TAKE_ENDED_MS);
		g->repositories[g->n] = db_get_i64(r, i, GC_TAGS_TAKE_REPOSITORY_ID);
		g->names[g->n++] = db_get_strn(r, i, GC_TAGS_TAKE_NAME);
	}
}

enum err_kind
collect_tags(struct ctx *c, int64_t max_items, struct collected *out)
{
	struct gone_tags g = { 0 };
	const struct db_result *r;

	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(db_exec(
	    c, STMT_GC_TAGS_TAKE,
	    DB_ARGS(db_i64(push_window_ms(c)), db_i64(max_items),
	            db_bool(c->conf->feature_immutable_tags && !c->conf->feature_immutable_tags_can_expire)),
	    &r));
	gone_tags(c, r, &g, out);
	if (g.n > 0) {
		TRY(db_queue(
		    c, STMT_GC_TAGS_MARK,
		    DB_ARGS(array_of(g.manifests, g.n), array_of(g.ended, g.n), db_i64(push_window_ms(c))),
		    NULL));
		TRY(db_queue(c, STMT_GC_TAGS_DROP_PULLS,
		             DB_ARGS(array_of(g.repositories, g.n), db_str_array(g.names, (size_t)g.n)),
		             NULL));
	}
	TRY(db_commit(c));
	out->selected = r->rows;
	out->tags = g.n;
	return ERR_NONE;
}

static enum err_kind
drop_manifests(struct ctx *c, const int64_t *ids, int64_t n)
{
	const struct db_arg dead = array_of(ids, n);

	TRY(db_queue(c, STMT_GC_MANIFESTS_DROP_BLOBS, DB_ARGS(dead), NULL));
	TRY(db_queue(c, STMT_GC_MANIFESTS_DROP_CHILDREN, DB_ARGS(dead, db_i64(push_window_ms(c))), NULL));
	TRY(db_queue(c, STMT_GC_MANIFESTS_DROP_LABELS, DB_ARGS(dead), NULL));
	TRY(db_queue(c, STMT_GC_MANIFESTS_DROP_PULLS, DB_ARGS(dead), NULL));
	return db_queue(c, STMT_GC_MANIFESTS_DELETE, DB_ARGS(dead), NULL);
}

enum err_kind
collect_manifests(struct ctx *c, int64_t max_items, struct collected *out)
{
	const struct db_result *locked, *busy, *r;
	const struct db_arg window = db_i64(push_window_ms(c));
	int64_t *by_fate[FATE_LATER + 1], n[FATE_LATER + 1] = { 0 };

	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(db_exec(c, STMT_GC_MANIFESTS_LOCK, DB_ARGS(window, db_i64(max_items), db_i64(MORE_MANIFESTS)),
	            &locked));
	out->selected = locked->rows;
	if (locked->rows == 0) {
		db_rollback(c);
		return ERR_NONE;
	}
	const struct db_arg ids = array_of(column(c, locked, GC_MANIFESTS_LOCK_ID), locked->rows);
	TRY(db_exec(c, STMT_GC_MANIFESTS_BUSY, DB_ARGS(ids), &busy));
	TRY(db_exec(c, STMT_GC_MANIFESTS_CHOOSE,
	            DB_ARGS(ids, array_of(column(c, busy, GC_MANIFESTS_BUSY_ID), busy->rows), window), &r));
	for (int f = 0; f <= FATE_LATER; f++)
		by_fate[f] = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows + 1);
	for (int i = 0; i < r->rows; i++) {
		const int64_t f = db_get_i64(r, i, GC_MANIFESTS_CHOOSE_FATE);
		by_fate[f][n[f]++] = db_get_i64(r, i, GC_MANIFESTS_CHOOSE_ID);
	}
	if (n[FATE_HELD] > 0)
		TRY(db_queue(c, STMT_GC_MANIFESTS_UNMARK, DB_ARGS(array_of(by_fate[FATE_HELD], n[FATE_HELD])),
		             NULL));
	if (n[FATE_GONE] > 0)
		TRY(drop_manifests(c, by_fate[FATE_GONE], n[FATE_GONE]));
	TRY(db_commit(c));
	out->manifests = n[FATE_GONE];
	out->changed = n[FATE_GONE] + n[FATE_HELD];
	return ERR_NONE;
}

/* What the sizes of namespaces and repositories lose. */
static enum err_kind
release(struct ctx *c, const struct db_result *gone, struct collected *out)
{
	const size_t rows = (size_t)gone->rows + 1;
	int64_t *namespaces = ARENA_ARRAY(c->mem, int64_t, rows),
	        *repositories = ARENA_ARRAY(c->mem, int64_t, rows),
	        *blobs = ARENA_ARRAY(c->mem, int64_t, rows);
	size_t n = 0;

	for (int i = 0; i < gone->rows; i++) {
		out->links += db_get_bool(gone, i, GC_LINKS_DELETE_GONE);
		if (!db_get_bool(gone, i, GC_LINKS_DELETE_IS_COUNTED))
			continue;
		namespaces[n] = db_get_i64(gone, i, GC_LINKS_DELETE_NAMESPACE_ID);
		repositories[n] = db_get_i64(gone, i, GC_LINKS_DELETE_REPOSITORY_ID);
		blobs[n++] = db_get_i64(gone, i, GC_LINKS_DELETE_BLOB_ID);
	}
	return quota_release(
	    c, &(struct quota_removed){
	           .namespace_ids = namespaces, .repository_ids = repositories, .blob_ids = blobs, .n = n });
}

/* Inside of the transaction that locked the links. */
static enum err_kind
drop_links(struct ctx *c, const struct db_result *links, struct collected *out)
{
	const struct db_arg repositories = array_of(column(c, links, 0), links->rows),
	                    blobs = array_of(column(c, links, 1), links->rows);
	const struct db_result *locked, *gone, *r;

	TRY(db_exec(c, STMT_GC_BLOBS_LOCK, DB_ARGS(repositories, blobs), &locked));
	const struct db_arg free = array_of(column(c, locked, GC_BLOBS_LOCK_ID), locked->rows);
	TRY(db_exec(c, STMT_GC_LINKS_DELETE, DB_ARGS(repositories, blobs, free), &gone));
	TRY(release(c, gone, out));
	TRY(db_queue(c, STMT_GC_BLOBS_DELETE, DB_ARGS(free, db_i64(c->conf->kade_object_retention_s * 1000)),
	             &r));
	TRY(db_commit(c));
	out->changed = gone->rows;
	out->blobs = db_get_i64(r, 0, GC_BLOBS_DELETE_BLOBS);
	out->bytes = db_get_i64(r, 0, GC_BLOBS_DELETE_BYTES);
	return ERR_NONE;
}

enum err_kind
collect_links(struct ctx *c, int64_t max_items, struct collected *out)
{
	const struct db_result *r;

	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(db_exec(c, STMT_GC_LINKS_LOCK, DB_ARGS(db_i64(push_window_ms(c)), db_i64(max_items)), &r));
	out->selected = r->rows;
	if (r->rows > 0)
		return drop_links(c, r, out);
	db_rollback(c);
	return ERR_NONE;
}

enum err_kind
collect_links_of(struct ctx *c, int64_t repository_id, int64_t max_items, struct collected *out)
{
	const struct db_result *r;

	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(db_exec(c, STMT_GC_LINKS_LOCK_OF, DB_ARGS(db_i64(repository_id), db_i64(max_items)), &r));
	out->selected = r->rows;
	if (r->rows > 0)
		return drop_links(c, r, out);
	db_rollback(c);
	return ERR_NONE;
}
