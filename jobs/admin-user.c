/* kade-admin user …: people. */
#include <stdio.h>

#include "admin.h"
#include "base/arena.h"
#include "base/clock.h"
#include "conf/conf.h"
#include "model/account.h"

#define PAGE 500

static void
say_password(struct admin *a)
{
	if (a->generate)
		buf_putf(&a->out, "password: %.*s\n", STRF(a->password));
}

static bool
is_listed(const struct conf *cf, struct str name)
{
	return cf->feature_super_users && str_list_has(&cf->super_users, name);
}

static enum err_kind
user_create(struct admin *a)
{
	const struct user_new u = { .name = a->args[0], .email = str_of(a->email), .password = a->password };
	const char *uuid, *name = admin_c(a, u.name);
	int64_t id;

	if (u.password.p == NULL && str_eq_c(STR("Database"), a->c->conf->authentication_type))
		return err_set(a->c, ERR_BAD_INPUT,
		               "the user needs a password: --password-file FILE, - or --generate");
	TRY(account_make_user(a->c, &u, &id, &uuid));
	TRY(admin_audit(a, AUDIT_user_create, id, 0,
	                u.email.p == NULL ? MEMBERS("username", name)
	                                  : MEMBERS("email", a->email, "username", name)));
	buf_putf(&a->out, "user %s created\n", name);
	say_password(a);
	if (a->superuser_hint && !is_listed(a->c->conf, u.name))
		buf_putf(&a->out, "%s is no superuser: add the name to SUPER_USERS in config.yaml\n", name);
	return ERR_NONE;
}

static enum err_kind
user_password(struct admin *a)
{
	struct admin_account u;

	TRY(admin_account_get(a, a->args[0], KIND_USER, &u));
	if (a->password.p == NULL)
		return err_set(a->c, ERR_BAD_INPUT,
		               "where is the password? --password-file FILE, - or --generate");
	TRY(account_set_password(a->c, u.id, a->password));
	TRY(admin_audit(a, AUDIT_user_change_password, u.id, 0, MEMBERS("username", u.name)));
	buf_putf(&a->out, "the password of %s is changed; sessions of theirs have ended\n", u.name);
	say_password(a);
	return ERR_NONE;
}

static enum err_kind
set_enabled(struct admin *a, bool enabled)
{
	struct admin_account u;

	TRY(admin_account_get(a, a->args[0], KIND_USER, &u));
	if (u.is_enabled == enabled) {
		buf_putf(&a->out, "user %s is %s already\n", u.name, enabled ? "enabled" : "disabled");
		return ERR_NONE;
	}
	TRY(db_exec(a->c, STMT_ACCOUNT_SET_ENABLED, DB_ARGS(db_i64(u.id), db_bool(enabled)), NULL));
	TRY(admin_audit(a, enabled ? AUDIT_user_enable : AUDIT_user_disable, u.id, 0,
	                MEMBERS("username", u.name)));
	buf_putf(&a->out, "user %s %s\n", u.name, enabled ? "enabled" : "disabled");
	return ERR_NONE;
}

static enum err_kind
user_enable(struct admin *a)
{
	return set_enabled(a, true);
}

static enum err_kind
user_disable(struct admin *a)
{
	return set_enabled(a, false);
}

static enum err_kind
user_list(struct admin *a)
{
	char after[512] = "";
	const struct db_result *r;

	printf("%-32s %-9s %-20s %s\n", "NAME", "STATE", "CREATED", "EMAIL");
	do {
		const struct arena_mark mark = arena_mark(a->c->mem);
		TRY(db_exec(a->c, STMT_ACCOUNT_LIST, DB_ARGS(db_i32(1), db_str(after), db_i32(PAGE)), &r));
		const int n = r->rows;
		for (int i = 0; i < n; i++) {
			const char *name = db_get_str(r, i, ACCOUNT_LIST_NAME),
			           *email = db_get_str(r, i, ACCOUNT_LIST_EMAIL);
			printf("%-32s %-9s %-20s %s%s\n", name,
			       db_get_bool(r, i, ACCOUNT_LIST_IS_ENABLED) ? "enabled" : "disabled",
			       clock_iso(a->c->mem, db_get_i64(r, i, ACCOUNT_LIST_CREATED_MS)),
			       email == NULL ? "-" : email,
			       is_listed(a->c->conf, str_of(name)) ? "  (superuser)" : "");
			snprintf(after, sizeof after, "%s", name);
		}
		arena_rewind(a->c->mem, mark);
		if (n < PAGE)
			return ERR_NONE;
	} while (true);
}

static enum err_kind
user_superuser(struct admin *a)
{
	const struct conf *cf = a->c->conf;
	struct admin_account u;

	TRY(admin_account_get(a, a->args[0], KIND_USER, &u));
	if (!cf->feature_super_users)
		return err_set(a->c, ERR_CONFLICT, "FEATURE_SUPER_USERS is false: there are no superusers");
	if (!is_listed(cf, a->args[0]))
		return err_set(a->c, ERR_CONFLICT,
		               "superusers are named by SUPER_USERS in config.yaml, %s is not among them: "
		               "add the name there; running "
		               "processes notice the change",
		               u.name);
	buf_putf(&a->out, "%s is a superuser: SUPER_USERS in config.yaml names them%s\n", u.name,
	         u.is_enabled ? "" : ", but the account is disabled");
	return ERR_NONE;
}

const struct admin_command ADMIN_USER[] = {
	{"user create",     "NAME [--email E] (--password-file FILE|- | --generate)", "makes a user",                                             1,
         OPTION_EMAIL | OPTION_PASSWORD | OPTION_SUPERUSER_HINT,	                                                                                0, true,  user_create   },
	{ "user password",  "NAME (--password-file FILE|- | --generate)",             "changes a password",                                       1,
         OPTION_PASSWORD,	                                                                                                                       0, true,  user_password },
	{ "user enable",    "NAME",	                                           "lets a user in again",                                     1, 0, 0, true,  user_enable   },
	{ "user disable",   "NAME",	                                           "keeps a user and what belongs to them out, at once",       1, 0, 0, true,
         user_disable	                                                                                                                                                   },
	{ "user list",      "",	                                               "all users",	                                        0, 0, 0, false, user_list     },
	{ "user superuser", "NAME",	                                           "tells whether the configuration makes a user a superuser", 1, 0, 0,
         false,	                                                                                                                                           user_superuser},
	{ NULL,             NULL,	                                             NULL,	                                               0, 0, 0, false, NULL          },
};
