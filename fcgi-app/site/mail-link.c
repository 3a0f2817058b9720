/* What the links in mails lead to. A code is used up by GET (never by HEAD, which programs send to look at links); whoever shows
 * it reads mail at the address, so it signs in. Invitations alone are answered by a form: they say what they mean first. Answers
 * lead to this registry and nowhere else. */
#include <string.h>

#include "app.h"
#include "auth/login.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"
#include "model/audit.h"
#include "model/invite.h"
#include "model/mail-code.h"
#include "model/mail.h"
#include "model/user.h"
#include "net/smtp.h"
#include "site/page.h"
#include "site/routes.h"

#define FORM_BYTES 4096

/* A text of the catalogue with its values, plain: the page escapes it. Given. */
static const char *
text_of(struct req *rq, enum text t, const struct text_value *values)
{
	struct buf b = BUF(rq->c->mem);

	text_put(&b, str_of(text_get(page_language(rq), t)), values, buf_put);
	return buf_cstr(&b);
}

static enum err_kind
page(struct req *rq, const char *title, const char *sentence)
{
	struct buf b = BUF(rq->c->mem);

	page_begin(rq, &b, "%s", title);
	if (sentence != NULL)
		page_element(&b, "p", "%s", sentence);
	page_answer(rq, &b, STR0);
	return ERR_NONE;
}

/* Differs: the interface's page, with the reason in its data */
static enum err_kind
bad_code(struct req *rq)
{
	return page(rq, text_of(rq, TEXT_PAGE_CODE_TITLE, NULL), text_of(rq, TEXT_PAGE_CODE_BAD, NULL));
}

static enum err_kind
redirect(struct req *rq, const char *path)
{
	res_headerf(rq, "Location", "%s%s", req_base_url(rq), path);
	res_header_set(rq, "Cache-Control", STR("no-store"));
	res_header_set(rq, "Referrer-Policy", STR("no-referrer"));
	res_empty(rq, 302);
	return ERR_NONE;
}

static const char *
settings_path(struct req *rq, const char *name, const char *more)
{
	struct buf b = BUF(rq->c->mem);

	buf_puts(&b, "/user/");
	buf_put_url(&b, str_of(name));
	buf_putf(&b, "?tab=settings%s", more);
	return buf_cstr(&b);
}

/* A new session in place of whatever the browser had. */
static enum err_kind
sign_in(struct req *rq, const struct mail_code_used *u)
{
	json_t *o = js_object(rq->c);

	session_load(rq);
	session_login(rq, u->uuid, u->name);
	if (!rq->c->conf->action_log_audit_logins)
		return ERR_NONE;
	jo_str(o, "type", "quayauth");
	jo_str(o, "kind", "user");
	jo_str(o, "username", u->name);
	jo_strn(o, "useragent", rq->user_agent);
	jo_str(o, "message", "by the link in a mail");
	return audit_add(rq->c, &(struct audit_row){ .kind = AUDIT_login_success,
	                                             .namespace_id = u->account_id,
	                                             .performer_id = u->account_id,
	                                             .ip = rq->remote_addr,
	                                             .metadata = js_dump(rq->c, o) });
}

/* The account gets the address that was confirmed; a mail says so at the one it had. */
static enum err_kind
change_address(struct req *rq, const struct mail_code_used *u)
{
	json_t *o = js_object(rq->c);

	TRY(user_change_email(rq->c, u->account_id, str_of(u->address)));
	jo_str(o, "email", u->address);
	jo_str(o, "old_email", u->email);
	TRY(audit_add(rq->c, &(struct audit_row){ .kind = AUDIT_user_change_email,
	                                          .namespace_id = u->account_id,
	                                          .performer_id = u->account_id,
	                                          .ip = rq->remote_addr,
	                                          .metadata = js_dump(rq->c, o) }));
	if (u->email == NULL || !smtp_address_ok(str_of(u->email)))
		return ERR_NONE;
	return mail_queue(
	    rq->c, &rq->app->login->secrets,
	    &(struct mail){ .kind = MAIL_EMAIL_CHANGED, .to = str_of(u->email), .user = str_of(u->name) });
}

