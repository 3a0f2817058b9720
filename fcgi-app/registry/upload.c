/* Uploads of blobs: start (with mount and single POST), chunks, completion, status, cancel. OCI distribution specification,
 * "Pushing blobs". The row is the only state: any process of any host takes the next request of a session. */
#include "app.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "http/response.h"
#include "model/blob.h"
#include "model/quota.h"
#include "oci/name.h"
#include "oci/say.h"
#include "registry/upload-state.h"
#include "registry/v2.h"
#include "store/store.h"

static struct store_upload_row
row_of(const struct upload *u)
{
	return (struct store_upload_row){ .id = u->uuid, .offset_bytes = u->offset_bytes, .hash_state = str_of(u->hash_state),
		                          .store_state = str_of(u->store_state) };
}

static enum err_kind
bind_uuid(struct req *rq, struct db_args *a)
{
	const bool takes_bytes = rq->method == HTTP_PATCH || rq->method == HTTP_PUT;

	db_args_add(a, db_strn(req_capture(rq, "uuid")));
	db_args_add(a, db_bool(takes_bytes && quota_is_verified(rq->c->conf)));
	db_args_add(a, db_i64(rq->c->conf->default_system_reject_quota_bytes));
	return ERR_NONE;
}

/* The quota is asked for along with the facts, where it is checked at all. */
static enum err_kind
bind_start(struct req *rq, struct db_args *a)
{
	if (!quota_is_verified(rq->c->conf))
		return ERR_NONE;
	rq->load_stmt = STMT_UPLOAD_START_LOAD;
	db_args_add(a, db_i64(rq->c->conf->default_system_reject_quota_bytes));
	return ERR_NONE;
}

/* 403, told to the people of the namespace, too. */
static enum err_kind
quota_exceeded(struct req *rq)
{
	quota_after_push(rq->c, rq->facts.namespace_id, &(struct quota_verdict){ .is_refused = true });
	return err_say(rq->c, ERR_QUOTA, &OCI_SAY_QUOTA);
}

/* An upload whose namespace has no room left ends, and its bytes no longer count. */
static enum err_kind
check_quota(struct req *rq, const struct upload *u)
{
	const struct store_upload_row row = row_of(u);
	struct store                 *s = store_find(rq->app->stores, str_of(u->location));

	if (!db_get_bool(rq->load, 0, UPLOAD_LOAD_OVER_QUOTA))
		return ERR_NONE;
	TRY(upload_remove(rq->c, u->id));
	if (s != NULL && store_upload_abort(rq->c, s, &row) != ERR_NONE)
		err_clear(rq->c); /* the row is gone; bytes that stay are swept by the uploads job */
	return quota_exceeded(rq);
}

/* mount=D[&from=R]. Whatever stands in the way, the answer is a session, never an error (*mounted = false). */
static enum err_kind
try_mount(struct req *rq, bool *mounted)
{
	const struct str           what = req_query(rq, "mount"), from = req_query(rq, "from");
	const struct oci_name_rules rules = { str_of(rq->c->conf->library_namespace), rq->c->conf->feature_library_support };
	struct blob_mount          m = { .target_id = rq->facts.repository_id, .caller = &rq->ident, .caller_id = rq->facts.caller_id };
	struct oci_digest          d;

	*mounted = false;
	if (what.p == NULL || !oci_digest_parse(what, &d))
		return ERR_NONE;
	m.digest = oci_digest_str(&d);
	if (from.p != NULL && from.n > 0) {
		if (oci_name_split(rq->c, from, &rules, &m.from_ns, &m.from_repo) != ERR_NONE) {
			err_clear(rq->c);
			return ERR_NONE;
		}
	} else if (!rq->c->conf->kade_anonymous_mount) {
		return ERR_NONE;
	}
	TRY(blob_mount(rq->c, &m, mounted));
	if (*mounted)
		up_created(rq, d.text);
	return ERR_NONE;
}

