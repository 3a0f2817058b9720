/* The key server: public keys by which others check this registry's tokens. Never a private member. */
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/response.h"
#include "site/routes.h"

static const struct say SAY_UNAPPROVED = { 409, "conflict", "The service key has not been approved." };
static const struct say SAY_EXPIRED = { 403, "forbidden", "The service key has expired." };
#define DAY_S 86400

static enum err_kind
site_keys_list(struct req *rq)
{
	const struct db_result *r;
	json_t                 *keys, *key;

	TRY(db_exec(rq->c, STMT_SERVICE_KEYS, DB_ARGS(db_strn(req_capture(rq, "service"))), &r));
	keys = jo_array(res_json(rq, 200), "keys");
	for (int i = 0; i < r->rows; i++) {
		TRY(js_parse(rq->c, db_get_strn(r, i, SERVICE_KEYS_JWK), &JS_API, &key));
		ja_take(keys, json_incref(key));
	}
	return ERR_NONE;
}

static enum err_kind
site_keys_get(struct req *rq)
{
	const struct db_result *r;
	struct str              jwk;

	TRY(db_exec(rq->c, STMT_SERVICE_KEY_STATE, DB_ARGS(db_strn(req_capture(rq, "kid"))), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such key");
	if (!db_get_bool(r, 0, SERVICE_KEY_STATE_IS_APPROVED))
		return err_say(rq->c, ERR_CONFLICT, &SAY_UNAPPROVED);
	if (db_get_bool(r, 0, SERVICE_KEY_STATE_IS_EXPIRED))
		return err_say(rq->c, ERR_DENIED, &SAY_EXPIRED);
	jwk = db_get_strn(r, 0, SERVICE_KEY_STATE_JWK);
	const int64_t expires_ms = db_get_i64(r, 0, SERVICE_KEY_STATE_EXPIRES_MS);
	int64_t       age_s = DAY_S;
	if (expires_ms != 0 && (expires_ms - rq->c->now_ms) / 1000 < age_s)
		age_s = (expires_ms - rq->c->now_ms) / 1000;
	res_headerf(rq, "Cache-Control", "max-age=%lld", (long long)(age_s > 0 ? age_s : 0));
	res_body(rq, 200, "application/json", jwk);
	return ERR_NONE;
}

const struct route SITE_KEY_ROUTES[] = {
	{ .id = "key_server.list_service_keys", .methods = HTTP_GET | HTTP_HEAD, .path = "/keys/services/<name:service>/keys", .proto = PROTO_SITE,
	  .auth = AUTH_NONE, .perm = PERM_NONE, .run = site_keys_list, .doc = "Public keys of a service that are approved and alive." },
	{ .id = "key_server.get_service_key", .methods = HTTP_GET | HTTP_HEAD, .path = "/keys/services/<name:service>/keys/<name:kid>", .proto = PROTO_SITE,
	  .auth = AUTH_NONE, .perm = PERM_NONE, .run = site_keys_get, .doc = "One public key." },
	{ .id = NULL }
};
