/* Keyless federation: the issuers and subjects whose tokens a robot may exchange for one of ours. */
#include "api/log-action.h"
#include "api/robot-owner.h"
#include "api/routes.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/robot.h"

static const struct say SAY_REQUEST = { 400, "invalid_request", "Request error." };
static const struct say SAY_MISSING = { 400, "invalid_request",
	                                "Missing one or more required fields (issuer, subject)" };
static const struct say SAY_NOT_URL = { 400, "invalid_request",
	                                "Issuer must be a URL (http:// or https://)" };
static const struct say SAY_DUPLICATE = { 400, "invalid_request", "Duplicate federation config entry" };

static const struct field ITEM[] = { F_STR("issuer", F_REQUIRED, .doc = "The issuer's URL."),
	                             F_STR("subject", F_REQUIRED, .doc = "The subject of its tokens."),
	                             F_ARRAY("audiences", .doc = "Audiences of which its tokens must name one; none: any."),
	                             F_END };
static const struct say SAY_AUDIENCES = { 400, "invalid_request", "audiences must be a list of strings" };

static bool
is_known(const struct robot_issuers *f, struct str issuer, struct str subject)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->issuers[i], issuer) && str_eq(f->subjects[i], subject))
			return true;
	return false;
}

/* What stands in the row: the list as JSON, "" for none. */
static enum err_kind
audiences_of(struct req *rq, const json_t *item, struct str *out)
{
	const json_t *list = json_object_get(item, "audiences"), *v;
	size_t i;

	*out = STR("");
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v) || json_string_length(v) == 0)
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_AUDIENCES);
	}
	if (json_array_size(list) > 0)
		*out = js_dump(rq->c, list);
	return ERR_NONE;
}

/* The body is an array: checked item by item. At most as many entries as the body's limit of values allows. */
static enum err_kind
federation_prepare(struct req *rq)
{
	struct robot_issuers *f = ARENA_NEW(rq->c->mem, struct robot_issuers);
	json_t *root, *item;
	size_t i;

	TRY(field_read_json(rq, JS_API.bytes, &root));
	if (!json_is_array(root))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_REQUEST, "The body is not of type 'array'");
	f->issuers = ARENA_ARRAY(rq->c->mem, struct str, json_array_size(root) + 1);
	f->subjects = ARENA_ARRAY(rq->c->mem, struct str, json_array_size(root) + 1);
	f->audiences = ARENA_ARRAY(rq->c->mem, struct str, json_array_size(root) + 1);
	json_array_foreach(root, i, item)
	{
		TRY(field_check(rq, item, ITEM));
		const struct str issuer = js_str(item, "issuer"), subject = js_str(item, "subject");
		if (issuer.n == 0 || subject.n == 0)
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_MISSING);
		if (!str_starts(issuer, STR("http://")) && !str_starts(issuer, STR("https://")))
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_NOT_URL);
		if (is_known(f, issuer, subject))
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_DUPLICATE);
		TRY(audiences_of(rq, item, &f->audiences[f->n]));
		f->issuers[f->n] = issuer;
		f->subjects[f->n++] = subject;
	}
	rq->prepared = f;
	return ERR_NONE;
}

static void
add_entry(json_t *list, struct str issuer, struct str subject, struct str audiences)
{
	json_t *o = ja_object(list), *a = audiences.n == 0 ? NULL : json_loadb(audiences.p, audiences.n, 0, NULL);

	if (a != NULL)
		jo_take(o, "audiences", a);

	jo_strn(o, "issuer", issuer);
	jo_strn(o, "subject", subject);
}

static enum err_kind
answer(struct req *rq, const json_t *list)
{
	struct str text = js_dump(rq->c, list);

	res_body(rq, 200, "application/json", str_of(str_fmt(rq->c->mem, "%.*s\n", STRF(text))));
	return ERR_NONE;
}

static enum err_kind
api_federation_get(struct req *rq)
{
	const struct db_result *r;
	struct robot_owner o;
	json_t *list = js_array(rq->c);
	int64_t id;

	TRY(robot_owner_get(rq, &o, &id));
	TRY(db_exec(rq->c, STMT_ROBOT_FEDERATION, DB_ARGS(db_i64(id)), &r));
	for (int i = 0; i < r->rows; i++)
		add_entry(list, db_get_strn(r, i, ROBOT_FEDERATION_ISSUER),
		          db_get_strn(r, i, ROBOT_FEDERATION_SUBJECT), db_get_strn(r, i, ROBOT_FEDERATION_AUDIENCES));
	return answer(rq, list);
}

static enum err_kind
api_federation_set(struct req *rq)
{
	const struct robot_issuers *f = rq->prepared;
	struct robot_owner o;
	json_t *list = js_array(rq->c), *log = js_object(rq->c);
	int64_t id;

	TRY(robot_owner_get(rq, &o, &id));
	TRY(robot_set_federation(rq->c, id, f));
	for (size_t i = 0; i < f->n; i++)
		add_entry(list, f->issuers[i], f->subjects[i], f->audiences[i]);
	jo_take(log, "config", json_deep_copy(list));
	jo_strn(log, "robot", o.short_name);
	TRY(log_action(rq, AUDIT_create_robot_federation, o.id, 0, log));
	return answer(rq, list);
}

static enum err_kind
api_federation_delete(struct req *rq)
{
	struct robot_owner o;
	json_t *log = js_object(rq->c);
	int64_t id;

	TRY(robot_owner_get(rq, &o, &id));
	TRY(robot_set_federation(rq->c, id, NULL));
	jo_strn(log, "robot", o.short_name);
	TRY(log_action(rq, AUDIT_delete_robot_federation, o.id, 0, log));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* clang-format off */
#define LIST_BYTES (8 << 20)
#define OWN        .proto = PROTO_API, .auth = AUTH_API, .path = "/api/v1/user/robots/<name:robot_shortname>/federation", .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN
#define ORG        .proto = PROTO_API, .auth = AUTH_API, .path = "/api/v1/organization/<name:orgname>/robots/<name:robot_shortname>/federation", .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN
#define READS      .methods = HTTP_GET | HTTP_HEAD, .rate = RATE_API_READ, .run = api_federation_get, .doc = "Issuers and subjects of a robot."
#define SETS       .methods = HTTP_POST, .rate = RATE_API_WRITE, .tx = TX_WRITE, .prepare = federation_prepare, .mem_bytes = LIST_BYTES, .run = api_federation_set, .doc = "Replaces the issuers and subjects of a robot."
#define REMOVES    .methods = HTTP_DELETE, .rate = RATE_API_WRITE, .tx = TX_WRITE, .run = api_federation_delete, .doc = "Removes the issuers and subjects of a robot."

const struct route API_ROBOT_FEDERATION_ROUTES[] = {
	{ .id = "getUserRobotFederation", OWN, READS },
	{ .id = "createUserRobotFederation", OWN, SETS, .flags = ROUTE_NOT_RESTRICTED },
	{ .id = "deleteUserRobotFederation", OWN, REMOVES, .flags = ROUTE_NOT_RESTRICTED },
	{ .id = "getOrgRobotFederation", ORG, READS, .flags = ROUTE_SU_READ },
	{ .id = "createOrgRobotFederation", ORG, SETS, .flags = ROUTE_SU_FULL },
	{ .id = "deleteOrgRobotFederation", ORG, REMOVES, .flags = ROUTE_SU_FULL },
	{ .id = NULL }
};
