/* Lists: tags of a repository, the catalogue, referrers of a digest. OCI distribution specification, "Content discovery". */
#include "app.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "conf/conf.h"
#include "auth/page-token.h"
#include "auth/scope.h"
#include "http/response.h"
#include "model/blob.h"
#include "oci/manifest.h"
#include "oci/name.h"
#include "oci/referrer.h"
#include "oci/say.h"
#include "registry/v2.h"

#define PAGE_DEFAULT 100   /* Quay's: max(V2_PAGINATION_SIZE, 100) */
#define REFERRERS_MAX 1000 /* stored entries of one page */

static int64_t
page_default(const struct conf *cf)
{
	return cf->v2_pagination_size > PAGE_DEFAULT ? cf->v2_pagination_size : PAGE_DEFAULT;
}

/* How many repositories a page has: 1 for a value that is no number, as Quay. */
static int64_t
catalog_page_size(struct req *rq)
{
	const int64_t max = rq->c->conf->kade_tags_page_max > PAGE_DEFAULT ? rq->c->conf->kade_tags_page_max : PAGE_DEFAULT;

	return req_query_i64(rq, "n", 1, max, req_query(rq, "n").p == NULL ? page_default(rq->c->conf) : 1);
}

static int64_t
page_size(struct req *rq)
{
	/* Larger pages than Quay's are given when asked for: clients that read ten thousand tags need fewer requests. */
	const int64_t max = rq->c->conf->kade_tags_page_max > PAGE_DEFAULT ? rq->c->conf->kade_tags_page_max : PAGE_DEFAULT;

	return req_query_i64(rq, "n", 0, max, page_default(rq->c->conf));
}

static enum err_kind
bind_tags(struct req *rq, struct db_args *a)
{
	struct str last = req_query(rq, "last");

	db_args_add(a, last.n == 0 ? db_null() : db_strn(last));
	db_args_add(a, db_i32((int32_t)page_size(rq) + 1));
	return ERR_NONE;
}

static enum err_kind
reg_tags_list(struct req *rq)
{
	const int64_t n = page_size(rq);
	const int     rows = db_is_null(rq->load, 0, TAGS_LIST_LOAD_NAME) ? 0 : rq->load->rows;
	struct buf    b = BUF(rq->c->mem);
	struct buf    link = BUF(rq->c->mem);

	buf_puts(&b, "{\"name\":");
	buf_put_json(&b, str_of(str_fmt(rq->c->mem, "%.*s/%.*s", STRF(rq->ns), STRF(rq->repo))));
	buf_puts(&b, ",\"tags\":[");
	for (int i = 0; i < rows && i < n; i++) {
		if (i > 0)
			buf_putc(&b, ',');
		buf_put_json(&b, db_get_strn(rq->load, i, TAGS_LIST_LOAD_NAME));
	}
	buf_puts(&b, "]}");
	if (n > 0 && rows > n) {
		buf_putf(&link, "</v2/%.*s/%.*s/tags/list?n=%lld&last=", STRF(rq->ns), STRF(rq->repo), (long long)n);
		buf_put_url(&link, db_get_strn(rq->load, (int)n - 1, TAGS_LIST_LOAD_NAME));
		buf_puts(&link, ">; rel=\"next\"");
		res_header(rq, "Link", buf_str(&link));
	}
	res_body(rq, 200, "application/json", buf_str(&b));
	return ERR_NONE;
}

/* An opaque token of ours: the id after which a page begins. False: it is none. */
static bool
page_start(struct req *rq, struct str token, int64_t *after)
{
	struct str page;
	json_t    *o;

	if (token.n == 0 || !page_token_get(rq->c, rq->app->page_key, rq->c->now_ms / 1000, token, &page) ||
	    js_parse(rq->c, page, &JS_API, &o) != ERR_NONE)
		return false;
	*after = js_i64(o, "start_id", 0);
	return true;
}

/* The token of the page after id. */
static enum err_kind
page_next(struct req *rq, int64_t id, struct str *token)
{
	json_t *page = js_object(rq->c);

	jo_i64(page, "start_id", id);
	return page_token_put(rq->c, rq->app->page_key, rq->c->now_ms / 1000, NULL, js_dump(rq->c, page), token);
}

