/* Tags over the REST API: the list (alive, and dead ones while the time machine keeps them) and the counts of pulls. */
#include "api/routes.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/conditional.h"
#include "http/field.h"
#include "http/response.h"
#include "model/like.h"
#include "model/tag.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX     100
#define SKIP_MAX     INT64_C(100000000)
#define CHANGES_MAX  1000 /* that the statement counts */
#define INDEX_BYTES  131072 /* of an index whose children are looked up: more than a thousand of them */

static const struct say SAY_FILTER = { 400, "invalid_request",
	                               "Invalid syntax for filter_tag_name: expected <like|eq>:<name>" };

struct filter {
	struct str name, like; /* p == NULL: not asked for */
	bool is_malformed, live_only;
};

static struct filter
filter_of(struct req *rq)
{
	const struct str text = req_query(rq, "filter_tag_name");
	struct filter f = { .name = req_query(rq, "specificTag"),
		            .live_only = param_bool(rq, "onlyActiveTags", false) };
	struct str op, value;

	if (f.name.n == 0)
		f.name = STR0;
	if (text.n == 0)
		return f;
	f.is_malformed = !str_cut(text, ':', &op, &value);
	if (!f.is_malformed && str_eq(op, STR("eq")) && f.name.p == NULL)
		f.name = value;
	else if (!f.is_malformed && str_eq(op, STR("like")))
		f.like = value;
	return f;
}

/* What a list was made from, in its entity tag: see repo_live_tags_load. One tag fits the same path and query alone, so these do
 * not stand in it. FORM: of the list's JSON; a tag of another form is none. */
#define FORM "t1."
struct since {
	bool    is_known;
	int64_t repository_id, has_immutable, xid, n, sum, ms;
};

static bool
take_number(struct str *rest, int64_t *out)
{
	struct str head, tail;

	if (!str_cut(*rest, '.', &head, &tail))
		tail = STR0;
	*rest = tail;
	return str_to_i64(head, 0, INT64_MAX, out);
}

static struct since
since_of(struct req *rq)
{
	const struct str shown = conditional_shown(rq, STR(FORM));
	struct str       rest;
	struct since     s = { 0 };

	if (shown.n < sizeof FORM)
		return s;
	rest = str_sub(shown, sizeof FORM - 1, shown.n);
	s.is_known = take_number(&rest, &s.repository_id) && take_number(&rest, &s.has_immutable) && take_number(&rest, &s.xid) &&
	             take_number(&rest, &s.n) && take_number(&rest, &s.sum) && take_number(&rest, &s.ms) && rest.n == 0 &&
	             s.has_immutable == rq->c->conf->feature_immutable_tags;
	return s;
}

static void
bind_since(struct req *rq, struct db_args *a)
{
	const struct since s = since_of(rq);

	db_args_add(a, s.is_known ? db_i64(s.xid) : db_null());
	db_args_add(a, db_i64(s.n));
	db_args_add(a, db_i64(s.sum));
	db_args_add(a, db_i64(s.ms));
	db_args_add(a, db_i64(s.repository_id));
}

/* The entity tag of the list that was loaded. None where a child of an index is missing: it may come without a change of tags. */
static void
put_tag(struct req *rq, bool is_sparse)
{
	const struct db_result *r = rq->load;
	const int64_t           n = db_get_i64(r, 0, REPO_LIVE_TAGS_LOAD_CHANGED_N);

	if (rq->load_stmt != STMT_REPO_LIVE_TAGS_LOAD || is_sparse || n > CHANGES_MAX)
		return;
	conditional_tag(rq, str_of(str_fmt(rq->c->mem, FORM "%lld.%d.%lld.%lld.%lld.%lld", (long long)rq->facts.repository_id, rq->c->conf->feature_immutable_tags,
	                                   (long long)db_get_i64(r, 0, REPO_LIVE_TAGS_LOAD_SNAPSHOT_XID), (long long)n,
	                                   (long long)db_get_i64(r, 0, REPO_LIVE_TAGS_LOAD_CHANGED_SUM),
	                                   (long long)db_get_i64(r, 0, REPO_LIVE_TAGS_LOAD_NOW_MS))));
}

static int64_t
limit_of(struct req *rq)
{
	return req_query_i64(rq, "limit", 1, PAGE_MAX, PAGE_DEFAULT);
}

static int64_t
page_of(struct req *rq)
{
	return req_query_i64(rq, "page", 1, SKIP_MAX / PAGE_MAX, 1);
}

