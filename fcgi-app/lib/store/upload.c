/* The engine of uploads: see upload.h. Bytes are written to the store first and hashed after that, from the same warm
 * buffer: so the hash never covers a byte that the driver refused, and offset and hash always belong together. */
#include "store/upload.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "store/key.h"
#include "store/store.h"

#define DIRECT_BYTES 65536 /* from here on a slice goes to the driver without a copy */
#define HASH_PREFIX  "s256v1:"

enum err_kind
store_upload_new(struct ctx *c, struct store *s, const char *id, struct store_upload_row *row)
{
	struct sha256 sha;
	struct str state;
	char *text = arena_alloc(c->mem, SHA256_STATE_TEXT);

	TRY(store_may_write(c, s));
	if (!store_uuid_ok(str_of(id)))
		return err_set(c, ERR_BUG, "upload id is not a uuid");
	TRY(store_note(s, s->driver->upload_new(c, s, id, &state)));
	sha256_start(&sha);
	sha256_save(&sha, text);
	*row = (struct store_upload_row){ .id = str_dup_c(c->mem, id),
		                          .offset_bytes = 0,
		                          .hash_state = str_of(text),
		                          .store_state = state };
	return ERR_NONE;
}

/* The saved hash must be one of exactly `offset` bytes: its text holds the count. */
static enum err_kind
load_hash(struct ctx *c, const struct store_upload_row *row, struct sha256 *out)
{
	struct str raw;
	uint64_t bits = 0;

	if (row->hash_state.n == 0 && row->offset_bytes == 0) {
		sha256_start(out);
		return ERR_NONE;
	}
	if (!sha256_load(out, row->hash_state) ||
	    !base64_get(c->mem, str_sub(row->hash_state, sizeof HASH_PREFIX - 1, row->hash_state.n), &raw) ||
	    raw.n < 40)
		return err_set(c, ERR_BUG, "upload %s: the hash state cannot be read", row->id);
	for (int i = 32; i < 40; i++)
		bits = bits << 8 | (uint8_t)raw.p[i];
	if (row->offset_bytes < 0 || bits / 8 != (uint64_t)row->offset_bytes)
		return err_set(c, ERR_BUG, "upload %s: the hash state is not of offset %lld", row->id,
		               (long long)row->offset_bytes);
	return ERR_NONE;
}

enum err_kind
store_upload_resume(struct ctx *c, struct store *s, const struct store_upload_row *row,
                    struct store_upload **out)
{
	struct store_upload *u = ARENA_NEW(c->mem, struct store_upload);

	TRY(store_may_write(c, s));
	TRY(load_hash(c, row, &u->sha));
	u->store = s;
	u->id = str_dup_c(c->mem, row->id);
	u->offset = row->offset_bytes;
	TRY(store_note(s,
	               s->driver->upload_open(c, s, row->id, row->store_state, row->offset_bytes, &u->put)));
	*out = u;
	return ERR_NONE;
}

enum err_kind
store_upload_part(struct ctx *c, struct store_upload *u, const struct store_part *part)
{
	assert(c->tx == NULL && !u->is_finished && !u->is_in_part);
	TRY(store_note(u->store, u->store->driver->begin_part(c, u->put, part)));
	u->is_in_part = true;
	return ERR_NONE;
}

static enum err_kind
write_part(struct ctx *c, struct store_upload *u, const void *p, size_t n)
{
	if (!u->is_in_part)
		TRY(store_upload_part(c, u, &(struct store_part){ .length = -1 }));
	return store_note(u->store, u->store->driver->write(c, u->put, p, n));
}

static enum err_kind
write_through(struct ctx *c, struct store_upload *u, const void *p, size_t n)
{
	const enum err_kind k = write_part(c, u, p, n);

	if (k != ERR_NONE) {
		u->is_failed = true;
		return k;
	}
	sha256_feed(&u->sha, p, n);
	u->offset += (int64_t)n;
	assert(u->offset == u->put->offset);
	return ERR_NONE;
}

/* After a failure bytes are missing between offset and what the client sends next. */
static enum err_kind
still_good(struct ctx *c, const struct store_upload *u)
{
	assert(c->tx == NULL && !u->is_finished);
	return u->is_failed ? err_set(c, ERR_STORE, "upload %s: a write failed before", u->id) : ERR_NONE;
}

static enum err_kind
flush(struct ctx *c, struct store_upload *u)
{
	const size_t n = u->buffered;

	if (n == 0)
		return ERR_NONE;
	u->buffered =
	    0; /* after a failure they are lost: the client sends them again from the saved offset */
	return write_through(c, u, u->buf, n);
}

enum err_kind
store_upload_space(struct ctx *c, struct store_upload *u, char **p, size_t *room)
{
	TRY(still_good(c, u));
	if (u->buf == NULL)
		u->buf = arena_alloc(c->mem, STORE_UPLOAD_BUF);
	if (u->buffered == STORE_UPLOAD_BUF)
		TRY(flush(c, u));
	*p = u->buf + u->buffered;
	*room = STORE_UPLOAD_BUF - u->buffered;
	return ERR_NONE;
}

enum err_kind
store_upload_filled(struct ctx *c, struct store_upload *u, size_t n)
{
	assert(n <= STORE_UPLOAD_BUF - u->buffered);
	u->buffered += n;
	return u->buffered == STORE_UPLOAD_BUF ? flush(c, u) : ERR_NONE;
}

