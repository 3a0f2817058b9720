/* The push of a manifest: read, check, one transaction. OCI distribution specification, "Pushing manifests". Nothing of a
 * refused push stays, and a tag never passes through a moment without a manifest. */
#include "app.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "conf/conf.h"
#include "http/metrics.h"
#include "http/response.h"
#include "model/blob.h"
#include "model/audit.h"
#include "model/manifest.h"
#include "model/quota.h"
#include "oci/image-config.h"
#include "oci/name.h"
#include "oci/say.h"
#include "registry/manifest-routes.h"
#include "registry/v2.h"
#include "store/key.h"
#include "store/store.h"

#define TAG_PARAMS 20          /* ?tag= on a push by digest; more: 414 */
#define CONFIG_BYTES (4 << 20) /* of an image's config that is read for its labels */
#define TRIES 4                /* when concurrent pushes change the same rows */
#define SLOW_US 1000000        /* after a body that took longer, the right to write is asked again */

static struct js_limits
manifest_limits(const struct req *rq)
{
	return (struct js_limits){ .bytes = (size_t)rq->c->conf->kade_max_manifest_bytes, .depth = JS_MANIFEST.depth, .values = JS_MANIFEST.values };
}

/* The reference in the path against the bytes: sets digest and tags. */
static enum err_kind
read_reference(struct req *rq, struct manifest_push *p, struct str *tags)
{
	const struct str  ref = req_capture(rq, "reference");
	struct oci_digest want;

	switch (oci_ref_parse(ref, &want)) {
	case OCI_REF_TAG:
		oci_manifest_digest(p->m, OCI_SHA256, p->bytes, &p->digest);
		tags[0] = ref;
		p->n_tags = 1;
		break;
	case OCI_REF_DIGEST:
		oci_manifest_digest(p->m, want.alg, p->bytes, &p->digest);
		if (!oci_digest_eq(&p->digest, &want)) {
			err_say_fmt(rq->c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID, "manifest digest mismatch");
			return err_detail(rq->c, "{\"message\":\"manifest digest mismatch\"}");
		}
		p->n_tags = req_query_all(rq, "tag", tags, TAG_PARAMS + 1);
		if (p->n_tags > TAG_PARAMS)
			return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_TOO_MANY_TAG_PARAMS);
		for (size_t i = 0; i < p->n_tags; i++)
			if (!oci_tag_valid(tags[i]))
				return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_TAG_INVALID);
		break;
	case OCI_REF_NONE:
		return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_MANIFEST_UNKNOWN);
	default:
		return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID);
	}
	p->tags = tags;
	return ERR_NONE;
}

/* The config blob's bytes, from whichever location has them. Empty when it is too large to be a config. */
static enum err_kind
read_config(struct req *rq, const struct oci_descriptor *config, struct str *out)
{
	struct ctx             *c = rq->c;
	const struct db_result *r;
	struct db_args          a = { 0 };
	struct blob             b;
	enum err_kind           e = ERR_NONE;

	*out = STR0;
	facts_args(&a, rq->ns, rq->repo, &rq->ident, facts_caps(c->conf, &rq->ident, rq->ns, rq->repo, ROLE_WRITE));
	db_args_add(&a, db_strn(oci_digest_str(&config->digest)));
	db_args_add(&a, db_i64(push_window_ms(c)));
	TRY(db_exec(c, STMT_BLOB_LOAD, &a, &r));
	if (!blob_from_rows(c, r, FACTS_COLS, &b))
		return oci_blob_unknown_in_manifest(c, config->digest.text);
	if (b.size_bytes > CONFIG_BYTES)
		return ERR_NONE;
	for (int i = 0; i < b.n_places; i++) {
		struct store *s = store_find(rq->app->stores, str_of(b.places[i].location));
		char          key[STORE_KEY_MAX];
		if (s == NULL || !store_key_blob(oci_digest_str(&config->digest), key))
			continue;
		e = store_get_small(c, s, b.places[i].key != NULL ? b.places[i].key : key, CONFIG_BYTES, out);
		if (e == ERR_NONE && out->p != NULL)
			return ERR_NONE;
	}
	return e != ERR_NONE ? e : err_set(c, ERR_STORE, "no location holds config %s", config->digest.text);
}