/* Where a page begins: next_page, or last, is an opaque token of ours, or (last only) a repository's name. */
static enum err_kind
catalog_start(struct req *rq, int64_t *after)
{
	struct str              token = req_query(rq, "next_page"), ns, repo;
	const struct db_result *r;

	*after = 0;
	if (token.n == 0)
		token = req_query(rq, "last");
	if (page_start(rq, token, after))
		return ERR_NONE;
	if (!str_cut(token, '/', &ns, &repo))
		return ERR_NONE;
	TRY(db_exec(rq->c, STMT_CATALOG_AFTER_NAME, DB_ARGS(db_strn(ns), db_strn(repo)), &r));
	if (r->rows > 0)
		*after = db_get_i64(r, 0, CATALOG_AFTER_NAME_ID);
	return ERR_NONE;
}

static enum err_kind
reg_catalog(struct req *rq)
{
	const struct conf      *cf = rq->c->conf;
	const unsigned          caps = facts_caps(cf, &rq->ident, STR0, STR0, ROLE_READ);
	const int64_t           n = catalog_page_size(rq);
	const bool              own = rq->ident.kind != IDENTITY_OAUTH || scope_max_role(rq->ident.scopes) >= ROLE_READ; /* else public ones only */
	const bool              named = rq->facts.caller_name != NULL && rq->ident.name != NULL && str_eq_c(str_of(rq->facts.caller_name), rq->ident.name);
	const bool              everything = own && named && (facts_is_superuser(cf, &rq->ident) || facts_reads_everything(cf, &rq->ident));
	const int64_t           caller_id = own ? rq->facts.caller_id : 0;
	const struct db_result *r;
	struct buf              b = BUF(rq->c->mem);
	int64_t                 after;

	buf_puts(&b, "{\"repositories\":[");
	if (caller_id != 0 || cf->feature_public_catalog) {
		TRY(catalog_start(rq, &after));
		TRY(db_exec(rq->c, STMT_CATALOG_PAGE,
		            DB_ARGS(db_i64_or_null(caller_id), db_bool(cf->feature_public_catalog && (caps & CAPS_PUBLIC) != 0), db_i64(after),
		                    db_i32((int32_t)n + 1), db_bool(everything)),
		            &r));
		for (int i = 0; i < r->rows && i < n; i++) {
			if (i > 0)
				buf_putc(&b, ',');
			buf_put_json(&b, db_get_strn(r, i, CATALOG_PAGE_NAME));
		}
		if (r->rows > n) {
			struct str token;
			TRY(page_next(rq, db_get_i64(r, (int)n - 1, CATALOG_PAGE_ID), &token));
			res_headerf(rq, "Link", "</v2/_catalog?n=%lld&next_page=%.*s>; rel=\"next\"", (long long)n, STRF(token));
		}
	}
	buf_puts(&b, "]}");
	res_body(rq, 200, "application/json", buf_str(&b));
	return ERR_NONE;
}

static enum err_kind
bind_referrers(struct req *rq, struct db_args *a)
{
	struct oci_digest d;
	const struct str  type = req_query(rq, "artifactType");
	int64_t           after = 0;

	if (!page_start(rq, req_query(rq, "next_page"), &after))
		err_clear(rq->c); /* as in the catalogue: what is no token of ours begins at the beginning */
	db_args_add(a, reg_digest(rq, "digest", &d) ? db_strn(req_capture(rq, "digest")) : db_str(""));
	db_args_add(a, type.n == 0 ? db_null() : db_strn(type));
	db_args_add(a, db_i64(push_window_ms(rq->c)));
	db_args_add(a, db_i64(after));
	db_args_add(a, db_i32(REFERRERS_MAX + 1));
	return ERR_NONE;
}

/* Entries that older clients keep in an index under the fallback tag of the digest. */
static enum err_kind
fallback_entries(struct req *rq, const struct oci_digest *d, struct oci_referrer *v, size_t *n)
{
	const struct js_limits  limits = JS_MANIFEST;
	const struct db_result *r;
	struct oci_manifest    *m;
	char                    tag[OCI_REFERRERS_TAG_TEXT];

	oci_referrers_tag(d, tag);
	TRY(db_exec(rq->c, STMT_REFERRERS_FALLBACK, DB_ARGS(db_i64(rq->facts.repository_id), db_str(tag)), &r));
	if (r->rows == 0 || oci_manifest_parse(rq->c, db_get_strn(r, 0, 0), STR("application/vnd.oci.image.index.v1+json"), &limits, &m) != ERR_NONE) {
		err_clear(rq->c);
		return ERR_NONE;
	}
	for (size_t i = 0; i < m->children.n && *n < 2 * REFERRERS_MAX; i++)
		oci_referrer_of_entry(rq->c, &m->children.v[i], &v[(*n)++]);
	return ERR_NONE;
}

