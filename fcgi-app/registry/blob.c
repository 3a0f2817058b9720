/* Blobs: GET with Range, HEAD, DELETE of the repository's link. OCI distribution specification, "Pulling blobs". Downloads go,
 * in this order, to the store itself (redirect), to the web server (send-file header), or through this process. */
#include "app.h"
#include "base/arena.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "http/response.h"
#include "model/blob.h"
#include "oci/range.h"
#include "oci/say.h"
#include "registry/v2.h"
#include "store/key.h"
#include "store/store.h"

#define STREAM_BYTES 262144
#define URL_LIFE_S 600 /* of a redirect, as Quay's */

static void
blob_headers(struct req *rq, const char *digest)
{
	res_header(rq, "Docker-Content-Digest", str_of(digest));
	res_header(rq, "Cache-Control", STR("max-age=31536000"));
	res_header(rq, "Accept-Ranges", STR("bytes"));
	res_headerf(rq, "ETag", "\"%s\"", digest);
	res_header(rq, "Content-Type", STR("application/octet-stream"));
}

static enum err_kind
blob_of_request(struct req *rq, struct oci_digest *d, struct blob *b)
{
	const struct str text = req_capture(rq, "digest");

	if (!reg_digest(rq, "digest", d) || !blob_from_rows(rq->c, rq->load, FACTS_COLS, b))
		return reg_blob_unknown(rq, str_dup(rq->c->mem, text));
	return ERR_NONE;
}

static enum err_kind
reg_blob_head(struct req *rq)
{
	struct oci_digest d;
	struct blob       b;
	int64_t           first, last;
	char              etag[OCI_DIGEST_TEXT + 2];

	TRY(blob_of_request(rq, &d, &b));
	if ((rq->facts.may_write) && !rq->c->conf->is_readonly) {
		const enum err_kind e = blob_renew_if_idle(rq->c, rq->facts.repository_id, &b);
		if (e != ERR_NONE)
			return e == ERR_NOT_FOUND ? reg_blob_unknown(rq, str_dup(rq->c->mem, req_capture(rq, "digest"))) : e;
	}
	snprintf(etag, sizeof etag, "\"%s\"", d.text);
	blob_headers(rq, d.text);
	if (reg_not_modified(rq, etag)) {
		res_empty(rq, 304);
		return ERR_NONE;
	}
	/* HEAD answers as GET would, but never a part: clients ask it for the whole size. */
	(void)first;
	(void)last;
	res_status(rq, 200);
	res_length(rq, b.size_bytes);
	return ERR_NONE;
}

struct blob_stream {
	struct req *rq;
	int64_t     sent;
};

static enum err_kind
to_client(struct ctx *c, void *arg, const void *p, size_t n)
{
	struct blob_stream *s = arg;

	(void)c;
	s->sent += (int64_t)n;
	return res_stream_write(s->rq, p, n);
}

/* The key of the blob in a location. */
static const char *
key_at(struct req *rq, const struct blob *b, const char *digest, const struct store *s)
{
	char *standard = arena_alloc(rq->c->mem, STORE_KEY_MAX);

	for (int i = 0; i < b->n_places; i++)
		if (strcmp(b->places[i].location, s->name) == 0 && b->places[i].key != NULL)
			return b->places[i].key;
	return store_key_blob(str_of(digest), standard) ? standard : "";
}

/* Hands the whole answer to the web server. *done = false: it may not, or the store has no files. */
static enum err_kind
send_file(struct req *rq, struct store *s, const char *key, bool *done)
{
	const struct conf *cf = rq->c->conf;
	const char        *path;

	*done = false;
	if (!cf->kade_sendfile_trusted || cf->kade_sendfile == CONF_SENDFILE_NONE || (s->caps & STORE_CAP_LOCAL_PATH) == 0)
		return ERR_NONE;
	TRY(store_local_path(rq->c, s, key, &path));
	if (cf->kade_sendfile == CONF_SENDFILE_X_ACCEL)
		res_headerf(rq, "X-Accel-Redirect", "%s/%s/%s", cf->kade_sendfile_prefix, s->name, key);
	else
		res_header(rq, "X-Sendfile", str_of(path));
	res_status(rq, 200);
	res_body(rq, 200, "application/octet-stream", STR0);
	*done = true;
	return ERR_NONE;
}

