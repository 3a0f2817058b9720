/* Manifests: GET and HEAD by tag and digest. One statement decides the permission and finds the manifest; where the pull log is strict
 * it also writes the row that is the log's and the pull's count. OCI distribution specification, "Pulling manifests". */
#include "app.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/counters.h"
#include "conf/conf.h"
#include "http/decide.h"
#include "http/response.h"
#include "model/audit.h"
#include "model/blob.h"
#include "model/manifest.h"
#include "model/pull-log.h"
#include "model/tag-policy.h"
#include "model/tag.h"
#include "oci/manifest.h"
#include "oci/say.h"
#include "registry/manifest-routes.h"
#include "registry/v2.h"

/* A GET is a pull and leaves an audit row; a HEAD is none; nothing is written while the registry is read-only. */
static bool
is_counted(const struct req *rq)
{
	return rq->method == HTTP_GET && !rq->c->conf->is_readonly && !rq->authorizer;
}

/* The metadata of a pull's log row, without the media type and the closing brace. */
static struct buf
pull_metadata(struct req *rq, struct str reference, bool by_digest)
{
	struct buf meta = BUF(rq->c->mem);

	buf_put(&meta, reg_audit_track(rq));
	buf_puts(&meta, by_digest ? ",\"manifest_digest\":" : ",\"tag\":");
	buf_put_json(&meta, reference);
	return meta;
}

/* Strict: the statement that reads the manifest writes the row, and its commit waits for the disk. */
static void
add_audit(struct req *rq, struct db_args *a, struct str reference, bool by_digest)
{
	const struct buf meta = pull_metadata(rq, reference, by_digest);

	db_args_add(a, db_i32(AUDIT_pull_repo));
	db_args_add(a, db_strn(buf_str(&meta)));
	db_args_add(a, db_strn(rq->remote_addr));
	db_args_add(a, db_str("on"));
}

/* Else the row is written a moment later, with others. */
static enum err_kind
log_pull(struct req *rq, const struct manifest_row *m, struct str reference, bool by_digest)
{
	struct buf meta = pull_metadata(rq, reference, by_digest);

	buf_puts(&meta, ",\"mediaType\":");
	buf_put_json(&meta, m->media_type);
	buf_puts(&meta, "}");
	return pull_log_add(rq->c, rq->app->pulls,
	                    &(struct pull_row){ .namespace_id = rq->facts.namespace_id, .performer_id = rq->facts.caller_id,
	                                        .repository_id = rq->facts.repository_id, .manifest_id = m->id, .token_id = rq->facts.token_id,
	                                        .ip = rq->remote_addr,
	                                        .metadata = buf_str(&meta), .tag = by_digest ? STR0 : reference });
}

static enum err_kind
bind_manifest(struct req *rq, struct db_args *a)
{
	const struct str  ref = req_capture(rq, "reference");
	const bool        strict = is_counted(rq) && rq->c->conf->kade_strict_pull_log;
	struct oci_digest d;

	switch (oci_ref_parse(ref, &d)) {
	case OCI_REF_TAG:
		rq->load_stmt = strict ? STMT_MANIFEST_BY_TAG_LOAD : STMT_MANIFEST_BY_TAG_QUIET;
		db_args_add(a, db_strn(ref));
		break;
	case OCI_REF_DIGEST:
		rq->load_stmt = strict ? STMT_MANIFEST_BY_DIGEST_LOAD : STMT_MANIFEST_BY_DIGEST_QUIET;
		db_args_add(a, db_strn(ref));
		db_args_add(a, db_i64(push_window_ms(rq->c)));
		break;
	default:
		rq->load_stmt = STMT_REPO_FACTS; /* names nothing that could exist */
		return ERR_NONE;
	}
	if (strict)
		add_audit(rq, a, ref, rq->load_stmt == STMT_MANIFEST_BY_DIGEST_LOAD);
	return ERR_NONE;
}

static enum err_kind
manifest_unknown(struct req *rq)
{
	return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_MANIFEST_UNKNOWN);
}

static enum oci_schema1_fallback
fallback_of(const struct conf *cf)
{
	return cf->kade_schema1_fallback == CONF_SCHEMA1_ALWAYS          ? OCI_SCHEMA1_ALWAYS
	       : cf->kade_schema1_fallback == CONF_SCHEMA1_LEGACY_ACCEPT ? OCI_SCHEMA1_LEGACY_ACCEPT
	                                                                 : OCI_SCHEMA1_NEVER;
}

