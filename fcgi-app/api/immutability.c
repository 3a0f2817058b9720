/* Policies by which tags become immutable when they are pushed, of organizations and repositories. Tags that are there already are
 * looked at by a job. Removing a policy makes no tag changeable again. */
#include "api/log-action.h"
#include "api/policy-target.h"
#include "api/routes.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/field.h"
#include "http/response.h"
#include "model/tag-pattern.h"

#define PATTERN_MAX  256
#define POLICIES_MAX 100 /* a push reads them all */

static const struct say SAY = { 400, "invalid_request", "Request error." };
enum { P_UUID, P_TAG_PATTERN, P_TAG_PATTERN_MATCHES, P_COLS };
_Static_assert((int)P_COLS == IMMUTABILITY_COLS, "policy.sql and immutability.c differ");

static const struct field POLICY[] = {
	F_STR("tagPattern", F_REQUIRED, .doc = "Tags matching this pattern will be immutable"),
	F_BOOL("tagPatternMatches", F_NULL, .doc = "Whether the tags that match, or those that do not, are immutable"),
	F_END
};

struct policy {
	struct str pattern;
	bool       matches;
};

static enum err_kind
take_policy(struct req *rq, struct policy *p)
{
	*p = (struct policy){ str_trim(js_str(rq->body, "tagPattern")), js_bool(rq->body, "tagPatternMatches", true) };
	if (p->pattern.n == 0)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "tag_pattern cannot be empty");
	if (p->pattern.n > PATTERN_MAX)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "tag_pattern must be at most %d characters", PATTERN_MAX);
	if (!tag_pattern_valid(p->pattern, PATTERN_MAX))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "tag_pattern must be a valid regular expression");
	return ERR_NONE;
}

static enum err_kind
duplicate(struct req *rq, const struct policy_target *t)
{
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "Existing immutability policy with same values for this %s, duplicate policies are not permitted",
	                   t->repository_id == 0 ? "namespace" : "repository");
}

static void
put_policy(const struct db_result *r, int row, int col, json_t *o)
{
	jo_str(o, "uuid", db_get_str(r, row, col + P_UUID));
	jo_str(o, "tagPattern", db_get_str(r, row, col + P_TAG_PATTERN));
	jo_bool(o, "tagPatternMatches", db_get_bool(r, row, col + P_TAG_PATTERN_MATCHES));
}

static enum err_kind
found(struct req *rq, const struct policy_target *t)
{
	return db_is_null(rq->load, 0, t->first_col + P_UUID) ? err_set(rq->c, ERR_NOT_FOUND, "no such policy") : ERR_NONE;
}

static enum err_kind
log_policy(struct req *rq, const struct policy_target *t, const struct policy *p, enum audit_kind kind)
{
	json_t *o = policy_audit(rq, t);

	jo_strn(o, "tag_pattern", p->pattern);
	jo_bool(o, "tag_pattern_matches", p->matches);
	return log_action(rq, kind, t->namespace_id, t->repository_id, o);
}

static enum err_kind
api_policies(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	json_t                    *a = jo_array(res_json(rq, 200), "policies");

	for (int i = 0; i < rq->load->rows && !db_is_null(rq->load, i, t.first_col + P_UUID); i++)
		put_policy(rq->load, i, t.first_col, ja_object(a));
	return ERR_NONE;
}

static enum err_kind
api_policy(struct req *rq)
{
	const struct policy_target t = policy_target(rq);

	TRY(found(rq, &t));
	put_policy(rq->load, 0, t.first_col, res_json(rq, 200));
	return ERR_NONE;
}

static enum err_kind
api_policy_create(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	const struct db_result    *r;
	struct policy              p;

	if (t.namespace_id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such namespace");
	TRY(take_policy(rq, &p));
	TRY(db_exec(rq->c, STMT_IMMUTABILITY_COUNT, DB_ARGS(db_i64(t.namespace_id), policy_repository(&t)), &r));
	if (db_get_i64(r, 0, IMMUTABILITY_COUNT_N) >= POLICIES_MAX)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY, "There are %d immutability policies already", POLICIES_MAX);
	TRY(db_exec(rq->c, STMT_IMMUTABILITY_ADD, DB_ARGS(db_i64(t.namespace_id), policy_repository(&t), db_strn(p.pattern), db_bool(p.matches)), &r));
	if (r->rows == 0)
		return duplicate(rq, &t);
	policy_answer_uuid(rq, 201, db_get_strn(r, 0, IMMUTABILITY_ADD_UUID));
	return log_policy(rq, &t, &p, AUDIT_create_immutability_policy);
}

