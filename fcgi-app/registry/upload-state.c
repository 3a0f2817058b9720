/* An upload inside one request. */
#include "app.h"
#include "registry/upload-state.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/counters.h"
#include "conf/conf.h"
#include "http/response.h"
#include "oci/range.h"
#include "oci/say.h"
#include "registry/v2.h"
#include "store/key.h"
#include "store/store.h"

#define COMPLETE_TRIES 3

#define RENEW_US (UPLOAD_LEASE_MS * 1000LL / 3)

enum err_kind
up_find(struct req *rq, struct upload *u)
{
	if (!upload_from_row(rq->c, rq->load, FACTS_COLS, u))
		return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_BLOB_UPLOAD_UNKNOWN);
	return ERR_NONE;
}

void
up_headers(struct req *rq, const char *uuid, int64_t received)
{
	reg_location(rq, "blobs/uploads/%s", uuid);
	res_headerf(rq, "Range", "0-%lld", (long long)(received > 0 ? received - 1 : 0));
	res_header(rq, "Docker-Upload-UUID", str_of(uuid));
}

enum err_kind
up_out_of_range(struct req *rq, const char *uuid, int64_t received)
{
	err_say(rq->c, ERR_RANGE, &OCI_SAY_BLOB_UPLOAD_RANGE);
	res_problem(rq);
	up_headers(rq, uuid, received);
	return ERR_NONE;
}

enum err_kind
up_check_range(struct req *rq, const struct upload *u, int64_t *skip)
{
	const struct str h = req_header(rq, "content-range");
	int64_t          first, last;

	*skip = 0;
	if (h.p == NULL || h.n == 0)
		return ERR_NONE;
	if (!oci_content_range_parse(h, &first, &last))
		return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_CONTENT_RANGE_INVALID);
	if (!oci_chunk_fits(first, last, u->offset_bytes, skip))
		return err_say(rq->c, ERR_RANGE, &OCI_SAY_BLOB_UPLOAD_RANGE);
	return ERR_NONE;
}

/* Drops the first bytes of a chunk that overlaps what is stored. */
static enum err_kind
skip_overlap(struct req *rq, int64_t skip)
{
	char   waste[8192];
	size_t got = 1;

	while (skip > 0 && got > 0) {
		TRY(req_body_read(rq, waste, skip < (int64_t)sizeof waste ? (size_t)skip : sizeof waste, &got));
		skip -= (int64_t)got;
	}
	return ERR_NONE;
}

struct lease {
	struct upload *u;
	int64_t        renewed_us;
};

/* The lease lasts as long as somebody works: reading a large upload again takes longer than a lease. */
static enum err_kind
keep_lease(struct ctx *c, void *arg)
{
	struct lease *l = arg;

	if (l->u->id == 0 || clock_mono_us() - l->renewed_us <= RENEW_US)
		return ERR_NONE;
	l->renewed_us = clock_mono_us();
	return upload_renew_lease(c, l->u);
}

enum err_kind
up_take_body(struct req *rq, struct upload *u, struct store_upload *su, int64_t skip)
{
	const int64_t max = rq->c->conf->maximum_layer_size_bytes;
	struct lease  lease = { u, clock_mono_us() };
	size_t        got = 1;

	if (rq->content_length > 0 && max > 0 && u->offset_bytes + rq->content_length - skip > max)
		return oci_blob_too_large(rq->c, u->offset_bytes + rq->content_length - skip, max);
	TRY(skip_overlap(rq, skip));
	while (got > 0) {
		char  *p;
		size_t room;
		TRY(store_upload_space(rq->c, su, &p, &room));
		TRY(req_body_read(rq, p, room, &got));
		if (got > 0)
			TRY(store_upload_filled(rq->c, su, got));
		if (max > 0 && store_upload_received(su) > max)
			return oci_blob_too_large(rq->c, store_upload_received(su), max);
		TRY(keep_lease(rq->c, &lease));
	}
	return ERR_NONE;
}

void
up_discard(struct req *rq, const struct upload *u, struct store_upload *su)
{
	const struct err kept = rq->c->err;

	/* Row first: whoever comes now finds no upload. Bytes that stay are swept by the uploads job. */
	if (u->id != 0)
		(void)!upload_remove(rq->c, u->id);
	if (su != NULL)
		(void)!store_upload_cancel(rq->c, su);
	rq->c->err = kept;
}

static enum err_kind
digest_matches(struct req *rq, struct upload *u, struct store_upload *su, const struct oci_digest *want)
{
	struct lease            lease = { u, 0 }; /* 0: renewed with the first piece */
	const struct store_each each = { keep_lease, &lease };
	char                    hex[2 * SHA512_BYTES + 1];
	struct str              have;

	if (want->alg == OCI_SHA512)
		TRY(store_upload_digest512(rq->c, su, &each, hex));
	else
		TRY(store_upload_digest(rq->c, su, hex));
	have = str_of(hex);
	if (!str_eq(have, oci_digest_hex(want)))
		return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID);
	return ERR_NONE;
}

void
up_created(struct req *rq, const char *digest)
{
	reg_location(rq, "blobs/%s", digest);
	res_header(rq, "Docker-Content-Digest", str_of(digest));
	res_empty(rq, 201);
}

static enum err_kind
finish(struct req *rq, struct upload *u, struct store_upload *su, const struct oci_digest *want)
{
	struct ctx         *c = rq->c;
	struct upload_done  done = { .upload_id = u->id, .repository_id = rq->facts.repository_id, .digest = oci_digest_str(want),
		                     .location = su->store->name };
	struct upload_place place;
	char                key[STORE_KEY_MAX], own[STORE_KEY_MAX];
	bool                raced = true;

	TRY(digest_matches(rq, u, su, want));
	if (!store_key_own(done.digest, str_of(u->uuid), own) || !store_key_blob(done.digest, key))
		return err_set(c, ERR_BUG, "no key for %s", want->text);
	TRY(upload_place(c, &(struct upload_placing){ .digest = done.digest, .location = done.location, .own_key = own }, &place));
	if (place.is_deleting)
		done.key = own;
	done.size_bytes = store_upload_received(su);
	TRY(store_upload_finish(c, su, place.is_deleting ? own : key));
	/* Another upload of the digest may have taken the announcement away by placing it: the next look sees that. */
	for (int i = 0; raced && i < COMPLETE_TRIES; i++)
		TRY(upload_complete(c, &done, &raced));
	counters_add(c->counters, CNT_PUSHED_BYTES, (uint64_t)done.size_bytes);
	/* upload_place() keeps a pending tombstone from becoming due for an hour: this is a completion that took longer. */
	return raced ? err_set(c, ERR_STORE, "%s began to be deleted while it was completed", want->text) : ERR_NONE;
}

enum err_kind
up_complete(struct req *rq, struct upload *u, struct store_upload *su, const struct oci_digest *want)
{
	const enum err_kind e = finish(rq, u, su, want);

	if (e == ERR_BAD_INPUT)
		up_discard(rq, u, su);
	if (e != ERR_NONE)
		return e;
	up_created(rq, want->text);
	return ERR_NONE;
}

enum err_kind
up_digest_param(struct req *rq, struct oci_digest *out)
{
	const struct str text = req_query(rq, "digest");

	if (text.p == NULL || text.n == 0)
		return oci_upload_invalid(rq->c, "Missing digest arg on monolithic upload");
	if (!oci_digest_parse(text, out))
		return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID);
	return ERR_NONE;
}
