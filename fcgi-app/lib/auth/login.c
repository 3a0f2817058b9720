/* Credentials against the database. Statements: one for each kind; a bearer token needs none. Times do not tell whether a
 * name exists: an unknown user costs a bcrypt too. */
#include "auth/login.h"

#include "auth/gate.h"
#include "auth/jose.h"
#include "auth/keyring.h"
#include "auth/network.h"
#include "auth/password.h"
#include "auth/registry-token.h"
#include "auth/scope.h"
#include "auth/throttle.h"
#include "auth/token-cache.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"

static const struct say SAY_BAD_CREDENTIALS = { 401, "UNAUTHORIZED", "Specified credentials are invalid" };
static const struct say SAY_BAD_PASSWORD = { 401, "UNAUTHORIZED", "Invalid Username or Password" };
static const struct say SAY_BAD_APP_TOKEN = { 401, "UNAUTHORIZED", "Invalid token" };
static const struct say SAY_BAD_OAUTH = { 401, "UNAUTHORIZED", "OAuth access token could not be validated" };
static const struct say SAY_OLD_OAUTH = { 401, "UNAUTHORIZED", "OAuth access token has expired" };
static const struct say SAY_GRANTER = { 401, "UNAUTHORIZED", "Granter of the oauth access token is disabled" };
static const struct say SAY_BAD_ACCESS_TOKEN = { 401, "UNAUTHORIZED", "Invalid access token" };
static const struct say SAY_DISABLED = { 401, "UNAUTHORIZED", "This user has been disabled. Please contact your administrator." };
static const struct say SAY_ROBOTS_OFF = { 401, "UNAUTHORIZED", "Robot account have been disabled. Please contact your administrator." };
static const struct say SAY_ENCRYPTED = { 401, "UNAUTHORIZED",
	"Client login with unencrypted passwords is disabled. Please generate an encrypted password in the user admin panel for use here." };
static const struct say SAY_THROTTLED = { 429, "TOOMANYREQUESTS", "Too many login attempts. \nPlease reset your Quay password and try again." };
static const struct say SAY_BEARER = { 401, "UNAUTHORIZED", "Invalid bearer token" };

enum token_kind { TOKEN_KIND_APP = 1, TOKEN_KIND_OAUTH = 2, TOKEN_KIND_ACCESS = 3 };

static enum err_kind
refuse(struct ctx *c, const struct say *say)
{
	return err_say(c, ERR_UNAUTHENTICATED, say);
}

static enum err_kind
throttled(struct ctx *c, const struct login_env *env, const struct throttle_who *who)
{
	const int64_t wait_ms = env->throttle == NULL ? 0 : throttle_wait_ms(env->throttle, who, c->now_ms);

	if (wait_ms <= 0)
		return ERR_NONE;
	err_say(c, ERR_RATE, &SAY_THROTTLED);
	return err_retry_after(c, (int)((wait_ms + 999) / 1000));
}

static void
count_result(struct ctx *c, const struct login_env *env, const struct throttle_who *who, bool right)
{
	if (env->throttle == NULL)
		return;
	if (right)
		throttle_succeeded(env->throttle, who);
	else
		throttle_failed(env->throttle, who, c->now_ms);
}

/* Writes down that an account and its token were used just now. */
static enum err_kind
touch(struct ctx *c, bool is_stale, const struct identity *id)
{
	if (!is_stale || c->conf->is_readonly || !c->conf->feature_user_last_accessed)
		return ERR_NONE;
	return db_exec(c, STMT_CREDENTIAL_TOUCH, DB_ARGS(db_str(id->account_uuid), db_str(id->token_uuid)), NULL);
}

