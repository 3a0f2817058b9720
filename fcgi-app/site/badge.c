/* The build badge of a repository, for READMEs. Builds are not kept yet, so its word is "none", as Quay's for a repository
 * without builds. Public ones are open; of others the badge's token, or the right to read, is needed, and what is not open looks
 * like what is not there. */
#include "base/ctx.h"
#include "db/db.h"
#include "http/response.h"
#include "model/facts.h"
#include "oci/name.h"
#include "conf/conf.h"
#include "site/routes.h"

#define BADGE                                                                                                                                                             \
	"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"108\" height=\"18\" role=\"img\" aria-label=\"container: none\">"                                                   \
	"<rect width=\"108\" height=\"18\" rx=\"3\" fill=\"#555\"/><path d=\"M66 0h39a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3H66z\" fill=\"#9f9f9f\"/>"                                  \
	"<g fill=\"#fff\" font-family=\"sans-serif\" font-size=\"11\" text-anchor=\"middle\"><text x=\"33\" y=\"13\">container</text><text x=\"87\" y=\"13\">none</text></g></svg>\n"

/* The repository's facts stand behind the caller's: who is not signed in may hold the token. */
static enum err_kind
bind_badge(struct req *rq, struct db_args *a)
{
	const struct oci_name_rules rules = { str_of(rq->c->conf->library_namespace), rq->c->conf->feature_library_support };
	struct str                  ns, name;

	TRY(oci_name_split(rq->c, req_capture(rq, "repository"), &rules, &ns, &name));
	db_args_add(a, db_strn(ns));
	db_args_add(a, db_strn(name));
	db_args_add(a, db_i32((int32_t)facts_caps(rq->c->conf, &rq->ident, ns, name, ROLE_READ)));
	db_args_add(a, db_strn(req_query(rq, "token")));
	return ERR_NONE;
}

static enum err_kind
site_badge(struct req *rq)
{
	if (!db_get_bool(rq->load, 0, BADGE_LOAD_IS_OPEN))
		return err_set(rq->c, ERR_NOT_FOUND, "no such repository, or no right and no token");
	res_header(rq, "Cache-Control", STR("private, no-cache"));
	res_body(rq, 200, "image/svg+xml", STR(BADGE));
	return ERR_NONE;
}

const struct route SITE_BADGE_ROUTES[] = {
	{ .id = "web.build_status_badge", .methods = HTTP_GET | HTTP_HEAD, .path = "/repository/<repopath:repository>/status", .proto = PROTO_SITE, .auth = AUTH_SITE,
	  .perm = PERM_NONE, .rate = RATE_API_READ, .load = STMT_BADGE_LOAD, .bind = bind_badge, .run = site_badge, .doc = "The badge of a repository." },
	{ .id = NULL }
};
