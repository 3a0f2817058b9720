/* Addresses that may get mails about a repository: whoever reads mail there has to agree first, by the link in a mail. */
#include "api/routes.h"
#include "api/send-mail.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"
#include "model/mail-code.h"
#include "model/mail.h"
#include "net/smtp.h"

static const struct say SAY_ADDRESS = { 400, "invalid_request", "Invalid email address" };

static enum err_kind
bind(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "email")));
	return ERR_NONE;
}

static bool
is_confirmed(const struct req *rq)
{
	return db_get_bool(rq->load, 0, REPOSITORY_EMAIL_LOAD_IS_CONFIRMED);
}

static void
answer(struct req *rq)
{
	json_t *o = res_json(rq, 200);

	jo_strn(o, "email", req_capture(rq, "email"));
	jo_strn(o, "repository", rq->repo);
	jo_strn(o, "namespace", rq->ns);
	jo_bool(o, "confirmed", is_confirmed(rq));
}

static enum err_kind
api_email_get(struct req *rq)
{
	if (db_is_null(rq->load, 0, REPOSITORY_EMAIL_LOAD_EMAIL))
		return err_set(rq->c, ERR_NOT_FOUND, "the address was not asked");
	answer(rq);
	return ERR_NONE;
}

static enum err_kind
prepare(struct req *rq)
{
	const struct str to = req_capture(rq, "email");

	if (is_confirmed(rq))
		return ERR_NONE;
	if (!smtp_address_ok(to))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_ADDRESS);
	return send_mail_limit(rq, to, NULL);
}

static enum err_kind
api_email_post(struct req *rq)
{
	const struct secrets *s = &rq->app->login->secrets;
	const struct str to = req_capture(rq, "email"), code = mail_code_text(rq->c);
	struct buf path = BUF(rq->c->mem);

	answer(rq);
	if (is_confirmed(rq))
		return ERR_NONE;
	buf_putf(&path, "%.*s/%.*s", STRF(rq->ns), STRF(rq->repo));
	TRY(db_exec(rq->c, STMT_REPOSITORY_EMAIL_PUT,
	            DB_ARGS(db_i64(rq->facts.repository_id), db_strn(to),
	                    mail_code_hash(rq->c, s, "repository email", code)),
	            NULL));
	return mail_queue(rq->c, s,
	                  &(struct mail){ .kind = MAIL_REPO_EMAIL,
	                                  .to = to,
	                                  .code = code,
	                                  .user = str_of(rq->facts.caller_name),
	                                  .repository = buf_str(&path),
	                                  .until_ms = rq->c->now_ms + REPO_EMAIL_LIFE_S * 1000,
	                                  .life_s = REPO_EMAIL_LIFE_S });
}

/* clang-format off */
#define PATH "/api/v1/repository/<repopath:repository>/authorizedemail/<name:email>"
const struct route API_REPOSITORY_EMAIL_ROUTES[] = {
	{ .id = "checkRepoEmailAuthorized", .methods = HTTP_GET | HTTP_HEAD, .path = PATH, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_REPO_ADMIN,
	  .flags = ROUTE_SU_FULL | ROUTE_SU_READ | ROUTE_INTERNAL, .scope = SCOPE_REPO_ADMIN, .rate = RATE_API_READ, .feature = CONF_FLAG(feature_mailing),
	  .load = STMT_REPOSITORY_EMAIL_LOAD, .bind = bind, .run = api_email_get,
	  .doc = "Checks to see if the given e-mail address is authorized on this repository." },
	{ .id = "sendAuthorizeRepoEmail", .methods = HTTP_POST, .path = PATH, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_REPO_ADMIN,
	  .flags = ROUTE_SU_FULL | ROUTE_INTERNAL, .scope = SCOPE_REPO_ADMIN, .rate = RATE_API_WRITE, .feature = CONF_FLAG(feature_mailing),
	  .load = STMT_REPOSITORY_EMAIL_LOAD, .bind = bind, .prepare = prepare, .tx = TX_WRITE, .run = api_email_post,
	  .doc = "Starts the authorization process for an e-mail address on a repository." },
	{ .id = NULL }
};