static enum err_kind
redirect(struct req *rq, struct store *s, const char *key, bool *done)
{
	const struct store_url_want want = { .key = key, .expires_s = URL_LIFE_S, .client_ip = rq->remote_addr, .namespace_name = rq->ns,
		                             .repository = rq->repo, .username = str_of(rq->ident.name) };
	const char                 *url;

	*done = false;
	if (rq->c->conf->feature_proxy_storage || (s->caps & STORE_CAP_DIRECT_URL) == 0)
		return ERR_NONE;
	TRY(store_direct_url(rq->c, s, &want, &url));
	res_header(rq, "Location", str_of(url));
	res_empty(rq, 302);
	*done = true;
	return ERR_NONE;
}

/* Through this process, from the first location that answers. */
static enum err_kind
stream(struct req *rq, const struct blob *b, const char *digest, struct store_range range)
{
	struct store    **stores = ARENA_ARRAY(rq->c->mem, struct store *, (size_t)b->n_places);
	struct str       *names = ARENA_ARRAY(rq->c->mem, struct str, (size_t)b->n_places);
	struct blob_stream s = { .rq = rq };
	enum err_kind     e = ERR_NONE;
	size_t            n;

	for (int i = 0; i < b->n_places; i++)
		names[i] = str_of(b->places[i].location);
	n = store_order(rq->app->stores, names, (size_t)b->n_places, stores);
	if (n == 0)
		return err_set(rq->c, ERR_STORE, "no configured location holds %s", digest);
	for (size_t i = 0; i < n; i++) {
		const struct store_get g = { .key = key_at(rq, b, digest, stores[i]), .range = range, .buf = arena_alloc(rq->c->mem, STREAM_BYTES),
			                     .buf_bytes = STREAM_BYTES, .sink = to_client, .arg = &s };
		struct store_info      info;
		if (s.sent == 0 && !rq->res.sent) {
			/* Ask before the head goes out, so that a lost object is an error and not a cut answer. */
			e = store_stat(rq->c, stores[i], g.key, &info);
			if (e == ERR_NONE && (!info.exists || info.size_bytes != b->size_bytes))
				e = err_set(rq->c, ERR_STORE, "%s: object %s is missing or has another size", stores[i]->name, g.key);
			if (e != ERR_NONE)
				continue;
			TRY(res_stream_begin(rq));
		}
		e = range.length == 0 ? ERR_NONE : store_get(rq->c, stores[i], &g);
		return e;
	}
	return e;
}

static enum err_kind
reg_blob_get(struct req *rq)
{
	struct oci_digest d;
	struct blob       b;
	int64_t           first = 0, last = 0;
	char              etag[OCI_DIGEST_TEXT + 2];
	struct str        one;
	struct store     *s = NULL;
	bool              done = false;

	TRY(blob_of_request(rq, &d, &b));
	snprintf(etag, sizeof etag, "\"%s\"", d.text);
	blob_headers(rq, d.text);
	if (reg_not_modified(rq, etag)) {
		res_empty(rq, 304);
		return ERR_NONE;
	}
	for (int i = 0; i < b.n_places && !done; i++) {
		one = str_of(b.places[i].location);
		if (store_order(rq->app->stores, &one, 1, &s) == 0)
			continue;
		TRY(redirect(rq, s, key_at(rq, &b, d.text, s), &done));
		if (!done)
			TRY(send_file(rq, s, key_at(rq, &b, d.text, s), &done));
	}
	if (done)
		return ERR_NONE;
	switch (oci_range_parse(req_header(rq, "range"), b.size_bytes, &first, &last)) {
	case OCI_RANGE_UNSATISFIABLE:
		err_say(rq->c, ERR_RANGE, &OCI_SAY_BLOB_RANGE);
		res_problem(rq);
		res_headerf(rq, "Content-Range", "bytes */%lld", (long long)b.size_bytes);
		return ERR_NONE;
	case OCI_RANGE_PART:
		res_status(rq, 206);
		res_headerf(rq, "Content-Range", "bytes %lld-%lld/%lld", (long long)first, (long long)last, (long long)b.size_bytes);
		res_length(rq, last - first + 1);
		return stream(rq, &b, d.text, (struct store_range){ first, last - first + 1 });
	default:
		res_status(rq, 200);
		res_length(rq, b.size_bytes);
		return stream(rq, &b, d.text, (struct store_range){ 0, b.size_bytes });
	}
}

