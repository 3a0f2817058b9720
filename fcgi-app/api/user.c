/* The own account: to see, change and end it; what others see of it. */
#include "api/log-action.h"
#include "api/new-password.h"
#include "api/routes.h"
#include "api/send-mail.h"
#include "api/view-user.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "conf/node.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/mail-code.h"
#include "model/mail.h"
#include "model/user.h"
#include "net/smtp.h"

static const struct say SAY_WINDOW = { 400, "invalid_request", "Invalid tag expiration" };
static const struct say SAY_SOLE_ADMIN = { 400, "invalid_request", "Cannot delete the account" };
static const struct say SAY_NOT_VALID = { 400, "invalid_request", "Invalid Username or Password" };

static const struct field CHANGE[] = {
	F_STR("password", .doc = "The new password."),
	F_BOOL("invoice_email", .doc = "Whether invoices are sent by e-mail."),
	F_STR("invoice_email_address", F_NULL, .max = 254, .doc = "Where they are sent."),
	F_STR("email", .doc = "The new e-mail address."),
	F_STR("username", .doc = "The new name."),
	F_INT("tag_expiration_s", .max = INT64_MAX, .doc = "Seconds that deleted tags can be restored."),
	F_STR("given_name", F_TEXT, F_NULL, .max = 255, .doc = "Given name."),
	F_STR("family_name", F_TEXT, F_NULL, .max = 255, .doc = "Family name."),
	F_STR("company", F_TEXT, F_NULL, .max = 255, .doc = "Company."),
	F_STR("location", F_TEXT, F_NULL, .max = 255, .doc = "Location."),
	F_END
};
static const struct field CLIENT_KEY[] = { F_STR("password", F_REQUIRED, .doc = "The user's password."), F_END };

/* GET /user/ and what the calls that change the account know of it. */
static enum err_kind
bind_self(struct req *rq, struct db_args *a)
{
	view_user_args(rq, a, NULL);
	return ERR_NONE;
}

static enum err_kind
api_user_get(struct req *rq)
{
	return view_user(rq, rq->load);
}

static enum err_kind
bind_other(struct req *rq, struct db_args *a)
{
	const char *name = str_dup(rq->c->mem, req_capture(rq, "username"));

	view_user_args(rq, a, name == NULL ? "" : name);
	return ERR_NONE;
}

/* Organizations and robots are no users here. */
static enum err_kind
api_user_other(struct req *rq)
{
	if (db_is_null(rq->load, 0, USER_LOAD_PROFILE0))
		return err_set(rq->c, ERR_NOT_FOUND, "no such user");
	return view_user(rq, rq->load);
}

static bool
has(const struct req *rq, const char *member)
{
	return json_object_get(rq->body, member) != NULL;
}

/* One member of a log's metadata. */
static json_t *
one(struct req *rq, const char *name, json_t *v)
{
	json_t *o = js_object(rq->c);

	jo_take(o, name, v);
	return o;
}

/* Tells the person what happened to the account. */
static enum err_kind
tell(struct req *rq, enum mail_kind kind, const struct profile *p)
{
	if (!rq->c->conf->feature_mailing || p->email == NULL || !smtp_address_ok(str_of(p->email)))
		return ERR_NONE;
	return mail_queue(rq->c, &rq->app->login->secrets, &(struct mail){ .kind = kind, .to = str_of(p->email), .user = str_of(p->name) });
}

static enum err_kind
change_password(struct req *rq, const struct profile *p, const char **uuid)
{
	if (rq->prepared == NULL)
		return ERR_NONE;
	TRY(user_change_password(rq->c, rq->facts.caller_id, rq->prepared, uuid));
	if (rq->ident.kind == IDENTITY_USER)
		session_login(rq, *uuid, rq->facts.caller_name);
	TRY(log_action(rq, AUDIT_account_change_password, rq->facts.caller_id, 0, NULL));
	return tell(rq, MAIL_PASSWORD_CHANGED, p);
}