/* One row more than the page, to know whether there are more. */
static enum err_kind
bind_tags(struct req *rq, struct db_args *a)
{
	const struct filter f = filter_of(rq);

	if (f.name.p != NULL) {
		rq->load_stmt = STMT_REPO_NAMED_TAGS_LOAD;
		db_args_add(a, db_strn(f.name));
		db_args_add(a, db_bool(f.live_only));
	} else {
		rq->load_stmt = f.live_only ? STMT_REPO_LIVE_TAGS_LOAD : STMT_REPO_TAGS_LOAD;
		db_args_add(a, f.like.p == NULL ? db_null()
		                                : db_strn(like_pattern(rq->c->mem, f.like, LIKE_ANYWHERE)));
	}
	db_args_add(a, db_i32((int32_t)limit_of(rq) + 1));
	db_args_add(a, db_i64((page_of(rq) - 1) * limit_of(rq)));
	if (rq->load_stmt == STMT_REPO_LIVE_TAGS_LOAD)
		bind_since(rq, a);
	return ERR_NONE;
}
_Static_assert((int)REPO_TAGS_LOAD_TAG_ITEM0 == (int)REPO_LIVE_TAGS_LOAD_TAG_ITEM0 &&
                   (int)REPO_TAGS_LOAD_TAG_ITEM0 == (int)REPO_NAMED_TAGS_LOAD_TAG_ITEM0,
               "the lists of tags differ in columns");

static json_t *
view_tag(struct req *rq, const struct tag_item *t)
{
	json_t *o = json_object();
	const int64_t end_ms = tag_end_ms(t);

	jo_strn(o, "name", t->name);
	jo_bool(o, "reversion", t->is_reversion);
	if (rq->c->conf->feature_immutable_tags)
		jo_bool(o, "immutable", t->is_immutable);
	jo_i64(o, "start_ts", t->start_ms / 1000);
	if (end_ms != 0)
		jo_i64(o, "end_ts", end_ms / 1000);
	jo_strn(o, "manifest_digest", t->digest);
	jo_bool(o, "is_manifest_list", t->is_index);
	if (t->size_bytes < 0)
		jo_null(o, "size");
	else
		jo_i64(o, "size", t->size_bytes);
	jo_str(o, "last_modified", clock_rfc2822(rq->c->mem, t->start_ms));
	if (end_ms != 0)
		jo_str(o, "expiration", clock_rfc2822(rq->c->mem, end_ms));
	return o;
}

/* What an index lists, and which of it is here; false: not all. */
static bool
put_children(json_t *o, const struct db_result *r, int64_t manifest_id)
{
	json_t *presence = jo_object(o, "child_manifests_presence");
	int64_t listed = 0, present = 0;

	for (int i = 0; i < r->rows; i++) {
		if (db_get_i64(r, i, TAG_INDEX_CHILDREN_MANIFEST_ID) != manifest_id)
			continue;
		const bool here = db_get_bool(r, i, TAG_INDEX_CHILDREN_IS_PRESENT);
		jo_bool(presence, db_get_str(r, i, TAG_INDEX_CHILDREN_DIGEST), here);
		listed++;
		present += here;
	}
	jo_bool(o, "is_sparse", present < listed);
	jo_i64(o, "child_manifest_count", listed);
	jo_i64(o, "present_child_count", present);
	return present == listed;
}

static enum err_kind
load_children(struct req *rq, const struct tag_item *tags, int n, const struct db_result **out)
{
	int64_t ids[PAGE_MAX];
	size_t n_ids = 0;

	*out = NULL;
	for (int i = 0; i < n; i++)
		if (tags[i].is_index)
			ids[n_ids++] = tags[i].manifest_id;
	return n_ids == 0 ? ERR_NONE
	                  : db_exec(rq->c, STMT_TAG_INDEX_CHILDREN,
	                            DB_ARGS(db_i64_array(ids, n_ids), db_i32(INDEX_BYTES)), out);
}

