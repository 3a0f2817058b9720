/* Why may somebody pull or push, or why not? For administrators of the repository. What counts is what repo_facts() counts; here
 * it is told apart. Of an account that has no right here nothing is said, also not that it exists: it is answered as an unknown
 * one. */
#include "api/routes.h"
#include "api/view-permission.h"
#include "api/view-repository.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

enum { ACCOUNT_ROBOT = 3 };
struct subject {
	struct str name; /* n == 0: anonymous */
	bool       is_push, is_known, is_robot;
	enum role  best, cap;
	json_t    *grants, *obstacles;
};

static void
note(json_t *list, const char *kind, const char *key, const char *value)
{
	json_t *o = ja_object(list);

	jo_str(o, "kind", kind);
	if (key != NULL)
		jo_str(o, key, value);
}

static void
grant(struct subject *s, const char *kind, const char *team, enum role role)
{
	json_t *o = ja_object(s->grants);

	jo_str(o, "kind", kind);
	if (team != NULL)
		jo_str(o, "team", team);
	jo_str(o, "role", view_role(role));
	if (role > s->best)
		s->best = role;
}

static void
add_teams(struct subject *s, const char *text)
{
	json_t *list = text == NULL ? NULL : json_loads(text, 0, NULL), *o;
	size_t  i;

	json_array_foreach(list, i, o) grant(s, "team", json_string_value(json_object_get(o, "name")), (enum role)json_integer_value(json_object_get(o, "role")));
	json_decref(list);
}

/* The configuration knows superusers by name, whether or not they have an account. */
static void
add_superuser(struct req *rq, struct subject *s)
{
	const struct conf *cf = rq->c->conf;

	if (!s->is_known || s->is_robot || !cf->feature_super_users)
		return;
	if (str_list_has(&cf->global_readonly_super_users, s->name))
		grant(s, "global_readonly_superuser", NULL, ROLE_READ);
	else if (cf->feature_superusers_full_access && str_list_has(&cf->super_users, s->name))
		grant(s, "superuser", NULL, ROLE_ADMIN);
}

static void
add_grants(struct req *rq, struct subject *s)
{
	const struct db_result *r = rq->load;

	s->is_known = s->name.n > 0 && !db_is_null(r, 0, UI_WHY_LOAD_SUBJECT_ID);
	s->is_robot = s->is_known && db_get_i64(r, 0, UI_WHY_LOAD_SUBJECT_KIND) == ACCOUNT_ROBOT;
	if (s->is_known) {
		if (db_get_bool(r, 0, UI_WHY_LOAD_IS_OWNER))
			grant(s, "namespace_owner", NULL, ROLE_ADMIN);
		if (db_get_bool(r, 0, UI_WHY_LOAD_ADMIN_THROUGH_TEAM))
			grant(s, "organization_admin", NULL, ROLE_ADMIN);
		if (!db_is_null(r, 0, UI_WHY_LOAD_OWN_ROLE))
			grant(s, "direct_permission", NULL, (enum role)db_get_i64(r, 0, UI_WHY_LOAD_OWN_ROLE));
		add_teams(s, db_get_str(r, 0, UI_WHY_LOAD_TEAMS));
		add_superuser(rq, s);
	}
	/* Who has no right here is nobody, whether or not there is such an account. */
	s->is_known = s->best != ROLE_NONE;
	if (rq->facts.is_public)
		grant(s, "public", NULL, ROLE_READ);
}

static void
add_account_obstacles(struct req *rq, struct subject *s)
{
	const struct db_result *r = rq->load;
	const struct conf      *cf = rq->c->conf;

	if (s->name.n == 0 && !cf->feature_anonymous_access)
		note(s->obstacles, "anonymous_access_off", NULL, NULL);
	if (!s->is_known)
		return;
	if (!db_get_bool(r, 0, UI_WHY_LOAD_SUBJECT_ENABLED))
		note(s->obstacles, "account_disabled", NULL, NULL);
	if (s->is_robot && !db_get_bool(r, 0, UI_WHY_LOAD_SUBJECT_OWNER_ENABLED))
		note(s->obstacles, "robot_owner_disabled", NULL, NULL);
	if (s->is_robot && cf->robots_disallow)
		note(s->obstacles, "robots_disallowed", NULL, NULL);
}

static void
add_obstacles(struct req *rq, struct subject *s)
{
	const struct conf *cf = rq->c->conf;
	struct str         owner, tail;

	add_account_obstacles(rq, s);
	if (!rq->facts.namespace_enabled)
		note(s->obstacles, "namespace_disabled", NULL, NULL);
	if (s->cap < (s->is_push ? ROLE_WRITE : ROLE_READ))
		note(s->obstacles, "token_scope", "needs", s->is_push ? "repo:write" : "repo:read");
	if (!s->is_push)
		return;
	if (rq->facts.repository_state != REPO_NORMAL)
		note(s->obstacles, "repository_state", "state", view_repo_state(rq->facts.repository_state));
	if (cf->is_readonly)
		note(s->obstacles, "registry_read_only", NULL, NULL);
	if (cf->disable_pushes)
		note(s->obstacles, "pushes_disabled", NULL, NULL);
	str_cut(s->name, '+', &owner, &tail);
	if (s->is_known && cf->feature_restricted_users && str_eq(owner, rq->ns) && !str_list_has(&cf->restricted_users_whitelist, owner) &&
	    !str_list_has(&cf->super_users, owner))
		note(s->obstacles, "restricted_user", NULL, NULL);
}

static enum err_kind
bind_why(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_query(rq, "user").p == NULL ? STR("") : req_query(rq, "user")));
	return ERR_NONE;
}

static enum err_kind
api_ui_why(struct req *rq)
{
	static const struct say SAY_ACTION = { 400, "invalid_request", "action is pull or push" };
	const struct str        action = req_query(rq, "action"), scope = req_query(rq, "scope");
	struct subject          s = { .name = req_query(rq, "user"), .is_push = str_eq(action, STR("push")), .cap = ROLE_ADMIN };
	json_t                 *root;

	if (action.n > 0 && !s.is_push && !str_eq(action, STR("pull")))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_ACTION);
	if (scope.n > 0)
		s.cap = scope_max_role(scope_parse(scope));
	root = res_json(rq, 200);
	s.grants = jo_array(root, "grants");
	s.obstacles = jo_array(root, "obstacles");
	add_grants(rq, &s);
	add_obstacles(rq, &s);
	if (s.name.n > 0)
		jo_strn(root, "user", s.name);
	else
		jo_null(root, "user");
	jo_str(root, "action", s.is_push ? "push" : "pull");
	jo_bool(root, "is_allowed", s.best >= (s.is_push ? ROLE_WRITE : ROLE_READ) && json_array_size(s.obstacles) == 0);
	return ERR_NONE;
}

static const struct param WHY[] = {
	{ .name = "user", .doc = "Name of a user or robot; none: anybody who is not signed in." },
	{ .name = "action", .doc = "pull or push." },
	{ .name = "scope", .doc = "Scopes of the OAuth token that is used, if one is." },
	{ .name = NULL },
};

/* clang-format off */
const struct route API_UI_WHY_ROUTES[] = {
	{ .id = "uiWhy", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/ui/repository/<repopath:repository>/why", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN, .flags = ROUTE_SU_READ | ROUTE_INTERNAL, .rate = RATE_API_READ, .query = WHY,
	  .load = STMT_UI_WHY_LOAD, .bind = bind_why, .run = api_ui_why, .doc = "Why somebody may pull or push, or not." },
	{ .id = NULL }
};
