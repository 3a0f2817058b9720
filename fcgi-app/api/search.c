/* Search over the REST API: repositories by name and description, and all kinds of things by name. Nothing is found that the
 * caller may not see. */
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "api/view-account.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/field.h"
#include "http/response.h"
#include "model/like.h"

#define OF_EACH              5   /* results of each kind in a search for everything */
#define QUERY_MAX            255 /* bytes; nothing has a longer name */
#define WEIGHT_REPOSITORY    4.0
#define WEIGHT_TEAM          2.0
#define WEIGHT_ENTITY        1.0
#define ACCOUNT_ORGANIZATION 2
enum { KIND_TEAM = 1, KIND_ROBOT, KIND_NAMESPACE }; /* of search_accounts */

_Static_assert((int)REPO_SEARCH_LOAD_FOUND0 == (int)REPO_SEARCH_PREFIX_LOAD_FOUND0 &&
                   (int)REPO_SEARCH_LOAD_FOUND0 == (int)REPO_SEARCH_ALL_LOAD_FOUND0 &&
                   (int)REPO_SEARCH_LOAD_FOUND0 == (int)REPO_SEARCH_NAMESPACE_LOAD_FOUND0,
               "the searches differ in columns");
enum {
	R_ID,
	R_NAMESPACE,
	R_NAMESPACE_KIND,
	R_NAMESPACE_EMAIL,
	R_NAME,
	R_DESCRIPTION,
	R_IS_PUBLIC,
	R_LAST_MODIFIED_MS,
	R_ACTIONS,
	R_STARS,
	R_COLS
};
_Static_assert((int)R_COLS == FOUND_COLS, "search.sql and search.c differ");

/* The text asked for, in lower case, without blanks around it. */
static struct str
query_of(struct req *rq)
{
	const struct str s = str_trim(req_query(rq, "query"));
	struct buf b = BUF(rq->c->mem);

	for (size_t i = 0; i < s.n && i < QUERY_MAX; i++)
		buf_putc(&b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i]);
	return s.n > QUERY_MAX || s.n == 0 ? STR("") : buf_str(&b);
}

/* Three letters or digits in a row: then the trigram index knows where to look. */
static bool
has_trigram(struct str s)
{
	int run = 0;

	for (size_t i = 0; i < s.n; i++) {
		const unsigned char ch = (unsigned char)s.p[i];
		if ((ch & 0xC0) == 0x80)
			continue; /* of the character before */
		run = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || ch >= 0x80 ? run + 1 : 0;
		if (run == 3)
			return true;
	}
	return false;
}

/* An OAuth token without repo:read finds what is public. */
static bool
sees_own(const struct req *rq)
{
	return rq->ident.kind != IDENTITY_OAUTH || scope_max_role(rq->ident.scopes) >= ROLE_READ;
}

struct range {
	int32_t upto, skip;
	bool usage;
};

static enum err_kind
bind_search(struct req *rq, struct db_args *a, const struct range *g)
{
	const bool own = sees_own(rq), everything = own && (decide_caps(rq) & CAPS_SU_READ) != 0;
	const struct str q = query_of(rq);
	struct str ns, name;
	const bool in_namespace = str_cut(q, '/', &ns, &name);

	if (in_namespace) {
		rq->load_stmt = STMT_REPO_SEARCH_NAMESPACE_LOAD;
		db_args_add(a, db_strn(like_pattern(rq->c->mem, name, LIKE_ANYWHERE)));
	} else if (q.n == 0) {
		rq->load_stmt = STMT_REPO_SEARCH_ALL_LOAD;
		db_args_add(a, db_strn(q));
	} else if (has_trigram(q)) {
		rq->load_stmt = STMT_REPO_SEARCH_LOAD;
		db_args_add(a, db_strn(like_pattern(rq->c->mem, q, LIKE_ANYWHERE)));
	} else {
		rq->load_stmt = STMT_REPO_SEARCH_PREFIX_LOAD;
		db_args_add(a, db_strn(q));
	}
	db_args_add(a, db_bool(own));
	db_args_add(a, db_bool(everything));
	db_args_add(a, db_i32(g->upto));
	db_args_add(a, db_i32(g->skip));
	db_args_add(a, db_bool(g->usage));
	if (in_namespace)
		db_args_add(a, db_strn(ns));
	return ERR_NONE;
}