static enum err_kind
api_tag_list(struct req *rq)
{
	const int limit = (int)limit_of(rq);
	struct tag_item tags[PAGE_MAX];
	const struct db_result *children;
	json_t *root, *list;
	bool is_sparse = false;
	int n = 0;

	if (filter_of(rq).is_malformed)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_FILTER);
	if (rq->load_stmt == STMT_REPO_LIVE_TAGS_LOAD && db_get_bool(rq->load, 0, REPO_LIVE_TAGS_LOAD_IS_UNCHANGED)) {
		conditional_tag(rq, conditional_shown(rq, STR(FORM)));
		res_empty(rq, 304);
		return ERR_NONE;
	}
	while (n < limit && tag_item_from_row(rq->load, n, REPO_TAGS_LOAD_TAG_ITEM0, &tags[n]))
		n++;
	TRY(load_children(rq, tags, n, &children));
	root = res_json(rq, 200);
	list = jo_array(root, "tags");
	for (int i = 0; i < n; i++) {
		json_t *o = view_tag(rq, &tags[i]);
		if (tags[i].is_index)
			is_sparse |= !put_children(o, children, tags[i].manifest_id);
		ja_take(list, o);
	}
	jo_i64(root, "page", page_of(rq));
	jo_bool(root, "has_additional", rq->load->rows > limit);
	put_tag(rq, is_sparse);
	return ERR_NONE;
}

static enum err_kind
bind_tag(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "tag")));
	return ERR_NONE;
}

static void
jo_date(struct req *rq, json_t *o, const char *name, int64_t ms)
{
	if (ms == 0)
		jo_null(o, name);
	else
		jo_str(o, name, clock_rfc2822(rq->c->mem, ms));
}

static enum err_kind
api_tag_pulls(struct req *rq)
{
	const struct db_result *r = rq->load;
	json_t *o;

	if (db_is_null(r, 0, TAG_PULLS_LOAD_ID))
		return err_set(rq->c, ERR_NOT_FOUND, "no such tag");
	o = res_json(rq, 200);
	jo_strn(o, "tag_name", req_capture(rq, "tag"));
	jo_i64(o, "tag_pull_count", db_get_i64(r, 0, TAG_PULLS_LOAD_TAG_PULLS));
	jo_date(rq, o, "last_tag_pull_date", db_get_i64(r, 0, TAG_PULLS_LOAD_TAG_LAST_MS));
	jo_str(o, "current_manifest_digest", db_get_str(r, 0, TAG_PULLS_LOAD_DIGEST));
	jo_i64(o, "manifest_pull_count", db_get_i64(r, 0, TAG_PULLS_LOAD_MANIFEST_PULLS));
	jo_date(rq, o, "last_manifest_pull_date", db_get_i64(r, 0, TAG_PULLS_LOAD_MANIFEST_LAST_MS));
	return ERR_NONE;
}

static const struct param LIST[] = {
	{.name = "specificTag",	                                        .doc = "Filters the tags to the specific tag." },
	{ .name = "filter_tag_name",	                                                           .doc = "Syntax: <op>:<name>, op is like or eq." },
	{ .name = "limit",
         .is_int = true,
         .doc = "Limit to the number of results to return per page. Max 100." },
	{ .name = "page",	                                             .is_int = true, .doc = "Page index for the results. Default 1." },
	{ .name = "onlyActiveTags", .doc = "Filter to only active tags." },
	{ .name = NULL	                                             },
};

#define TAGS      "/api/v1/repository/<repopath:repository>/tag"
#define ROW(m, p) .methods = (m), .path = (p), .proto = PROTO_API, .auth = AUTH_API
const struct route API_TAG_LIST_ROUTES[] = {
	{.id = "listRepoTags",
         ROW(HTTP_GET | HTTP_HEAD, TAGS),
         .perm = PERM_REPO_READ,
         .scope = SCOPE_REPO_READ,
         .flags = ROUTE_SU_READ,
         .rate = RATE_API_READ,
         .load = STMT_REPO_TAGS_LOAD,
         .bind = bind_tags,
         .query = LIST,
         .run = api_tag_list,
         .mem_bytes = 8 << 20,
         .doc = "Tags of a repository, newest first." },
	{ .id = "getTagPullStatistics",
         ROW(HTTP_GET | HTTP_HEAD, TAGS "/<ref:tag>/pull_statistics"),
         .perm = PERM_REPO_READ,
         .scope = SCOPE_REPO_READ,
         .flags = ROUTE_SU_READ,
         .feature = CONF_FLAG(feature_image_pull_stats),
         .rate = RATE_API_READ,
         .load = STMT_TAG_PULLS_LOAD,
         .bind = bind_tag,
         .run = api_tag_pulls,
         .doc = "How often a tag was pulled." },
	{ .id = NULL}
};
