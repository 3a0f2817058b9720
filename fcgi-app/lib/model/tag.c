/* Tags as people change them by hand, over the REST API. */
#include "model/tag.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/tag-policy.h"
#include "oci/digest-ref.h"
#include "oci/name.h"

enum {
	T_ID,
	T_NAME,
	T_IS_REVERSION,
	T_IS_IMMUTABLE,
	T_START_MS,
	T_EXPIRES_MS,
	T_ENDED_MS,
	T_DIGEST,
	T_IS_INDEX,
	T_SIZE_BYTES,
	T_MANIFEST_ID,
	T_COLS
};
_Static_assert((int)T_COLS == TAG_ITEM_COLS, "tag.sql and tag.c differ");

static const struct say SAY_IMMUTABLE = { 409, "tag_immutable", "the tag is immutable" };

bool
tag_item_from_row(const struct db_result *r, int row, int first_col, struct tag_item *out)
{
	if (row >= r->rows || db_is_null(r, row, first_col + T_ID))
		return false;
	*out = (struct tag_item){
		.id = db_get_i64(r, row, first_col + T_ID),
		.manifest_id = db_get_i64(r, row, first_col + T_MANIFEST_ID),
		.name = db_get_strn(r, row, first_col + T_NAME),
		.start_ms = db_get_i64(r, row, first_col + T_START_MS),
		.expires_ms = db_get_i64(r, row, first_col + T_EXPIRES_MS),
		.ended_ms = db_get_i64(r, row, first_col + T_ENDED_MS),
		.is_reversion = db_get_bool(r, row, first_col + T_IS_REVERSION),
		.is_immutable = db_get_bool(r, row, first_col + T_IS_IMMUTABLE),
		.is_index = db_get_bool(r, row, first_col + T_IS_INDEX),
		.digest = db_get_strn(r, row, first_col + T_DIGEST),
		.size_bytes = db_is_null(r, row, first_col + T_SIZE_BYTES)
		                  ? -1
		                  : db_get_i64(r, row, first_col + T_SIZE_BYTES),
	};
	return true;
}

int64_t
tag_end_ms(const struct tag_item *t)
{
	return t->ended_ms != 0 ? t->ended_ms : t->expires_ms;
}

enum err_kind
tag_immutable_error(struct ctx *c, const char *operation, struct str name)
{
	return err_say_fmt(c, ERR_CONFLICT, &SAY_IMMUTABLE, "Cannot %s immutable tag '%.*s'", operation,
	                   STRF(name));
}

int64_t
tag_clamp_expiry(const struct ctx *c, int64_t asked_ms, int64_t start_ms, int64_t now_ms)
{
	const int64_t least = start_ms + c->conf->labeled_expiration_minimum_s * 1000,
	              longest = c->conf->labeled_expiration_maximum_s * 1000;
	const int64_t most = start_ms + longest > now_ms ? start_ms + longest : now_ms + longest;

	return asked_ms < least ? least : asked_ms > most ? most : asked_ms;
}

/* A name that got another live row meanwhile, or a manifest that was collected: everything is to be looked at again. */
static enum err_kind
raced(struct ctx *c, enum err_kind e)
{
	if (e == ERR_BUG && (strcmp(db_sqlstate(c), "23505") == 0 || strcmp(db_sqlstate(c), "23503") == 0))
		return err_set(c, ERR_BUSY, "somebody else changed the tag at the same time");
	return e;
}

/* Of the digests' sibling tags those that a policy holds. */
static size_t
held_siblings(struct ctx *c, const struct tag_policies *p, const struct str *digests, size_t n,
              struct str **kept)
{
	size_t k = 0;

	*kept = NULL;
	if (p == NULL || !p->has_pending)
		return 0;
	*kept = ARENA_ARRAY(c->mem, struct str, n * OCI_SIBLINGS + 1);
	for (size_t i = 0; i < n; i++) {
		struct oci_digest d;
		char name[OCI_SIBLING_TEXT];

		for (int w = 0; w < OCI_SIBLINGS && oci_digest_parse(digests[i], &d); w++) {
			oci_sibling_tag(&d, (enum oci_sibling)w, name);
			if (tag_policies_hold(p, str_of(name), 0))
				(*kept)[k++] = str_of(str_dup_c(c->mem, name));
		}
	}
	return k;
}

enum err_kind
tag_end_siblings(struct ctx *c, const struct tag_remove *d, const struct str *digests, size_t n)
{
	struct str *kept;
	const size_t n_kept = held_siblings(c, d->policies, digests, n, &kept);

	return db_exec(c, STMT_TAG_END_SIBLINGS,
	               DB_ARGS(db_i64(d->repository_id), db_str_array(digests, n), db_i64(d->window_ms),
	                       db_str_array(kept, n_kept), db_bool(c->conf->feature_immutable_tags)),
	               NULL);
}

