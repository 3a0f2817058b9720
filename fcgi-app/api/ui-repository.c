/* Pages of the interface that list repositories and the tags of one: one call a page. */
#include "api/routes.h"
#include "api/ui-list.h"
#include "api/view-repository.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/response.h"

#define BY_NAME  "name"
#define BY_AGE   "created"
#define BY_START "modified"

/* Three statements, one set of columns: of a namespace by name, of a text, of everything by age. */
static enum err_kind
bind_repositories(struct req *rq, struct db_args *a)
{
	const struct str       ns = req_query(rq, "namespace");
	const struct ui_cursor c = ui_cursor_of(rq, ns.n > 0 ? BY_NAME : BY_AGE);
	const bool             by_text = ns.n == 0 && req_query(rq, "q").n > 0;
	const bool             own = rq->ident.kind != IDENTITY_OAUTH || scope_max_role(rq->ident.scopes) >= ROLE_READ;

	rq->load_stmt = by_text ? STMT_UI_REPOSITORIES_SEARCH_LOAD : ns.n > 0 ? STMT_UI_REPOSITORIES_NAMESPACE_LOAD : STMT_UI_REPOSITORIES_LOAD;
	if (by_text) {
		ui_bind_q(rq, a, false);
	} else if (ns.n > 0) {
		db_args_add(a, db_strn(ns));
		db_args_add(a, db_strn(c.first));
	} else {
		db_args_add(a, db_i64(c.number));
	}
	db_args_add(a, db_i32(ui_limit(rq) + 1));
	db_args_add(a, db_bool(rq->ident.kind == IDENTITY_ANONYMOUS || ns.n > 0 || param_bool(rq, "public", false)));
	db_args_add(a, db_bool(own));
	db_args_add(a, db_bool(own && (decide_caps(rq) & CAPS_SU_READ) != 0));
	if (ns.n > 0)
		ui_bind_q(rq, a, false);
	return ERR_NONE;
}
_Static_assert((int)UI_REPOSITORIES_LOAD_TOTAL == (int)UI_REPOSITORIES_SEARCH_LOAD_TOTAL && (int)UI_REPOSITORIES_LOAD_TOTAL == (int)UI_REPOSITORIES_NAMESPACE_LOAD_TOTAL,
               "the lists of repositories differ in columns");

static enum err_kind
api_ui_repositories(struct req *rq)
{
	static const struct view_repo_wants W = { true, true };
	const int    limit = ui_limit(rq), first = UI_REPOSITORIES_LOAD_REPO_ITEM0;
	json_t      *rows, *root = ui_begin(rq, "repositories", UI_REPOSITORIES_LOAD_TOTAL, &rows);
	int          n = 0;

	for (; n < rq->load->rows && n < limit && !db_is_null(rq->load, n, first); n++)
		ja_take(rows, view_repo_item(rq, rq->load, n, first, &W));
	if (rq->load->rows <= limit || rq->load_stmt == STMT_UI_REPOSITORIES_SEARCH_LOAD)
		return ERR_NONE;
	return ui_next(rq, root, rq->load_stmt == STMT_UI_REPOSITORIES_LOAD ? BY_AGE : BY_NAME,
	               &(struct ui_cursor){ .first = db_get_strn(rq->load, n - 1, first + 2), .second = STR(""), .number = db_get_i64(rq->load, n - 1, first) });
}

static const char *
order_of(struct req *rq)
{
	return str_eq(req_query(rq, "sort"), STR(BY_NAME)) ? BY_NAME : BY_START;
}

static enum err_kind
bind_tags(struct req *rq, struct db_args *a)
{
	const char            *order = order_of(rq);
	const struct ui_cursor c = ui_cursor_of(rq, order);

	rq->load_stmt = str_eq_c(STR(BY_NAME), order) ? STMT_UI_TAGS_NAME_LOAD : STMT_UI_TAGS_START_LOAD;
	db_args_add(a, db_strn(c.first));
	if (rq->load_stmt == STMT_UI_TAGS_START_LOAD)
		db_args_add(a, db_i64(c.number));
	db_args_add(a, db_i32(ui_limit(rq) + 1));
	ui_bind_q(rq, a, false);
	db_args_add(a, db_bool(param_bool(rq, "children", true)));
	return ERR_NONE;
}

