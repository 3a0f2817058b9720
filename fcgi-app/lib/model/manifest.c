/* Manifests in a repository. */
#include "model/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/audit.h"
#include "model/blob.h"
#include "model/quota.h"
#include "model/tag-policy.h"
#include "model/tag.h"
#include "oci/referrer.h"
#include "oci/say.h"

bool
manifest_from_row(const struct db_result *r, int row, int first_col, struct manifest_row *out)
{
	if (row >= r->rows || db_is_null(r, row, first_col))
		return false;
	*out = (struct manifest_row){ .id = db_get_i64(r, row, first_col), .digest = db_get_strn(r, row, first_col + 1),
		                      .media_type = db_get_strn(r, row, first_col + 2), .bytes = db_get_strn(r, row, first_col + 3) };
	return true;
}

static struct db_arg
digests_of(struct ctx *c, const struct oci_descriptors *d)
{
	struct str *v = ARENA_ARRAY(c->mem, struct str, d->n + 1);

	for (size_t i = 0; i < d->n; i++)
		v[i] = oci_digest_str(&d->v[i].digest);
	return db_str_array(v, d->n);
}

static int
compare_part(const struct db_result *r, int row, struct str kind, struct str what)
{
	const int k = str_cmp(db_get_strn(r, row, MANIFEST_PUSH_PARTS_KIND), kind);

	return k != 0 ? k : str_cmp(db_get_strn(r, row, MANIFEST_PUSH_PARTS_DIGEST), what);
}

static int
by_kind_and_digest(const void *a, const void *b, void *arg)
{
	const struct db_result *r = arg;
	const int               row = *(const int *)b;

	return compare_part(r, *(const int *)a, db_get_strn(r, row, MANIFEST_PUSH_PARTS_KIND), db_get_strn(r, row, MANIFEST_PUSH_PARTS_DIGEST));
}

enum err_kind
manifest_parts_load(struct ctx *c, const struct manifest_push *p, struct manifest_parts *out)
{
	struct db_result *r;
	int              *rows;

	TRY(db_exec(c, STMT_MANIFEST_PUSH_PARTS,
	            DB_ARGS(db_i64(p->repository_id), digests_of(c, &p->m->blobs), digests_of(c, &p->m->children),
	                    db_str_array(p->tags, p->n_tags), db_i64(push_window_ms(c)),
	                    db_bool(p->n_tags > 0 && c->conf->feature_immutable_tags)),
	            &out->r));
	r = (struct db_result *)(uintptr_t)out->r; /* qsort_r() takes no const */
	rows = ARENA_ARRAY(c->mem, int, (size_t)r->rows + 1);
	for (int i = 0; i < r->rows; i++)
		rows[i] = i;
	qsort_r(rows, (size_t)r->rows, sizeof *rows, by_kind_and_digest, r);
	out->sorted = rows;
	out->policies = (struct tag_policies){ 0 };
	for (int i = 0; i < r->rows; i++)
		if (str_eq(db_get_strn(r, i, MANIFEST_PUSH_PARTS_KIND), STR("policy")))
			tag_policies_add(c, &out->policies, db_get_strn(r, i, MANIFEST_PUSH_PARTS_DIGEST), db_get_bool(r, i, MANIFEST_PUSH_PARTS_FLAG),
			                 db_get_i64(r, i, MANIFEST_PUSH_PARTS_SIZE_BYTES));
	return ERR_NONE;
}