static int32_t
page_size(const struct req *rq)
{
	return (int32_t)rq->c->conf->search_results_per_page;
}

static int32_t
page_of(struct req *rq)
{
	return (int32_t)req_query_i64(rq, "page", 1, rq->c->conf->search_max_result_page_count, 1);
}

static enum err_kind
bind_find_repos(struct req *rq, struct db_args *a)
{
	const int32_t size = page_size(rq);

	return bind_search(
	    rq, a,
	    &(struct range){ size + 1, (page_of(rq) - 1) * size, param_bool(rq, "includeUsage", false) });
}

static enum err_kind
bind_find_all(struct req *rq, struct db_args *a)
{
	if (query_of(rq).n == 0) {
		rq->load_stmt = STMT_CALLER_FACTS;
		return ERR_NONE;
	}
	return bind_search(rq, a, &(struct range){ OF_EACH, 0, false });
}

/* How near a name is to what was asked for: 1 when it is the same, 0.5 when nothing is alike. */
static double
closeness(struct str name, struct str query)
{
	const double share = name.n == 0 ? 0 : (double)query.n / (double)name.n;

	if (query.n == 0 || query.n > name.n)
		return 0.5;
	if (str_starts(name, query))
		return 0.8 + 0.2 * share;
	for (size_t i = 1; i + query.n <= name.n; i++)
		if (memcmp(name.p + i, query.p, query.n) == 0)
			return 0.6 + 0.2 * share;
	return 0.5;
}

static void
jo_real(json_t *o, const char *key, double v)
{
	jo_take(o, key, json_real(v));
}

/* A user or organization. */
static json_t *
view_namespace(struct req *rq, const char *name, int64_t kind, const char *email, double score)
{
	const bool is_org = kind == ACCOUNT_ORGANIZATION;
	json_t *o = json_object();

	jo_str(o, "title", is_org ? "org" : "user");
	jo_str(o, "kind", is_org ? "organization" : "user");
	jo_take(o, "avatar", view_avatar(is_org ? AVATAR_ORG : AVATAR_USER, name, email));
	jo_str(o, "name", name);
	jo_real(o, "score", score);
	jo_str(o, "href", str_fmt(rq->c->mem, "/%s/%s", is_org ? "organization" : "user", name));
	return o;
}

static json_t *
view_found(struct req *rq, int row, struct str query)
{
	const int at = REPO_SEARCH_LOAD_FOUND0;
	const char *ns = db_get_str(rq->load, row, at + R_NAMESPACE),
	           *name = db_get_str(rq->load, row, at + R_NAME);
	json_t *o = json_object();
	struct str head, tail;

	if (str_cut(query, '/', &head, &tail))
		query = tail;
	jo_str(o, "kind", "repository");
	jo_str(o, "title", "repo");
	jo_take(o, "namespace",
	        view_namespace(rq, ns, db_get_i64(rq->load, row, at + R_NAMESPACE_KIND),
	                       db_get_str(rq->load, row, at + R_NAMESPACE_EMAIL), WEIGHT_ENTITY));
	jo_str(o, "name", name);
	jo_str(o, "description", db_get_str(rq->load, row, at + R_DESCRIPTION));
	jo_bool(o, "is_public", db_get_bool(rq->load, row, at + R_IS_PUBLIC));
	jo_real(o, "score",
	        query.n == 0 ? WEIGHT_REPOSITORY : WEIGHT_REPOSITORY * closeness(str_of(name), query));
	jo_str(o, "href", str_fmt(rq->c->mem, "/repository/%s/%s", ns, name));
	return o;
}

