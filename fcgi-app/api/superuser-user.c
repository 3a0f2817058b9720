/* Users as superusers manage them: made, looked at, changed, deleted. Superusers do not change one another. */
#include "api/log-action.h"
#include "api/new-password.h"
#include "api/routes.h"
#include "api/view-quota.h"
#include "api/view-superuser.h"
#include "app.h"
#include "auth/credential.h"
#include "auth/login.h"
#include "auth/password.h"
#include "auth/scope.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/account.h"
#include "model/mail-code.h"
#include "model/mail.h"
#include "model/user.h"
#include "oci/name.h"

#define PASSWORD_LENGTH 32
enum { KIND_USER = 1 };

static const struct say SAY_NOT_DATABASE = { 400, "invalid_request", "User creation is not supported with this authentication system" };
static const struct say SAY_UPDATE_SUPERUSER = { 400, "invalid_request", "Cannot update a superuser" };
static const struct say SAY_DELETE_SUPERUSER = { 400, "invalid_request", "Cannot delete a superuser" };
static const struct say SAY_FIXED_LIST = { 400, "invalid_request", "Superusers are named by SUPER_USERS in config.yaml" };
static const struct say SAY_NO_PASSWORDS = { 400, "invalid_request", "Cannot change password in this authentication system" };
static const struct say SAY_NO_EMAILS = { 400, "invalid_request", "Cannot change e-mail address in this authentication system" };
static const struct say SAY_TAKEN = { 400, "message", "Username or e-mail address already exists" };
static const struct say SAY_EMAIL = { 400, "message", "Invalid email address" };

static const struct field CREATE[] = { F_STR("username", F_REQUIRED, .doc = "The username of the user being created"),
	                               F_STR("email", F_NULL, .doc = "The email address of the user being created"), F_END };
static const struct field CHANGE[] = { F_STR("password", .doc = "The new password for the user"), F_STR("email", .doc = "The new e-mail address for the user"),
	                               F_BOOL("enabled", .doc = "Whether the user is enabled"),
	                               F_BOOL("superuser", .doc = "Not changed here: superusers are named in the configuration"), F_END };

static enum err_kind
bind_user(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "username")));
	db_args_add(a, db_i32(KIND_USER));
	db_args_add(a, db_bool(quotas_are_on(rq->c->conf)));
	return ERR_NONE;
}

static enum err_kind
loaded(struct req *rq, struct su_account *a)
{
	su_account_from_row(rq->load, 0, SU_ACCOUNT_LOAD_SU_ACCOUNT0, a);
	return a->id != 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such user");
}

static json_t *
answer(struct req *rq, const struct su_account *a)
{
	struct quota q;
	json_t      *o = res_json(rq, 200);
	json_t      *v = view_su_user(rq->c->conf, a);

	json_object_update(o, v);
	json_decref(v);
	quota_from_row(rq->load, 0, SU_ACCOUNT_LOAD_QUOTA0, &q);
	view_quota_short(rq->c, o, &q);
	return o;
}

static enum err_kind
api_su_user(struct req *rq)
{
	struct su_account a;

	TRY(loaded(rq, &a));
	answer(rq, &a);
	return ERR_NONE;
}

/* A password of the registry's own making and its hash. */
struct made {
	char password[PASSWORD_LENGTH + 1], hash[PASSWORD_HASH_TEXT];
};

static enum err_kind
prepare_create(struct req *rq)
{
	struct made *m = ARENA_NEW(rq->c->mem, struct made);

	if (strcmp(rq->c->conf->authentication_type, "Database") != 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NOT_DATABASE);
	random_text(m->password, PASSWORD_LENGTH, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
	m->password[PASSWORD_LENGTH] = '\0';
	TRY(password_hash(rq->c, str_of(m->password), PASSWORD_COST, m->hash));
	rq->prepared = m;
	return ERR_NONE;
}

static enum err_kind
ask_address(struct req *rq, int64_t id, struct str name, struct str email)
{
	const struct secrets *s = &rq->app->login->secrets;
	struct mail           m = { .kind = MAIL_CONFIRM, .to = email, .user = name, .life_s = CONFIRM_LIFE_S };

	TRY(mail_code_make(rq->c, s, &(struct mail_code_new){ .account_id = id, .purpose = MAIL_PURPOSE_CONFIRM, .address = email, .life_s = CONFIRM_LIFE_S },
	                   &m.code, &m.until_ms));
	return mail_queue(rq->c, s, &m);
}

static enum err_kind
api_su_user_create(struct req *rq)
{
	struct ctx             *c = rq->c;
	const struct made      *m = rq->prepared;
	const struct str        name = js_str(rq->body, "username"), email = js_str(rq->body, "email");
	const char             *shown = email.p == NULL ? NULL : str_dup(c->mem, email);
	const struct db_result *r;
	struct str              encrypted;
	enum err_kind           e;
	json_t                 *o;

	TRY(oci_namespace_check(c, name));
	if (email.n == 0 && c->conf->feature_mailing)
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL);
	if (email.n > 0 && !email_is_valid(email))
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL);
	e = db_exec(c, STMT_USER_CREATE,
	            DB_ARGS(db_strn(name), email.n > 0 ? db_strn(email) : db_null(), db_str(m->hash), db_bool(!c->conf->feature_mailing),
	                    db_i64(c->conf->default_tag_expiration_s)),
	            &r);
	if ((e == ERR_BUG && strcmp(db_sqlstate(c), "23505") == 0) || (e == ERR_NONE && r->rows == 0))
		return err_say(c, ERR_BAD_INPUT, &SAY_TAKEN);
	TRY(e);
	o = js_object(c);
	jo_str(o, "email", shown);
	jo_strn(o, "username", name);
	jo_str(o, "superuser", rq->facts.caller_name);
	TRY(log_action(rq, AUDIT_user_create, db_get_i64(r, 0, USER_CREATE_ID), 0, o));
	if (c->conf->feature_mailing)
		TRY(ask_address(rq, db_get_i64(r, 0, USER_CREATE_ID), name, email));
	TRY(secret_password_put(c, &rq->app->login->secrets.application, NULL, str_of(m->password), &encrypted));
	o = res_json(rq, 200);
	jo_strn(o, "username", name);
	jo_str(o, "email", shown);
	jo_str(o, "password", m->password);
	jo_strn(o, "encrypted_password", encrypted);
	res_header(rq, "Cache-Control", STR("no-store"));
	return ERR_NONE;
}