/* Labels of an image: its config's and its annotations. Schema 2 insists on a sound config, OCI never refuses one. */
static enum err_kind
read_labels(struct req *rq, struct manifest_push *p, struct oci_labels *labels)
{
	const struct oci_manifest *m = p->m;
	const struct js_limits     limits = { .bytes = CONFIG_BYTES, .depth = JS_MANIFEST.depth, .values = JS_MANIFEST.values };
	struct oci_config          config = { 0 };
	struct str                 bytes = STR0;

	if (m->is_index)
		return ERR_NONE;
	if (oci_manifest_has_image_config(m)) {
		TRY(read_config(rq, m->config, &bytes));
		if (m->media == OCI_MEDIA_DOCKER_MANIFEST && bytes.p != NULL) {
			if ((int64_t)bytes.n != m->config->size_bytes)
				return oci_manifest_invalid(rq->c, "Size of config does not match that retrieved: %lld vs %zu",
				                            (long long)m->config->size_bytes, bytes.n);
			TRY(oci_config_parse_strict(rq->c, bytes, &limits, &config));
		} else {
			oci_config_parse(rq->c, bytes, &limits, &config);
		}
	}
	oci_labels_merge(rq->c, config.labels, m->annotations, labels);
	oci_labels_acting(labels, &p->acting);
	return ERR_NONE;
}

