/* Repositories that a user has starred. Stars on what the user may not see are neither made nor shown, and the answers are the
 * same: nobody learns from them what exists. */
#include "api/page.h"
#include "api/routes.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/facts.h"
#include "oci/name.h"

#define PAGE 100

static const struct field STAR[] = {
	F_STR("namespace", F_REQUIRED, .doc = "Namespace in which the repository belongs."),
	F_STR("repository", F_REQUIRED, .doc = "Repository name."),
	F_END
};
static const struct param LIST[] = { { "next_page", false, "The page token for the next page" }, { NULL, false, NULL } };

static enum err_kind
api_star_list(struct req *rq)
{
	const unsigned          caps = facts_caps(rq->c->conf, &rq->ident, STR0, STR0, ROLE_READ);
	json_t                 *o = res_json(rq, 200), *a = jo_array(o, "repositories");
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_STAR_PAGE,
	            DB_ARGS(db_i64(rq->facts.caller_id), db_i64(page_start(rq)), db_i32(PAGE + 1), db_bool((caps & CAPS_SU_READ) != 0),
	                    db_bool((caps & CAPS_PUBLIC) != 0)),
	            &r));
	for (int i = 0; i < r->rows && i < PAGE; i++) {
		json_t *one = ja_object(a);
		jo_str(one, "namespace", db_get_str(r, i, STAR_PAGE_NAMESPACE));
		jo_str(one, "name", db_get_str(r, i, STAR_PAGE_NAME));
		jo_str(one, "description", db_get_str(r, i, STAR_PAGE_DESCRIPTION));
		jo_bool(one, "is_public", db_get_bool(r, i, STAR_PAGE_IS_PUBLIC));
	}
	return r->rows > PAGE ? page_next(rq, o, db_get_i64(r, PAGE - 1, STAR_PAGE_ID)) : ERR_NONE;
}

static enum err_kind
api_star_add(struct req *rq)
{
	const struct str ns = js_str(rq->body, "namespace"), repo = js_str(rq->body, "repository");
	struct db_args   a = { 0 };
	json_t          *o = res_json(rq, 201);

	facts_args(&a, ns, repo, &rq->ident, facts_caps(rq->c->conf, &rq->ident, ns, repo, ROLE_READ));
	TRY(db_exec(rq->c, STMT_STAR_ADD, &a, NULL));
	jo_strn(o, "namespace", ns);
	jo_strn(o, "repository", repo);
	return ERR_NONE;
}

static enum err_kind
api_star_remove(struct req *rq)
{
	struct str ns, repo;

	if (str_cut(req_capture(rq, "repository"), '/', &ns, &repo))
		TRY(db_exec(rq->c, STMT_STAR_REMOVE, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(ns), db_strn(repo)), NULL));
	res_empty(rq, 204);
	return ERR_NONE;
}

const struct route API_STAR_ROUTES[] = {
	{ .id = "listStarredRepos", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/starred", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_READ, .query = LIST, .run = api_star_list,
	  .doc = "List all starred repositories." },
	{ .id = "createStar", .methods = HTTP_POST, .path = "/api/v1/user/starred", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN,
	  .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .body = STAR, .run = api_star_add, .doc = "Star a repository." },
	{ .id = "deleteStar", .methods = HTTP_DELETE, .path = "/api/v1/user/starred/<repopath:repository>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .run = api_star_remove,
	  .doc = "Removes a star from a repository." },
	{ .id = NULL }
};
