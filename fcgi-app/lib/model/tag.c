/* Tags as people change them by hand, over the REST API. */
#include "model/tag.h"

#include <string.h>

#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
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

enum err_kind
tag_end_siblings(struct ctx *c, int64_t repository_id, struct str digest, int64_t window_ms)
{
	struct oci_digest d;
	char names[OCI_SIBLINGS][OCI_SIBLING_TEXT];
	struct str v[OCI_SIBLINGS];

	if (!oci_digest_parse(digest, &d) || d.alg != OCI_SHA256)
		return ERR_NONE;
	for (int i = 0; i < OCI_SIBLINGS; i++) {
		oci_sibling_tag(&d, (enum oci_sibling)i, names[i]);
		v[i] = str_of(names[i]);
	}
	return db_exec(c, STMT_TAG_END_SIBLINGS,
	               DB_ARGS(db_i64(repository_id), db_strn(digest), db_str_array(v, OCI_SIBLINGS),
	                       db_i64(window_ms), db_bool(c->conf->feature_immutable_tags)),
	               NULL);
}

enum err_kind
tag_move(struct ctx *c, const struct tag_move *m)
{
	const struct db_result *held, *ended;

	TRY(db_queue(c, STMT_TAG_LOCK, DB_ARGS(db_i64(m->repository_id), db_strn(m->name)), NULL));
	TRY(db_queue(c, STMT_TAG_HOLD_MANIFEST, DB_ARGS(db_i64(m->manifest_id), db_bool(m->is_restore)),
	             &held));
	TRY(db_queue(c, STMT_TAG_END,
	             DB_ARGS(db_i64(m->repository_id), db_strn(m->name),
	                     db_strn(m->is_restore ? STR("") : m->digest), db_i64(m->window_ms),
	                     db_bool(c->conf->feature_immutable_tags)),
	             &ended));
	TRY(db_flush(c));
	if (held->rows == 0)
		return err_set(c, ERR_NOT_FOUND, "the manifest is gone");
	if (m->is_restore)
		TRY(db_exec(c, STMT_TAG_UNREMOVE_MANIFEST, DB_ARGS(db_i64(m->manifest_id)), NULL));
	TRY(raced(c, db_exec(c, STMT_TAG_POINT,
	                     DB_ARGS(db_i64(m->repository_id), db_strn(m->name), db_i64(m->manifest_id),
	                             db_bool(m->is_restore)),
	                     NULL)));
	if (m->old_digest.n > 0 && !str_eq(m->old_digest, m->digest))
		return tag_end_siblings(c, m->repository_id, m->old_digest, m->window_ms);
	return ERR_NONE;
}

enum err_kind
tag_remove(struct ctx *c, int64_t repository_id, const struct tag_item *t, int64_t window_ms, bool *ended)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_TAG_DELETE,
	            DB_ARGS(db_i64(t->id), db_i64(window_ms), db_bool(c->conf->feature_immutable_tags)), &r));
	*ended = r->rows > 0;
	if (!*ended)
		return ERR_NONE;
	TRY(db_exec(c, STMT_TAG_DROP_PULLS, DB_ARGS(db_i64(repository_id), db_strn(t->name)), NULL));
	return tag_end_siblings(c, repository_id, t->digest, window_ms);
}