/* What of a tag the client can read: the stored manifest, or the linux/amd64 child of a list. */
static enum err_kind
negotiate(struct req *rq, struct manifest_row *m)
{
	struct oci_accept     accept;
	const struct js_limits limits = { .bytes = (size_t)rq->c->conf->kade_max_manifest_bytes, .depth = JS_MANIFEST.depth, .values = JS_MANIFEST.values };

	oci_accept_parse(req_header(rq, "accept"), &accept);
	accept.is_old_docker = oci_is_old_docker(rq->user_agent);
	for (int depth = 0; depth < 4; depth++) {
		const struct db_result      *r;
		struct oci_manifest         *parsed;
		const struct oci_descriptor *child;
		const enum oci_serve         serve = oci_accept_choose(&accept, oci_media_find(m->media_type), fallback_of(rq->c->conf));
		if (serve == OCI_SERVE_STORED)
			return ERR_NONE;
		if (serve == OCI_SERVE_SCHEMA1)
			return manifest_unknown(rq); /* no conversion to schema 1 yet: as for an image that has no such form */
		TRY(oci_manifest_parse(rq->c, m->bytes, m->media_type, &limits, &parsed));
		child = oci_manifest_child(parsed, "linux", "amd64");
		if (child == NULL)
			return manifest_unknown(rq);
		TRY(db_exec(rq->c, STMT_MANIFEST_CHILD_BYTES, DB_ARGS(db_i64(rq->facts.repository_id), db_strn(oci_digest_str(&child->digest))), &r));
		if (!manifest_from_row(r, 0, 0, m))
			return manifest_unknown(rq);
	}
	return manifest_unknown(rq);
}

_Static_assert((int)MANIFEST_BY_TAG_LOAD_EXPIRED == (int)MANIFEST_BY_TAG_QUIET_EXPIRED, "the two reads by tag differ in columns");

static enum err_kind
reg_manifest_get(struct req *rq)
{
	const struct str    ref = req_capture(rq, "reference");
	const bool          by_tag = rq->load_stmt == STMT_MANIFEST_BY_TAG_LOAD || rq->load_stmt == STMT_MANIFEST_BY_TAG_QUIET;
	struct manifest_row m;
	char                etag[OCI_DIGEST_TEXT + 2];

	const bool found = rq->load_stmt != STMT_REPO_FACTS && manifest_from_row(rq->load, 0, FACTS_COLS, &m);
	if (rq->method == HTTP_GET)
		counters_add(rq->c->counters, by_tag ? (found ? CNT_PULL_TAG : CNT_PULL_TAG_ABSENT) : found ? CNT_PULL_MANIFEST : CNT_PULL_MANIFEST_ABSENT, 1);
	if (!found) {
		if (by_tag && db_get_bool(rq->load, 0, MANIFEST_BY_TAG_LOAD_EXPIRED))
			return oci_tag_expired(rq->c, str_dup(rq->c->mem, ref));
		return manifest_unknown(rq);
	}
	if (is_counted(rq) && !rq->c->conf->kade_strict_pull_log)
		TRY(log_pull(rq, &m, ref, !by_tag));
	if (by_tag)
		TRY(negotiate(rq, &m));
	snprintf(etag, sizeof etag, "\"%.*s\"", STRF(m.digest));
	res_header(rq, "Docker-Content-Digest", m.digest);
	res_header(rq, "ETag", str_of(etag));
	if (reg_not_modified(rq, etag)) {
		res_empty(rq, 304);
		return ERR_NONE;
	}
	res_body(rq, 200, str_dup(rq->c->mem, m.media_type), m.bytes);
	return ERR_NONE;
}

/* Deletion: by tag ends that tag, by digest every tag of the manifest and the manifest's visibility. */
static enum err_kind
bind_delete(struct req *rq, struct db_args *a)
{
	const struct str  ref = req_capture(rq, "reference");
	struct oci_digest d;

	switch (oci_ref_parse(ref, &d)) {
	case OCI_REF_TAG:
		rq->load_stmt = STMT_TAG_DELETE_LOAD;
		db_args_add(a, db_strn(ref));
		break;
	case OCI_REF_DIGEST:
		rq->load_stmt = STMT_MANIFEST_DELETE_LOAD;
		db_args_add(a, db_strn(ref));
		db_args_add(a, db_i64(push_window_ms(rq->c)));
		break;
	default:
		rq->load_stmt = STMT_REPO_FACTS;
	}
	return ERR_NONE;
}