/* The labels of one child, from rows in the order of digests. */
static struct oci_labels
labels_of(struct req *rq, const struct db_result *r, struct str digest)
{
	struct oci_labels out = { 0 };
	int               low = 0, high = r->rows, end;

	while (low < high) { /* the first row of the digest */
		const int mid = low + (high - low) / 2;
		if (str_cmp(db_get_strn(r, mid, MANIFEST_LABELS_OF_DIGEST), digest) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low; end < r->rows && str_eq(db_get_strn(r, end, MANIFEST_LABELS_OF_DIGEST), digest); end++)
		;
	out.v = ARENA_ARRAY(rq->c->mem, struct oci_label, (size_t)(end - low) + 1);
	for (int row = low; row < end; row++)
		out.v[out.n++] = (struct oci_label){ .key = db_get_strn(r, row, MANIFEST_LABELS_OF_KEY), .value = db_get_strn(r, row, MANIFEST_LABELS_OF_VALUE) };
	return out;
}

/* An index acts by what all its children say alike; a child without labels (an index too) says nothing. */
static enum err_kind
read_children_labels(struct req *rq, struct manifest_push *p)
{
	const struct oci_descriptors *ch = &p->m->children;
	const struct db_result       *r;
	struct str                   *digests;
	struct oci_labels             common = { 0 };

	if (!p->m->is_index || ch->n == 0 || p->n_tags == 0)
		return ERR_NONE;
	digests = ARENA_ARRAY(rq->c->mem, struct str, ch->n);
	for (size_t i = 0; i < ch->n; i++)
		digests[i] = oci_digest_str(&ch->v[i].digest);
	TRY(db_exec(rq->c, STMT_MANIFEST_LABELS_OF, DB_ARGS(db_i64(p->repository_id), db_str_array(digests, ch->n)), &r));
	for (size_t i = 0; i < ch->n; i++) {
		struct oci_labels one = labels_of(rq, r, digests[i]), both;
		oci_labels_common(rq->c, i == 0 ? &one : &common, &one, &both);
		common = both;
		if (common.n == 0) /* and it stays so */
			break;
	}
	oci_labels_acting(&common, &p->acting);
	return ERR_NONE;
}

static enum err_kind
store_once(struct req *rq, const struct manifest_push *p, const struct manifest_parts *parts)
{
	struct quota_verdict v = { 0 };

	TRY(db_begin(rq->c, DB_TX_DEFAULT));
	enum err_kind e = manifest_store(rq->c, p, parts, &v);
	if (e != ERR_NONE)
		db_rollback(rq->c);
	else
		e = db_commit(rq->c);
	if (e == ERR_NONE || v.is_refused)
		quota_after_push(rq->c, p->namespace_id, &v);
	return e;
}

/* The checks and the transaction, again when rows changed under them. */
static enum err_kind
store_manifest(struct req *rq, struct manifest_push *p)
{
	struct oci_labels     labels = { 0 };
	struct manifest_parts parts;
	enum err_kind         e = ERR_NONE;

	for (int i = 0; i < TRIES; i++) {
		TRY(manifest_parts_load(rq->c, p, &parts));
		TRY(manifest_parts_check(rq->c, p, &parts));
		if (i == 0) {
			TRY(read_labels(rq, p, &labels));
			TRY(read_children_labels(rq, p));
			p->labels = &labels;
		}
		e = store_once(rq, p, &parts);
		if (e != ERR_BUSY && !audit_was_overflow(rq->c))
			return e;
	}
	return e;
}

static void
answer(struct req *rq, const struct manifest_push *p)
{
	struct buf list = BUF(rq->c->mem);

	res_header(rq, "Docker-Content-Digest", str_of(p->digest.text));
	res_headerf(rq, "Location", "/v2/%.*s/%.*s/manifests/%s", STRF(rq->ns), STRF(rq->repo), p->digest.text);
	if (p->m->subject != NULL && rq->c->conf->feature_referrers_api)
		res_header(rq, "OCI-Subject", str_of(p->m->subject->digest.text));
	if (p->n_tags > 0 && req_query(rq, "tag").p != NULL) {
		for (size_t i = 0; i < p->n_tags; i++) {
			if (i > 0)
				buf_puts(&list, ", ");
			buf_put(&list, p->tags[i]);
		}
		res_header(rq, "OCI-Tag", buf_str(&list));
	}
	res_body(rq, 201, "text/plain", STR("OK"));
}

static enum err_kind
put_manifest(struct req *rq, const char **media_type)
{
	struct ctx            *c = rq->c;
	const struct js_limits limits = manifest_limits(rq);
	const struct str       type = req_header(rq, "content-type");
	struct oci_manifest   *m;
	struct str             tags[TAG_PARAMS + 1];
	struct manifest_push   p = { .performer_id = rq->facts.caller_id, .audit_ip = rq->remote_addr };
	enum oci_media         gate;
	enum err_kind          e;

	TRY(oci_manifest_gate(c, type, &gate));
	e = req_body_all(rq, limits.bytes, &p.bytes);
	if (e == ERR_TOO_LARGE)
		return err_say(c, ERR_TOO_LARGE, &OCI_SAY_MANIFEST_TOO_LARGE);
	TRY(e);
	if (clock_mono_us() - rq->start_us > SLOW_US)
		TRY(reg_write_right_again(rq));
	TRY(oci_manifest_parse(c, p.bytes, type, &limits, &m));
	p.m = m;
	*media_type = m->media_type;
	if (m->schema == 1 || (!c->conf->feature_general_oci_support && (m->media == OCI_MEDIA_OCI_MANIFEST || m->media == OCI_MEDIA_OCI_INDEX)))
		return err_say(c, ERR_BAD_INPUT, &OCI_SAY_MANIFEST_UNSUPPORTED);
	TRY(read_reference(rq, &p, tags));
	TRY(reg_ensure_repository(rq));
	p.namespace_id = rq->facts.namespace_id;
	p.repository_id = rq->facts.repository_id;
	p.audit_track = reg_audit_track(rq);
	TRY(store_manifest(rq, &p));
	answer(rq, &p);
	return ERR_NONE;
}

enum err_kind
reg_manifest_put(struct req *rq)
{
	const char         *media_type = "";
	const enum err_kind e = put_manifest(rq, &media_type);

	metrics_push(rq->c->counters, e == ERR_NONE ? 201 : rq->c->err.say != NULL && rq->c->err.say->status != 0 ? rq->c->err.say->status : err_info(e)->status,
	             media_type);
	return e;
}
