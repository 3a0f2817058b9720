/* A blob on its way in: bytes of a request's body through SHA-256 into a store, able to stop in one process and go on in
 * another. Serves the /v2 upload routes, the proxy cache, mirroring and copies between locations. Memory is constant: one
 * buffer of STORE_UPLOAD_BUF bytes.
 *
 *   POST   store_upload_new()                                    → row inserted
 *   PATCH  store_upload_resume(row) · part · append … · checkpoint → row updated, 202
 *   PUT    store_upload_resume(row) · (part · append …) · digest, compare · finish(key) → transaction, 201
 *   DELETE, wrong digest, sweep   store_upload_cancel() with a handle, store_upload_abort() without
 *
 * No database connection is held during any of these calls. */
#ifndef KADE_STORE_UPLOAD_H
#define KADE_STORE_UPLOAD_H
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"
#include "store/driver.h"

#define STORE_UPLOAD_BUF 262144

/* The columns of the `upload` row that belong here. */
struct store_upload_row {
	const char *id; /* uuid */
	int64_t offset_bytes;
	struct str hash_state, store_state;
};
struct store_upload { /* in c->mem; fields are for reading only */
	struct store *store;
	struct store_put *put;
	const char *id;
	int64_t offset;    /* bytes hashed and taken by the driver */
	struct sha256 sha; /* of the bytes 0 … offset */
	char *buf;         /* STORE_UPLOAD_BUF bytes, from the first append on */
	size_t buffered;   /* bytes in buf that come after offset */
	bool is_in_part, is_finished;
	bool is_failed; /* a write failed: nothing more is taken, for bytes would be missing in between */
};

/* Begins an upload. id: a uuid never used before (random_uuid()). *row given: to be inserted. */
enum err_kind store_upload_new(struct ctx *c, struct store *s, const char *id,
                               struct store_upload_row *row) MUST_CHECK;
/* Goes on where the row stands. *out given. ERR_NOT_FOUND: the store has lost it (answer "upload unknown", drop the row);
 * ERR_BUSY: another request is writing; ERR_BUG: a row that cannot be. */
enum err_kind store_upload_resume(struct ctx *c, struct store *s, const struct store_upload_row *row,
                                  struct store_upload **out) MUST_CHECK;
/* A body begins. Optional before append (then: unknown length, not last). */
enum err_kind store_upload_part(struct ctx *c, struct store_upload *u,
                                const struct store_part *part) MUST_CHECK;
/* Takes n bytes. Counts are in store_upload_received(). After a failure only checkpoint, cancel or dropping the handle make
 * sense; ERR_STORE says "no space left" where that is so. */
enum err_kind store_upload_append(struct ctx *c, struct store_upload *u, const void *p, size_t n) MUST_CHECK;
/* The same without a copy: where the next bytes may be put (*room ≥ 1), and how many were. */
enum err_kind store_upload_space(struct ctx *c, struct store_upload *u, char **p, size_t *room) MUST_CHECK;
enum err_kind store_upload_filled(struct ctx *c, struct store_upload *u, size_t n) MUST_CHECK;
/* Bytes received since the start of the upload, the buffered ones included. */
int64_t store_upload_received(const struct store_upload *u);
/* Everything received is durable in the store; *row (given, id included) holds what to write into the row. Ends the part;
 * the handle can go on with another. Call it also when the client went away in the middle: it may then resume. After a
 * failed append it saves what was stored before the failure. */
enum err_kind store_upload_checkpoint(struct ctx *c, struct store_upload *u,
                                      struct store_upload_row *row) MUST_CHECK;
/* SHA-256 of everything received, as 64 lower-case hex digits. Flushes the buffer. */
enum err_kind store_upload_digest(struct ctx *c, struct store_upload *u,
                                  char hex[2 * SHA256_BYTES + 1]) MUST_CHECK;
/* Called again and again during long work; a failure ends it. */
struct store_each {
	enum err_kind (*call)(struct ctx *c, void *arg);
	void *arg;
};
/* SHA-512 of everything received: reads the stored upload again; each: after every piece, NULL = nothing. */
enum err_kind store_upload_digest512(struct ctx *c, struct store_upload *u, const struct store_each *each,
                                     char hex[2 * SHA512_BYTES + 1]) MUST_CHECK;
/* Makes it the object `key` (store_key_blob() or store_key_own()), durably, and compares the size that the store reports.
 * Repeatable from the same row after a crash. The handle is finished. */
enum err_kind store_upload_finish(struct ctx *c, struct store_upload *u, const char *key) MUST_CHECK;
/* Gives the handle and its hold on the bytes back, which would else last as long as c->mem: before the row says that the
 * upload is free, for the next writer may be there at once. Nothing is lost. */
void store_upload_close(struct ctx *c, struct store_upload *u);
/* Drops the upload and its handle. ERR_NONE when it is gone. */
enum err_kind store_upload_cancel(struct ctx *c, struct store_upload *u) MUST_CHECK;
/* Drops an upload by its row: cleaning jobs. ERR_BUSY while a request works on it. */
enum err_kind store_upload_abort(struct ctx *c, struct store *s,
                                 const struct store_upload_row *row) MUST_CHECK;
#endif
