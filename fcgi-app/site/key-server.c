/* The key server's writes: a service brings its own public key, which waits for a superuser's approval; a service with an
 * approved key replaces or removes it by itself. Whoever asks shows a JWT made for this registry. */
#include "app.h"
#include "auth/jose.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"
#include "model/audit.h"
#include "model/service-key.h"
#include "site/routes.h"

#define BODY_MAX    16384
#define WAITING_MAX 100 /* keys that wait for an approval, of all services: anybody can bring one */
#define RETRY_S     3600
#define EXPIRES_MAX_S 253402300799 /* the end of the year 9999 */
#define ROTATION_MAX_S INT32_MAX

static const struct say SAY_JWT = { 400, "bad_request", "Invalid JWT" };
static const struct say SAY_NO_JWT = { 400, "bad_request", "A JWT is expected as bearer token" };
static const struct say SAY_JWK = { 400, "bad_request", "Invalid JWK" };
static const struct say SAY_NAMES = { 400, "bad_request", "Invalid name of a service or key" };
static const struct say SAY_NUMBERS = { 400, "bad_request", "Invalid expiration or rotation" };
static const struct say SAY_SIGNER = { 403, "forbidden", "The signer is no approved key of the service" };
static const struct js_limits JWK_LIMITS = { .bytes = BODY_MAX, .depth = 4, .values = 64 };

/* What a request shows. */
struct shown {
	struct str       service, kid, token, signer_kid; /* signer_kid: of the token's header; p == NULL: none */
	struct jose_key *key;                             /* the body's; NULL: none */
	int64_t          expires_ms, rotation_s;
};

static bool
is_kid(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\')
			return false;
	return s.n > 0 && s.n <= JOSE_KID_MAX;
}

static enum err_kind
take_token(struct req *rq, struct shown *s)
{
	const struct str header = req_header(rq, "authorization");
	const json_t    *head, *claims;

	s->service = req_capture(rq, "service");
	s->kid = req_capture(rq, "kid");
	if (!service_name_valid(s->service) || !is_kid(s->kid))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NAMES);
	if (header.n <= 7 || !str_eq_nocase(str_sub(header, 0, 7), STR("bearer ")))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_JWT);
	s->token = str_trim(str_sub(header, 7, header.n));
	if (jose_peek(rq->c, s->token, &head, &claims) != ERR_NONE)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_JWT);
	s->signer_kid = js_str(head, "kid");
	return ERR_NONE;
}

static enum err_kind
take_numbers(struct req *rq, struct shown *s)
{
	const struct str expiration = req_query(rq, "expiration"), rotation = req_query(rq, "rotation");

	if (expiration.n > 0) {
		if (!str_to_i64(expiration, rq->c->now_ms / 1000 + 1, EXPIRES_MAX_S, &s->expires_ms))
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_NUMBERS);
		s->expires_ms *= 1000;
	}
	if (rotation.n > 0 && !str_to_i64(rotation, 1, ROTATION_MAX_S, &s->rotation_s))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NUMBERS);
	return ERR_NONE;
}

/* Everything that needs no database: the body is read before a connection is taken. */
static enum err_kind
prepare_put(struct req *rq)
{
	struct shown *s = ARENA_NEW(rq->c->mem, struct shown);
	struct str    bytes;
	json_t       *jwk;

	TRY(take_token(rq, s));
	TRY(take_numbers(rq, s));
	TRY(req_body_all(rq, BODY_MAX, &bytes));
	if (js_parse(rq->c, bytes, &JWK_LIMITS, &jwk) != ERR_NONE || !json_is_object(jwk) || jose_key_from_jwk(rq->c, jwk, &s->key) != ERR_NONE)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_JWK);
	arena_defer(rq->c->mem, jose_key_free, s->key);
	rq->prepared = s;
	return ERR_NONE;
}

static enum err_kind
prepare_delete(struct req *rq)
{
	struct shown *s = ARENA_NEW(rq->c->mem, struct shown);

	rq->prepared = s;
	return take_token(rq, s);
}

