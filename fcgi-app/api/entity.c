/* GET /api/v1/entities/{prefix}: to whom a right could be given. Names of users are no secret in Quay's interface: anybody may
 * ask for them; robots and teams are shown to members of their namespace only. */
#include "api/routes.h"
#include "api/view-account.h"
#include "auth/scope.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

#define PREFIX_MAX           255
#define ACCOUNT_ORGANIZATION 2
enum { KIND_TEAM = 1, KIND_USER, KIND_ROBOT, KIND_ORG }; /* of entities_load */

/* In lower case, without blanks. */
static struct str
prefix_of(const struct req *rq)
{
	const struct str s = req_capture(rq, "prefix");
	struct buf b = BUF(rq->c->mem);

	buf_reserve(&b, 1);
	for (size_t i = 0; i < s.n && i < PREFIX_MAX; i++) {
		if (s.p[i] != ' ' && s.p[i] != '\t')
			buf_putc(&b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i]);
	}
	return buf_str(&b);
}

static enum err_kind
bind_entities(struct req *rq, struct db_args *a)
{
	const struct str ns = req_query(rq, "namespace");
	const enum org_role cap =
	    rq->ident.kind == IDENTITY_OAUTH ? scope_max_org_role(rq->ident.scopes) : ORG_ROLE_ADMIN;

	db_args_add(a, db_strn(prefix_of(rq)));
	db_args_add(a, ns.n == 0 ? db_null() : db_strn(ns));
	db_args_add(a, db_bool(rq->c->conf->feature_partial_user_autocomplete));
	db_args_add(a, db_bool(cap >= ORG_ROLE_MEMBER));
	db_args_add(a, db_bool(cap >= ORG_ROLE_ADMIN));
	db_args_add(a, db_bool(param_bool(rq, "includeTeams", false)));
	db_args_add(a, db_bool(param_bool(rq, "includeOrgs", false)));
	return ERR_NONE;
}

static json_t *
view_entity(const struct db_result *r, int row)
{
	static const char *const WORD[] = { "", "team", "user", "user", "org" };
	static const enum avatar_kind AVATAR[] = { AVATAR_USER, AVATAR_TEAM, AVATAR_USER, AVATAR_ROBOT,
		                                   AVATAR_ORG };
	const int64_t kind = db_get_i64(r, row, ENTITIES_LOAD_KIND);
	const char *name = db_get_str(r, row, ENTITIES_LOAD_NAME);
	json_t *o = json_object();

	jo_str(o, "name", name);
	jo_str(o, "kind", WORD[kind]);
	if (kind == KIND_USER || kind == KIND_ROBOT)
		jo_bool(o, "is_robot", kind == KIND_ROBOT);
	jo_take(o, "avatar", view_avatar(AVATAR[kind], name, db_get_str(r, row, ENTITIES_LOAD_EMAIL)));
	if (kind == KIND_TEAM || kind == KIND_ORG)
		jo_bool(o, "is_org_member", true);
	else if (db_get_i64(r, row, ENTITIES_LOAD_NAMESPACE_KIND) == ACCOUNT_ORGANIZATION)
		jo_bool(o, "is_org_member", db_get_bool(r, row, ENTITIES_LOAD_IS_MEMBER));
	return o;
}

/* Rows come as teams, users, robots, organization. */
static enum err_kind
api_entities(struct req *rq)
{
	json_t *list = jo_array(res_json(rq, 200), "results");

	for (int i = 0; i < rq->load->rows && !db_is_null(rq->load, i, ENTITIES_LOAD_KIND); i++)
		ja_take(list, view_entity(rq->load, i));
	return ERR_NONE;
}

static const struct param ENTITIES[] = {
	{.name = "namespace",                      .doc = "Namespace to use when querying for org entities." },
	{ .name = "includeTeams",	                               .doc = "Whether to include team names." },
	{ .name = "includeOrgs",.doc = "Whether to include orgs names." },
	{ .name = NULL                  },
};

const struct route API_ENTITY_ROUTES[] = {
	{.id = "getMatchingEntities",
         .methods = HTTP_GET | HTTP_HEAD,
         .path = "/api/v1/entities/<name:prefix>",
         .proto = PROTO_API,
         .auth = AUTH_API,
         .perm = PERM_NONE,
         .rate = RATE_API_READ,
         .load = STMT_ENTITIES_LOAD,
         .bind = bind_entities,
         .query = ENTITIES,
         .run = api_entities,
         .doc = "Get a list of entities that match the specified prefix." },
	{ .id = NULL}
};
