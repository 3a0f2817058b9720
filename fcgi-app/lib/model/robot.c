/* Robot accounts. */
#include "model/robot.h"

#include "auth/credential.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "oci/name.h"

enum {
	R_ID,
	R_NAME,
	R_CREATED_MS,
	R_LAST_ACCESSED_MS,
	R_DESCRIPTION,
	R_METADATA,
	R_TOKEN_ENC,
	R_TEAMS,
	R_REPOSITORIES,
	R_COLS
};
_Static_assert((int)R_COLS == ROBOT_ITEM_COLS, "robot.sql and robot.c differ");

static const struct say SAY_MESSAGE = { 400, "message", "Request error." };
static const struct say SAY_UNKNOWN = { 400, "message", "Could not find robot with specified username" };
static const struct say SAY_DISALLOWED = {
	400, "message", "Robot accounts have been disabled. Please contact your administrator."
};

enum err_kind
robot_list(struct ctx *c, const struct robot_query *q, const struct db_result **out)
{
	return db_exec(c, STMT_ROBOT_LIST,
	               DB_ARGS(db_i64(q->owner_id), db_str(q->name), db_bool(q->with_token),
	                       db_bool(q->with_permissions),
	                       q->max > 0 ? db_i32((int32_t)q->max) : db_null()),
	               out);
}

enum err_kind
robot_from_row(struct ctx *c, const struct secrets *s, const struct db_result *r, int row, struct robot *out)
{
	const struct str sealed = db_get_strn(r, row, R_TOKEN_ENC);
	struct str token;
	enum err_kind e;

	*out = (struct robot){
		.id = db_get_i64(r, row, R_ID),
		.name = db_get_str(r, row, R_NAME),
		.created_ms = db_get_i64(r, row, R_CREATED_MS),
		.last_accessed_ms = db_get_i64(r, row, R_LAST_ACCESSED_MS),
		.description = db_get_str(r, row, R_DESCRIPTION),
		.metadata = db_get_str(r, row, R_METADATA),
		.teams = db_get_strn(r, row, R_TEAMS),
		.repositories = db_get_strn(r, row, R_REPOSITORIES),
	};
	if (sealed.p == NULL)
		return ERR_NONE;
	e = secret_open(c, s, "robot.token_enc", sealed, &token);
	if (e == ERR_DENIED || e == ERR_UNSUPPORTED) { /* of another key: the others are still shown */
		err_clear(c);
		return ERR_NONE;
	}
	TRY(e);
	out->token = str_dup(c->mem, token);
	return ERR_NONE;
}

enum err_kind
robot_get(struct ctx *c, const struct secrets *s, const struct robot_query *q, struct robot *out)
{
	const struct db_result *r;

	TRY(robot_list(c, q, &r));
	return r->rows == 0 ? err_say(c, ERR_BAD_INPUT, &SAY_UNKNOWN) : robot_from_row(c, s, r, 0, out);
}

enum err_kind
robot_create(struct ctx *c, const struct secrets *s, const struct robot_new *n, int64_t *id)
{
	const struct db_result *r;
	struct str sealed;
	uint8_t hash[TOKEN_HASH_BYTES];
	char token[TOKEN_TEXT_MAX + 1];
	const char *name;

	if (!oci_namespace_valid(n->short_name))
		return err_say_fmt(
		    c, ERR_BAD_INPUT, &SAY_MESSAGE, "The name for the robot '%.*s' is invalid: %s",
		    n->short_name.n > OCI_NAMESPACE_MAX ? OCI_NAMESPACE_MAX : (int)n->short_name.n,
		    n->short_name.p,
		    n->short_name.n < OCI_NAMESPACE_MIN || n->short_name.n > OCI_NAMESPACE_MAX
		        ? OCI_SAY_NAMESPACE_LENGTH.message
		        : OCI_SAY_NAMESPACE_CHARACTERS.message);
	name = oci_robot_name(c, n->ns, n->short_name);
	if (c->conf->robots_disallow && !str_list_has(&c->conf->robots_whitelist, str_of(name)))
		return err_say(c, ERR_BAD_INPUT, &SAY_DISALLOWED);
	token_make(TOKEN_ROBOT, token);
	TRY(secret_seal(c, s, "robot.token_enc", str_of(token), &sealed));
	secret_token_hash(s, "robot", str_of(token), hash);
	explicit_bzero(token, sizeof token);
	TRY(db_exec(c, STMT_ROBOT_MAKE,
	            DB_ARGS(db_i64(n->owner_id), db_str(name),
	                    db_bytes((struct str){ (const char *)hash, sizeof hash }), db_strn(sealed),
	                    db_strn(n->description), db_str(n->metadata)),
	            &r));
	if (r->rows == 0)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY_MESSAGE, "Existing robot with name: %s", name);
	*id = db_get_i64(r, 0, ROBOT_MAKE_ID);
	return ERR_NONE;
}

enum err_kind
robot_delete(struct ctx *c, int64_t owner_id, const char *name)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_ROBOT_REMOVE, DB_ARGS(db_i64(owner_id), db_str(name)), &r));
	return r->affected == 1 ? ERR_NONE : err_say(c, ERR_BAD_INPUT, &SAY_UNKNOWN);
}

enum err_kind
robot_set_federation(struct ctx *c, int64_t robot_id, const struct robot_issuers *f)
{
	static const struct robot_issuers NOBODY = { 0 };

	if (f == NULL)
		f = &NOBODY;
	TRY(db_queue(c, STMT_ROBOT_FEDERATION_CLEAR, DB_ARGS(db_i64(robot_id)), NULL));
	return db_exec(c, STMT_ROBOT_FEDERATION_ADD,
	               DB_ARGS(db_i64(robot_id), db_str_array(f->issuers, f->n), db_str_array(f->subjects, f->n), db_str_array(f->audiences, f->n)), NULL);
}
