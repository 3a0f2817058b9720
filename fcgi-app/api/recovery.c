/* Lost passwords: a mail with a link that signs its reader in. Asked for by anybody, or by a superuser for a user. */
#include <string.h>

#include "api/routes.h"
#include "api/send-mail.h"
#include "api/view-quota.h"
#include "api/view-superuser.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/mail.h"
#include "net/smtp.h"

enum { KIND_USER = 1 };

static const struct say SAY_NOT_DATABASE = { 400, "invalid_request",
	                                     "Cannot send a recovery e-mail for non-database auth" };
static const struct say SAY_SUPERUSER = { 400, "invalid_request",
	                                  "Cannot send a recovery email for a superuser" };
static const struct say SAY_NO_ADDRESS = { 400, "invalid_request", "The user has no e-mail address" };

static const struct field RECOVERY[] = {
	F_STR("email", F_REQUIRED, .max = 255, .doc = "The user's email address."),
	F_STR("recaptcha_response", F_NULL, .max = 8192,
	      .doc = "The (may be disabled) recaptcha response code for verification."),
	F_END
};

static bool
is_database(const struct req *rq)
{
	return strcmp(rq->c->conf->authentication_type, "Database") == 0;
}

/* Too many mails to one address: the answer is the same, and nothing is sent. */
static enum err_kind
prepare_recovery(struct req *rq)
{
	const struct str to = js_str(rq->body, "email");
	bool *send = ARENA_NEW(rq->c->mem, bool), is_full;

	if (!is_database(rq))
		return err_set(rq->c, ERR_NOT_FOUND, "accounts are kept elsewhere");
	TRY(send_mail_limit(rq, to, &is_full));
	*send = !is_full && smtp_address_ok(to);
	rq->prepared = send;
	return ERR_NONE;
}

/* "sample-org" as "sam••••org": its first and last third, less a character. */
static struct str
redacted(struct req *rq, const char *name)
{
	struct buf b = BUF(rq->c->mem);
	const size_t n = strlen(name), keep = n / 3 > 2 ? n / 3 - 1 : 1;

	for (size_t i = 0; i < n; i++)
		if (i < keep || i + keep >= n)
			buf_putc(&b, name[i]);
		else
			buf_puts(&b, "\xe2\x80\xa2");
	return buf_str(&b);
}

/* The same for every address of a user and every unknown one, in words and in work: kade-mail looks whose it is. */
static enum err_kind
api_recovery(struct req *rq)
{
	const struct str to = js_str(rq->body, "email");
	const bool *send = rq->prepared;
	const struct mail m = { .kind = MAIL_RECOVERY,
		                .to = to,
		                .life_s = rq->c->conf->user_recovery_token_lifetime_s };
	const struct db_result *r;
	json_t *o;

	TRY(db_exec(rq->c, STMT_RECOVERY_ADDRESS, DB_ARGS(db_strn(to)), &r));
	if (*send)
		TRY(mail_queue(rq->c, &rq->app->login->secrets, &m));
	o = res_json(rq, 200);
	if (db_get_bool(r, 0, RECOVERY_ADDRESS_IS_USER) || db_is_null(r, 0, RECOVERY_ADDRESS_ORGANIZATION)) {
		jo_str(o, "status", "sent");
		return ERR_NONE;
	}
	jo_str(o, "status", "org");
	jo_strn(o, "orgemail", to);
	jo_strn(o, "orgname", redacted(rq, db_get_str(r, 0, RECOVERY_ADDRESS_ORGANIZATION)));
	return ERR_NONE;
}

static enum err_kind
bind_user(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "username")));
	db_args_add(a, db_i32(KIND_USER));
	db_args_add(a, db_bool(quotas_are_on(rq->c->conf)));
	return ERR_NONE;
}

static enum err_kind
prepare_send(struct req *rq)
{
	struct su_account a;

	if (!is_database(rq))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NOT_DATABASE);
	su_account_from_row(rq->load, 0, SU_ACCOUNT_LOAD_SU_ACCOUNT0, &a);
	if (a.id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such user");
	if (su_is_superuser(rq->c->conf, a.name))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_SUPERUSER);
	if (a.email == NULL || !smtp_address_ok(str_of(a.email)))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_ADDRESS);
	return send_mail_limit(rq, str_of(a.email), NULL);
}

static enum err_kind
api_su_send_recovery(struct req *rq)
{
	struct su_account a;

	su_account_from_row(rq->load, 0, SU_ACCOUNT_LOAD_SU_ACCOUNT0, &a);
	TRY(mail_queue(rq->c, &rq->app->login->secrets,
	               &(struct mail){ .kind = MAIL_RECOVERY,
	                               .to = str_of(a.email),
	                               .life_s = rq->c->conf->user_recovery_token_lifetime_s }));
	jo_str(res_json(rq, 200), "email", a.email);
	return ERR_NONE;
}

/* clang-format off */
const struct route API_RECOVERY_ROUTES[] = {
	{ .id = "requestRecoveryEmail", .methods = HTTP_POST, .path = "/api/v1/recovery", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NONE,
	  .rate = RATE_AUTH, .flags = ROUTE_ANONYMOUS_OK | ROUTE_INTERNAL, .feature = CONF_FLAG(feature_mailing), .body = RECOVERY,
	  .prepare = prepare_recovery, .tx = TX_WRITE, .run = api_recovery, .doc = "Request a password recovery email." },
	{ .id = "sendInstallUserRecoveryEmail", .methods = HTTP_POST, .path = "/api/v1/superusers/users/<name:username>/sendrecovery",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE,
	  .flags = ROUTE_FRESH | ROUTE_INTERNAL, .feature = CONF_FLAG(feature_super_users), .feature_too = CONF_FLAG(feature_mailing),
	  .load = STMT_SU_ACCOUNT_LOAD, .bind = bind_user, .prepare = prepare_send, .tx = TX_WRITE, .run = api_su_send_recovery,
	  .doc = "Sends a user the mail that recovers the account." },
	{ .id = NULL }
};
