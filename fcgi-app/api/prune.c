/* Policies by which old tags are removed: of organizations, repositories and the caller's own namespace. */
#include "api/log-action.h"
#include "api/policy-target.h"
#include "api/routes.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/field.h"
#include "http/response.h"
#include "model/prune-walk.h"
#include "model/tag-pattern.h"

#define PATTERN_MAX  1024
#define DURATION_MAX 32 /* characters */

static const struct say SAY = { 400, "invalid_request", "Request error." };
enum { P_UUID, P_METHOD, P_VALUE, P_TAG_PATTERN, P_TAG_PATTERN_MATCHES, P_COLS };
_Static_assert((int)P_COLS == PRUNE_COLS, "policy.sql and prune.c differ");

static const struct field POLICY[] = {
	F_STR("method", F_REQUIRED, .doc = "The method to use for pruning tags (number_of_tags, creation_date; beyond Quay: not_pulled, number_per_group)"),
	F_ANY("value", F_REQUIRED, .doc = "The value to use for the pruning method (number of tags e.g. 10, time delta e.g. 7d (7 days))"),
	F_STR("tagPattern", F_NULL, .max = PATTERN_MAX, .doc = "Tags only matching this pattern will be pruned"),
	F_BOOL("tagPatternMatches", F_NULL, .doc = "Determine whether pruned tags should or should not match the tagPattern"),
	F_END
};

struct policy {
	struct str method, value, pattern; /* pattern.p NULL: every tag */
	bool       matches;
};

static bool
has_number(struct str method)
{
	const enum prune_method m = prune_method_find(method);

	return m == PRUNE_NUMBER_OF_TAGS || m == PRUNE_NUMBER_PER_GROUP;
}

static enum err_kind
take_value(struct req *rq, struct policy *p)
{
	const json_t *v = json_object_get(rq->body, "value");
	int64_t       n;

	p->method = js_str(rq->body, "method");
	const enum prune_method m = prune_method_find(p->method);
	if (m == PRUNE_METHODS)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Invalid method provided");
	if (m == PRUNE_NOT_PULLED && !rq->c->conf->feature_image_pull_stats)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "The method needs pull statistics, which this registry does not keep");
	if (has_number(p->method) && json_is_integer(v))
		p->value = str_of(str_fmt(rq->c->mem, "%lld", (long long)json_integer_value(v)));
	else
		p->value = has_number(p->method) ? STR0 : js_str(rq->body, "value");
	if (p->value.p == NULL || p->value.n > DURATION_MAX || !prune_value_read(m, p->value, &n))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Invalid value given for method type");
	return ERR_NONE;
}

/* A group is what the pattern says it is. */
static enum err_kind
check_group(struct req *rq, const struct policy *p)
{
	if (prune_method_find(p->method) != PRUNE_NUMBER_PER_GROUP || (p->pattern.p != NULL && p->matches))
		return ERR_NONE;
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "The method needs a tag_pattern, whose first group tells what belongs together");
}

static enum err_kind
take_policy(struct req *rq, struct policy *p)
{
	TRY(take_value(rq, p));
	p->pattern = js_str(rq->body, "tagPattern");
	p->matches = js_bool(rq->body, "tagPatternMatches", true);
	TRY(check_group(rq, p));
	if (p->pattern.p == NULL)
		return ERR_NONE;
	p->pattern = str_trim(p->pattern);
	if (p->pattern.n == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "tag_pattern cannot be empty");
	if (!tag_pattern_valid(p->pattern, PATTERN_MAX))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "tag_pattern must be a valid regular expression");
	return ERR_NONE;
}

static void
put_policy(const struct db_result *r, int row, int col, json_t *o)
{
	const struct str method = db_get_strn(r, row, col + P_METHOD), value = db_get_strn(r, row, col + P_VALUE);
	int64_t          n;

	jo_str(o, "uuid", db_get_str(r, row, col + P_UUID));
	jo_strn(o, "method", method);
	if (has_number(method) && str_to_i64(value, 0, INT64_MAX, &n))
		jo_i64(o, "value", n);
	else
		jo_strn(o, "value", value);
	jo_str(o, "tagPattern", db_get_str(r, row, col + P_TAG_PATTERN));
	jo_bool(o, "tagPatternMatches", db_get_bool(r, row, col + P_TAG_PATTERN_MATCHES));
}

static enum err_kind
found(struct req *rq, const struct policy_target *t)
{
	return db_is_null(rq->load, 0, t->first_col + P_UUID) ? err_set(rq->c, ERR_NOT_FOUND, "no such policy") : ERR_NONE;
}

static enum err_kind
log_policy(struct req *rq, const struct policy_target *t, const struct policy *p, enum audit_kind of_namespace, enum audit_kind of_repository)
{
	json_t *o = policy_audit(rq, t);

	jo_strn(o, "method", p->method);
	if (has_number(p->method))
		jo_i64(o, "value", json_integer_value(json_object_get(rq->body, "value")));
	else
		jo_strn(o, "value", p->value);
	if (p->pattern.p == NULL)
		jo_null(o, "tag_pattern");
	else
		jo_strn(o, "tag_pattern", p->pattern);
	jo_bool(o, "tag_pattern_matches", p->matches);
	return log_action(rq, t->repository_id == 0 ? of_namespace : of_repository, t->namespace_id, t->repository_id, o);
}

static enum err_kind
api_prunes(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	json_t                    *a = jo_array(res_json(rq, 200), "policies");

	for (int i = 0; i < rq->load->rows && !db_is_null(rq->load, i, t.first_col + P_UUID); i++)
		put_policy(rq->load, i, t.first_col, ja_object(a));
	return ERR_NONE;
}

