/* Users, robots and tokens: made by the first-user call and the command line. */
#include "model/account.h"

#include <string.h>

#include "auth/password.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/user.h"
#include "oci/name.h"

static const struct say SAY_EMAIL = { 400, "invalid_request", "Invalid email address" };
static const struct say SAY_TAKEN = { 409, "invalid_request", "Username or email address already exists" };
static const struct say SAY_RESERVED = { 409, "invalid_request", "Username is not available" };
static const struct say SAY_ROBOT = { 400, "invalid_request", "The name for the robot is invalid" };

static enum err_kind
taken_or(struct ctx *c, enum err_kind e)
{
	return e == ERR_BUG && strcmp(db_sqlstate(c), "23505") == 0 ? err_say(c, ERR_CONFLICT, &SAY_TAKEN) : e;
}

enum err_kind
account_make_user(struct ctx *c, const struct user_new *u, int64_t *id, const char **uuid)
{
	const struct db_result *r;
	const char             *hashed = u->password_hash;
	char                    hash[PASSWORD_HASH_TEXT];

	TRY(oci_namespace_check(c, u->name));
	if (u->email.p != NULL && !email_is_valid(u->email))
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL);
	if (u->password_hash == NULL && u->password.p != NULL) {
		TRY(password_check_rules(c, u->password));
		TRY(password_hash(c, u->password, PASSWORD_COST, hash));
		hashed = hash;
	}
	TRY(taken_or(c, db_exec(c, STMT_USER_CREATE,
	                        DB_ARGS(db_strn(u->name), db_strn(u->email), db_str(hashed), db_bool(!u->is_unverified),
	                                db_i64(c->conf->default_tag_expiration_s)),
	                        &r)));
	if (r->rows == 0)
		return err_say(c, ERR_CONFLICT, &SAY_RESERVED);
	*id = db_get_i64(r, 0, USER_CREATE_ID);
	*uuid = db_get_str(r, 0, USER_CREATE_UUID);
	return ERR_NONE;
}

static struct db_arg
hash_arg(struct ctx *c, const struct secrets *s, const char *kind, const char *token)
{
	uint8_t *h = arena_alloc(c->mem, TOKEN_HASH_BYTES);

	secret_token_hash(s, kind, str_of(token), h);
	return db_bytes((struct str){ (const char *)h, TOKEN_HASH_BYTES });
}

enum err_kind
account_make_robot(struct ctx *c, const struct secrets *s, struct str ns, struct str short_name, char token[TOKEN_TEXT_MAX + 1])
{
	const struct db_result *r;
	struct str              sealed;
	char                   *name;

	if (!oci_namespace_valid(short_name))
		return err_say(c, ERR_BAD_INPUT, &SAY_ROBOT);
	TRY(db_exec(c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_strn(ns)), &r));
	if (r->rows == 0 || db_get_i64(r, 0, ACCOUNT_BY_NAME_KIND) == 3)
		return err_set(c, ERR_NOT_FOUND, "no user or organization named %.*s", STRF(ns));
	name = oci_robot_name(c, ns, short_name);
	token_make(TOKEN_ROBOT, token);
	TRY(secret_seal(c, s, "robot.token_enc", str_of(token), &sealed));
	return taken_or(c, db_exec(c, STMT_ROBOT_CREATE,
	                           DB_ARGS(db_i64(db_get_i64(r, 0, ACCOUNT_BY_NAME_ID)), db_str(name), hash_arg(c, s, "robot", token), db_strn(sealed), db_str("")),
	                           NULL));
}

enum err_kind
account_ensure_application(struct ctx *c, const struct secrets *s, int64_t organization_id, const char *client_id, const char *name, int64_t *id)
{
	const struct db_result *r;
	struct str              sealed;
	char                    secret[TOKEN_TEXT_MAX + 1];

	token_make(TOKEN_CLIENT_SECRET, secret);
	TRY(secret_seal(c, s, "oauth_application.secret_enc", str_of(secret), &sealed));
	TRY(db_exec(c, STMT_APPLICATION_ENSURE,
	            DB_ARGS(db_i64(organization_id), db_str(client_id), db_str(name), db_str(""), db_strn(sealed), hash_arg(c, s, "client", secret)), &r));
	*id = db_get_i64(r, 0, APPLICATION_ENSURE_ID);
	return ERR_NONE;
}