/* The page after the entry with this id, with the same filter. */
static enum err_kind
referrers_link(struct req *rq, const struct oci_digest *d, struct str type, int64_t id)
{
	struct buf link = BUF(rq->c->mem);
	struct str token;

	TRY(page_next(rq, id, &token));
	buf_putf(&link, "</v2/%.*s/%.*s/referrers/%s?", STRF(rq->ns), STRF(rq->repo), d->text);
	if (type.n > 0) {
		buf_puts(&link, "artifactType=");
		buf_put_url(&link, type);
		buf_putc(&link, '&');
	}
	buf_putf(&link, "next_page=%.*s>; rel=\"next\"", STRF(token));
	res_header(rq, "Link", buf_str(&link));
	return ERR_NONE;
}

/* The entries of the fallback tag stand on the first page. */
static enum err_kind
reg_referrers(struct req *rq)
{
	const struct str     type = req_query(rq, "artifactType");
	struct oci_digest    d;
	struct oci_referrer *v = ARENA_ARRAY(rq->c->mem, struct oci_referrer, 2 * REFERRERS_MAX);
	int64_t              after = 0;
	size_t               n = 0;

	if (!reg_digest(rq, "digest", &d))
		return err_say(rq->c, ERR_BAD_INPUT, &OCI_SAY_DIGEST_INVALID);
	for (int i = 0; i < rq->load->rows && n < REFERRERS_MAX && !db_is_null(rq->load, i, REFERRERS_LOAD_ID); i++)
		v[n++] = (struct oci_referrer){ .digest = db_get_strn(rq->load, i, REFERRERS_LOAD_DIGEST),
			                        .media_type = db_get_strn(rq->load, i, REFERRERS_LOAD_MEDIA_TYPE),
			                        .size_bytes = db_get_i64(rq->load, i, REFERRERS_LOAD_SIZE_BYTES),
			                        .artifact_type = db_get_strn(rq->load, i, REFERRERS_LOAD_ARTIFACT_TYPE),
			                        .annotations = db_get_strn(rq->load, i, REFERRERS_LOAD_ANNOTATIONS) };
	if (rq->load->rows > REFERRERS_MAX)
		TRY(referrers_link(rq, &d, type, db_get_i64(rq->load, REFERRERS_MAX - 1, REFERRERS_LOAD_ID)));
	if (rq->facts.repository_id != 0 && !page_start(rq, req_query(rq, "next_page"), &after))
		TRY(fallback_entries(rq, &d, v, &n));
	if (type.n > 0)
		res_header(rq, "OCI-Filters-Applied", STR("artifactType"));
	res_body(rq, 200, "application/vnd.oci.image.index.v1+json", oci_referrers_index(rq->c, v, n, type));
	return ERR_NONE;
}

const struct route REG_LIST_ROUTES[] = {
	{ .id = "listTags", .methods = HTTP_GET | HTTP_HEAD, .path = "/v2/<repo:repository>/tags/list", .proto = PROTO_V2, .auth = AUTH_REGISTRY,
	  .perm = PERM_REPO_READ, .rate = RATE_REGISTRY_READ, .load = STMT_TAGS_LIST_LOAD, .bind = bind_tags, .run = reg_tags_list,
	  .mem_bytes = 8 << 20, .doc = "Live tags in byte order." },
	{ .id = "listCatalog", .methods = HTTP_GET | HTTP_HEAD, .path = "/v2/_catalog", .proto = PROTO_V2, .auth = AUTH_REGISTRY, .perm = PERM_NONE,
	  .rate = RATE_REGISTRY_READ, .run = reg_catalog, .mem_bytes = 8 << 20, .doc = "Repositories that the caller may read." },
	{ .id = "listReferrers", .methods = HTTP_GET | HTTP_HEAD, .path = "/v2/<repo:repository>/referrers/<ref:digest>", .proto = PROTO_V2,
	  .auth = AUTH_REGISTRY, .perm = PERM_REPO_READ_OR_CREATE, .rate = RATE_REGISTRY_READ, .feature = CONF_FLAG(feature_referrers_api),
	  .load = STMT_REFERRERS_LOAD, .bind = bind_referrers, .run = reg_referrers, .mem_bytes = 16 << 20,
	  .doc = "Manifests that name the digest as their subject." },
	REG_SAY_END
};