static enum err_kind
login_user(struct ctx *c, const struct login_env *env, const struct credential *cr, struct str remote_addr, struct identity *out)
{
	struct throttle_who     who = { .name = cr->name, .network = network_of(remote_addr) };
	const struct db_result *r;
	struct str              password = cr->secret;
	char                    network[NETWORK_TEXT];
	bool                    fits = false, found;

	network_text(who.network, network);
	TRY(db_exec(c, STMT_USER_BY_LOGIN, DB_ARGS(db_strn(cr->name), db_str(network)), &r));
	found = r->rows > 0;
	if (found)              /* name and mail address are one account; a new password makes a new uuid, and forgets the wrong ones */
		who.name = db_get_strn(r, 0, USER_BY_LOGIN_UUID);
	who.is_known = found && db_get_bool(r, 0, USER_BY_LOGIN_NETWORK_KNOWN);
	TRY(throttled(c, env, &who));
	if (!secret_password_get(c, &env->secrets.application, cr->secret, &password)) {
		password = cr->secret;
		if (c->conf->feature_require_encrypted_basic_auth)
			return refuse(c, &SAY_ENCRYPTED);
	}
	TRY(password_check(c,
	                   &(struct password_check){ .password = password,
	                                             .hash = found ? db_get_strn(r, 0, USER_BY_LOGIN_PASSWORD_HASH) : STR0,
	                                             .uuid = found ? db_get_strn(r, 0, USER_BY_LOGIN_UUID) : STR0,
	                                             .gate = env->gate,
	                                             .gate_slots = env->gate_slots,
	                                             .cache = env->passwords },
	                   &fits));
	count_result(c, env, &who, found && fits);
	if (!found || !fits)
		return refuse(c, &SAY_BAD_PASSWORD);
	if (!db_get_bool(r, 0, USER_BY_LOGIN_IS_ENABLED))
		return refuse(c, &SAY_DISABLED);
	if (!who.is_known && !c->conf->is_readonly)
		TRY(db_exec(c, STMT_USER_NETWORK_SEEN, DB_ARGS(db_i64(db_get_i64(r, 0, USER_BY_LOGIN_ID)), db_str(network)), NULL));
	*out = (struct identity){ .kind = IDENTITY_USER, .name = db_get_str(r, 0, USER_BY_LOGIN_NAME),
		                  .account_uuid = db_get_str(r, 0, USER_BY_LOGIN_UUID), .scopes = SCOPE_DIRECT };
	return touch(c, db_get_bool(r, 0, USER_BY_LOGIN_IS_STALE), out);
}

/* The secret of a robot: its token, or the JWT that an exchange of its federation gave. */
static enum err_kind
robot_secret_fits(struct ctx *c, const struct login_env *env, const struct credential *cr, bool token_matches, bool *fits)
{
	const struct registry_token_want want = { .use = REGISTRY_TOKEN_EXCHANGE, .find = keyring_find, .find_arg = env->keys,
		                                  .iss = str_of(KEYRING_SERVICE), .aud = str_of(c->conf->server_hostname),
		                                  .now_s = c->now_ms / 1000 };
	struct identity                  id;
	int64_t                          exp_s;
	enum err_kind                    e;

	*fits = token_matches;
	if (!cr->is_jwt || env->keys == NULL)
		return ERR_NONE;
	e = registry_token_verify(c, cr->secret, &want, &id, &exp_s);
	if (e != ERR_NONE && e != ERR_UNAUTHENTICATED)
		return e;
	*fits = e == ERR_NONE && id.name != NULL && str_eq_c(cr->name, id.name);
	return ERR_NONE;
}

static enum err_kind
login_robot(struct ctx *c, const struct login_env *env, const struct credential *cr, struct str remote_addr, struct identity *out)
{
	struct throttle_who     who = { .name = cr->name, .network = network_of(remote_addr), .is_known = true };
	const struct db_result *r;
	uint8_t                 hash[TOKEN_HASH_BYTES];
	bool                    fits = false;

	if (c->conf->robots_disallow)
		return refuse(c, &SAY_ROBOTS_OFF);
	secret_token_hash(&env->secrets, "robot", cr->secret, hash);
	TRY(db_exec(c, STMT_ROBOT_BY_NAME, DB_ARGS(db_strn(cr->name), db_bytes((struct str){ (const char *)hash, sizeof hash })), &r));
	if (r->rows > 0)
		TRY(robot_secret_fits(c, env, cr, db_get_bool(r, 0, ROBOT_BY_NAME_TOKEN_MATCHES), &fits));
	/* Looking costs no more than waiting, and 64 random characters cannot be guessed: the right token is never made to
	 * wait for what a job with an old one did. */
	if (!fits)
		TRY(throttled(c, env, &who));
	count_result(c, env, &who, fits);
	if (!fits)
		return err_say_fmt(c, ERR_UNAUTHENTICATED, &SAY_BAD_CREDENTIALS, "Could not find robot with username: %.*s and supplied password.",
		                   STRF(cr->name));
	if (!db_get_bool(r, 0, ROBOT_BY_NAME_OWNER_ENABLED) || !db_get_bool(r, 0, ROBOT_BY_NAME_IS_ENABLED))
		return err_say_fmt(c, ERR_UNAUTHENTICATED, &SAY_BAD_CREDENTIALS, "Robot %.*s owner %s is disabled", STRF(cr->name),
		                   db_get_str(r, 0, ROBOT_BY_NAME_OWNER_NAME));
	*out = (struct identity){ .kind = IDENTITY_ROBOT, .name = db_get_str(r, 0, ROBOT_BY_NAME_NAME),
		                  .account_uuid = db_get_str(r, 0, ROBOT_BY_NAME_UUID), .scopes = SCOPE_DIRECT };
	return touch(c, db_get_bool(r, 0, ROBOT_BY_NAME_IS_STALE), out);
}

