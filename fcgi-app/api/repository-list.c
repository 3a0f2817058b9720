/* GET /api/v1/repository: repositories by namespace, of the caller's stars, or all that the caller may see. Quay's rules: what
 * the caller has a right to, and public ones only where they are asked for; a superuser with full access and a global
 * read-only superuser see everything. */
#include "api/page.h"
#include "api/routes.h"
#include "api/view-repository.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/field.h"
#include "http/response.h"

#define PAGE 100

static const struct say SAY_WHICH = { 400, "invalid_request",
	                              "namespace, starred or public are required for this API call" };
static const struct say SAY_WHOSE_STARS = { 400, "invalid_request",
	                                    "Authentication is required to list starred repositories" };

/* What a credential lets its owner see in lists: an OAuth token without repo:read only what is public. */
static bool
sees_own(const struct req *rq)
{
	return rq->ident.kind != IDENTITY_OAUTH || scope_max_role(rq->ident.scopes) >= ROLE_READ;
}

/* Application repositories are not kept yet: a list of them is empty. */
static bool
is_kind_known(struct req *rq)
{
	const struct str kind = req_query(rq, "repo_kind");

	return kind.n == 0 || str_eq(kind, STR("image"));
}

/* Nothing to list: the caller's facts alone. */
static enum err_kind
bind_none(struct req *rq)
{
	rq->load_stmt = STMT_CALLER_FACTS;
	return ERR_NONE;
}

static enum err_kind
bind_list(struct req *rq, struct db_args *a)
{
	const struct str ns = req_query(rq, "namespace");
	const bool starred = param_bool(rq, "starred", false), public_too = param_bool(rq, "public", false),
	           own = sees_own(rq);
	const bool everything = own && (decide_caps(rq) & CAPS_SU_READ) != 0;

	if (!is_kind_known(rq) || (starred && rq->ident.kind == IDENTITY_ANONYMOUS) ||
	    (!starred && ns.n == 0 && !public_too))
		return bind_none(rq);
	if (starred) {
		rq->load_stmt = STMT_REPO_LIST_STARRED_LOAD;
	} else if (ns.n > 0) {
		rq->load_stmt = STMT_REPO_LIST_NAMESPACE_LOAD;
		db_args_add(a, db_strn(ns));
	}
	db_args_add(a, db_i64(page_start(rq)));
	db_args_add(a, db_i32(PAGE + 1));
	if (!starred)
		db_args_add(a, db_bool(public_too));
	db_args_add(a, db_bool(own));
	db_args_add(a, db_bool(everything));
	db_args_add(a, db_bool(param_bool(rq, "last_modified", false)));
	db_args_add(a, db_bool(param_bool(rq, "popularity", false)));
	return ERR_NONE;
}

static enum err_kind
api_repo_list(struct req *rq)
{
	const struct view_repo_wants w = { param_bool(rq, "last_modified", false),
		                           param_bool(rq, "popularity", false) };
	const bool starred = param_bool(rq, "starred", false);
	const int first = REPO_LIST_LOAD_REPO_ITEM0;
	json_t *root, *list;
	int n = 0;

	if (!starred && req_query(rq, "namespace").n == 0 && !param_bool(rq, "public", false))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_WHICH);
	if (starred && rq->ident.kind == IDENTITY_ANONYMOUS)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_WHOSE_STARS);
	root = res_json(rq, 200);
	list = jo_array(root, "repositories");
	if (rq->load == NULL || rq->load->cols <= first)
		return ERR_NONE;
	for (; n < rq->load->rows && n < PAGE && !db_is_null(rq->load, n, first); n++)
		ja_take(list, view_repo_item(rq, rq->load, n, first, &w));
	return rq->load->rows > PAGE ? page_next(rq, root, db_get_i64(rq->load, n - 1, first)) : ERR_NONE;
}
_Static_assert((int)REPO_LIST_LOAD_REPO_ITEM0 == (int)REPO_LIST_NAMESPACE_LOAD_REPO_ITEM0 &&
                   (int)REPO_LIST_LOAD_REPO_ITEM0 == (int)REPO_LIST_STARRED_LOAD_REPO_ITEM0,
               "the lists differ in columns");

static const struct param LIST[] = {
	{.name = "namespace",                          .doc = "Of this namespace alone." },
	{ .name = "starred",	                                   .doc = "Those that the caller has starred." },
	{ .name = "public",.doc = "Public ones too." },
	{ .name = "last_modified",                            .doc = "With the time of the last change." },
	{ .name = "popularity",	                                   .doc = "With the number of actions in a week." },
	{ .name = "repo_kind",.doc = "image." },
	{ .name = "next_page",                        .doc = "Token of the next page." },
	{ .name = NULL	                                  },
};

const struct route API_REPOSITORY_LIST_ROUTES[] = {
	{.id = "listRepos",
         .methods = HTTP_GET | HTTP_HEAD,
         .path = "/api/v1/repository",
         .proto = PROTO_API,
         .auth = AUTH_API,
         .perm = PERM_NONE,
         .scope = SCOPE_REPO_READ,
         .rate = RATE_API_READ,
         .load = STMT_REPO_LIST_LOAD,
         .bind = bind_list,
         .query = LIST,
         .run = api_repo_list,
         .mem_bytes = 8 << 20,
         .doc = "Repositories that the caller may see." },
	{ .id = NULL}
};
