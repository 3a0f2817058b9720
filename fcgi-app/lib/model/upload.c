/* The rows of blobs on their way in. */
#include "model/upload.h"

#include "base/ctx.h"
#include "base/digest.h"
#include "db/db.h"

#define PLACE_TRIES 3 /* pending, deleting, gone */

bool
upload_from_row(struct ctx *c, const struct db_result *r, int first_col, struct upload *out)
{
	enum { ID, UUID, LOCATION, OFFSET, HASH, STORE, CHUNKS, BUSY };

	(void)c;
	if (r->rows == 0 || db_is_null(r, 0, first_col + ID))
		return false;
	*out = (struct upload){ .id = db_get_i64(r, 0, first_col + ID), .uuid = db_get_str(r, 0, first_col + UUID),
		                .location = db_get_str(r, 0, first_col + LOCATION), .offset_bytes = db_get_i64(r, 0, first_col + OFFSET),
		                .hash_state = db_get_str(r, 0, first_col + HASH), .store_state = db_get_str(r, 0, first_col + STORE),
		                .chunks = (int)db_get_i64(r, 0, first_col + CHUNKS), .is_busy = db_get_bool(r, 0, first_col + BUSY) };
	return true;
}

enum err_kind
upload_insert(struct ctx *c, int64_t repository_id, int64_t account_id, struct upload *u)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_UPLOAD_START,
	            DB_ARGS(db_str(u->uuid), db_i64(repository_id), db_str(u->location), db_i64_or_null(account_id),
	                    db_str(u->store_state), db_str(u->hash_state)),
	            &r));
	if (r->rows == 0)
		return err_set(c, ERR_BUG, "location %s has no row", u->location);
	u->id = db_get_i64(r, 0, UPLOAD_START_ID);
	return ERR_NONE;
}

enum err_kind
upload_take_lease(struct ctx *c, struct upload *u, bool *taken)
{
	const struct db_result *r;
	char                    lease[37];

	random_uuid(lease);
	TRY(db_exec(c, STMT_UPLOAD_LEASE, DB_ARGS(db_i64(u->id), db_str(lease), db_i64(u->offset_bytes), db_i64(UPLOAD_LEASE_MS)), &r));
	*taken = r->rows > 0;
	if (*taken)
		memcpy(u->lease, lease, sizeof lease);
	return ERR_NONE;
}

static enum err_kind
lease_kept(struct ctx *c, const struct upload *u, const struct db_result *r)
{
	return r->rows > 0 ? ERR_NONE : err_set(c, ERR_CONFLICT, "upload %s: the lease was lost", u->uuid);
}

enum err_kind
upload_renew_lease(struct ctx *c, const struct upload *u)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_UPLOAD_RENEW, DB_ARGS(db_i64(u->id), db_str(u->lease), db_i64(UPLOAD_LEASE_MS)), &r));
	return lease_kept(c, u, r);
}

enum err_kind
upload_record(struct ctx *c, const struct upload *u)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_UPLOAD_SAVE,
	            DB_ARGS(db_i64(u->id), db_str(u->lease), db_i64(u->offset_bytes), db_str(u->hash_state), db_str(u->store_state)), &r));
	return lease_kept(c, u, r);
}

enum err_kind
upload_find_offset(struct ctx *c, int64_t id, int64_t *offset)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_UPLOAD_OFFSET, DB_ARGS(db_i64(id)), &r));
	*offset = r->rows > 0 ? db_get_i64(r, 0, UPLOAD_OFFSET_OFFSET_BYTES) : -1;
	return ERR_NONE;
}

enum err_kind
upload_release_lease(struct ctx *c, const struct upload *u)
{
	return db_exec(c, STMT_UPLOAD_RELEASE, DB_ARGS(db_i64(u->id), db_str(u->lease)), NULL);
}

enum err_kind
upload_remove(struct ctx *c, int64_t id)
{
	return db_exec(c, STMT_UPLOAD_DELETE, DB_ARGS(db_i64(id)), NULL);
}

enum err_kind
upload_place(struct ctx *c, const struct upload_placing *p, struct upload_place *out)
{
	const struct db_result *r = NULL;

	for (int i = 0; i < PLACE_TRIES && (r == NULL || db_get_bool(r, 0, BLOB_PLACE_AGAIN)); i++) {
		TRY(db_exec(c, STMT_BLOB_PLACE, DB_ARGS(db_strn(p->digest), db_str(p->location), db_str(p->own_key)), &r));
		if (r->rows == 0)
			return err_set(c, ERR_BUG, "location %s has no row", p->location);
	}
	if (db_get_bool(r, 0, BLOB_PLACE_AGAIN))
		return err_set(c, ERR_BUSY, "the object's tombstone changed again and again");
	out->is_placed = db_get_bool(r, 0, BLOB_PLACE_HAS_BLOB) && db_get_bool(r, 0, BLOB_PLACE_PLACED);
	out->is_deleting = db_get_bool(r, 0, BLOB_PLACE_DELETING);
	return ERR_NONE;
}

enum err_kind
upload_complete(struct ctx *c, const struct upload_done *d, bool *raced)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_UPLOAD_FINISH,
	            DB_ARGS(db_i64(d->upload_id), db_i64(d->repository_id), db_strn(d->digest), db_i64(d->size_bytes), db_str(d->location),
	                    db_str(d->key)),
	            &r));
	*raced = db_is_null(r, 0, UPLOAD_FINISH_BLOB_ID);
	return ERR_NONE;
}

enum err_kind
location_ensure(struct ctx *c, const char *name)
{
	return db_exec(c, STMT_LOCATION_ENSURE, DB_ARGS(db_str(name)), NULL);
}