static enum err_kind
log_change(struct req *rq, enum audit_kind kind, const struct su_account *a, const char *old_email, struct str email)
{
	json_t *o = js_object(rq->c);

	jo_str(o, "username", a->name);
	jo_str(o, "superuser", rq->facts.caller_name);
	if (email.p != NULL) {
		jo_strn(o, "email", email);
		jo_str(o, "old_email", old_email);
	}
	return log_action(rq, kind, a->id, 0, o);
}

/* What this authentication system and the target allow; then the password's hash. */
static enum err_kind
prepare_change(struct req *rq)
{
	const char       *type = rq->c->conf->authentication_type;
	const bool        is_database = strcmp(type, "Database") == 0;
	struct su_account a;

	TRY(loaded(rq, &a));
	if (su_is_superuser(rq->c->conf, a.name))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_UPDATE_SUPERUSER);
	if (json_object_get(rq->body, "superuser") != NULL)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_FIXED_LIST); /* Differs: Quay rewrites its configuration */
	if (json_object_get(rq->body, "password") != NULL && !is_database)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_PASSWORDS);
	if (json_object_get(rq->body, "email") != NULL && !is_database && strcmp(type, "AppToken") != 0)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NO_EMAILS);
	return new_password_prepare(rq);
}

static enum err_kind
api_su_user_change(struct req *rq)
{
	struct ctx       *c = rq->c;
	const struct str  email = js_str(rq->body, "email"), password = js_str(rq->body, "password");
	const json_t     *enabled = json_object_get(rq->body, "enabled");
	struct su_account a;
	struct str        encrypted;
	const char       *uuid, *old_email;

	TRY(loaded(rq, &a));
	old_email = a.email;
	if (rq->prepared != NULL) {
		TRY(user_change_password(c, a.id, rq->prepared, &uuid));
		TRY(log_change(rq, AUDIT_user_change_password, &a, NULL, STR0));
	}
	if (email.p != NULL) {
		TRY(user_change_email(c, a.id, email));
		TRY(log_change(rq, AUDIT_user_change_email, &a, old_email, email));
		a.email = str_dup(c->mem, email);
	}
	if (enabled != NULL) {
		TRY(db_exec(c, STMT_ACCOUNT_SET_ENABLED, DB_ARGS(db_i64(a.id), db_bool(json_is_true(enabled))), NULL));
		TRY(log_change(rq, json_is_true(enabled) ? AUDIT_user_enable : AUDIT_user_disable, &a, NULL, STR0));
	}
	json_t *o = answer(rq, &a); /* `enabled` as it was before, as in Quay */
	if (rq->prepared != NULL) {
		TRY(secret_password_put(c, &rq->app->login->secrets.application, NULL, password, &encrypted));
		jo_strn(o, "encrypted_password", encrypted);
		res_header(rq, "Cache-Control", STR("no-store"));
	}
	return ERR_NONE;
}

static enum err_kind
api_su_user_delete(struct req *rq)
{
	struct su_account a;
	json_t           *o;

	TRY(loaded(rq, &a));
	if (su_is_superuser(rq->c->conf, a.name))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_DELETE_SUPERUSER);
	TRY(namespace_delete(rq->c, a.id));
	o = js_object(rq->c);
	jo_str(o, "username", a.name);
	jo_str(o, "superuser", rq->facts.caller_name);
	TRY(log_action(rq, AUDIT_user_delete, a.id, 0, o));
	res_empty(rq, 204);
	return ERR_NONE;
}

#define ONE "/api/v1/superuser/users/<name:username>"
#define WRITES .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH, \
	       .tx = TX_WRITE, .feature = CONF_FLAG(feature_super_users)
const struct route API_SUPERUSER_USER_ROUTES[] = {
	{ .id = "createInstallUser", .methods = HTTP_POST, .path = "/api/v1/superuser/users/", WRITES, .body = CREATE, .prepare = prepare_create,
	  .run = api_su_user_create, .doc = "Makes a user with a password of the registry's making." },
	{ .id = "getInstallUser", .methods = HTTP_GET | HTTP_HEAD, .path = ONE, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER_READ,
	  .rate = RATE_API_READ, .flags = ROUTE_FRESH, .feature = CONF_FLAG(feature_super_users), .load = STMT_SU_ACCOUNT_LOAD, .bind = bind_user,
	  .run = api_su_user, .doc = "One user." },
	{ .id = "changeInstallUser", .methods = HTTP_PUT, .path = ONE, WRITES, .load = STMT_SU_ACCOUNT_LOAD, .bind = bind_user, .body = CHANGE,
	  .prepare = prepare_change, .run = api_su_user_change, .doc = "Changes a user's password, address or state." },
	{ .id = "deleteInstallUser", .methods = HTTP_DELETE, .path = ONE, WRITES, .load = STMT_SU_ACCOUNT_LOAD, .bind = bind_user,
	  .run = api_su_user_delete, .doc = "Deletes a user." },
	{ .id = NULL }
};
