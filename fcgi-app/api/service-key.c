/* Keys of services that sign tokens for this registry: superusers list, make, approve, change and remove them. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-service-key.h"
#include "auth/jose.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/service-key.h"

#define EXPIRES_MAX_S 253402300799 /* the end of the year 9999 */

static const struct say SAY_PAST = { 400, "invalid_request", "Expiration date cannot be in the past" };
static const struct say SAY_NUMBER = { 400, "invalid_request", "Expiration date must be a number of seconds since 1970" };
static const struct say SAY_NAME = { 400, "invalid_request", "Invalid service key friendly name" };
static const struct say SAY_SERVICE = { 400, "invalid_request", "Invalid service name: it must match ^[a-z0-9_]+$" };

static const struct field CREATE[] = {
	F_STR("service", F_REQUIRED, .max = 255, .doc = "The service authenticating with this key"),
	F_STR("name", F_TEXT, F_NULL, .max = 255, .doc = "The friendly name of a service key"),
	F_OBJECT("metadata", .doc = "The key/value pairs of this key's metadata"),
	F_STR("notes", F_TEXT, .max = 65536, .doc = "If specified, the extra notes for the key"),
	F_ANY("expiration", F_REQUIRED, F_NULL, .doc = "The expiration date as a unix timestamp"),
	F_END
};
static const struct field CHANGE[] = {
	F_STR("name", F_TEXT, F_NULL, .max = 255, .doc = "The friendly name of a service key"),
	F_OBJECT("metadata", .doc = "The key/value pairs of this key's metadata"),
	F_ANY("expiration", F_NULL, .doc = "The expiration date as a unix timestamp"),
	F_END
};
static const struct field APPROVE[] = { F_STR("notes", F_TEXT, .max = 65536, .doc = "Optional approval notes"), F_END };

enum { K_SERVICE = SERVICE_KEY_LIST_KEY_ITEM0 + 1, K_NAME, K_JWK, K_METADATA, K_CREATED_MS, K_EXPIRES_MS };

static enum err_kind
find(struct req *rq, const struct db_result **r)
{
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_LIST, DB_ARGS(db_strn(req_capture(rq, "kid"))), r));
	return (*r)->rows == 1 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such key");
}

static enum err_kind
answer(struct req *rq)
{
	const struct db_result *r;
	json_t                 *v;

	TRY(find(rq, &r));
	v = view_service_key(rq, r, 0);
	json_object_update(res_json(rq, 200), v);
	json_decref(v);
	return ERR_NONE;
}

static enum err_kind
api_keys(struct req *rq)
{
	const struct db_result *r;
	json_t                 *a;

	TRY(db_exec(rq->c, STMT_SERVICE_KEY_LIST, DB_ARGS(db_null()), &r));
	a = jo_array(res_json(rq, 200), "keys");
	for (int i = 0; i < r->rows; i++)
		ja_take(a, view_service_key(rq, r, i));
	return ERR_NONE;
}

/* The body's expiration in milliseconds; 0: null. */
static enum err_kind
expiration(struct req *rq, int64_t *ms)
{
	const json_t *v = json_object_get(rq->body, "expiration");
	double        s;

	*ms = 0;
	if (v == NULL || json_is_null(v))
		return ERR_NONE;
	if (!json_is_number(v))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NUMBER);
	s = json_number_value(v);
	if (s > (double)EXPIRES_MAX_S)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NUMBER);
	if (s * 1000 <= (double)rq->c->now_ms)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_PAST);
	*ms = (int64_t)(s * 1000);
	return ERR_NONE;
}

/* A key pair takes a tenth of a second: before the transaction. */
static enum err_kind
prepare_create(struct req *rq)
{
	const struct str name = js_str(rq->body, "name");
	struct jose_key *key;
	int64_t          ms;

	if (!service_name_valid(js_str(rq->body, "service")))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_SERVICE);
	if (!service_key_name_valid(name))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NAME);
	TRY(expiration(rq, &ms));
	TRY(jose_key_make(rq->c, JOSE_RS256, &key));
	arena_defer(rq->c->mem, jose_key_free, key);
	rq->prepared = key;
	return ERR_NONE;
}

static json_t *
metadata_of(struct req *rq)
{
	const json_t *given = json_object_get(rq->body, "metadata");
	json_t       *o = js_object(rq->c);

	if (json_is_object(given))
		json_object_update(o, (json_t *)(uintptr_t)given);
	jo_str(o, "created_by", "Quay Superuser Panel");
	jo_str(o, "creator", rq->facts.caller_name);
	jo_strn(o, "ip", rq->remote_addr);
	return o;
}