enum err_kind
store_upload_append(struct ctx *c, struct store_upload *u, const void *p, size_t n)
{
	const char *from = p;

	TRY(still_good(c, u));
	while (n > 0) {
		if (u->buffered == 0 && n >= DIRECT_BYTES)
			return write_through(c, u, from, n);
		char *to;
		size_t room;
		TRY(store_upload_space(c, u, &to, &room));
		if (room > n)
			room = n;
		memcpy(to, from, room);
		TRY(store_upload_filled(c, u, room));
		from += room;
		n -= room;
	}
	return ERR_NONE;
}

int64_t
store_upload_received(const struct store_upload *u)
{
	return u->offset + (int64_t)u->buffered;
}

enum err_kind
store_upload_checkpoint(struct ctx *c, struct store_upload *u, struct store_upload_row *row)
{
	struct str state;
	char *text = arena_alloc(c->mem, SHA256_STATE_TEXT);

	assert(c->tx == NULL && !u->is_finished);
	TRY(flush(c, u));
	TRY(store_note(u->store, u->store->driver->end_part(c, u->put, &state)));
	assert(u->offset == u->put->offset);
	u->is_in_part = false;
	sha256_save(&u->sha, text);
	*row = (struct store_upload_row){
		.id = u->id, .offset_bytes = u->offset, .hash_state = str_of(text), .store_state = state
	};
	return ERR_NONE;
}

enum err_kind
store_upload_digest(struct ctx *c, struct store_upload *u, char hex[2 * SHA256_BYTES + 1])
{
	uint8_t sum[SHA256_BYTES];

	TRY(still_good(c, u));
	TRY(flush(c, u));
	sha256_end(&u->sha, sum);
	hex_put(hex, sum, sizeof sum);
	return ERR_NONE;
}

struct reading {
	EVP_MD_CTX *md;
	const struct store_each *each;
};

static enum err_kind
feed_evp(struct ctx *c, void *arg, const void *p, size_t n)
{
	const struct reading *r = arg;

	if (EVP_DigestUpdate(r->md, p, n) != 1)
		return err_set(c, ERR_BUG, "the hash function failed");
	return r->each == NULL ? ERR_NONE : r->each->call(c, r->each->arg);
}

static void
free_evp(void *p)
{
	EVP_MD_CTX_free(p);
}

enum err_kind
store_upload_digest512(struct ctx *c, struct store_upload *u, const struct store_each *each,
                       char hex[2 * SHA512_BYTES + 1])
{
	uint8_t sum[SHA512_BYTES];
	struct str state;
	char *room;
	size_t n;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct reading reading = { md, each };

	if (md == NULL)
		return err_set(c, ERR_BUSY, "no memory for a hash");
	arena_defer(c->mem, free_evp, md);
	TRY(flush(c, u));
	TRY(store_upload_space(c, u, &room, &n)); /* the buffer is empty now and serves the reading */
	if (EVP_DigestInit_ex(md, EVP_sha512(), NULL) != 1)
		return err_set(c, ERR_BUG, "there is no SHA-512");
	TRY(store_note(u->store, u->store->driver->read_back(c, u->put,
	                                                     &(struct store_get){
	                                                         .key = u->id,
	                                                         .range = {0, u->offset},
	                                                         .buf = room,
	                                                         .buf_bytes = n,
	                                                         .sink = feed_evp,
	                                                         .arg = &reading
        },
	                                                     &state)));
	if (EVP_DigestFinal_ex(md, sum, NULL) != 1)
		return err_set(c, ERR_BUG, "the hash function failed");
	hex_put(hex, sum, sizeof sum);
	return ERR_NONE;
}

enum err_kind
store_upload_finish(struct ctx *c, struct store_upload *u, const char *key)
{
	struct store_info info;
	const struct store_driver *d = u->store->driver;

	TRY(still_good(c, u));
	if (!store_key_ok(str_of(key)))
		return err_set(c, ERR_BUG, "storage %s: a key that cannot be", u->store->name);
	TRY(flush(c, u));
	TRY(store_note(u->store, d->complete(c, u->put, key)));
	d->put_close(c, u->put);
	u->is_finished = true;
	TRY(store_note(u->store, d->stat(c, u->store, key, &info)));
	if (!info.exists || info.size_bytes != u->offset)
		return err_set(c, ERR_STORE, "storage %s: %s has %lld bytes after %lld were written",
		               u->store->name, key, info.exists ? (long long)info.size_bytes : -1LL,
		               (long long)u->offset);
	return ERR_NONE;
}

void
store_upload_close(struct ctx *c, struct store_upload *u)
{
	if (u->is_finished)
		return;
	u->is_finished = true;
	u->store->driver->put_close(c, u->put);
}

enum err_kind
store_upload_cancel(struct ctx *c, struct store_upload *u)
{
	const struct store_driver *d = u->store->driver;

	assert(c->tx == NULL);
	if (u->is_finished)
		return ERR_NONE;
	u->is_finished = true;
	u->buffered = 0;
	const enum err_kind k = store_note(u->store, d->cancel(c, u->put));
	d->put_close(c, u->put);
	return k;
}

enum err_kind
store_upload_abort(struct ctx *c, struct store *s, const struct store_upload_row *row)
{
	TRY(store_may_write(c, s));
	if (!store_uuid_ok(str_of(row->id)))
		return err_set(c, ERR_BUG, "upload id is not a uuid");
	return store_note(s, s->driver->upload_abort(c, s, row->id, row->store_state));
}