static enum err_kind
api_prune(struct req *rq)
{
	const struct policy_target t = policy_target(rq);

	TRY(found(rq, &t));
	put_policy(rq->load, 0, t.first_col, res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
api_prune_create(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	const struct db_result    *r;
	struct policy              p;

	if (t.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	TRY(take_policy(rq, &p));
	TRY(db_exec(rq->c, STMT_PRUNE_ADD,
	            DB_ARGS(db_i64(t.namespace_id), policy_repository(&t), db_strn(p.method), db_strn(p.value), db_strn(p.pattern), db_bool(p.matches)), &r));
	if (r->rows == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Existing policy with same values for this %s, duplicate policies are not permitted",
		                   t.repository_id == 0 ? "namespace" : "repository");
	policy_answer_uuid(rq, 201, db_get_strn(r, 0, PRUNE_ADD_UUID));
	return log_policy(rq, &t, &p, AUDIT_create_namespace_autoprune_policy, AUDIT_create_repository_autoprune_policy);
}

static enum err_kind
api_prune_change(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	struct policy              p;

	TRY(found(rq, &t));
	TRY(take_policy(rq, &p));
	TRY(db_exec(rq->c, STMT_PRUNE_CHANGE,
	            DB_ARGS(db_i64(t.namespace_id), policy_repository(&t), db_strn(req_capture(rq, "policy_uuid")), db_strn(p.method), db_strn(p.value),
	                    db_strn(p.pattern), db_bool(p.matches)),
	            NULL));
	res_empty(rq, 204);
	return log_policy(rq, &t, &p, AUDIT_update_namespace_autoprune_policy, AUDIT_update_repository_autoprune_policy);
}

static enum err_kind
api_prune_remove(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	const struct str           uuid = req_capture(rq, "policy_uuid");
	json_t                    *o = policy_audit(rq, &t);

	TRY(found(rq, &t));
	TRY(db_exec(rq->c, STMT_PRUNE_REMOVE, DB_ARGS(db_i64(t.namespace_id), policy_repository(&t), db_strn(uuid)), NULL));
	jo_strn(o, "policy_uuid", uuid);
	policy_answer_uuid(rq, 200, uuid);
	return log_action(rq, t.repository_id == 0 ? AUDIT_delete_namespace_autoprune_policy : AUDIT_delete_repository_autoprune_policy, t.namespace_id,
	                  t.repository_id, o);
}

#define ORG  "/api/v1/organization/<name:orgname>/autoprunepolicy/"
#define REPO "/api/v1/repository/<repopath:repository>/autoprunepolicy/"
#define OWN  "/api/v1/user/autoprunepolicy/"
#define UUID "<name:policy_uuid>"
#define COMMON     .proto = PROTO_API, .auth = AUTH_API, .feature = CONF_FLAG(feature_auto_prune)
#define READS      COMMON, .methods = HTTP_GET | HTTP_HEAD, .rate = RATE_API_READ, .mem_bytes = 4 << 20
#define WRITES     COMMON, .rate = RATE_API_WRITE, .tx = TX_WRITE
#define IN_ORG     .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .load = STMT_PRUNE_LOAD
#define IN_REPO    .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN, .load = STMT_PRUNE_LOAD
#define IN_OWN     .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .load = STMT_PRUNE_OWN_LOAD
#define SU_R       .flags = ROUTE_SU_READ | ROUTE_SU_FULL
#define SU_W       .flags = ROUTE_SU_FULL
#define LIST(w)    { .id = "list" w "AutoPrunePolicies", READS, .bind = policy_bind_all, .run = api_prunes, .doc = "All policies."
#define GET(w)     { .id = "get" w "AutoPrunePolicy", READS, .bind = policy_bind_one, .run = api_prune, .doc = "One policy."
#define CREATE(w)  { .id = "create" w "AutoPrunePolicy", .methods = HTTP_POST, WRITES, .bind = policy_bind_all, .body = POLICY, .run = api_prune_create, .doc = "Adds a policy."
#define CHANGE(w)  { .id = "update" w "AutoPrunePolicy", .methods = HTTP_PUT, WRITES, .bind = policy_bind_one, .body = POLICY, .run = api_prune_change, .doc = "Changes a policy."
#define REMOVE(w)  { .id = "delete" w "AutoPrunePolicy", .methods = HTTP_DELETE, WRITES, .bind = policy_bind_one, .run = api_prune_remove, .doc = "Removes a policy."
/* clang-format off */
const struct route API_PRUNE_ROUTES[] = {
	LIST("Organization"), .path = ORG, IN_ORG, SU_R }, CREATE("Organization"), .path = ORG, IN_ORG, SU_W },
	GET("Organization"), .path = ORG UUID, IN_ORG, SU_R }, CHANGE("Organization"), .path = ORG UUID, IN_ORG, SU_W },
	REMOVE("Organization"), .path = ORG UUID, IN_ORG, SU_W },
	LIST("Repository"), .path = REPO, IN_REPO, SU_R }, CREATE("Repository"), .path = REPO, IN_REPO, SU_W },
	GET("Repository"), .path = REPO UUID, IN_REPO, SU_R }, CHANGE("Repository"), .path = REPO UUID, IN_REPO, SU_W },
	REMOVE("Repository"), .path = REPO UUID, IN_REPO, SU_W },
	LIST("User"), .path = OWN, IN_OWN }, CREATE("User"), .path = OWN, IN_OWN },
	GET("User"), .path = OWN UUID, IN_OWN }, CHANGE("User"), .path = OWN UUID, IN_OWN }, REMOVE("User"), .path = OWN UUID, IN_OWN },
	{ .id = NULL }
};
/* clang-format on */