static enum err_kind
site_confirm(struct req *rq)
{
	const struct db_result *r;
	struct mail_code_used u;
	bool changes;

	TRY(mail_code_use(rq->c, &rq->app->login->secrets, req_query(rq, "code"), MAIL_PURPOSE_CONFIRM,
	                  MAIL_PURPOSE_CHANGE, &u));
	if (u.account_id == 0)
		return bad_code(rq);
	changes = u.purpose == MAIL_PURPOSE_CHANGE;
	if (changes) {
		TRY(db_exec(rq->c, STMT_USER_EMAIL_IS_USED, DB_ARGS(db_i64(u.account_id), db_str(u.address)),
		            &r));
		if (db_get_bool(r, 0, 0))
			return page(rq, text_of(rq, TEXT_PAGE_CODE_TITLE, NULL),
			            text_of(rq, TEXT_PAGE_EMAIL_TAKEN, NULL));
		TRY(change_address(rq, &u));
	}
	TRY(db_exec(rq->c, STMT_ACCOUNT_VERIFY, DB_ARGS(db_i64(u.account_id)), NULL));
	TRY(sign_in(rq, &u));
	return redirect(rq, u.has_prompts ? "/updateuser" : changes ? settings_path(rq, u.name, "") : "/");
}

static enum err_kind
site_recovery(struct req *rq)
{
	struct mail_code_used u;

	TRY(mail_code_use(rq->c, &rq->app->login->secrets, req_query(rq, "code"), MAIL_PURPOSE_RECOVERY,
	                  MAIL_PURPOSE_RECOVERY, &u));
	if (u.account_id == 0)
		return bad_code(rq);
	TRY(db_exec(rq->c, STMT_ACCOUNT_VERIFY, DB_ARGS(db_i64(u.account_id)), NULL));
	TRY(sign_in(rq, &u));
	return redirect(rq, settings_path(rq, u.name, "&action=password"));
}

static enum err_kind
site_repository_email(struct req *rq)
{
	const struct str code = req_query(rq, "code");
	const struct db_result *r;
	struct buf repository = BUF(rq->c->mem);

	TRY(db_exec(rq->c, STMT_REPOSITORY_EMAIL_CONFIRM,
	            DB_ARGS(mail_code_hash(rq->c, &rq->app->login->secrets, "repository email", code),
	                    db_i64(REPO_EMAIL_LIFE_S * 1000)),
	            &r));
	if (r->rows == 0)
		return bad_code(rq);
	buf_putf(&repository, "%s/%s", db_get_str(r, 0, REPOSITORY_EMAIL_CONFIRM_NAMESPACE),
	         db_get_str(r, 0, REPOSITORY_EMAIL_CONFIRM_REPOSITORY));
	const struct text_value values[] = {
		{"repository",                     buf_str(&repository)},
		{ "email",                         db_get_strn(r,        0, REPOSITORY_EMAIL_CONFIRM_EMAIL) },
		{ NULL, STR0                   }
	};
	return page(rq, text_of(rq, TEXT_PAGE_REPO_EMAIL_TITLE, NULL),
	            text_of(rq, TEXT_PAGE_REPO_EMAIL_BODY, values));
}

static void
put_button(struct req *rq, struct buf *b, const char *tag, enum text t)
{
	buf_putf(b, "<button %s>", tag);
	page_text(b, text_of(rq, t, NULL), "");
	buf_puts(b, "</button>");
}

static void
put_form(struct req *rq, struct buf *b, struct str code)
{
	buf_putf(b,
	         "<form method=\"post\" action=\"%s/confirminvite\">\n<input type=\"hidden\" name=\"code\" "
	         "value=\"",
	         rq->http->mount);
	buf_put_html(b, code);
	buf_puts(b, "\">\n<input type=\"hidden\" name=\"_csrf_token\" value=\"");
	buf_put_html(b, str_of(session_csrf(rq)));
	buf_puts(b, "\">\n");
	put_button(rq, b, "class=\"go\" name=\"answer\" value=\"accept\"", TEXT_PAGE_INVITE_ACCEPT);
	put_button(rq, b, "name=\"answer\" value=\"decline\"", TEXT_PAGE_INVITE_DECLINE);
	buf_puts(b, "\n</form>\n");
}