/* The token is signed by this key, by its service, for this registry, just now. */
static enum err_kind
check_token(struct req *rq, const struct shown *s, const struct jose_key *key)
{
	struct jose_verified v;

	if (jose_verify_key(rq->c, s->token, key, &v) != ERR_NONE ||
	    jose_check_claims(rq->c, v.claims,
	                      &(struct jose_expect){ .iss = s->service, .aud = str_of(req_base_url(rq)), .now_s = rq->c->now_ms / 1000,
	                                             .max_life_s = JOSE_LIFE_MAX_S, .nbf_optional = true }) != ERR_NONE)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_JWT);
	return ERR_NONE;
}

static enum err_kind
check_by_jwk(struct req *rq, const struct shown *s, struct str jwk)
{
	struct jose_key *key;
	json_t          *o;

	TRY(js_parse(rq->c, jwk, &JWK_LIMITS, &o));
	TRY(jose_key_from_jwk(rq->c, o, &key));
	arena_defer(rq->c->mem, jose_key_free, key);
	return check_token(rq, s, key);
}

/* Another key of the service signed: it must be approved and alive. */
static enum err_kind
check_by_signer(struct req *rq, const struct shown *s)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_SERVICE_KEY_BY_KID, DB_ARGS(db_strn(s->signer_kid), db_strn(s->service)), &r));
	if (r->rows == 0 || !db_get_bool(r, 0, SERVICE_KEY_BY_KID_IS_ALIVE))
		return err_say(rq->c, ERR_DENIED, &SAY_SIGNER);
	return check_by_jwk(rq, s, db_get_strn(r, 0, SERVICE_KEY_BY_KID_JWK));
}

static enum err_kind
log_key(struct req *rq, enum audit_kind kind, const struct shown *s, struct str name, int64_t expires_ms)
{
	json_t *o = service_key_audit(rq->c, s->kid, s->service, name, expires_ms);

	if (kind == AUDIT_service_key_create)
		jo_bool(o, "preshared", false);
	else
		jo_strn(o, "signer_kid", s->signer_kid);
	jo_strn(o, "user_agent", rq->user_agent);
	jo_strn(o, "ip", rq->remote_addr);
	return audit_add(rq->c, &(struct audit_row){ .kind = kind, .ip = rq->remote_addr, .metadata = js_dump(rq->c, o) });
}

/* The public key as it is published: under the id that the service gave it. */
static struct str
jwk_of(struct req *rq, const struct shown *s)
{
	json_t *o = jose_key_to_jwk(rq->c, s->key);

	jo_strn(o, "kid", s->kid);
	return js_dump(rq->c, o);
}

static enum err_kind
ask_superusers(struct req *rq, const struct shown *s)
{
	const struct str_list *l = &rq->c->conf->super_users;
	struct str            *names = ARENA_ARRAY(rq->c->mem, struct str, l->n + 1);
	json_t                *o = js_object(rq->c);

	for (size_t i = 0; i < l->n; i++)
		names[i] = str_of(l->v[i]);
	jo_strn(o, "kid", s->kid);
	jo_strn(o, "service", s->service);
	jo_str(o, "name", "");
	jo_i64(o, "created_date", rq->c->now_ms / 1000);
	jo_strn(o, "user_agent", rq->user_agent);
	jo_strn(o, "ip", rq->remote_addr);
	return db_exec(rq->c, STMT_SERVICE_KEY_ASK, DB_ARGS(db_strn(s->kid), db_strn(js_dump(rq->c, o)), db_str_array(names, l->n)), NULL);
}

/* A new key that signed for itself. */
static enum err_kind
put_new(struct req *rq, const struct shown *s)
{
	const struct db_result *r;
	json_t                 *metadata = js_object(rq->c);
	struct service_key      k = { .kid = s->kid, .service = s->service, .expires_ms = s->expires_ms, .rotation_s = s->rotation_s };

	TRY(check_token(rq, s, s->key));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_WAITING, DB_NO_ARGS, &r));
	if (db_get_i64(r, 0, SERVICE_KEY_WAITING_N) >= WAITING_MAX) {
		err_set(rq->c, ERR_RATE, "too many keys wait for an approval");
		return err_retry_after(rq->c, RETRY_S);
	}
	jo_strn(metadata, "ip", rq->remote_addr);
	k.jwk = jwk_of(rq, s);
	k.metadata = js_dump(rq->c, metadata);
	TRY(service_key_add(rq->c, &k));
	TRY(ask_superusers(rq, s));
	TRY(log_key(rq, AUDIT_service_key_create, s, STR0, s->expires_ms));
	res_body(rq, 202, "text/plain; charset=utf-8", STR("OK"));
	return ERR_NONE;
}