/* POST with the digest and the whole body: no row, no second request. */
static enum err_kind
single_post(struct req *rq, const struct oci_digest *want)
{
	struct ctx             *c = rq->c;
	struct store           *s = store_preferred(rq->app->stores);
	struct upload           u = { .id = 0 };
	struct store_upload_row row;
	struct store_upload    *su;
	enum err_kind           e;
	char                    uuid[37];

	random_uuid(uuid);
	u.uuid = uuid;
	TRY(store_upload_new(c, s, uuid, &row));
	TRY(store_upload_resume(c, s, &row, &su));
	TRY(store_upload_part(c, su, &(struct store_part){ .length = rq->content_length, .is_last = true }));
	e = up_take_body(rq, &u, su, 0);
	if (e != ERR_NONE) {
		up_discard(rq, &u, su);
		return e;
	}
	return up_complete(rq, &u, su, want);
}

static enum err_kind
reg_upload_start(struct req *rq)
{
	struct ctx             *c = rq->c;
	struct store           *s = store_preferred(rq->app->stores);
	const struct str        digest = req_query(rq, "digest"), alg = req_query(rq, "digest-algorithm");
	struct oci_digest       want;
	struct store_upload_row row;
	struct upload           u = { .location = s->name };
	bool                    mounted = false;
	char                    uuid[37];

	if (alg.p != NULL && oci_alg_parse(alg) == OCI_ALG_NONE)
		return err_say_fmt(c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID, "unsupported digest algorithm");
	if (digest.p != NULL && digest.n > 0 && !oci_digest_parse(digest, &want))
		return err_say(c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID);
	if (rq->load_stmt == STMT_UPLOAD_START_LOAD && db_get_bool(rq->load, 0, UPLOAD_START_LOAD_OVER_QUOTA))
		return quota_exceeded(rq);
	TRY(reg_ensure_repository(rq));
	TRY(try_mount(rq, &mounted));
	if (mounted)
		return ERR_NONE;
	if (digest.p != NULL && digest.n > 0 && (rq->content_length != 0 || oci_digest_eq(&want, &(struct oci_digest){ OCI_SHA256, OCI_DIGEST_EMPTY })))
		return single_post(rq, &want);
	random_uuid(uuid);
	TRY(store_upload_new(c, s, uuid, &row));
	u.uuid = uuid;
	u.hash_state = str_dup(c->mem, row.hash_state);
	u.store_state = str_dup(c->mem, row.store_state);
	TRY(upload_insert(c, rq->facts.repository_id, rq->facts.caller_id, &u));
	up_headers(rq, uuid, 0);
	res_empty(rq, 202);
	return ERR_NONE;
}

static enum err_kind
reg_upload_status(struct req *rq)
{
	struct upload u;

	TRY(up_find(rq, &u));
	up_headers(rq, u.uuid, u.offset_bytes);
	res_empty(rq, 204);
	return ERR_NONE;
}

/* The store has lost the bytes: the client must start again. */
static enum err_kind
session_lost(struct req *rq, const struct upload *u)
{
	TRY(upload_remove(rq->c, u->id));
	return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_BLOB_UPLOAD_UNKNOWN);
}

/* The lease was lost while the body came. Cancelled meanwhile: the bytes are ours to remove. Else another writer goes on. */
static enum err_kind
lease_lost(struct req *rq, const struct upload *u, struct store_upload *su)
{
	const struct store_upload_row row = row_of(u);
	int64_t                       offset;

	store_upload_close(rq->c, su);
	TRY(upload_find_offset(rq->c, u->id, &offset));
	if (offset >= 0)
		return up_out_of_range(rq, u->uuid, offset);
	(void)!store_upload_abort(rq->c, su->store, &row); /* what stays is swept by the uploads job */
	return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_BLOB_UPLOAD_UNKNOWN);
}

/* A body that did not come whole, or could not be stored: the session stays where it was, unless it can never fit. */
static enum err_kind
body_failed(struct req *rq, const struct upload *u, struct store_upload *su, enum err_kind e)
{
	const struct err kept = rq->c->err;

	if (e == ERR_NOT_FOUND)
		return session_lost(rq, u);
	if (e == ERR_CONFLICT)
		return lease_lost(rq, u, su);
	if (e == ERR_TOO_LARGE) {
		up_discard(rq, u, su);
	} else {
		if (su != NULL)
			store_upload_close(rq->c, su);
		(void)!upload_release_lease(rq->c, u);
	}
	rq->c->err = kept;
	return e;
}