static enum err_kind
site_invite(struct req *rq)
{
	const struct str code = req_query(rq, "code");
	struct buf b = BUF(rq->c->mem);
	struct invite i;

	TRY(invite_find(rq->c, &rq->app->login->secrets, code, rq->facts.caller_id, &i));
	if (i.id == 0)
		return bad_code(rq);
	const struct text_value values[] = {
		{"org",      str_of(i.organization)       },
		{ "team",    str_of(i.team)               },
		{ "inviter", str_of(i.inviter)            },
		{ "user",    str_of(rq->facts.caller_name)},
		{ NULL,      STR0                         }
	};
	page_begin(rq, &b, "%s", text_of(rq, TEXT_PAGE_INVITE_TITLE, values));
	page_element(&b, "p", "%s", text_of(rq, TEXT_PAGE_INVITE_BODY, values));
	page_element(
	    &b, "p", "%s",
	    text_of(rq, rq->facts.caller_id == 0 ? TEXT_PAGE_INVITE_SIGN_IN : TEXT_PAGE_INVITE_AS, values));
	if (rq->facts.caller_id != 0 && i.is_mine)
		put_form(rq, &b, code);
	else if (rq->facts.caller_id != 0)
		page_element(&b, "p", "%s", text_of(rq, TEXT_PAGE_INVITE_OTHER, values));
	page_answer(rq, &b, STR0);
	return ERR_NONE;
}

/* The form, read before the transaction. */
static enum err_kind
prepare_answer(struct req *rq)
{
	struct str *form = ARENA_NEW(rq->c->mem, struct str);

	TRY(req_body_all(rq, FORM_BYTES, form));
	rq->prepared = form;
	return session_check_form(rq, form_value(rq->c, *form, "_csrf_token"));
}

static enum err_kind
site_invite_answer(struct req *rq)
{
	const struct str form = *(const struct str *)rq->prepared;
	const struct audit_row log = { .performer_id = rq->facts.caller_id, .ip = rq->remote_addr };
	const bool accepts = str_eq(form_value(rq->c, form, "answer"), STR("accept"));
	struct invite i;

	TRY(invite_find(rq->c, &rq->app->login->secrets, form_value(rq->c, form, "code"), rq->facts.caller_id,
	                &i));
	if (i.id == 0 || !i.is_mine)
		return bad_code(rq);
	const struct text_value values[] = {
		{"org",   str_of(i.organization)},
                { "team", str_of(i.team)        },
                { NULL,   STR0                  }
	};
	if (!accepts) {
		TRY(invite_decline(rq->c, &i, rq->facts.caller_name, &log));
		return page(rq, text_of(rq, TEXT_PAGE_INVITE_DECLINED, values), NULL);
	}
	TRY(invite_accept(rq->c, &i, rq->facts.caller_name, &log));
	return page(rq, text_of(rq, TEXT_PAGE_INVITE_JOINED, values), NULL);
}

/* clang-format off */
#define LINK .methods = HTTP_GET, .proto = PROTO_SITE, .perm = PERM_NONE, .rate = RATE_AUTH, .feature = CONF_FLAG(feature_mailing)
const struct route SITE_MAIL_LINK_ROUTES[] = {
	{ .id = "web.confirm_email", LINK, .path = "/confirm", .auth = AUTH_NONE, .flags = ROUTE_WRITES, .tx = TX_WRITE, .run = site_confirm,
	  .doc = "Confirms an e-mail address and signs in." },
	{ .id = "web.confirm_recovery", LINK, .path = "/recovery", .auth = AUTH_NONE, .flags = ROUTE_WRITES, .tx = TX_WRITE, .run = site_recovery,
	  .doc = "Recovers an account: signs in, to choose a new password." },
	{ .id = "web.confirm_repo_email", LINK, .path = "/authrepoemail", .auth = AUTH_NONE, .flags = ROUTE_WRITES, .tx = TX_WRITE,
	  .run = site_repository_email, .doc = "Allows mails about a repository to an address." },
	{ .id = "web.confirm_invite", LINK, .path = "/confirminvite", .auth = AUTH_SITE, .run = site_invite, .doc = "Shows an invitation to a team." },
	{ .id = "web.answer_invite", .methods = HTTP_POST, .path = "/confirminvite", .proto = PROTO_SITE, .auth = AUTH_SITE, .perm = PERM_CALLER,
	  .rate = RATE_API_WRITE, .flags = ROUTE_WRITES, .feature = CONF_FLAG(feature_mailing), .prepare = prepare_answer, .tx = TX_WRITE,
	  .run = site_invite_answer, .doc = "Takes or declines it." },
	{ .id = NULL }
};