enum err_kind
tag_queue_siblings(struct ctx *c, const struct tag_remove *d, struct str digest)
{
	struct str *kept;
	const size_t n_kept = held_siblings(c, d->policies, &digest, 1, &kept);

	return db_queue(c, STMT_TAG_END_SIBLINGS,
	                DB_ARGS(db_i64(d->repository_id), db_str_array(&digest, 1), db_i64(d->window_ms),
	                        db_str_array(kept, n_kept), db_bool(c->conf->feature_immutable_tags)),
	                NULL);
}

/* Locks of the name and the manifest, the policies, the end of the live row: one round trip. */
static enum err_kind
end_old_row(struct ctx *c, const struct tag_move *m, struct tag_policies *policies)
{
	const struct db_result *held, *rules = NULL;

	TRY(db_queue(c, STMT_TAG_LOCK, DB_ARGS(db_i64(m->repository_id), db_strn(m->name)), NULL));
	TRY(db_queue(c, STMT_TAG_HOLD_MANIFEST, DB_ARGS(db_i64(m->manifest_id), db_bool(m->is_restore)),
	             &held));
	if (c->conf->feature_immutable_tags)
		TRY(db_queue(c, STMT_TAG_POLICIES, DB_ARGS(db_i64(m->repository_id)), &rules));
	TRY(db_queue(c, STMT_TAG_END,
	             DB_ARGS(db_i64(m->repository_id), db_strn(m->name),
	                     db_strn(m->is_restore ? STR("") : m->digest), db_i64(m->window_ms),
	                     db_bool(c->conf->feature_immutable_tags)),
	             NULL));
	TRY(db_flush(c));
	if (held->rows == 0)
		return err_set(c, ERR_NOT_FOUND, "the manifest is gone");
	if (rules != NULL)
		tag_policies_from_rows(c, rules, policies);
	return ERR_NONE;
}

enum err_kind
tag_move(struct ctx *c, const struct tag_move *m, bool *by_policy)
{
	struct tag_policies policies = { 0 };
	const struct tag_remove d = { .repository_id = m->repository_id,
		                      .window_ms = m->window_ms,
		                      .policies = &policies };

	TRY(end_old_row(c, m, &policies));
	if (m->old_digest.n > 0 && tag_policies_hold(&policies, m->name, m->released_ms))
		return tag_immutable_error(c, "overwrite", m->name);
	*by_policy = tag_policies_want(&policies, m->name);
	if (m->is_restore)
		TRY(db_exec(c, STMT_TAG_UNREMOVE_MANIFEST, DB_ARGS(db_i64(m->manifest_id)), NULL));
	TRY(raced(c, db_exec(c, STMT_TAG_POINT,
	                     DB_ARGS(db_i64(m->repository_id), db_strn(m->name), db_i64(m->manifest_id),
	                             db_bool(m->is_restore), db_bool(*by_policy)),
	                     NULL)));
	if (m->old_digest.n > 0 && !str_eq(m->old_digest, m->digest))
		return tag_end_siblings(c, &d, &m->old_digest, 1);
	return ERR_NONE;
}

enum err_kind
tag_held(struct ctx *c, int64_t repository_id, const struct tag_item *t, bool *held)
{
	struct tag_policies policies;

	*held = t->is_immutable && c->conf->feature_immutable_tags;
	if (*held)
		return ERR_NONE;
	TRY(tag_policies_load(c, repository_id, &policies));
	*held = tag_policies_hold(&policies, t->name, t->released_ms);
	return ERR_NONE;
}

enum err_kind
tag_remove_rows(struct ctx *c, const struct tag_remove *d, const struct db_result **ended)
{
	const struct db_result *r;
	struct str *digests;

	TRY(db_exec(c, STMT_TAG_DELETE,
	            DB_ARGS(db_i64(d->repository_id), db_i64_array(d->ids, d->n), db_i64(d->window_ms),
	                    db_bool(c->conf->feature_immutable_tags)),
	            &r));
	digests = ARENA_ARRAY(c->mem, struct str, (size_t)r->rows + 1);
	for (int i = 0; i < r->rows; i++)
		digests[i] = db_get_strn(r, i, TAG_DELETE_DIGEST);
	if (r->rows > 0)
		TRY(tag_end_siblings(c, d, digests, (size_t)r->rows));
	*ended = r;
	return ERR_NONE;
}

enum err_kind
tag_remove(struct ctx *c, int64_t repository_id, const struct tag_item *t, int64_t window_ms, bool *ended)
{
	struct tag_policies policies;
	const struct db_result *r;

	*ended = false;
	TRY(tag_policies_load(c, repository_id, &policies));
	if (tag_policies_hold(&policies, t->name, t->released_ms))
		return ERR_NONE;
	TRY(tag_remove_rows(c,
	                    &(struct tag_remove){ .repository_id = repository_id,
	                                          .ids = &t->id,
	                                          .n = 1,
	                                          .window_ms = window_ms,
	                                          .policies = &policies },
	                    &r));
	*ended = r->rows > 0;
	return ERR_NONE;
}