static enum err_kind
token_row(struct ctx *c, const struct login_env *env, const char *kind_name, enum token_kind kind, struct str token,
          const struct db_result **r)
{
	uint8_t hash[TOKEN_HASH_BYTES];

	secret_token_hash(&env->secrets, kind_name, token, hash);
	return db_exec(c, STMT_TOKEN_BY_HASH, DB_ARGS(db_bytes((struct str){ (const char *)hash, sizeof hash }), db_i32(kind)), r);
}

static enum err_kind
login_app_token(struct ctx *c, const struct login_env *env, struct str token, struct identity *out)
{
	const struct db_result *r;
	struct str              name, code;

	if (!token_split(TOKEN_APP, token, &name, &code))
		return refuse(c, &SAY_BAD_APP_TOKEN);
	TRY(token_row(c, env, "app", TOKEN_KIND_APP, token, &r));
	if (r->rows == 0 || db_get_bool(r, 0, TOKEN_BY_HASH_IS_EXPIRED))
		return refuse(c, &SAY_BAD_APP_TOKEN);
	if (!db_get_bool(r, 0, TOKEN_BY_HASH_ACCOUNT_ENABLED))
		return refuse(c, &SAY_DISABLED);
	*out = (struct identity){ .kind = IDENTITY_APP_TOKEN, .name = db_get_str(r, 0, TOKEN_BY_HASH_ACCOUNT_NAME),
		                  .account_uuid = db_get_str(r, 0, TOKEN_BY_HASH_ACCOUNT_UUID), .token_uuid = db_get_str(r, 0, TOKEN_BY_HASH_UUID),
		                  .scopes = SCOPE_DIRECT };
	return touch(c, db_get_bool(r, 0, TOKEN_BY_HASH_IS_STALE), out);
}

/* An imported token has only its slow hash: verified once, then found by its keyed hash. */
static enum err_kind
upgrade_imported(struct ctx *c, const struct login_env *env, struct str token, struct str prefix, struct str code)
{
	const struct db_result *r;
	uint8_t                 hash[TOKEN_HASH_BYTES];

	TRY(db_exec(c, STMT_TOKEN_BY_PREFIX, DB_ARGS(db_strn(prefix)), &r));
	for (int i = 0; i < r->rows; i++) {
		bool fits = false;
		TRY(password_check(c,
		                   &(struct password_check){ .password = code, .hash = db_get_strn(r, i, TOKEN_BY_PREFIX_SECRET_BCRYPT),
		                                             .uuid = prefix, .gate = env->gate, .gate_slots = env->gate_slots },
		                   &fits));
		if (!fits)
			continue;
		secret_token_hash(&env->secrets, "oauth", token, hash);
		return db_exec(c, STMT_TOKEN_SET_HASH,
		               DB_ARGS(db_i64(db_get_i64(r, i, TOKEN_BY_PREFIX_ID)), db_bytes((struct str){ (const char *)hash, sizeof hash })), NULL);
	}
	return ERR_NONE;
}

