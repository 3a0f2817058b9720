/* The rows of blobs on their way in. Any process goes on from the row; one writer at a time holds its lease. */
#ifndef KADE_MODEL_UPLOAD_H
#define KADE_MODEL_UPLOAD_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;
#define UPLOAD_LEASE_MS 60000 /* renewed while bytes arrive; a killed writer's upload is free again after it */

struct upload {
	int64_t     id;
	const char *uuid, *location;
	int64_t     offset_bytes; /* what is safely stored */
	const char *hash_state, *store_state;
	int         chunks;
	bool        is_busy;      /* somebody else is writing */
	char        lease[37];    /* ours, once taken */
};
/* From the row of upload_load, its columns beginning at first_col. False: no such upload in this repository. */
bool upload_from_row(struct ctx *c, const struct db_result *r, int first_col, struct upload *out);
/* A new row; u's uuid, location and states are set by the caller, its id is filled. */
enum err_kind upload_insert(struct ctx *c, int64_t repository_id, int64_t account_id, struct upload *u) MUST_CHECK;
/* Takes the lease by compare-and-set on the offset. *taken = false: another writer was quicker. */
enum err_kind upload_take_lease(struct ctx *c, struct upload *u, bool *taken) MUST_CHECK;
/* ERR_CONFLICT when the lease was lost. */
enum err_kind upload_renew_lease(struct ctx *c, const struct upload *u) MUST_CHECK;
/* Records offset and states and gives the lease back. ERR_CONFLICT when the lease was lost: nothing is recorded then. */
enum err_kind upload_record(struct ctx *c, const struct upload *u) MUST_CHECK;
/* How much is stored, whoever writes; -1: the upload is gone (cancelled or completed). */
enum err_kind upload_find_offset(struct ctx *c, int64_t id, int64_t *offset) MUST_CHECK;
enum err_kind upload_release_lease(struct ctx *c, const struct upload *u) MUST_CHECK;
/* Removes the row; the caller removes the bytes afterwards. */
enum err_kind upload_remove(struct ctx *c, int64_t id) MUST_CHECK;

struct upload_place {
	bool is_placed;   /* the blob is known and has an object in that location */
	bool is_deleting; /* its object is being deleted: bytes go under a key of their own */
};
struct upload_placing {
	struct str  digest;
	const char *location, *own_key; /* own_key: what it will be named if the standard key is being deleted */
};
/* Before an object is put into place: says where it may go, and announces it by a pending tombstone that upload_complete()
 * removes. Whoever dies in between leaves an object that the sweeper knows. */
enum err_kind upload_place(struct ctx *c, const struct upload_placing *p, struct upload_place *out) MUST_CHECK;

struct upload_done {
	int64_t     upload_id; /* 0: the bytes never had a row */
	int64_t     repository_id;
	struct str  digest;
	int64_t     size_bytes;
	const char *location;
	const char *key;       /* NULL = standard */
};
/* The transaction of completion: blob, placement and link come, upload and pending tombstone go. *raced: no row says any more that
 * the object is there, or it began to be deleted; nothing was changed. Call again once: another upload may just have placed it. */
enum err_kind upload_complete(struct ctx *c, const struct upload_done *d, bool *raced) MUST_CHECK;
enum err_kind location_ensure(struct ctx *c, const char *name) MUST_CHECK;
#endif
