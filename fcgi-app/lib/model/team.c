/* Teams: creation, changes, members; who administrates keeps doing so. */
#include "model/team.h"

#include "base/ctx.h"
#include "db/db.h"
#include "oci/name.h"

enum { T_HAS_CALLER, T_ID, T_NAME, T_ROLE, T_DESCRIPTION, T_IS_SYNCED, T_COLS };
_Static_assert((int)T_COLS == TEAM_COLS, "team.sql and team.c differ");

static const struct say SAY_MESSAGE = { 400, "message", "Request error." };

void
team_from_row(const struct db_result *r, int row, int first_col, struct team *out)
{
	*out = (struct team){
		.id = db_get_i64(r, row, first_col + T_ID),
		.name = db_get_str(r, row, first_col + T_NAME),
		.description = db_get_str(r, row, first_col + T_DESCRIPTION),
		.role = (enum org_role)db_get_i64(r, row, first_col + T_ROLE),
		.has_caller = db_get_bool(r, row, first_col + T_HAS_CALLER),
		.is_synced = db_get_bool(r, row, first_col + T_IS_SYNCED),
	};
}

/* Which right to administrate hangs on this team alone: the caller's, everybody's. Others who change it wait. */
static enum err_kind
last_admin(struct ctx *c, int64_t organization_id, int64_t team_id, int64_t caller_id, bool *of_caller,
           bool *of_all)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_ORGANIZATION_ADMINS_LOCK, DB_ARGS(db_i64(organization_id)), NULL));
	TRY(db_exec(c, STMT_TEAM_IS_LAST_ADMIN,
	            DB_ARGS(db_i64(organization_id), db_i64(team_id), db_i64(caller_id)), &r));
	*of_caller = db_get_bool(r, 0, TEAM_IS_LAST_ADMIN_OF_CALLER);
	if (of_all != NULL)
		*of_all = db_get_bool(r, 0, TEAM_IS_LAST_ADMIN_OF_ALL);
	return ERR_NONE;
}

/* *made false: somebody else has just made it. */
static enum err_kind
team_make(struct ctx *c, const struct team_put *p, struct team_change *out, bool *made)
{
	const struct db_result *r;
	const struct say *say = p->name.n < OCI_NAMESPACE_MIN || p->name.n > OCI_NAMESPACE_MAX
	                            ? &OCI_SAY_NAMESPACE_LENGTH
	                            : &OCI_SAY_NAMESPACE_CHARACTERS;

	if (!oci_namespace_valid(p->name))
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY_MESSAGE, "Invalid team name %.*s: %s",
		                   p->name.n > OCI_NAMESPACE_MAX ? OCI_NAMESPACE_MAX : (int)p->name.n,
		                   p->name.p, say->message);
	TRY(db_exec(c, STMT_TEAM_MAKE,
	            DB_ARGS(db_i64(p->organization_id), db_strn(p->name), db_i32((int32_t)p->role),
	                    db_strn(p->description.p == NULL ? STR("") : p->description)),
	            &r));
	*made = r->rows == 1;
	if (*made) {
		out->is_new = true;
		out->team.id = db_get_i64(r, 0, TEAM_MAKE_ID);
	}
	return ERR_NONE;
}

static enum err_kind
team_update(struct ctx *c, int64_t id, const struct team_put *p, struct team_change *out)
{
	const struct db_result *r;
	struct str old;
	enum org_role was;
	bool of_caller = false;

	TRY(db_exec(c, STMT_TEAM_LOCK, DB_ARGS(db_i64(id)), &r));
	if (r->rows == 0)
		return err_set(c, ERR_NOT_FOUND, "the team is gone");
	was = (enum org_role)db_get_i64(r, 0, TEAM_LOCK_ROLE);
	old = db_get_strn(r, 0, TEAM_LOCK_DESCRIPTION);
	out->role_changed = was != p->role;
	out->description_changed = p->description.p != NULL && !str_eq(old, p->description);
	if (was == ORG_ROLE_ADMIN && out->role_changed) {
		TRY(last_admin(c, p->organization_id, id, p->caller_id, &of_caller, NULL));
		if (of_caller)
			return err_say_fmt(c, ERR_BAD_INPUT, &SAY_MESSAGE,
			                   "Cannot change the role of team '%.*s': you would no longer be an "
			                   "admin of the organization",
			                   STRF(p->name));
	}
	out->team.id = id;
	out->team.description = str_dup(c->mem, p->description.p != NULL ? p->description : old);
	if (!out->role_changed && !out->description_changed)
		return ERR_NONE;
	return db_exec(c, STMT_TEAM_CHANGE,
	               DB_ARGS(db_i64(id), db_i32((int32_t)p->role), db_str(out->team.description)), NULL);
}