static enum err_kind
log_deleted_tag(struct req *rq, struct str tag, struct str digest)
{
	struct buf meta = BUF(rq->c->mem);

	buf_put(&meta, reg_audit_track(rq));
	buf_puts(&meta, ",\"tag\":");
	buf_put_json(&meta, tag);
	buf_puts(&meta, ",\"digest\":");
	buf_put_json(&meta, digest);
	buf_puts(&meta, "}");
	return audit_add(rq->c, &(struct audit_row){ .kind = AUDIT_delete_tag, .namespace_id = rq->facts.namespace_id,
	                                             .performer_id = rq->facts.caller_id, .repository_id = rq->facts.repository_id,
	                                             .ip = rq->remote_addr, .metadata = buf_str(&meta) });
}

/* The tag as it is now: the row's statement once more, inside the transaction. */
static enum err_kind
find_tag_again(struct req *rq, struct str tag, const struct db_result **out)
{
	struct db_args a = { 0 };

	facts_args(&a, rq->ns, rq->repo, &rq->ident, decide_caps(rq));
	db_args_add(&a, db_strn(tag));
	return db_exec(rq->c, STMT_TAG_DELETE_LOAD, &a, out);
}

/* In one queue with the pushes of this tag, each of which makes it another row. */
static enum err_kind
delete_tag(struct req *rq, struct str tag)
{
	const struct db_result *r;
	struct tag_item         t;
	bool                    held, ended;

	if (db_is_null(rq->load, 0, TAG_DELETE_LOAD_ID))
		return manifest_unknown(rq);
	TRY(db_exec(rq->c, STMT_TAG_QUEUE, DB_ARGS(db_i64(rq->facts.repository_id), db_str_array(&tag, 1)), NULL));
	TRY(find_tag_again(rq, tag, &r));
	if (db_is_null(r, 0, TAG_DELETE_LOAD_ID))
		return manifest_unknown(rq);
	t = (struct tag_item){ .id = db_get_i64(r, 0, TAG_DELETE_LOAD_ID), .name = tag, .digest = db_get_strn(r, 0, TAG_DELETE_LOAD_DIGEST),
		               .is_immutable = db_get_bool(r, 0, TAG_DELETE_LOAD_IS_IMMUTABLE), .released_ms = db_get_i64(r, 0, TAG_DELETE_LOAD_RELEASED_MS) };
	TRY(tag_held(rq->c, rq->facts.repository_id, &t, &held));
	if (held)
		return oci_tag_immutable(rq->c, str_dup(rq->c->mem, tag));
	TRY(tag_remove(rq->c, rq->facts.repository_id, &t, db_get_i64(r, 0, TAG_DELETE_LOAD_WINDOW_S) * 1000, &ended));
	if (!ended)
		return manifest_unknown(rq);
	return log_deleted_tag(rq, tag, t.digest);
}

static enum err_kind
manifest_in_use(struct req *rq)
{
	return err_say_fmt(rq->c, ERR_UNSUPPORTED, &OCI_SAY_UNSUPPORTED, "The manifest is part of an index that can be pulled.");
}

/* Every tag of a manifest that is locked: no other can come. */
static enum err_kind
delete_tags_of(struct req *rq, int64_t id, struct str digest)
{
	struct ctx             *c = rq->c;
	const int64_t           window_ms = db_get_i64(rq->load, 0, MANIFEST_DELETE_LOAD_WINDOW_S) * 1000;
	struct tag_policies     policies;
	const struct db_result *r, *ended;
	struct str             *held;
	int64_t                *ids;
	size_t                  n;

	TRY(tag_policies_load(c, rq->facts.repository_id, &policies));
	TRY(tag_policies_hold_of_manifest(c, &policies, id, &held, &n));
	if (n > 0)
		return oci_tag_immutable(c, str_dup(c->mem, digest));
	TRY(db_exec(c, STMT_MANIFEST_LIVE_TAGS, DB_ARGS(db_i64(id)), &r));
	if (r->rows == 0)
		return ERR_NONE;
	ids = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows);
	for (int i = 0; i < r->rows; i++)
		ids[i] = db_get_i64(r, i, MANIFEST_LIVE_TAGS_ID);
	TRY(tag_remove_rows(c, &(struct tag_remove){ .repository_id = rq->facts.repository_id, .ids = ids, .n = (size_t)r->rows, .window_ms = window_ms,
	                                             .policies = &policies }, &ended));
	for (int i = 0; i < ended->rows; i++)
		TRY(log_deleted_tag(rq, db_get_strn(ended, i, TAG_DELETE_NAME), digest));
	return ERR_NONE;
}