static bool
is_found(const struct req *rq, int row)
{
	return row < rq->load->rows && !db_is_null(rq->load, row, REPO_SEARCH_LOAD_FOUND0) &&
	       !db_is_null(rq->load, row, REPO_SEARCH_LOAD_FOUND0 + R_NAMESPACE);
}

static enum err_kind
api_find_repositories(struct req *rq)
{
	const int size = page_size(rq), at = REPO_SEARCH_LOAD_FOUND0;
	const struct str query = query_of(rq);
	json_t *root = res_json(rq, 200), *list = jo_array(root, "results");

	for (int i = 0; i < size && i < rq->load->rows; i++) {
		if (!is_found(rq, i))
			continue;
		json_t *o = view_found(rq, i, query);
		if (param_bool(rq, "includeUsage", false)) {
			if (db_is_null(rq->load, i, at + R_LAST_MODIFIED_MS))
				jo_null(o, "last_modified");
			else
				jo_i64(o, "last_modified",
				       db_get_i64(rq->load, i, at + R_LAST_MODIFIED_MS) / 1000);
			jo_i64(o, "stars", db_get_i64(rq->load, i, at + R_STARS));
			jo_real(o, "popularity", (double)db_get_i64(rq->load, i, at + R_ACTIONS));
		}
		ja_take(list, o);
	}
	jo_bool(root, "has_additional",
	        rq->load->rows > size && page_of(rq) < rq->c->conf->search_max_result_page_count);
	jo_i64(root, "page", page_of(rq));
	jo_i64(root, "page_size", size);
	jo_i64(root, "start_index", (int64_t)(page_of(rq) - 1) * size);
	return ERR_NONE;
}

static json_t *
view_team(struct req *rq, const struct db_result *r, int row, double score)
{
	const char *name = db_get_str(r, row, SEARCH_ACCOUNTS_NAME),
	           *org = db_get_str(r, row, SEARCH_ACCOUNTS_OWNER);
	json_t *o = json_object();

	jo_str(o, "kind", "team");
	jo_str(o, "name", name);
	jo_take(o, "organization",
	        view_namespace(rq, org, db_get_i64(r, row, SEARCH_ACCOUNTS_OWNER_KIND),
	                       db_get_str(r, row, SEARCH_ACCOUNTS_OWNER_EMAIL), WEIGHT_ENTITY));
	jo_take(o, "avatar", view_avatar(AVATAR_TEAM, name, NULL));
	jo_real(o, "score", score);
	jo_str(o, "href", str_fmt(rq->c->mem, "/organization/%s/teams/%s", org, name));
	return o;
}

static json_t *
view_robot(struct req *rq, const struct db_result *r, int row, double score)
{
	const char *name = db_get_str(r, row, SEARCH_ACCOUNTS_NAME),
	           *owner = db_get_str(r, row, SEARCH_ACCOUNTS_OWNER);
	const bool is_org = db_get_i64(r, row, SEARCH_ACCOUNTS_OWNER_KIND) == ACCOUNT_ORGANIZATION;
	json_t *o = json_object();
	struct str head, tail;

	str_cut(str_of(name), '+', &head, &tail);
	jo_str(o, "title", "robot");
	jo_str(o, "kind", "robot");
	jo_null(o, "avatar");
	jo_str(o, "name", name);
	jo_strn(o, "short_name", tail);
	jo_real(o, "score", score);
	jo_str(o, "href",
	       str_fmt(rq->c->mem, "/%s/%s?tab=robots&showRobot=%s", is_org ? "organization" : "user", owner,
	               name));
	return o;
}

