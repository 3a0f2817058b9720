/* Repositories and namespaces that were deleted. Everything goes by id: a namespace of the same name that came meanwhile is
 * another one. */
#include "model/purge.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"

enum err_kind
purge_next_repository(struct ctx *c, int64_t after_id, int64_t *id)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_PURGE_REPOSITORY_NEXT, DB_ARGS(db_i64(after_id)), &r));
	*id = r->rows > 0 ? db_get_i64(r, 0, PURGE_REPOSITORY_NEXT_ID) : 0;
	return ERR_NONE;
}

static enum err_kind
drop_uploads(struct ctx *c, int64_t id, int64_t max_items, struct purge_slice *out)
{
	const struct db_result *r;
	struct purge_upload *u;

	TRY(db_exec(c, STMT_PURGE_UPLOADS, DB_ARGS(db_i64(id), db_i64(max_items)), &r));
	u = ARENA_ARRAY(c->mem, struct purge_upload, (size_t)r->rows + 1);
	for (int i = 0; i < r->rows; i++)
		u[i] = (struct purge_upload){ .uuid = db_get_str(r, i, PURGE_UPLOADS_UUID),
			                      .location = db_get_str(r, i, PURGE_UPLOADS_LOCATION),
			                      .offset_bytes = db_get_i64(r, i, PURGE_UPLOADS_OFFSET_BYTES),
			                      .hash_state = db_get_strn(r, i, PURGE_UPLOADS_HASH_STATE),
			                      .store_state = db_get_strn(r, i, PURGE_UPLOADS_STORE_STATE) };
	out->uploads = u;
	out->n_uploads = r->rows;
	out->n.changed = r->rows;
	return ERR_NONE;
}

static enum err_kind
drop_tags(struct ctx *c, int64_t id, int64_t max_items, struct purge_slice *out)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_PURGE_TAGS, DB_ARGS(db_i64(id), db_i64(max_items)), &r));
	out->n.tags = out->n.changed = r->affected;
	return ERR_NONE;
}

static enum err_kind
drop_manifests(struct ctx *c, int64_t id, int64_t max_items, struct purge_slice *out)
{
	const struct db_result *r;
	int64_t *ids;

	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(db_exec(c, STMT_PURGE_MANIFESTS_LOCK, DB_ARGS(db_i64(id), db_i64(max_items)), &r));
	if (r->rows == 0) {
		db_rollback(c);
		return ERR_NONE;
	}
	ids = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows);
	for (int i = 0; i < r->rows; i++)
		ids[i] = db_get_i64(r, i, PURGE_MANIFESTS_LOCK_ID);
	const struct db_arg all = db_i64_array(ids, (size_t)r->rows);
	TRY(db_queue(c, STMT_PURGE_MANIFESTS_UNLINK, DB_ARGS(all), NULL));
	TRY(db_queue(c, STMT_GC_MANIFESTS_DROP_LABELS, DB_ARGS(all), NULL));
	TRY(db_queue(c, STMT_GC_MANIFESTS_DROP_PULLS, DB_ARGS(all), NULL));
	TRY(db_queue(c, STMT_GC_MANIFESTS_DELETE, DB_ARGS(all), NULL));
	TRY(db_commit(c));
	out->n.manifests = out->n.changed = r->rows;
	return ERR_NONE;
}

static enum err_kind
drop_links(struct ctx *c, int64_t id, int64_t max_items, struct purge_slice *out)
{
	return collect_links_of(c, id, max_items, &out->n);
}

static enum err_kind
drop_counts(struct ctx *c, int64_t id, int64_t max_items, struct purge_slice *out)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_PURGE_COUNTS, DB_ARGS(db_i64(id), db_i64(max_items)), &r));
	out->n.changed = db_get_i64(r, 0, PURGE_COUNTS_GONE);
	return ERR_NONE;
}

/* A row that came meanwhile (a push that was under way) keeps it for the next run. */
static enum err_kind
none_if_held(struct ctx *c, enum err_kind e, const struct db_result *r, bool *is_gone)
{
	if (e == ERR_BUG && strcmp(db_sqlstate(c), "23503") == 0) {
		err_clear(c);
		return ERR_NONE;
	}
	TRY(e);
	*is_gone = r->rows > 0;
	return ERR_NONE;
}

enum err_kind
purge_repository(struct ctx *c, int64_t id, int64_t max_items, struct purge_slice *out)
{
	static enum err_kind (*const STEPS[])(struct ctx *, int64_t, int64_t, struct purge_slice *) = {
		drop_uploads, drop_tags, drop_manifests, drop_links, drop_counts
	};
	const struct db_result *r = NULL;

	for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
		TRY(STEPS[i](c, id, max_items, out));
		if (out->n.changed > 0)
			return ERR_NONE;
	}
	const enum err_kind e = db_exec(c, STMT_PURGE_REPOSITORY, DB_ARGS(db_i64(id)), &r);
	return none_if_held(c, e, r, &out->is_gone);
}

static struct db_arg
grace_names(struct ctx *c)
{
	const struct str_list *l = &c->conf->namespace_gc_grace_period_allowlist;
	struct str *v = ARENA_ARRAY(c->mem, struct str, l->n + 1);

	for (size_t i = 0; i < l->n; i++)
		v[i] = str_of(l->v[i]);
	return db_str_array(v, l->n);
}

enum err_kind
purge_next_namespace(struct ctx *c, int64_t after_id, int64_t *id)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_PURGE_NAMESPACE_NEXT,
	            DB_ARGS(db_i64(after_id), db_i64(c->conf->namespace_gc_grace_period_seconds * 1000),
	                    grace_names(c)),
	            &r));
	*id = r->rows > 0 ? db_get_i64(r, 0, PURGE_NAMESPACE_NEXT_ID) : 0;
	return ERR_NONE;
}

enum err_kind
purge_namespace(struct ctx *c, int64_t id, int64_t max_items, int64_t *changed, bool *is_gone)
{
	const struct db_result *r = NULL;

	*is_gone = false;
	TRY(db_exec(c, STMT_PURGE_NAMESPACE_MARK, DB_ARGS(db_i64(id), db_i64(max_items)), &r));
	*changed = r->affected;
	if (*changed > 0)
		return ERR_NONE;
	TRY(db_exec(c, STMT_PURGE_NAMESPACE_ROWS, DB_ARGS(db_i64(id), db_i64(max_items)), &r));
	*changed = db_get_i64(r, 0, PURGE_NAMESPACE_ROWS_GONE);
	if (*changed > 0)
		return ERR_NONE;
	const enum err_kind e = db_exec(c, STMT_PURGE_NAMESPACE, DB_ARGS(db_i64(id)), &r);
	return none_if_held(c, e, r, is_gone);
}