/* An approved key of the service signed: the new one takes its place, its name and its approval. */
static enum err_kind
put_rotated(struct req *rq, const struct shown *s)
{
	enum { K_NAME = SERVICE_KEY_LIST_KEY_ITEM0 + 2, K_METADATA = K_NAME + 2, K_ROTATION_S = K_METADATA + 3 };
	const struct db_result *r;
	json_t                 *metadata;
	struct service_key      k = { .kid = s->kid, .service = s->service, .expires_ms = s->expires_ms, .approval = SERVICE_KEY_ROTATION };

	TRY(check_by_signer(rq, s));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_LIST, DB_ARGS(db_strn(s->signer_kid)), &r));
	if (r->rows == 0)
		return err_say(rq->c, ERR_DENIED, &SAY_SIGNER);
	TRY(js_parse(rq->c, db_get_strn(r, 0, K_METADATA), &JS_API, &metadata));
	jo_strn(metadata, "ip", rq->remote_addr);
	k.name = db_get_strn(r, 0, K_NAME);
	k.rotation_s = s->rotation_s != 0 ? s->rotation_s : db_get_i64(r, 0, K_ROTATION_S);
	k.jwk = jwk_of(rq, s);
	k.metadata = js_dump(rq->c, metadata);
	TRY(service_key_add(rq->c, &k));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_REMOVE, DB_ARGS(db_strn(s->signer_kid)), NULL));
	TRY(log_key(rq, AUDIT_service_key_rotate, s, k.name, s->expires_ms));
	res_body(rq, 200, "text/plain; charset=utf-8", STR("OK"));
	return ERR_NONE;
}

static enum err_kind
site_key_put(struct req *rq)
{
	const struct shown *s = rq->prepared;

	return s->signer_kid.p == NULL || str_eq(s->signer_kid, s->kid) ? put_new(rq, s) : put_rotated(rq, s);
}

static enum err_kind
site_key_delete(struct req *rq)
{
	enum { K_SERVICE = SERVICE_KEY_LIST_KEY_ITEM0 + 1, K_NAME, K_JWK };
	const struct shown     *s = rq->prepared;
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_SERVICE_KEY_LIST, DB_ARGS(db_strn(s->kid)), &r));
	if (r->rows == 0 || !str_eq(db_get_strn(r, 0, K_SERVICE), s->service))
		return err_set(rq->c, ERR_NOT_FOUND, "no such key of the service");
	if (s->signer_kid.p == NULL || str_eq(s->signer_kid, s->kid))
		TRY(check_by_jwk(rq, s, db_get_strn(r, 0, K_JWK)));
	else
		TRY(check_by_signer(rq, s));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_SWEEP, DB_ARGS(db_strn(s->service)), NULL));
	TRY(db_exec(rq->c, STMT_SERVICE_KEY_REMOVE, DB_ARGS(db_strn(s->kid)), NULL));
	TRY(log_key(rq, AUDIT_service_key_delete, s, db_get_strn(r, 0, K_NAME), 0));
	res_empty(rq, 204);
	return ERR_NONE;
}

const struct route SITE_KEY_SERVER_ROUTES[] = {
	{ .id = "key_server.put_service_key", .methods = HTTP_PUT, .path = "/keys/services/<name:service>/keys/<name:kid>", .proto = PROTO_SITE,
	  .auth = AUTH_NONE, .perm = PERM_NONE, .rate = RATE_AUTH, .tx = TX_WRITE, .flags = ROUTE_WRITES, .prepare = prepare_put, .run = site_key_put,
	  .body_bytes = BODY_MAX, .doc = "A service's new public key, or one in place of its old one." },
	{ .id = "key_server.delete_service_key", .methods = HTTP_DELETE, .path = "/keys/services/<name:service>/keys/<name:kid>", .proto = PROTO_SITE,
	  .auth = AUTH_NONE, .perm = PERM_NONE, .rate = RATE_AUTH, .tx = TX_WRITE, .flags = ROUTE_WRITES, .prepare = prepare_delete,
	  .run = site_key_delete, .doc = "Removes a public key." },
	{ .id = NULL }
};
