/* kade-admin org …, team …: organizations and their teams. */
#include "admin.h"
#include "model/account.h"
#include "oci/name.h"

static enum err_kind
org_create(struct admin *a)
{
	struct organization_new o = { .name = a->args[0], .email = str_of(a->email) };
	const char *name = admin_c(a, o.name);
	struct admin_account owner;
	int64_t id;

	TRY(admin_account_get(a, str_of(a->owner), KIND_USER, &owner));
	o.owner_id = owner.id;
	TRY(account_make_organization(a->c, &o, &id));
	TRY(admin_audit(a, AUDIT_org_create, id, 0,
	                a->email == NULL ? MEMBERS("namespace", name)
	                                 : MEMBERS("email", a->email, "namespace", name)));
	buf_putf(&a->out, "organization %s created; %s is its owner\n", name, owner.name);
	return ERR_NONE;
}

struct team {
	struct admin_account org;
	int64_t id; /* 0: none of that name */
	const char *name;
};

static enum err_kind
team_find(struct admin *a, struct team *t)
{
	const struct db_result *r;

	TRY(admin_account_get(a, a->args[0], KIND_ORG, &t->org));
	t->name = admin_c(a, a->args[1]);
	TRY(db_exec(a->c, STMT_TEAM_BY_NAME, DB_ARGS(db_i64(t->org.id), db_strn(a->args[1])), &r));
	t->id = r->rows > 0 ? db_get_i64(r, 0, TEAM_BY_NAME_ID) : 0;
	return ERR_NONE;
}

static enum err_kind
team_get(struct admin *a, struct team *t)
{
	TRY(team_find(a, t));
	return t->id != 0
	           ? ERR_NONE
	           : err_set(a->c, ERR_NOT_FOUND, "organization %s has no team %s", t->org.name, t->name);
}

static enum err_kind
team_create(struct admin *a)
{
	struct team t;
	int role;

	TRY(admin_choice(a, str_of(a->role), "member|creator|admin", &role));
	TRY(team_find(a, &t));
	if (!oci_namespace_valid(a->args[1]))
		return err_set(
		    a->c, ERR_BAD_INPUT,
		    "a team's name has 2 to 255 of a-z 0-9 . _ -, the last three only between others");
	TRY(db_exec(a->c, STMT_TEAM_CREATE, DB_ARGS(db_i64(t.org.id), db_strn(a->args[1]), db_i32(role)),
	            NULL));
	if (t.id == 0)
		TRY(admin_audit(a, AUDIT_org_create_team, t.org.id, 0, MEMBERS("team", t.name)));
	else
		TRY(admin_audit(a, AUDIT_org_set_team_role, t.org.id, 0,
		                MEMBERS("team", t.name, "role", a->role)));
	buf_putf(&a->out, "team %s of %s %s, role %s\n", t.name, t.org.name,
	         t.id == 0 ? "created" : "changed", a->role);
	return ERR_NONE;
}

static enum err_kind
team_add(struct admin *a)
{
	const struct db_result *r;
	struct admin_account who;
	struct team t;

	TRY(team_get(a, &t));
	TRY(admin_account_get(a, a->args[2], KIND_USER | KIND_ROBOT, &who));
	if (who.kind == 3 && who.owner_id != t.org.id)
		return err_set(a->c, ERR_BAD_INPUT, "robot %s belongs to another namespace than %s", who.name,
		               t.org.name);
	TRY(db_exec(a->c, STMT_TEAM_ADD_MEMBER, DB_ARGS(db_i64(t.id), db_i64(who.id)), &r));
	if (r->affected == 0) {
		buf_putf(&a->out, "%s is a member of %s already\n", who.name, t.name);
		return ERR_NONE;
	}
	TRY(admin_audit(a, AUDIT_org_add_team_member, t.org.id, 0,
	                MEMBERS("member", who.name, "team", t.name)));
	buf_putf(&a->out, "%s is now a member of %s\n", who.name, t.name);
	return ERR_NONE;
}

static enum err_kind
team_remove(struct admin *a)
{
	const struct db_result *r;
	struct admin_account who;
	struct team t;

	TRY(team_get(a, &t));
	TRY(admin_account_get(a, a->args[2], KIND_USER | KIND_ROBOT, &who));
	TRY(db_exec(a->c, STMT_ORGANIZATION_HAS_OTHER_ADMIN,
	            DB_ARGS(db_i64(t.org.id), db_i64(t.id), db_i64(who.id)), &r));
	if (!db_get_bool(r, 0, 0))
		return err_set(a->c, ERR_CONFLICT, "%s would have nobody left to administrate it",
		               t.org.name);
	TRY(db_exec(a->c, STMT_TEAM_REMOVE_MEMBER, DB_ARGS(db_i64(t.id), db_i64(who.id)), &r));
	if (r->affected == 0)
		return err_set(a->c, ERR_NOT_FOUND, "%s is no member of %s", who.name, t.name);
	TRY(admin_audit(a, AUDIT_org_remove_team_member, t.org.id, 0,
	                MEMBERS("member", who.name, "team", t.name)));
	buf_putf(&a->out, "%s is no longer a member of %s\n", who.name, t.name);
	return ERR_NONE;
}

const struct admin_command ADMIN_ORG[] = {
	{"org create",   "NAME --owner USER [--email E]",        "makes an organization",                  1,
         OPTION_OWNER | OPTION_EMAIL,	                                                                    OPTION_OWNER, true,  org_create },
	{ "team create", "ORG NAME --role member|creator|admin", "makes a team, or gives it another role", 2,
         OPTION_ROLE,	                                                                                    OPTION_ROLE,  true,  team_create},
	{ "team add",    "ORG TEAM USER",                        "adds a user or robot",                   3, 0, 0,            true,  team_add   },
	{ "team remove", "ORG TEAM USER",                        "removes one",                            3, 0, 0,            true,  team_remove},
	{ NULL,          NULL,	                           NULL,	                             0, 0, 0,            false, NULL       },
};