static enum err_kind
api_policy_change(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	const struct db_result    *r;
	struct policy              p;

	TRY(found(rq, &t));
	TRY(take_policy(rq, &p));
	TRY(db_exec(rq->c, STMT_IMMUTABILITY_CHANGE,
	            DB_ARGS(db_i64(t.namespace_id), policy_repository(&t), db_strn(req_capture(rq, "policy_uuid")), db_strn(p.pattern), db_bool(p.matches)), &r));
	if (r->rows == 0)
		return duplicate(rq, &t);
	res_empty(rq, 204);
	return log_policy(rq, &t, &p, AUDIT_update_immutability_policy);
}

static enum err_kind
api_policy_remove(struct req *rq)
{
	const struct policy_target t = policy_target(rq);
	const struct str           uuid = req_capture(rq, "policy_uuid");
	json_t                    *o = policy_audit(rq, &t);

	TRY(found(rq, &t));
	TRY(db_exec(rq->c, STMT_IMMUTABILITY_REMOVE, DB_ARGS(db_i64(t.namespace_id), policy_repository(&t), db_strn(uuid)), NULL));
	jo_strn(o, "policy_uuid", uuid);
	policy_answer_uuid(rq, 200, uuid);
	return log_action(rq, AUDIT_delete_immutability_policy, t.namespace_id, t.repository_id, o);
}

#define ORG  "/api/v1/organization/<name:orgname>/immutabilitypolicy/"
#define REPO "/api/v1/repository/<repopath:repository>/immutabilitypolicy/"
#define UUID "<name:policy_uuid>"
#define COMMON  .proto = PROTO_API, .auth = AUTH_API, .feature = CONF_FLAG(feature_immutable_tags), .load = STMT_IMMUTABILITY_LOAD
#define READS   COMMON, .methods = HTTP_GET | HTTP_HEAD, .rate = RATE_API_READ, .flags = ROUTE_SU_READ | ROUTE_SU_FULL
#define WRITES  COMMON, .rate = RATE_API_WRITE, .tx = TX_WRITE, .flags = ROUTE_SU_FULL
#define IN_ORG  .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN
#define IN_REPO .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN
const struct route API_IMMUTABILITY_ROUTES[] = {
	{ .id = "listOrgImmutabilityPolicies", .path = ORG, READS, IN_ORG, .bind = policy_bind_all, .run = api_policies, .doc = "The organization's policies." },
	{ .id = "createOrgImmutabilityPolicy", .methods = HTTP_POST, .path = ORG, WRITES, IN_ORG, .bind = policy_bind_all, .body = POLICY,
	  .run = api_policy_create, .doc = "Adds a policy." },
	{ .id = "getOrgImmutabilityPolicy", .path = ORG UUID, READS, IN_ORG, .bind = policy_bind_one, .run = api_policy, .doc = "One policy." },
	{ .id = "updateOrgImmutabilityPolicy", .methods = HTTP_PUT, .path = ORG UUID, WRITES, IN_ORG, .bind = policy_bind_one, .body = POLICY,
	  .run = api_policy_change, .doc = "Changes a policy." },
	{ .id = "deleteOrgImmutabilityPolicy", .methods = HTTP_DELETE, .path = ORG UUID, WRITES, IN_ORG, .bind = policy_bind_one, .run = api_policy_remove,
	  .doc = "Removes a policy." },
	{ .id = "listRepositoryImmutabilityPolicies", .path = REPO, READS, IN_REPO, .bind = policy_bind_all, .run = api_policies,
	  .doc = "The repository's policies." },
	{ .id = "createRepositoryImmutabilityPolicy", .methods = HTTP_POST, .path = REPO, WRITES, IN_REPO, .bind = policy_bind_all, .body = POLICY,
	  .run = api_policy_create, .doc = "Adds a policy." },
	{ .id = "getRepositoryImmutabilityPolicy", .path = REPO UUID, READS, IN_REPO, .bind = policy_bind_one, .run = api_policy, .doc = "One policy." },
	{ .id = "updateRepositoryImmutabilityPolicy", .methods = HTTP_PUT, .path = REPO UUID, WRITES, IN_REPO, .bind = policy_bind_one, .body = POLICY,
	  .run = api_policy_change, .doc = "Changes a policy." },
	{ .id = "deleteRepositoryImmutabilityPolicy", .methods = HTTP_DELETE, .path = REPO UUID, WRITES, IN_REPO, .bind = policy_bind_one,
	  .run = api_policy_remove, .doc = "Removes a policy." },
	{ .id = NULL }
};