static enum err_kind
change_invoicing(struct req *rq)
{
	const int64_t    id = rq->facts.caller_id;
	const struct str address = js_str(rq->body, "invoice_email_address");

	if (has(rq, "invoice_email")) {
		const bool on = js_bool(rq->body, "invoice_email", false);
		TRY(db_exec(rq->c, STMT_USER_SET_INVOICE_EMAIL, DB_ARGS(db_i64(id), db_bool(on)), NULL));
		TRY(log_action(rq, AUDIT_user_change_invoicing, id, 0, one(rq, "invoice_email", json_boolean(on))));
	}
	if (has(rq, "invoice_email_address")) {
		TRY(db_exec(rq->c, STMT_USER_SET_INVOICE_ADDRESS, DB_ARGS(db_i64(id), db_strn(address)), NULL));
		TRY(log_action(rq, AUDIT_user_change_invoicing, id, 0,
		               one(rq, "invoice_email_address", address.p == NULL ? json_null() : json_stringn(address.p, address.n))));
	}
	return ERR_NONE;
}

static bool
is_window_option(const struct conf *cf, int64_t window_s)
{
	int64_t s;

	for (size_t i = 0; i < cf->tag_expiration_options.n; i++)
		if (duration_parse(str_of(cf->tag_expiration_options.v[i]), &s) && s == window_s)
			return true;
	return false;
}

static enum err_kind
change_tag_window(struct req *rq)
{
	const int64_t window_s = js_i64(rq->body, "tag_expiration_s", -1);

	if (!rq->c->conf->feature_change_tag_expiration || !has(rq, "tag_expiration_s"))
		return ERR_NONE;
	if (!is_window_option(rq->c->conf, window_s))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_WINDOW);
	TRY(db_exec(rq->c, STMT_ACCOUNT_SET_TAG_WINDOW, DB_ARGS(db_i64(rq->facts.caller_id), db_i64(window_s)), NULL));
	return log_action(rq, AUDIT_user_change_tag_expiration, rq->facts.caller_id, 0, one(rq, "tag_expiration", json_integer(window_s)));
}

static bool
changes_email(const struct req *rq, const struct profile *p)
{
	const struct str email = js_str(rq->body, "email");

	return email.p != NULL && (p->email == NULL || !str_eq_c(email, p->email));
}

/* A mail asks at the new address; the account has the old one until then. */
static enum err_kind
ask_new_email(struct req *rq, const struct profile *p, struct str email)
{
	const struct secrets *s = &rq->app->login->secrets;
	struct mail           m = { .kind = MAIL_CHANGE_EMAIL, .to = email, .user = str_of(p->name), .life_s = CHANGE_LIFE_S };

	TRY(user_check_email(rq->c, p->id, email));
	TRY(mail_code_make(rq->c, s, &(struct mail_code_new){ .account_id = p->id, .purpose = MAIL_PURPOSE_CHANGE, .address = email, .life_s = CHANGE_LIFE_S },
	                   &m.code, &m.until_ms));
	return mail_queue(rq->c, s, &m);
}

static enum err_kind
change_email(struct req *rq, const struct profile *p)
{
	const struct str email = js_str(rq->body, "email");
	json_t          *meta;

	if (!changes_email(rq, p))
		return ERR_NONE;
	if (rq->c->conf->feature_mailing)
		return ask_new_email(rq, p, email);
	TRY(user_change_email(rq->c, p->id, email));
	meta = js_object(rq->c);
	jo_strn(meta, "email", email);
	jo_str(meta, "old_email", p->email);
	return log_action(rq, AUDIT_user_change_email, p->id, 0, meta);
}

/* The value of a member that may be given, may be null, or stays as it was; logged when it is given. */
static struct str
merged(struct req *rq, json_t *meta, const char *name, const char *now)
{
	const struct str v = js_str(rq->body, name);

	if (!has(rq, name))
		return str_of(now);
	jo_take(meta, name, v.p == NULL ? json_null() : json_stringn(v.p, v.n));
	return v;
}

