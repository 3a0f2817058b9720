/* POST /api/v1/user/: people make their own account. */
#include "api/log-action.h"
#include "api/new-password.h"
#include "api/routes.h"
#include "api/send-mail.h"
#include "api/view-user.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/account.h"
#include "model/invite.h"
#include "model/mail-code.h"
#include "model/mail.h"
#include "net/smtp.h"

static const struct say SAY_EXISTS = { 400, "invalid_request", "The username already exists" };
static const struct say SAY_EMAIL = { 400, "message", "The email address already exists" };
static const struct say SAY_NO_EMAIL = { 400, "invalid_request", "Email address is required" };
static const struct say SAY_BAD_EMAIL = { 400, "invalid_request", "Invalid email address" };
static const struct say SAY_INVITE = { 400, "invalid_request", "Cannot create non-invited user" };

static const struct field SIGNUP[] = {
	F_STR("username", F_REQUIRED, .doc = "The user's username."),
	F_STR("password", F_REQUIRED, .doc = "The user's password."),
	F_STR("email", F_NULL, .doc = "The user's email address."),
	F_STR("invite_code", F_NULL, .doc = "The optional invite code."),
	F_STR("recaptcha_response", F_NULL, .doc = "The (may be disabled) recaptcha response code for verification."),
	F_END
};

/* With FEATURE_INVITE_ONLY_USER_CREATION an invitation to a team is the way in. */
static enum err_kind
check_invitation(struct req *rq)
{
	struct invite i;

	if (!rq->c->conf->feature_invite_only_user_creation)
		return ERR_NONE;
	TRY(invite_find(rq->c, &rq->app->login->secrets, js_str(rq->body, "invite_code"), 0, &i));
	return i.id != 0 ? ERR_NONE : err_say(rq->c, ERR_BAD_INPUT, &SAY_INVITE);
}

/* Whoever shows the code of an invitation that went to his address reads mail there. Else a mail asks him to confirm it. */
static enum err_kind
verify(struct req *rq, int64_t id, const struct user_new *u, bool *is_verified)
{
	const struct secrets *s = &rq->app->login->secrets;
	struct mail           m = { .kind = MAIL_CONFIRM, .to = u->email, .user = u->name, .life_s = CONFIRM_LIFE_S };

	TRY(invite_verifies(rq->c, s, js_str(rq->body, "invite_code"), id, is_verified));
	if (*is_verified)
		return ERR_NONE;
	TRY(mail_code_make(rq->c, s, &(struct mail_code_new){ .account_id = id, .purpose = MAIL_PURPOSE_CONFIRM, .address = u->email, .life_s = CONFIRM_LIFE_S },
	                   &m.code, &m.until_ms));
	return mail_queue(rq->c, s, &m);
}

static enum err_kind
api_signup(struct req *rq)
{
	struct ctx     *c = rq->c;
	struct user_new u = { .name = js_str(rq->body, "username"), .email = js_str(rq->body, "email"), .password_hash = rq->prepared,
		                        .is_unverified = c->conf->feature_mailing };
	const struct db_result *r;
	const char     *uuid;
	json_t         *meta = js_object(c);
	bool            is_verified = true;
	int64_t         id;
	enum err_kind   e;

	if (u.email.n == 0)
		u.email = STR0;
	TRY(check_invitation(rq));
	TRY(db_exec(c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_strn(u.name)), &r));
	if (r->rows > 0)
		return err_say(c, ERR_BAD_INPUT, &SAY_EXISTS);
	e = account_make_user(c, &u, &id, &uuid);
	if (e == ERR_CONFLICT && strcmp(db_sqlstate(c), "23505") == 0) /* by the address: the name was free */
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL);
	if (e == ERR_CONFLICT)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY_EXISTS, "%s", c->err.say->message);
	TRY(e);
	if (u.email.p != NULL)
		jo_strn(meta, "email", u.email);
	jo_strn(meta, "username", u.name);
	TRY(log_action(rq, AUDIT_user_create, id, 0, meta));
	if (c->conf->feature_mailing)
		TRY(verify(rq, id, &u, &is_verified));
	if (!is_verified) {
		jo_bool(res_json(rq, 200), "awaiting_verification", true);
		return ERR_NONE;
	}
	/* From here on the caller is the new user. */
	rq->ident = (struct identity){ .kind = IDENTITY_USER, .name = str_dup(c->mem, u.name), .account_uuid = uuid, .scopes = SCOPE_DIRECT };
	rq->facts.caller_id = id;
	session_login(rq, uuid, rq->ident.name);
	return view_user_again(rq, uuid);
}

/* Where accounts are kept elsewhere nobody can make one here. */
static enum err_kind
prepare(struct req *rq)
{
	if (strcmp(rq->c->conf->authentication_type, "Database") != 0)
		return err_set(rq->c, ERR_NOT_FOUND, "accounts are kept elsewhere");
	if (rq->c->conf->feature_mailing) {
		if (js_str(rq->body, "email").n == 0)
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_EMAIL);
		if (!smtp_address_ok(js_str(rq->body, "email")))
			return err_say(rq->c, ERR_BAD_INPUT, &SAY_BAD_EMAIL);
		TRY(send_mail_limit(rq, js_str(rq->body, "email"), NULL));
	}
	return new_password_prepare(rq);
}

const struct route API_SIGNUP_ROUTES[] = {
	{ .id = "createNewUser", .methods = HTTP_POST, .path = "/api/v1/user/", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NONE,
	  .rate = RATE_AUTH, .flags = ROUTE_INTERNAL, .feature = CONF_FLAG(feature_user_creation), .feature_too = CONF_FLAG(feature_direct_login),
	  .body = SIGNUP, .prepare = prepare, .tx = TX_WRITE, .run = api_signup, .doc = "Create a new user." },
	{ .id = NULL }
};
