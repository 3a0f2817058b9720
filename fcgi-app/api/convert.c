/* POST /api/v1/user/convert: the own account becomes an organization that another user owns. */
#include "api/log-action.h"
#include "api/routes.h"
#include "app.h"
#include "auth/credential.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/user.h"

static const struct say SAY_CREDENTIALS = { 400, "invalid_request", "The admin user credentials are not valid" };
static const struct say SAY_SAME = { 400, "invalid_request", "The admin user is not valid" };
static const struct say SAY_SOLE_ADMIN = { 400, "invalid_request", "Cannot convert the account" };
#define REASON "{\"reason\":\"invaliduser\"}"

static const struct field CONVERT[] = {
	F_STR("adminUser", F_REQUIRED, .doc = "The user who will be the owner of the organization."),
	F_STR("adminPassword", F_REQUIRED, .doc = "That user's password."),
	F_STR("plan", F_NULL, .doc = "The plan to which the organization should be subscribed."),
	F_END
};

/* The future owner shows the password. */
static enum err_kind
prepare(struct req *rq)
{
	const struct credential cr = { .kind = CREDENTIAL_USER, .name = js_str(rq->body, "adminUser"), .secret = js_str(rq->body, "adminPassword") };
	struct identity        *owner = ARENA_NEW(rq->c->mem, struct identity);
	enum err_kind           e;

	if (strcmp(rq->c->conf->authentication_type, "Database") != 0)
		return err_set(rq->c, ERR_NOT_FOUND, "accounts are kept elsewhere");
	e = login_basic(rq->c, rq->app->login, &cr, rq->remote_addr, owner);
	if (e == ERR_UNAUTHENTICATED) {
		err_say(rq->c, ERR_BAD_INPUT, &SAY_CREDENTIALS);
		return err_detail(rq->c, REASON);
	}
	rq->prepared = owner;
	return e;
}

static enum err_kind
api_convert(struct req *rq)
{
	const struct identity  *owner = rq->prepared;
	const struct db_result *r;
	const char             *only;
	int64_t                 owner_id;

	TRY(db_exec(rq->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_str(owner->name)), &r));
	owner_id = r->rows == 0 ? 0 : db_get_i64(r, 0, ACCOUNT_BY_NAME_ID);
	if (owner_id == 0 || owner_id == rq->facts.caller_id) {
		err_say(rq->c, ERR_BAD_INPUT, &SAY_SAME);
		return err_detail(rq->c, REASON);
	}
	TRY(user_sole_admin_of(rq->c, rq->facts.caller_id, &only));
	if (only[0] != '\0')
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_SOLE_ADMIN, "Cannot convert %s as you are the only admin for organizations: %s",
		                   rq->facts.caller_name, only);
	TRY(log_action(rq, AUDIT_account_convert, rq->facts.caller_id, 0, NULL));
	TRY(db_exec(rq->c, STMT_USER_CONVERT, DB_ARGS(db_i64(rq->facts.caller_id), db_i64(owner_id)), &r));
	if (r->rows == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "the account is no user any more");
	session_login(rq, owner->account_uuid, owner->name);
	jo_bool(res_json(rq, 200), "success", true);
	return ERR_NONE;
}

const struct route API_CONVERT_ROUTES[] = {
	{ .id = "convertUserToOrganization", .methods = HTTP_POST, .path = "/api/v1/user/convert", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_AUTH, .flags = ROUTE_INTERNAL, .body = CONVERT, .prepare = prepare,
	  .tx = TX_WRITE, .run = api_convert, .doc = "Convert the user to an organization." },
	{ .id = NULL }
};