static enum err_kind
api_key_create(struct req *rq)
{
	struct ctx            *c = rq->c;
	const struct jose_key *key = rq->prepared;
	const struct str       kid = str_of(jose_key_id(key));
	struct service_key     k = { .kid = kid, .service = js_str(rq->body, "service"), .name = js_str(rq->body, "name"), .approval = SERVICE_KEY_PANEL,
		                     .approver_id = rq->facts.caller_id, .notes = js_str(rq->body, "notes") };
	struct str             pem;
	json_t                *o;

	TRY(expiration(rq, &k.expires_ms));
	k.jwk = js_dump(c, jose_key_to_jwk(c, key));
	k.metadata = js_dump(c, metadata_of(rq));
	TRY(service_key_add(c, &k));
	o = service_key_audit(c, kid, k.service, k.name, k.expires_ms);
	jo_bool(o, "preshared", true);
	jo_bool(o, "auto_approved", true);
	TRY(log_action(rq, AUDIT_service_key_create, 0, 0, o));
	TRY(log_action(rq, AUDIT_service_key_approve, 0, 0, o));
	o = res_json(rq, 200);
	jo_strn(o, "kid", kid);
	jo_strn(o, "name", k.name.p == NULL ? STR("") : k.name);
	jo_strn(o, "service", k.service);
	TRY(jose_key_pem(c, key, JOSE_PEM_PUBLIC, &pem));
	jo_strn(o, "public_key", pem);
	TRY(jose_key_pem(c, key, JOSE_PEM_PRIVATE, &pem));
	jo_strn(o, "private_key", pem);
	res_header(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

static enum err_kind
api_key(struct req *rq)
{
	return answer(rq);
}

/* One row for a new end, one for a new name or new metadata. */
static enum err_kind
log_changes(struct req *rq, const struct db_result *was, bool set_expires, int64_t expires_ms)
{
	const struct str kid = req_capture(rq, "kid"), service = db_get_strn(was, 0, K_SERVICE), name = js_str(rq->body, "name");
	const struct str shown = name.p != NULL ? name : db_get_strn(was, 0, K_NAME);
	const int64_t    old_ms = db_get_i64(was, 0, K_EXPIRES_MS);
	json_t          *o = service_key_audit(rq->c, kid, service, shown, set_expires ? expires_ms : old_ms);

	if (name.p != NULL || json_object_get(rq->body, "metadata") != NULL)
		TRY(log_action(rq, AUDIT_service_key_modify, 0, 0, o));
	if (!set_expires)
		return ERR_NONE;
	jo_take(o, "old_expiration_date", json_incref(json_object_get(service_key_audit(rq->c, kid, service, shown, old_ms), "expiration_date")));
	return log_action(rq, AUDIT_service_key_extend, 0, 0, o);
}

static enum err_kind
api_key_change(struct req *rq)
{
	const bool              set_expires = json_object_get(rq->body, "expiration") != NULL;
	const struct str        name = js_str(rq->body, "name");
	json_t                 *metadata = json_object_get(rq->body, "metadata");
	const struct db_result *was;
	int64_t                 ms;

	TRY(find(rq, &was));
	if (!service_key_name_valid(name))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NAME);
	TRY(expiration(rq, &ms));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_CHANGE,
	            DB_ARGS(db_strn(req_capture(rq, "kid")), db_strn(name), metadata == NULL ? db_null() : db_strn(js_dump(rq->c, metadata)),
	                    db_bool(set_expires), db_i64_or_null(ms)),
	            NULL));
	TRY(log_changes(rq, was, set_expires, ms));
	return answer(rq);
}

static enum err_kind
api_key_remove(struct req *rq)
{
	const struct db_result *was;
	json_t                 *o;

	TRY(find(rq, &was));
	o = view_service_key(rq, was, 0);
	json_t *m = service_key_audit(rq->c, req_capture(rq, "kid"), db_get_strn(was, 0, K_SERVICE), db_get_strn(was, 0, K_NAME), db_get_i64(was, 0, K_EXPIRES_MS));
	jo_take(m, "created_date", json_incref(json_object_get(o, "created_date")));
	json_decref(o);
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_REMOVE, DB_ARGS(db_strn(req_capture(rq, "kid"))), NULL));
	TRY(log_action(rq, AUDIT_service_key_delete, 0, 0, m));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* Also a yes to a key that is approved already; then nothing changes. */
static enum err_kind
api_key_approve(struct req *rq)
{
	const struct str        kid = req_capture(rq, "kid"), notes = js_str(rq->body, "notes");
	const struct db_result *was, *r;

	TRY(find(rq, &was));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_APPROVE,
	            DB_ARGS(db_strn(kid), db_str(SERVICE_KEY_PANEL), db_i64(rq->facts.caller_id), db_strn(notes.p == NULL ? STR("") : notes)), &r));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_ASKED, DB_ARGS(db_strn(kid)), NULL));
	if (r->rows > 0)
		TRY(log_action(rq, AUDIT_service_key_approve, 0, 0,
		               service_key_audit(rq->c, kid, db_get_strn(was, 0, K_SERVICE), db_get_strn(was, 0, K_NAME), db_get_i64(was, 0, K_EXPIRES_MS))));
	res_body(rq, 201, "text/html; charset=utf-8", STR(""));
	return ERR_NONE;
}

#define ONE    "/api/v1/superuser/keys/<name:kid>"
#define READS  .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER_READ, .rate = RATE_API_READ, \
	       .feature = CONF_FLAG(feature_super_users), .mem_bytes = 16 << 20
#define WRITES .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH, \
	       .tx = TX_WRITE, .feature = CONF_FLAG(feature_super_users)
const struct route API_SERVICE_KEY_ROUTES[] = {
	{ .id = "listServiceKeys", .path = "/api/v1/superuser/keys", READS, .run = api_keys, .doc = "All service keys." },
	{ .id = "createServiceKey", .methods = HTTP_POST, .path = "/api/v1/superuser/keys", WRITES, .body = CREATE, .prepare = prepare_create,
	  .run = api_key_create, .doc = "Makes a key pair; the private half is shown this once." },
	{ .id = "getServiceKey", .path = ONE, READS, .run = api_key, .doc = "One service key." },
	{ .id = "updateServiceKey", .methods = HTTP_PUT, .path = ONE, WRITES, .body = CHANGE, .run = api_key_change,
	  .doc = "Changes name, metadata or end of a key." },
	{ .id = "deleteServiceKey", .methods = HTTP_DELETE, .path = ONE, WRITES, .run = api_key_remove, .doc = "Removes a key: what it signed counts no more." },
	{ .id = "approveServiceKey", .methods = HTTP_POST, .path = "/api/v1/superuser/approvedkeys/<name:kid>", WRITES, .body = APPROVE, .run = api_key_approve,
	  .doc = "Approves a key." },
	{ .id = NULL }
};