enum { T_NAME = UI_TAGS_NAME_LOAD_UI_TAG0, T_IMMUTABLE, T_START, T_EXPIRES, T_DIGEST, T_MEDIA_TYPE, T_ARTIFACT_TYPE, T_IS_INDEX, T_SIZE, T_LABELS, T_REFERRERS, T_PULLS,
       T_LAST_PULL, T_CHILDREN, T_TOTAL };
_Static_assert((int)T_TOTAL == UI_TAGS_NAME_LOAD_TOTAL && (int)T_TOTAL == UI_TAGS_START_LOAD_TOTAL, "ui.sql and ui-repository.c differ");

static void
view_tag(struct req *rq, int row, json_t *o)
{
	const struct db_result *r = rq->load;
	const char             *children = db_get_str(r, row, T_CHILDREN);
	json_t                 *list = children == NULL ? NULL : json_loads(children, 0, NULL);

	jo_str(o, "name", db_get_str(r, row, T_NAME));
	jo_str(o, "digest", db_get_str(r, row, T_DIGEST));
	jo_str(o, "media_type", db_get_str(r, row, T_MEDIA_TYPE));
	if (!db_is_null(r, row, T_ARTIFACT_TYPE))
		jo_str(o, "artifact_type", db_get_str(r, row, T_ARTIFACT_TYPE));
	jo_bool(o, "is_index", db_get_bool(r, row, T_IS_INDEX));
	if (db_is_null(r, row, T_SIZE))
		jo_null(o, "size_bytes");
	else
		jo_i64(o, "size_bytes", db_get_i64(r, row, T_SIZE));
	ui_time(rq, o, "modified", db_get_i64(r, row, T_START));
	ui_time(rq, o, "expires", db_get_i64(r, row, T_EXPIRES));
	if (rq->c->conf->feature_immutable_tags)
		jo_bool(o, "immutable", db_get_bool(r, row, T_IMMUTABLE));
	jo_i64(o, "labels", db_get_i64(r, row, T_LABELS));
	jo_i64(o, "referrers", db_get_i64(r, row, T_REFERRERS));
	if (rq->c->conf->feature_image_pull_stats) {
		jo_i64(o, "pulls", db_get_i64(r, row, T_PULLS));
		ui_time(rq, o, "last_pull", db_get_i64(r, row, T_LAST_PULL));
	}
	if (list != NULL)
		jo_take(o, "children", list);
}

static enum err_kind
api_ui_tags(struct req *rq)
{
	const int limit = ui_limit(rq);
	json_t   *rows, *root = ui_begin(rq, "tags", T_TOTAL, &rows);
	int       n = 0;

	jo_str(root, "sort", order_of(rq));
	for (; n < rq->load->rows && n < limit && !db_is_null(rq->load, n, T_NAME); n++)
		view_tag(rq, n, ja_object(rows));
	if (rq->load->rows <= limit)
		return ERR_NONE;
	return ui_next(rq, root, order_of(rq), &(struct ui_cursor){ .first = db_get_strn(rq->load, n - 1, T_NAME), .second = STR(""),
	                                                              .number = db_get_i64(rq->load, n - 1, T_START) });
}

static const struct param REPOSITORIES[] = {
	{ .name = "namespace", .doc = "Of this namespace alone." },
	{ .name = "public", .doc = "Public ones too." },
	{ .name = "q", .doc = "Rows whose name holds this text; without namespace the best matches, without a cursor." },
	{ .name = "limit", .is_int = true, .doc = "Rows of a page, 1 to 100." },
	{ .name = "cursor", .doc = "Where the page begins: cursor of the answer before." },
	{ .name = NULL },
};

/* clang-format off */
#define READS .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .rate = RATE_API_READ, .scope = SCOPE_REPO_READ, \
	      .flags = ROUTE_SU_READ | ROUTE_INTERNAL, .mem_bytes = 8 << 20
const struct route API_UI_REPOSITORY_ROUTES[] = {
	{ .id = "uiRepositories", .path = "/api/v1/ui/repositories", READS, .perm = PERM_NONE, .query = REPOSITORIES,
	  .load = STMT_UI_REPOSITORIES_LOAD, .bind = bind_repositories, .run = api_ui_repositories, .doc = "Repositories that the caller may see: newest first; of a namespace by name." },
	{ .id = "uiTags", .path = "/api/v1/ui/repository/<repopath:repository>/tags", READS, .perm = PERM_REPO_READ, .query = UI_QUERY,
	  .load = STMT_UI_TAGS_START_LOAD, .bind = bind_tags, .run = api_ui_tags, .doc = "Live tags with sizes and what an index lists." },
	{ .id = NULL }
};
