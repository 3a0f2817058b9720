/* kade-admin robot …: robot accounts. */
#include <string.h>

#include "admin.h"
#include "conf/conf.h"
#include "model/account.h"
#include "oci/name.h"

static enum err_kind
name_split(struct admin *a, struct str *ns, struct str *short_name)
{
	if (oci_robot_split(a->args[0], ns, short_name))
		return ERR_NONE;
	return err_set(a->c, ERR_BAD_INPUT, "%.*s is no name of a robot: NAMESPACE+NAME", STRF(a->args[0]));
}

static enum err_kind
robot_get(struct admin *a, struct admin_account *robot, struct str *short_name)
{
	struct str ns;

	TRY(name_split(a, &ns, short_name));
	return admin_account_get(a, a->args[0], KIND_ROBOT, robot);
}

static enum err_kind
robot_create(struct admin *a)
{
	const struct conf *cf = a->c->conf;
	char token[TOKEN_TEXT_MAX + 1];
	struct str ns, short_name;
	struct admin_account owner;

	TRY(name_split(a, &ns, &short_name));
	if (cf->robots_disallow && !str_list_has(&cf->robots_whitelist, a->args[0]))
		return err_set(a->c, ERR_CONFLICT,
		               "ROBOTS_DISALLOW is set: %.*s is not among ROBOTS_WHITELIST",
		               STRF(a->args[0]));
	TRY(admin_account_get(a, ns, KIND_USER | KIND_ORG, &owner));
	TRY(account_make_robot(a->c, &a->s.secrets, ns, short_name, token));
	TRY(admin_audit(a, AUDIT_create_robot, owner.id, 0,
	                MEMBERS("robot", admin_c(a, short_name), "description", "")));
	buf_putf(&a->out, "robot %.*s created, its token:\n%s\n", STRF(a->args[0]), token);
	explicit_bzero(token, sizeof token);
	return ERR_NONE;
}

static enum err_kind
robot_token(struct admin *a)
{
	struct admin_account robot;
	struct str short_name, token;

	TRY(robot_get(a, &robot, &short_name));
	TRY(account_robot_token(a->c, &a->s.secrets, robot.id, &token));
	buf_putf(&a->out, "%.*s\n", STRF(token));
	return ERR_NONE;
}

static enum err_kind
robot_regenerate(struct admin *a)
{
	char token[TOKEN_TEXT_MAX + 1];
	struct admin_account robot;
	struct str short_name;

	TRY(robot_get(a, &robot, &short_name));
	TRY(account_robot_renew(a->c, &a->s.secrets, robot.id, token));
	TRY(admin_audit(a, AUDIT_regenerate_robot_token, robot.owner_id, 0,
	                MEMBERS("robot", admin_c(a, short_name))));
	buf_putf(&a->out, "robot %s has a new token, the old one has ended:\n%s\n", robot.name, token);
	explicit_bzero(token, sizeof token);
	return ERR_NONE;
}

const struct admin_command ADMIN_ROBOT[] = {
	{"robot create",      "NAMESPACE+NAME", "makes a robot and prints its token",   1, 0, 0, true,
         robot_create	                                                                                      },
	{ "robot token",      "NAMESPACE+NAME", "prints its token",                     1, 0, 0, false, robot_token},
	{ "robot regenerate", "NAMESPACE+NAME", "gives it a new token and prints that", 1, 0, 0, true,
         robot_regenerate	                                                                                  },
	{ NULL,               NULL,             NULL,	                           0, 0, 0, false, NULL       },
};