enum err_kind
login_oauth(struct ctx *c, const struct login_env *env, struct str token, struct identity *out)
{
	const struct db_result *r;
	struct str              prefix, code;

	if (!token_split(TOKEN_OAUTH, token, &prefix, &code) && !token_split(TOKEN_OAUTH_FLOW, token, &prefix, &code))
		return refuse(c, &SAY_BAD_OAUTH);
	TRY(token_row(c, env, "oauth", TOKEN_KIND_OAUTH, token, &r));
	if (r->rows == 0 && !c->conf->is_readonly) {
		TRY(upgrade_imported(c, env, token, prefix, code));
		TRY(token_row(c, env, "oauth", TOKEN_KIND_OAUTH, token, &r));
	}
	if (r->rows == 0)
		return refuse(c, &SAY_BAD_OAUTH);
	if (db_get_bool(r, 0, TOKEN_BY_HASH_IS_EXPIRED))
		return refuse(c, &SAY_OLD_OAUTH);
	if (!db_get_bool(r, 0, TOKEN_BY_HASH_ACCOUNT_ENABLED))
		return refuse(c, &SAY_GRANTER);
	*out = (struct identity){ .kind = IDENTITY_OAUTH, .name = db_get_str(r, 0, TOKEN_BY_HASH_ACCOUNT_NAME),
		                  .account_uuid = db_get_str(r, 0, TOKEN_BY_HASH_ACCOUNT_UUID), .token_uuid = db_get_str(r, 0, TOKEN_BY_HASH_UUID),
		                  .scopes = scope_parse(db_get_strn(r, 0, TOKEN_BY_HASH_SCOPES)) };
	return touch(c, db_get_bool(r, 0, TOKEN_BY_HASH_IS_STALE), out);
}

static enum err_kind
login_access_token(struct ctx *c, const struct login_env *env, struct str token, struct identity *out)
{
	const struct db_result *r;
	struct str              name, code;

	if (!token_split(TOKEN_ACCESS, token, &name, &code))
		return refuse(c, &SAY_BAD_ACCESS_TOKEN);
	TRY(token_row(c, env, "access", TOKEN_KIND_ACCESS, token, &r));
	if (r->rows == 0 || db_get_bool(r, 0, TOKEN_BY_HASH_IS_EXPIRED))
		return refuse(c, &SAY_BAD_ACCESS_TOKEN);
	*out = (struct identity){ .kind = IDENTITY_ACCESS_TOKEN, .token_uuid = db_get_str(r, 0, TOKEN_BY_HASH_UUID), .scopes = SCOPE_DIRECT };
	return touch(c, db_get_bool(r, 0, TOKEN_BY_HASH_IS_STALE), out);
}

enum err_kind
login_basic(struct ctx *c, const struct login_env *env, const struct credential *cr, struct str remote_addr, struct identity *out)
{
	switch (cr->kind) {
	case CREDENTIAL_NONE:
		*out = (struct identity){ .kind = IDENTITY_ANONYMOUS };
		return ERR_NONE;
	case CREDENTIAL_USER:
		return login_user(c, env, cr, remote_addr, out);
	case CREDENTIAL_ROBOT:
		return login_robot(c, env, cr, remote_addr, out);
	case CREDENTIAL_APP_TOKEN:
		return login_app_token(c, env, cr->secret, out);
	case CREDENTIAL_OAUTH:
		return login_oauth(c, env, cr->secret, out);
	case CREDENTIAL_ACCESS_TOKEN:
		return login_access_token(c, env, cr->secret, out);
	default:
		return refuse(c, &SAY_BAD_CREDENTIALS);
	}
}

static enum err_kind
login_bearer(struct ctx *c, const struct login_env *env, struct str token, struct identity *out)
{
	const struct registry_token_want want = { .use = REGISTRY_TOKEN_ACCESS, .find = keyring_find, .find_arg = env->keys,
		                                  .iss = str_of(KEYRING_SERVICE), .aud = str_of(c->conf->server_hostname),
		                                  .now_s = c->now_ms / 1000 };
	int64_t                          exp_s;
	enum err_kind                    e;

	if (token_cache_find(env->tokens, c->mem, token, c->now_ms / 1000, out))
		return ERR_NONE;
	e = registry_token_verify(c, token, &want, out, &exp_s);
	if (e == ERR_UNAUTHENTICATED) {
		/* The reason is for the log; the client learns that the token is not good. */
		const struct err why = c->err;
		refuse(c, &SAY_BEARER);
		memcpy(c->err.text, why.text, sizeof why.text);
	}
	TRY(e);
	token_cache_put(env->tokens, token, exp_s, out);
	return ERR_NONE;
}

enum err_kind
login_registry(struct ctx *c, const struct login_env *env, struct str header, struct str remote_addr, bool basic_only, struct identity *out)
{
	const struct credential cr = credential_parse(c, header, c->conf->feature_app_specific_tokens);

	if (cr.kind == CREDENTIAL_BEARER && !basic_only)
		return login_bearer(c, env, cr.secret, out);
	return login_basic(c, env, &cr, remote_addr, out);
}