static enum err_kind
change_metadata(struct req *rq, const struct profile *p)
{
	json_t    *meta = js_object(rq->c);
	struct str given, family, company, location, done[2];
	size_t     n = 0;

	if (!rq->c->conf->feature_user_metadata)
		return ERR_NONE;
	given = merged(rq, meta, "given_name", p->given_name);
	family = merged(rq, meta, "family_name", p->family_name);
	company = merged(rq, meta, "company", p->company);
	location = merged(rq, meta, "location", p->location);
	if (json_object_size(meta) == 0)
		return ERR_NONE;
	TRY(db_exec(rq->c, STMT_USER_SET_METADATA, DB_ARGS(db_i64(p->id), db_strn(given), db_strn(family), db_strn(company), db_strn(location)), NULL));
	if (has(rq, "given_name") || has(rq, "family_name"))
		done[n++] = STR("enter_name");
	if (has(rq, "company"))
		done[n++] = STR("enter_company");
	if (n > 0)
		TRY(db_exec(rq->c, STMT_USER_PROMPTS_REMOVE, DB_ARGS(db_i64(p->id), db_str_array(done, n)), NULL));
	return log_action(rq, AUDIT_user_change_metadata, p->id, 0, meta);
}

static bool
has_prompt(const struct profile *p, const char *kind)
{
	struct str rest = p->prompts, head;

	while (rest.n > 0) {
		str_cut(rest, ',', &head, &rest);
		if (str_eq_c(head, kind))
			return true;
	}
	return false;
}

/* The right to another name: by the configuration, or once, to confirm the name that was made for the person. */
static enum err_kind
change_name(struct req *rq, const struct profile *p)
{
	static const struct str CONFIRM[] = { STR("confirm_username") };
	const struct conf      *cf = rq->c->conf;
	const struct str        name = js_str(rq->body, "username");
	const bool              confirms = cf->feature_username_confirmation && has_prompt(p, "confirm_username");

	if (name.p == NULL || (!cf->feature_user_rename && !confirms))
		return ERR_NONE;
	if (confirms)
		TRY(db_exec(rq->c, STMT_USER_PROMPTS_REMOVE, DB_ARGS(db_i64(p->id), db_str_array(CONFIRM, 1)), NULL));
	if (str_eq_c(name, p->name))
		return ERR_NONE;
	TRY(user_rename(rq->c, p->id, p->name, name));
	TRY(log_action(rq, AUDIT_user_change_name, p->id, 0, one(rq, "old_username", json_string(p->name))));
	rq->ident.name = str_dup(rq->c->mem, name);
	if (rq->ident.kind == IDENTITY_USER) {
		rq->session.user_name = rq->ident.name;
		rq->session.is_dirty = true;
	}
	return ERR_NONE;
}

static enum err_kind
prepare_change(struct req *rq)
{
	struct profile p;

	profile_from_row(rq->load, 0, USER_LOAD_PROFILE0, &p);
	if (rq->c->conf->feature_mailing && changes_email(rq, &p))
		TRY(send_mail_limit(rq, js_str(rq->body, "email"), NULL));
	return new_password_prepare(rq);
}

static enum err_kind
api_user_change(struct req *rq)
{
	const char    *uuid = rq->ident.account_uuid;
	struct profile p;

	profile_from_row(rq->load, 0, USER_LOAD_PROFILE0, &p);
	TRY(change_password(rq, &p, &uuid));
	TRY(change_invoicing(rq));
	TRY(change_tag_window(rq));
	TRY(change_email(rq, &p));
	TRY(change_metadata(rq, &p));
	TRY(change_name(rq, &p));
	return view_user_again(rq, uuid);
}

static enum err_kind
api_user_delete(struct req *rq)
{
	const char *only;
	json_t     *meta = one(rq, "username", json_string(rq->facts.caller_name));

	if (strcmp(rq->c->conf->authentication_type, "Database") != 0)
		return err_set(rq->c, ERR_NOT_FOUND, "accounts are kept elsewhere");
	TRY(user_sole_admin_of(rq->c, rq->facts.caller_id, &only));
	if (only[0] != '\0')
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_SOLE_ADMIN, "Cannot delete %s as you are the only admin for organizations: %s",
		                   rq->facts.caller_name, only);
	TRY(log_action(rq, AUDIT_user_delete, rq->facts.caller_id, 0, meta));
	TRY(namespace_delete(rq->c, rq->facts.caller_id));
	if (rq->ident.kind == IDENTITY_USER)
		session_logout(rq);
	res_empty(rq, 204);
	return ERR_NONE;
}