enum err_kind
team_put(struct ctx *c, int64_t team_id, const struct team_put *p, struct team_change *out)
{
	const struct db_result *r;
	bool made = false;

	*out = (struct team_change){
		.team = {.name = str_dup(c->mem, p->name), .role = p->role}
	};
	if (team_id == 0) {
		TRY(team_make(c, p, out, &made));
		out->team.description = p->description.p == NULL ? "" : str_dup(c->mem, p->description);
		if (made)
			return ERR_NONE;
		TRY(db_exec(c, STMT_TEAM_BY_NAME, DB_ARGS(db_i64(p->organization_id), db_strn(p->name)), &r));
		team_id = r->rows == 0 ? 0 : db_get_i64(r, 0, TEAM_BY_NAME_ID);
	}
	return team_update(c, team_id, p, out);
}

/* Differs: Quay refuses every caller who is in no other team of admins. A superuser may delete such a team while somebody else
 * still administrates the organization. */
enum err_kind
team_delete(struct ctx *c, int64_t organization_id, const struct team *t, int64_t caller_id)
{
	const struct db_result *r;
	bool of_caller = false, of_all = false;

	if (t->role == ORG_ROLE_ADMIN)
		TRY(last_admin(c, organization_id, t->id, caller_id, &of_caller, &of_all));
	if (of_caller || of_all)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY_MESSAGE, "Cannot delete team '%s': %s", t->name,
		                   of_caller ? "you would no longer be an admin of the organization"
		                             : "the organization would have no admin");
	TRY(db_exec(c, STMT_TEAM_REMOVE, DB_ARGS(db_i64(t->id), db_i32((int32_t)t->role)), &r));
	return r->affected == 1
	           ? ERR_NONE
	           : err_say_fmt(c, ERR_BAD_INPUT, &SAY_MESSAGE, "Team '%s' was changed meanwhile", t->name);
}

/* Two admins who remove each other wait for one another in last_admin(): the second finds that nobody would be left. */
static enum err_kind
check_leaving_admin(struct ctx *c, int64_t organization_id, const struct team *t, int64_t member_id,
                    int64_t caller_id)
{
	const struct db_result *r;
	bool of_caller = false;

	TRY(last_admin(c, organization_id, t->id, caller_id, &of_caller, NULL));
	if (member_id == caller_id && of_caller)
		return err_say_fmt(
		    c, ERR_BAD_INPUT, &SAY_MESSAGE,
		    "Cannot leave team '%s': you would no longer be an admin of the organization", t->name);
	TRY(db_exec(c, STMT_ORGANIZATION_HAS_OTHER_ADMIN,
	            DB_ARGS(db_i64(organization_id), db_i64(t->id), db_i64(member_id)), &r));
	if (!db_get_bool(r, 0, 0))
		return err_say_fmt(
		    c, ERR_BAD_INPUT, &SAY_MESSAGE,
		    "Cannot remove a member of team '%s': the organization would have no admin", t->name);
	return ERR_NONE;
}

/* Differs: Quay lets a superuser remove the last admin of an organization. */
enum err_kind
team_remove_member(struct ctx *c, int64_t organization_id, const struct team *t, int64_t member_id,
                   int64_t caller_id)
{
	const struct db_result *r;

	if (t->role == ORG_ROLE_ADMIN)
		TRY(check_leaving_admin(c, organization_id, t, member_id, caller_id));
	TRY(db_exec(c, STMT_TEAM_REMOVE_MEMBER, DB_ARGS(db_i64(t->id), db_i64(member_id)), &r));
	return r->affected == 1 ? ERR_NONE
	                        : err_say_fmt(c, ERR_BAD_INPUT, &SAY_MESSAGE,
	                                      "The user does not belong to team '%s'", t->name);
}