enum err_kind
account_make_token(struct ctx *c, const struct secrets *s, const struct token_new *t, char token[TOKEN_TEXT_MAX + 1],
                   const char **uuid)
{
	static const struct {
		enum token_format format;
		const char       *hash_kind;
		bool              shown_again;
	} KIND[] = { [1] = { TOKEN_APP, "app", true }, [2] = { TOKEN_OAUTH, "oauth", false }, [3] = { TOKEN_ACCESS, "access", true } };
	const struct db_result *r;
	struct str              sealed = STR0;

	token_make(KIND[t->kind].format, token);
	if (KIND[t->kind].shown_again)
		TRY(secret_seal(c, s, "token.secret_enc", str_of(token), &sealed));
	TRY(db_exec(c, STMT_TOKEN_CREATE,
	            DB_ARGS(db_i32(t->kind), db_i64_or_null(t->account_id), hash_arg(c, s, KIND[t->kind].hash_kind, token), db_strn(sealed),
	                    db_str(t->title), db_str(t->scopes), db_i64_or_null(t->application_id), db_i64_or_null(t->repository_id),
	                    t->role == 0 ? db_null() : db_i32(t->role), db_i64_or_null(t->expires_after_ms)),
	            &r));
	if (uuid != NULL)
		*uuid = db_get_str(r, 0, TOKEN_CREATE_UUID);
	return ERR_NONE;
}

enum err_kind
account_robot_token(struct ctx *c, const struct secrets *s, int64_t robot_id, struct str *token)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_ROBOT_TOKEN, DB_ARGS(db_i64(robot_id)), &r));
	if (r->rows == 0)
		return err_set(c, ERR_NOT_FOUND, "no such robot");
	return secret_open(c, s, "robot.token_enc", db_get_strn(r, 0, ROBOT_TOKEN_TOKEN_ENC), token);
}

enum err_kind
account_robot_renew(struct ctx *c, const struct secrets *s, int64_t robot_id, char token[TOKEN_TEXT_MAX + 1])
{
	const struct db_result *r;
	struct str              sealed;

	token_make(TOKEN_ROBOT, token);
	TRY(secret_seal(c, s, "robot.token_enc", str_of(token), &sealed));
	TRY(db_exec(c, STMT_ROBOT_SET_TOKEN, DB_ARGS(db_i64(robot_id), hash_arg(c, s, "robot", token), db_strn(sealed)), &r));
	return r->affected == 1 ? ERR_NONE : err_set(c, ERR_NOT_FOUND, "no such robot");
}

enum err_kind
account_set_password(struct ctx *c, int64_t user_id, struct str password)
{
	const struct db_result *r;
	char                    hash[PASSWORD_HASH_TEXT];

	TRY(password_check_rules(c, password));
	TRY(password_hash(c, password, PASSWORD_COST, hash));
	TRY(db_exec(c, STMT_USER_SET_PASSWORD, DB_ARGS(db_i64(user_id), db_str(hash)), &r));
	return r->affected == 1 ? ERR_NONE : err_set(c, ERR_NOT_FOUND, "no such user");
}

enum err_kind
account_make_organization(struct ctx *c, const struct organization_new *o, int64_t *id)
{
	const struct db_result *r;

	TRY(oci_namespace_check(c, o->name));
	if (o->email.p != NULL && !email_is_valid(o->email))
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL);
	TRY(taken_or(c, db_exec(c, STMT_ORGANIZATION_CREATE,
	                        DB_ARGS(db_strn(o->name), db_strn(o->email), db_i64(o->owner_id), db_i64(c->conf->default_tag_expiration_s)), &r)));
	if (r->rows == 0)
		return err_say(c, ERR_CONFLICT, &SAY_RESERVED);
	*id = db_get_i64(r, 0, ORGANIZATION_CREATE_ID);
	return ERR_NONE;
}