static enum err_kind
find_accounts(struct req *rq, struct str query, json_t *list)
{
	const bool acts =
	    rq->ident.kind != IDENTITY_OAUTH || scope_max_org_role(rq->ident.scopes) >= ORG_ROLE_MEMBER;
	const bool everything = (decide_caps(rq) & CAPS_SU_READ) != 0;
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_SEARCH_ACCOUNTS,
	            DB_ARGS(db_i64_or_null(acts ? rq->facts.caller_id : 0), db_strn(query),
	                    db_strn(like_pattern(rq->c->mem, query, LIKE_ANYWHERE)), db_i32(OF_EACH),
	                    db_bool(everything)),
	            &r));
	for (int i = 0; i < r->rows; i++) {
		const struct str name = db_get_strn(r, i, SEARCH_ACCOUNTS_NAME);
		const double near = closeness(name, query);
		switch (db_get_i64(r, i, SEARCH_ACCOUNTS_KIND)) {
		case KIND_TEAM:
			ja_take(list, view_team(rq, r, i, WEIGHT_TEAM * near));
			break;
		case KIND_ROBOT:
			ja_take(list, view_robot(rq, r, i, WEIGHT_ENTITY * near));
			break;
		default:
			ja_take(list, view_namespace(rq, db_get_str(r, i, SEARCH_ACCOUNTS_NAME),
			                             db_get_i64(r, i, SEARCH_ACCOUNTS_ACCOUNT_KIND),
			                             db_get_str(r, i, SEARCH_ACCOUNTS_EMAIL),
			                             WEIGHT_ENTITY * near));
		}
	}
	return ERR_NONE;
}

static double
score_of(const json_t *o)
{
	return json_number_value(json_object_get(o, "score"));
}

/* By falling score; a stable insertion: there are some thirty of them. */
static void
sort_by_score(const json_t *from, json_t *to)
{
	for (size_t i = 0; i < json_array_size(from); i++) {
		json_t *o = json_array_get(from, i);
		size_t at = json_array_size(to);
		while (at > 0 && score_of(json_array_get(to, at - 1)) < score_of(o))
			at--;
		if (json_array_insert(to, at, o) != 0)
			abort();
	}
}

static enum err_kind
api_find_all(struct req *rq)
{
	const struct str query = query_of(rq);
	json_t *found = js_array(rq->c), *list = jo_array(res_json(rq, 200), "results");

	if (query.n == 0)
		return ERR_NONE;
	TRY(find_accounts(rq, query, found));
	for (int i = 0; i < OF_EACH && i < rq->load->rows; i++)
		if (is_found(rq, i))
			ja_take(found, view_found(rq, i, query));
	sort_by_score(found, list);
	return ERR_NONE;
}

static const struct param FIND[] = {
	{.name = "query", .doc = "The search query." },
        { .name = NULL             }
};
static const struct param FIND_REPOSITORIES[] = {
	{.name = "query", .doc = "The search query." },
	{ .name = "page",              .is_int = true, .doc = "The page." },
	{ .name = "includeUsage",.doc = "Whether to include usage metadata." },
	{ .name = NULL             },
};

#define ROW(p)                                                                                               \
	.methods = HTTP_GET | HTTP_HEAD, .path = (p), .proto = PROTO_API, .auth = AUTH_API,                  \
	.perm = PERM_NONE, .scope = SCOPE_REPO_READ, .rate = RATE_API_READ
const struct route API_SEARCH_ROUTES[] = {
	{.id = "conductSearch",
         ROW("/api/v1/find/all"),
         .load = STMT_REPO_SEARCH_LOAD,
         .bind = bind_find_all,
         .query = FIND,
         .run = api_find_all,
         .mem_bytes = 4 << 20,
         .doc = "Get a list of entities and resources that match the specified query." },
	{ .id = "conductRepoSearch",
         ROW("/api/v1/find/repositories"),
         .load = STMT_REPO_SEARCH_LOAD,
         .bind = bind_find_repos,
         .query = FIND_REPOSITORIES,
         .run = api_find_repositories,
         .mem_bytes = 8 << 20,
         .doc = "Get a list of apps and repositories that match the specified query." },
	{ .id = NULL                }
};