/* Everything that comes before the body: row, range, lease, store. *answered: the answer is set (416). */
static enum err_kind
open_session(struct req *rq, struct upload *u, int64_t *skip, struct store_upload **su, bool *answered)
{
	struct store           *s;
	struct store_upload_row row;
	enum err_kind           e;
	bool                    taken;

	*answered = true;
	TRY(up_find(rq, u));
	e = up_check_range(rq, u, skip);
	if (e == ERR_RANGE || (e == ERR_NONE && u->is_busy))
		return up_out_of_range(rq, u->uuid, u->offset_bytes);
	TRY(e);
	TRY(check_quota(rq, u));
	s = store_find(rq->app->stores, str_of(u->location));
	if (s == NULL)
		return err_set(rq->c, ERR_STORE, "location %s of upload %s is not configured", u->location, u->uuid);
	TRY(upload_take_lease(rq->c, u, &taken));
	if (!taken)
		return up_out_of_range(rq, u->uuid, u->offset_bytes);
	row = row_of(u);
	e = store_upload_resume(rq->c, s, &row, su);
	if (e == ERR_BUSY) { /* a writer whose lease ran out still holds the bytes */
		(void)!upload_release_lease(rq->c, u);
		return up_out_of_range(rq, u->uuid, u->offset_bytes);
	}
	if (e != ERR_NONE)
		return body_failed(rq, u, NULL, e);
	*answered = false;
	return ERR_NONE;
}

/* What of the announced body is new; -1 = unknown. */
static int64_t
part_length(const struct req *rq, int64_t skip)
{
	return rq->content_length < 0 ? -1 : rq->content_length > skip ? rq->content_length - skip : 0;
}

static enum err_kind
reg_upload_patch(struct req *rq)
{
	struct ctx             *c = rq->c;
	struct store_upload    *su = NULL;
	struct store_upload_row row;
	struct upload           u;
	int64_t                 skip;
	bool                    answered;
	enum err_kind           e;

	TRY(open_session(rq, &u, &skip, &su, &answered));
	if (answered)
		return ERR_NONE;
	e = store_upload_part(c, su, &(struct store_part){ .length = part_length(rq, skip) });
	if (e == ERR_NONE)
		e = up_take_body(rq, &u, su, skip);
	if (e == ERR_NONE)
		e = store_upload_checkpoint(c, su, &row);
	if (e != ERR_NONE)
		return body_failed(rq, &u, su, e);
	u.offset_bytes = row.offset_bytes;
	u.hash_state = str_dup(c->mem, row.hash_state);
	u.store_state = str_dup(c->mem, row.store_state);
	store_upload_close(c, su);
	e = upload_record(c, &u);
	if (e != ERR_NONE)
		return body_failed(rq, &u, su, e);
	up_headers(rq, u.uuid, u.offset_bytes);
	res_empty(rq, 202);
	return ERR_NONE;
}

/* The session is gone: if a 201 was lost on its way, the blob is here and the client hears it again. */
static enum err_kind
completed_before(struct req *rq, const struct oci_digest *want)
{
	const struct db_result *r;
	struct blob             b;
	struct db_args          a = { 0 };
	const unsigned          caps = facts_caps(rq->c->conf, &rq->ident, rq->ns, rq->repo, ROLE_WRITE);

	facts_args(&a, rq->ns, rq->repo, &rq->ident, caps);
	db_args_add(&a, db_str(want->text));
	db_args_add(&a, db_i64(push_window_ms(rq->c)));
	TRY(db_exec(rq->c, STMT_BLOB_LOAD, &a, &r));
	if (!blob_from_rows(rq->c, r, FACTS_COLS, &b))
		return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_BLOB_UPLOAD_UNKNOWN);
	up_created(rq, want->text);
	return ERR_NONE;
}

