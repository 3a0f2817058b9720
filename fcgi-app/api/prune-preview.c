/* What the prune policies of a repository, an organization or the caller's own namespace would remove now: each tag, and why. The
 * same selection as kade-autoprune makes. Not of Quay: beneath /api/v1/ui/. */
#include "model/prune.h"

#include "api/page.h"
#include "api/policy-target.h"
#include "api/routes.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/response.h"

#define REPOSITORIES 20   /* of a page */
#define TAGS_MAX     1000 /* of an answer */
#define LOOKS_MAX    100  /* pages of tags that a request reads */

struct preview {
	struct req *rq;
	json_t *root, *tags;
	bool pulls_known;
	int left, looks; /* tags and pages of tags that may still come */
};

static void
put_victim(struct preview *p, const struct prune_target *t, const struct prune_victim *v)
{
	json_t *o = ja_object(p->tags);

	jo_strn(o, "repository", t->repo);
	jo_strn(o, "namespace", t->ns);
	jo_strn(o, "name", v->tag.name);
	jo_i64(o, "start_ts", v->tag.start_ms / 1000);
	if (v->tag.pulled_ms == 0)
		jo_null(o, "last_pulled_ts");
	else
		jo_i64(o, "last_pulled_ts", v->tag.pulled_ms / 1000);
	if (v->rule->uuid.n == 0)
		jo_null(o, "policy_uuid");
	else
		jo_strn(o, "policy_uuid", v->rule->uuid);
	jo_str(o, "policy_of",
	       v->rule->uuid.n == 0    ? "registry"
	       : v->rule->of_namespace ? "namespace"
	                               : "repository");
	jo_str(o, "method", PRUNE_METHOD_NAMES[v->rule->method]);
	jo_strn(o, "value", v->rule->text);
	jo_str(o, "reason", prune_reason(p->rq->c, v->rule));
}

static enum err_kind
preview_one(struct preview *p, const struct prune_target *t)
{
	struct ctx *c = p->rq->c;
	struct prune_rules rules = { 0 };
	struct prune_walk w;

	TRY(prune_rules_load(c, t, p->pulls_known, &rules));
	prune_rules_default(c, &rules);
	TRY(prune_walk_begin(c, t, &rules, &w));
	while (!w.is_end && p->left > 0 && p->looks-- > 0) {
		const struct arena_mark m = arena_mark(c->mem);

		TRY(prune_walk_page(c, &w));
		for (size_t i = 0; i < w.n && p->left > 0; i++, p->left--)
			put_victim(p, t, &w.victims[i]);
		arena_rewind(c->mem, m);
	}
	prune_walk_end(c, &w);
	if (!w.is_end || p->left == 0)
		jo_bool(p->root, "has_additional", true);
	return ERR_NONE;
}

static enum err_kind
api_prune_preview(struct req *rq)
{
	enum { ID, NAME, NAMESPACE_ID, NAMESPACE, WINDOW, COLS };
	_Static_assert((int)COLS == PRUNE_REPOSITORY_COLS, "policy.sql and prune-preview.c differ");
	const struct policy_target t = policy_target(rq);
	const bool has_default = rq->c->conf->default_namespace_autoprune_policy != NULL;
	struct preview p = { .rq = rq, .left = TAGS_MAX, .looks = LOOKS_MAX };
	const struct db_result *r;

	if (t.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	TRY(prune_pulls_known(rq->c, &p.pulls_known));
	TRY(db_exec(rq->c, STMT_PRUNE_REPOSITORIES,
	            DB_ARGS(db_i64(t.namespace_id), db_i64(page_start(rq)), db_i64(REPOSITORIES),
	                    t.repository_id == 0 ? db_null() : db_strn(t.repo), db_bool(has_default)),
	            &r));
	p.root = res_json(rq, 200);
	jo_bool(p.root, "has_additional", false);
	jo_bool(p.root, "pulls_known", p.pulls_known);
	p.tags = jo_array(p.root, "tags");
	for (int i = 0; i < r->rows; i++) {
		const struct prune_target one = { .repository_id = db_get_i64(r, i, ID),
			                          .repo = db_get_strn(r, i, NAME),
			                          .namespace_id = db_get_i64(r, i, NAMESPACE_ID),
			                          .ns = db_get_strn(r, i, NAMESPACE),
			                          .window_ms = db_get_i64(r, i, WINDOW) };
		TRY(preview_one(&p, &one));
	}
	return r->rows == REPOSITORIES ? page_next(rq, p.root, db_get_i64(r, r->rows - 1, ID)) : ERR_NONE;
}

#define READS                                                                                                \
	.proto = PROTO_API, .auth = AUTH_API, .feature = CONF_FLAG(feature_auto_prune),                      \
	.methods = HTTP_GET | HTTP_HEAD, .rate = RATE_API_READ, .mem_bytes = 8 << 20,                        \
	.bind = policy_bind_all, .run = api_prune_preview
#define SU .flags = ROUTE_SU_READ | ROUTE_SU_FULL
const struct route API_PRUNE_PREVIEW_ROUTES[] = {
	{ .id = "previewOrganizationAutoPrune",
	  .path = "/api/v1/ui/organization/<name:orgname>/autoprunepreview",
	  READS,
	  SU,
	  .perm = PERM_NS_ADMIN,
	  .scope = SCOPE_ORG_ADMIN,
	  .load = STMT_PRUNE_LOAD,
	  .doc = "The tags of an organization that its prune policies would remove now, and why." },
	{ .id = "previewRepositoryAutoPrune",
	  .path = "/api/v1/ui/repository/<repopath:repository>/autoprunepreview",
	  READS,
	  SU,
	  .perm = PERM_REPO_ADMIN,
	  .scope = SCOPE_REPO_ADMIN,
	  .load = STMT_PRUNE_LOAD,
	  .doc = "The tags of a repository that its prune policies would remove now, and why." },
	{ .id = "previewUserAutoPrune",
	  .path = "/api/v1/ui/user/autoprunepreview",
	  READS,
	  .perm = PERM_USER_ADMIN,
	  .scope = SCOPE_USER_ADMIN,
	  .load = STMT_PRUNE_OWN_LOAD,
	  .doc = "The tags of the own namespace that its prune policies would remove now, and why." },
	{ .id = NULL }
};