static enum err_kind
delete_manifest(struct req *rq, struct str digest)
{
	const int64_t           id = db_get_i64(rq->load, 0, MANIFEST_DELETE_LOAD_ID);
	const struct db_result *r;

	if (id == 0)
		return manifest_unknown(rq);
	if (db_get_i64(rq->load, 0, MANIFEST_DELETE_LOAD_IMMUTABLE_TAGS) > 0 && rq->c->conf->feature_immutable_tags)
		return oci_tag_immutable(rq->c, str_dup(rq->c->mem, digest));
	if (db_get_bool(rq->load, 0, MANIFEST_DELETE_LOAD_LIVE_PARENTS))
		return manifest_in_use(rq);
	TRY(db_exec(rq->c, STMT_MANIFEST_DELETE_LOCK, DB_ARGS(db_i64(id)), &r));
	if (r->rows == 0)
		return manifest_unknown(rq);
	TRY(delete_tags_of(rq, id, digest));
	TRY(db_exec(rq->c, STMT_MANIFEST_MARK_REMOVED, DB_ARGS(db_i64(id), db_i64(push_window_ms(rq->c))), &r));
	return r->rows > 0 ? ERR_NONE : manifest_in_use(rq);
}

static enum err_kind
reg_manifest_delete(struct req *rq)
{
	const struct str ref = req_capture(rq, "reference");

	if (rq->load_stmt == STMT_TAG_DELETE_LOAD)
		TRY(delete_tag(rq, ref));
	else if (rq->load_stmt == STMT_MANIFEST_DELETE_LOAD)
		TRY(delete_manifest(rq, ref));
	else if (oci_ref_parse(ref, NULL) == OCI_REF_BAD_DIGEST)
		return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID);
	else
		return manifest_unknown(rq);
	res_empty(rq, 202);
	return ERR_NONE;
}

#define MANIFEST "/v2/<repo:repository>/manifests/<ref:reference>"
const struct route REG_MANIFEST_ROUTES[] = {
	{ .id = "getManifest", .methods = HTTP_GET | HTTP_HEAD, .path = MANIFEST, .proto = PROTO_V2, .auth = AUTH_REGISTRY,
	  .perm = PERM_REPO_READ, .rate = RATE_REGISTRY_READ, .load = STMT_MANIFEST_BY_TAG_LOAD, .bind = bind_manifest,
	  .run = reg_manifest_get, .mem_bytes = 16 << 20, .doc = "A manifest by tag or digest." },
	{ .id = "putManifest", .methods = HTTP_PUT, .path = MANIFEST, .proto = PROTO_V2, .auth = AUTH_REGISTRY, .perm = PERM_REPO_WRITE,
	  .rate = RATE_REGISTRY_WRITE, .flags = ROUTE_WRITES | ROUTE_PUSH | ROUTE_BODY, .run = reg_manifest_put, .mem_bytes = 32 << 20,
	  .doc = "Stores a manifest and points tags to it." },
	{ .id = "deleteManifest", .methods = HTTP_DELETE, .path = MANIFEST, .proto = PROTO_V2, .auth = AUTH_REGISTRY,
	  .perm = PERM_REPO_WRITE_EXISTING, .rate = RATE_REGISTRY_WRITE, .flags = ROUTE_WRITES | ROUTE_PUSH, .tx = TX_WRITE,
	  .load = STMT_TAG_DELETE_LOAD, .bind = bind_delete, .run = reg_manifest_delete,
	  .doc = "Deletes a tag, or a manifest with all its tags." },
	REG_SAY_END
};