/* The row of a kind and digest (or tag name), or -1. By halving: an index may have ten thousand children. */
static int
find_part(const struct manifest_parts *parts, struct str kind, struct str what)
{
	int low = 0, high = parts->r->rows;

	while (low < high) {
		const int mid = low + (high - low) / 2;
		const int k = compare_part(parts->r, parts->sorted[mid], kind, what);
		if (k == 0)
			return parts->sorted[mid];
		if (k < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

/* How many rows of a kind there are. */
static int64_t
count_parts(const struct manifest_parts *parts, struct str kind)
{
	int64_t n = 0;

	for (int i = 0; i < parts->r->rows; i++)
		n += str_eq(db_get_strn(parts->r, i, MANIFEST_PUSH_PARTS_KIND), kind);
	return n;
}

static enum err_kind
check_children(struct ctx *c, const struct manifest_push *p, const struct manifest_parts *parts)
{
	for (size_t i = 0; i < p->m->children.n; i++) {
		const struct oci_descriptor *d = &p->m->children.v[i];
		const int                    row = find_part(parts, STR("child"), oci_digest_str(&d->digest));
		if (row < 0) {
			if (c->conf->feature_sparse_index)
				continue;
			return oci_manifest_invalid(c, "Could not find child manifest with digest `%s`", d->digest.text);
		}
		const int64_t size = db_get_i64(parts->r, row, MANIFEST_PUSH_PARTS_SIZE_BYTES);
		if (size != d->size_bytes)
			return oci_manifest_invalid(c, "Size of manifest does not match that retrieved: %lld vs %lld", (long long)d->size_bytes,
			                            (long long)size);
	}
	return ERR_NONE;
}

enum err_kind
manifest_parts_check(struct ctx *c, const struct manifest_push *p, const struct manifest_parts *parts)
{
	for (size_t i = 0; i < p->m->blobs.n; i++) {
		const struct oci_descriptor *d = &p->m->blobs.v[i];
		if (find_part(parts, STR("blob"), oci_digest_str(&d->digest)) < 0)
			return oci_blob_unknown_in_manifest(c, d->digest.text);
	}
	TRY(check_children(c, p, parts));
	for (size_t i = 0; i < p->n_tags; i++) {
		const int row = find_part(parts, STR("tag"), p->tags[i]);
		/* Pushing again what an immutable tag points to already is no change (Differs: Quay refuses it). */
		if (row >= 0 && c->conf->feature_immutable_tags && !str_eq(db_get_strn(parts->r, row, MANIFEST_PUSH_PARTS_MEDIA_TYPE), oci_digest_str(&p->digest)) &&
		    (db_get_bool(parts->r, row, MANIFEST_PUSH_PARTS_FLAG) || tag_policies_hold(&parts->policies, p->tags[i], db_get_i64(parts->r, row, MANIFEST_PUSH_PARTS_SIZE_BYTES))))
			return oci_tag_immutable(c, str_dup(c->mem, p->tags[i]));
	}
	return ERR_NONE;
}

static enum err_kind
queue_row(struct ctx *c, const struct manifest_push *p, const struct db_result **put)
{
	const struct oci_manifest *m = p->m;
	struct oci_referrer        ref;

	oci_referrer_of(c, m, oci_digest_str(&p->digest), (int64_t)p->bytes.n, &ref);
	return db_queue(c, STMT_MANIFEST_PUT,
	                DB_ARGS(db_i64(p->repository_id), db_strn(oci_digest_str(&p->digest)), db_str(m->media_type), db_bytes(p->bytes),
	                        db_bool(m->is_index), m->config == NULL ? db_null() : db_strn(m->config->media_type),
	                        m->artifact_type.n == 0 ? db_null() : db_strn(m->artifact_type),
	                        m->subject == NULL ? db_null() : db_strn(oci_digest_str(&m->subject->digest)),
	                        ref.annotations.n == 0 ? db_null() : db_strn(ref.annotations),
	                        m->layers_size_bytes < 0 ? db_null() : db_i64(m->layers_size_bytes), db_i64(push_window_ms(c))),
	                put);
}

static enum err_kind
queue_labels(struct ctx *c, const struct manifest_push *p)
{
	const size_t n = p->labels == NULL ? 0 : p->labels->n;
	struct str  *k, *v, *t;

	if (n == 0)
		return ERR_NONE;
	k = ARENA_ARRAY(c->mem, struct str, n);
	v = ARENA_ARRAY(c->mem, struct str, n);
	t = ARENA_ARRAY(c->mem, struct str, n);
	for (size_t i = 0; i < n; i++) {
		k[i] = p->labels->v[i].key;
		v[i] = p->labels->v[i].value;
		t[i] = p->labels->v[i].is_json ? STR("application/json") : STR("text/plain");
	}
	return db_queue(c, STMT_MANIFEST_PUT_LABELS,
	                DB_ARGS(db_i64(p->repository_id), db_strn(oci_digest_str(&p->digest)), db_str_array(k, n), db_str_array(v, n),
	                        db_str_array(t, n)),
	                NULL);
}

/* Does the name point to this manifest already? Then its row stays as it is. */
static bool
is_there(const struct manifest_push *p, const struct manifest_parts *parts, struct str tag)
{
	const int row = find_part(parts, STR("tag"), tag);

	return row >= 0 && str_eq(db_get_strn(parts->r, row, MANIFEST_PUSH_PARTS_MEDIA_TYPE), oci_digest_str(&p->digest));
}

static enum err_kind
queue_immutable_log(struct ctx *c, const struct manifest_push *p, struct str tag)
{
	struct buf meta = BUF(c->mem);

	buf_put(&meta, p->audit_track);
	buf_puts(&meta, ",\"tag\":");
	buf_put_json(&meta, tag);
	buf_puts(&meta, ",\"immutable\":true}");
	return audit_queue(c, &(struct audit_row){ .kind = AUDIT_tag_made_immutable_by_policy, .namespace_id = p->namespace_id, .performer_id = p->performer_id,
	                                           .repository_id = p->repository_id, .ip = p->audit_ip, .metadata = buf_str(&meta) });
}

static enum err_kind
queue_tag(struct ctx *c, const struct manifest_push *p, const struct manifest_parts *parts, struct str tag, int64_t window_ms)
{
	const struct str digest = oci_digest_str(&p->digest);
	const bool       by_policy = !p->acting.is_immutable && tag_policies_want(&parts->policies, tag);
	const bool       immutable = by_policy || (p->acting.is_immutable && c->conf->feature_immutable_tags);
	const int64_t    expires = immutable && !c->conf->feature_immutable_tags_can_expire ? 0 : p->acting.expires_after_ms;
	const int        old = find_part(parts, STR("tag"), tag);
	struct buf       meta = BUF(c->mem);

	TRY(db_queue(c, STMT_TAG_LOCK, DB_ARGS(db_i64(p->repository_id), db_strn(tag)), NULL));
	TRY(db_queue(c, STMT_TAG_END, DB_ARGS(db_i64(p->repository_id), db_strn(tag), db_strn(digest), db_i64(window_ms), db_bool(c->conf->feature_immutable_tags)), NULL));
	TRY(db_queue(c, STMT_TAG_PUT,
	             DB_ARGS(db_i64(p->repository_id), db_strn(tag), db_strn(digest), db_i64_or_null(expires), db_bool(immutable)), NULL));
	if (by_policy && !is_there(p, parts, tag))
		TRY(queue_immutable_log(c, p, tag));
	if (old >= 0 && !is_there(p, parts, tag))
		TRY(tag_queue_siblings(c, &(struct tag_remove){ .repository_id = p->repository_id, .window_ms = window_ms, .policies = &parts->policies },
		                       db_get_strn(parts->r, old, MANIFEST_PUSH_PARTS_MEDIA_TYPE)));
	buf_put(&meta, p->audit_track);
	buf_puts(&meta, ",\"tag\":");
	buf_put_json(&meta, tag);
	buf_puts(&meta, ",\"mediaType\":");
	buf_put_json(&meta, str_of(p->m->media_type));
	buf_puts(&meta, "}");
	return audit_queue(c, &(struct audit_row){ .kind = AUDIT_push_repo, .namespace_id = p->namespace_id, .performer_id = p->performer_id,
	                                           .repository_id = p->repository_id, .ip = p->audit_ip, .metadata = buf_str(&meta) });
}

/* A unique violation means that somebody else was quicker: the whole push is run again. */
static enum err_kind
again_if_raced(struct ctx *c, enum err_kind e)
{
	if (e == ERR_BUG && (strcmp(db_sqlstate(c), "23505") == 0 || strcmp(db_sqlstate(c), "23503") == 0))
		return err_set(c, ERR_BUSY, "a concurrent push changed the same rows");
	return e;
}

enum err_kind
manifest_store(struct ctx *c, const struct manifest_push *p, const struct manifest_parts *parts, struct quota_verdict *v)
{
	const struct db_result *put, *linked = NULL, *held = NULL, *verdict = NULL;
	const struct str        digest = oci_digest_str(&p->digest);
	const int               window = find_part(parts, STR("window"), STR(""));
	const int64_t           window_ms = window < 0 ? 0 : db_get_i64(parts->r, window, MANIFEST_PUSH_PARTS_SIZE_BYTES);

	if (p->n_tags > 0)
		TRY(db_queue(c, STMT_TAG_QUEUE, DB_ARGS(db_i64(p->repository_id), db_str_array(p->tags, p->n_tags)), NULL));
	TRY(queue_row(c, p, &put));
	if (p->m->blobs.n > 0)
		TRY(db_queue(c, STMT_MANIFEST_PUT_BLOBS,
		             DB_ARGS(db_i64(p->repository_id), db_strn(digest), digests_of(c, &p->m->blobs), db_i64(p->namespace_id)), &linked));
	if (p->m->children.n > 0)
		TRY(db_queue(c, STMT_MANIFEST_PUT_CHILDREN, DB_ARGS(db_i64(p->repository_id), db_strn(digest), digests_of(c, &p->m->children)), &held));
	TRY(db_queue(c, STMT_MANIFEST_HOLD_REFERRERS, DB_ARGS(db_i64(p->repository_id), db_strn(digest)), NULL));
	TRY(queue_labels(c, p));
	for (size_t i = 0; i < p->n_tags; i++)
		TRY(queue_tag(c, p, parts, p->tags[i], window_ms));
	TRY(quota_queue_verdict(c, p->namespace_id, &verdict)); /* last: nothing may be locked behind it */
	TRY(again_if_raced(c, db_flush(c)));
	quota_read_verdict(verdict, v);
	if (v->is_refused)
		return err_say(c, ERR_QUOTA, &OCI_SAY_QUOTA);
	if (linked != NULL && db_get_i64(linked, 0, MANIFEST_PUT_BLOBS_LINKED) != (int64_t)p->m->blobs.n)
		return err_set(c, ERR_BUSY, "a blob was removed while the manifest was pushed");
	if (held != NULL && db_get_i64(held, 0, MANIFEST_PUT_CHILDREN_LINKED) < count_parts(parts, STR("child")))
		return err_set(c, ERR_BUSY, "a child was removed while the index was pushed");
	return ERR_NONE;
}