static enum err_kind
reg_upload_put(struct req *rq)
{
	struct store_upload *su = NULL;
	struct upload        u;
	struct oci_digest    want;
	int64_t              skip;
	bool                 answered;
	enum err_kind        e;

	/* The range is looked at before the digest: a wrong chunk is 416 and costs the client nothing. */
	if (upload_from_row(rq->c, rq->load, FACTS_COLS, &u)) {
		e = up_check_range(rq, &u, &skip);
		if (e == ERR_RANGE)
			return up_out_of_range(rq, u.uuid, u.offset_bytes);
		TRY(e);
	}
	TRY(up_digest_param(rq, &want));
	if (db_is_null(rq->load, 0, FACTS_COLS))
		return completed_before(rq, &want);
	TRY(open_session(rq, &u, &skip, &su, &answered));
	if (answered)
		return ERR_NONE;
	if (rq->content_length != 0) {
		e = store_upload_part(rq->c, su, &(struct store_part){ .length = part_length(rq, skip), .is_last = true });
		if (e == ERR_NONE)
			e = up_take_body(rq, &u, su, skip);
		if (e != ERR_NONE)
			return body_failed(rq, &u, su, e);
	}
	e = up_complete(rq, &u, su, &want);
	return e == ERR_NONE || e == ERR_BAD_INPUT ? e : body_failed(rq, &u, su, e);
}

static enum err_kind
reg_upload_delete(struct req *rq)
{
	struct store_upload_row row;
	struct store           *s;
	struct upload           u;

	TRY(up_find(rq, &u));
	row = row_of(&u);
	s = store_find(rq->app->stores, str_of(u.location));
	TRY(upload_remove(rq->c, u.id));
	if (s != NULL && store_upload_abort(rq->c, s, &row) != ERR_NONE)
		err_clear(rq->c); /* the row is gone; bytes that stay are swept by the uploads job */
	res_empty(rq, 204);
	return ERR_NONE;
}

#define UPLOAD "/v2/<repo:repository>/blobs/uploads/<name:uuid>"
const struct route REG_UPLOAD_ROUTES[] = {
	{ .id = "startUpload", .methods = HTTP_POST, .path = "/v2/<repo:repository>/blobs/uploads/", .proto = PROTO_V2, .auth = AUTH_REGISTRY,
	  .perm = PERM_REPO_WRITE, .rate = RATE_REGISTRY_WRITE, .flags = ROUTE_WRITES | ROUTE_PUSH | ROUTE_BODY | ROUTE_TRANSFER,
	  .mem_bytes = 2 << 20, .load = STMT_REPO_FACTS, .bind = bind_start, .run = reg_upload_start, .doc = "Starts an upload, mounts a blob, or takes a whole blob at once." },
	{ .id = "uploadStatus", .methods = HTTP_GET, .path = UPLOAD, .proto = PROTO_V2, .auth = AUTH_REGISTRY, .perm = PERM_REPO_WRITE,
	  .rate = RATE_REGISTRY_READ, .load = STMT_UPLOAD_LOAD, .bind = bind_uuid, .run = reg_upload_status,
	  .doc = "How many bytes of an upload are stored." },
	{ .id = "uploadChunk", .methods = HTTP_PATCH, .path = UPLOAD, .proto = PROTO_V2, .auth = AUTH_REGISTRY, .perm = PERM_REPO_WRITE,
	  .rate = RATE_REGISTRY_WRITE, .flags = ROUTE_WRITES | ROUTE_PUSH | ROUTE_BODY | ROUTE_TRANSFER | ROUTE_UPLOAD_ID,
	  .mem_bytes = 2 << 20, .load = STMT_UPLOAD_LOAD, .bind = bind_uuid, .run = reg_upload_patch, .doc = "Appends a chunk to an upload." },
	{ .id = "completeUpload", .methods = HTTP_PUT, .path = UPLOAD, .proto = PROTO_V2, .auth = AUTH_REGISTRY, .perm = PERM_REPO_WRITE,
	  .rate = RATE_REGISTRY_WRITE, .flags = ROUTE_WRITES | ROUTE_PUSH | ROUTE_BODY | ROUTE_TRANSFER | ROUTE_UPLOAD_ID,
	  .mem_bytes = 2 << 20, .load = STMT_UPLOAD_LOAD, .bind = bind_uuid, .run = reg_upload_put,
	  .doc = "Completes an upload, with or without a last chunk." },
	{ .id = "cancelUpload", .methods = HTTP_DELETE, .path = UPLOAD, .proto = PROTO_V2, .auth = AUTH_REGISTRY, .perm = PERM_REPO_WRITE,
	  .rate = RATE_REGISTRY_WRITE, .flags = ROUTE_WRITES | ROUTE_PUSH, .load = STMT_UPLOAD_LOAD, .bind = bind_uuid,
	  .run = reg_upload_delete, .doc = "Gives an upload up." },
	REG_SAY_END
};