/* The password in a form that a client may keep in a file instead of the password itself. */
static enum err_kind
prepare_client_key(struct req *rq)
{
	const struct credential cr = { .kind = CREDENTIAL_USER, .name = str_of(rq->facts.caller_name), .secret = js_str(rq->body, "password") };
	struct identity         id;
	const enum err_kind     e = login_basic(rq->c, rq->app->login, &cr, rq->remote_addr, &id);

	return e == ERR_UNAUTHENTICATED ? err_say(rq->c, ERR_BAD_INPUT, &SAY_NOT_VALID) : e;
}

static enum err_kind
api_user_client_key(struct req *rq)
{
	const struct secrets *s = &rq->app->login->secrets;
	struct str            password = js_str(rq->body, "password"), plain, key;

	/* Who shows an encrypted password gets one of the same password. */
	if (secret_password_get(rq->c, &s->application, password, &plain))
		password = plain;
	TRY(secret_password_put(rq->c, &s->application, NULL, password, &key));
	TRY(log_action(rq, AUDIT_user_generate_client_key, rq->facts.caller_id, 0, NULL));
	jo_strn(res_json(rq, 200), "key", key);
	res_header(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

static enum err_kind
api_user_detach(struct req *rq)
{
	TRY(db_exec(rq->c, STMT_EXTERNAL_LOGIN_REMOVE, DB_ARGS(db_i64(rq->facts.caller_id), db_strn(req_capture(rq, "service_id"))), NULL));
	jo_bool(res_json(rq, 200), "success", true);
	return ERR_NONE;
}

const struct route API_USER_ROUTES[] = {
	{ .id = "getLoggedInUser", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/user/", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_READ,
	  .scope = SCOPE_USER_READ | SCOPE_USER_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_ANONYMOUS_OK | ROUTE_SESSION_401,
	  .load = STMT_USER_LOAD, .bind = bind_self, .run = api_user_get, .doc = "Get user information for the authenticated user." },
	{ .id = "changeUserDetails", .methods = HTTP_PUT, .path = "/api/v1/user/", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN,
	  .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH | ROUTE_INTERNAL, .load = STMT_USER_LOAD, .bind = bind_self,
	  .prepare = prepare_change, .tx = TX_WRITE, .body = CHANGE, .run = api_user_change,
	  .doc = "Update a user's details such as password or email." },
	{ .id = "deleteCurrentUser", .methods = HTTP_DELETE, .path = "/api/v1/user/", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN,
	  .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH | ROUTE_INTERNAL, .tx = TX_WRITE, .run = api_user_delete,
	  .doc = "Delete the current user." },
	{ .id = "getUserInformation", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/users/<name:username>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NONE, .rate = RATE_API_READ, .load = STMT_USER_LOAD, .bind = bind_other, .run = api_user_other,
	  .doc = "Get user information for the specified user." },
	{ .id = "generateUserClientKey", .methods = HTTP_POST, .path = "/api/v1/user/clientkey", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_AUTH, .flags = ROUTE_INTERNAL, .prepare = prepare_client_key, .tx = TX_WRITE,
	  .body = CLIENT_KEY, .run = api_user_client_key, .doc = "The password in an encrypted form, for clients that keep it in a file." },
	{ .id = "detachExternalLogin", .methods = HTTP_POST, .path = "/api/v1/detachexternal/<name:service_id>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_INTERNAL, .feature = CONF_FLAG(feature_direct_login),
	  .tx = TX_WRITE, .run = api_user_detach, .doc = "Request that the current user be detached from the external login service." },
	{ .id = NULL }
};