static enum err_kind
reg_blob_delete(struct req *rq)
{
	enum { ID = FACTS_COLS, IN_USE };
	const struct db_result *r;
	struct oci_digest       d;
	const int64_t           repository_id = rq->facts.repository_id;

	if (!reg_digest(rq, "digest", &d) || db_is_null(rq->load, 0, ID))
		return reg_blob_unknown(rq, str_dup(rq->c->mem, req_capture(rq, "digest")));
	const int64_t id = db_get_i64(rq->load, 0, ID);
	bool          in_use = db_get_bool(rq->load, 0, IN_USE);
	if (!in_use) {
		TRY(db_exec(rq->c, STMT_BLOB_DELETE_LOCK, DB_ARGS(db_i64(repository_id), db_i64(id)), &r));
		if (r->rows == 0)
			return reg_blob_unknown(rq, str_dup(rq->c->mem, req_capture(rq, "digest")));
		TRY(db_exec(rq->c, STMT_BLOB_MARK_REMOVED, DB_ARGS(db_i64(repository_id), db_i64(id), db_i64(push_window_ms(rq->c))), &r));
		in_use = r->rows == 0;
	}
	if (in_use)
		return err_say_fmt(rq->c, ERR_UNSUPPORTED, &OCI_SAY_UNSUPPORTED, "The blob is part of a manifest that can be pulled.");
	res_header(rq, "Docker-Content-Digest", str_of(d.text));
	res_empty(rq, 202);
	return ERR_NONE;
}

const struct route REG_BLOB_ROUTES[] = {
	{ .id = "headBlob", .methods = HTTP_HEAD, .path = "/v2/<repo:repository>/blobs/<ref:digest>", .proto = PROTO_V2, .auth = AUTH_REGISTRY,
	  .perm = PERM_REPO_READ, .rate = RATE_REGISTRY_READ, .load = STMT_BLOB_LOAD, .bind = reg_bind_digest, .run = reg_blob_head,
	  .doc = "Size of a blob, if this repository has it." },
	{ .id = "getBlob", .methods = HTTP_GET, .path = "/v2/<repo:repository>/blobs/<ref:digest>", .proto = PROTO_V2, .auth = AUTH_REGISTRY,
	  .perm = PERM_REPO_READ, .rate = RATE_REGISTRY_READ, .flags = ROUTE_TRANSFER, .mem_bytes = 2 << 20, .load = STMT_BLOB_LOAD,
	  .bind = reg_bind_digest, .run = reg_blob_get, .doc = "The bytes of a blob, or a range of them." },
	{ .id = "deleteBlob", .methods = HTTP_DELETE, .path = "/v2/<repo:repository>/blobs/<ref:digest>", .proto = PROTO_V2,
	  .auth = AUTH_REGISTRY, .perm = PERM_REPO_WRITE_EXISTING, .rate = RATE_REGISTRY_WRITE, .flags = ROUTE_WRITES | ROUTE_PUSH, .tx = TX_WRITE,
	  .load = STMT_BLOB_DELETE_LOAD, .bind = reg_bind_digest, .run = reg_blob_delete, .doc = "Takes a blob out of this repository." },
	REG_SAY_END
};
