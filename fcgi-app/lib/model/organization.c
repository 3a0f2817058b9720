/* Organizations: settings, members, deletion. */
#include "model/organization.h"

#include "base/ctx.h"
#include "conf/conf.h"
#include "conf/node.h"
#include "db/db.h"
#include "model/user.h"

static const struct say SAY_EMAIL = { 400, "invalid_request", "Invalid email address" };
static const struct say SAY_EMAIL_USED = { 400, "invalid_request", "Email has already been used" };
static const struct say SAY_WINDOW = { 400, "invalid_request",
	                               "Invalid tag expiration: not one of the configured options" };
static const struct say SAY_ONLY_ADMIN = { 400, "message",
	                                   "Cannot remove user as they are the only organization admin" };

enum err_kind
organization_check_email(struct ctx *c, int64_t organization_id, struct str email)
{
	const struct db_result *r;

	if (!email_is_valid(email))
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL);
	if (c->conf->feature_org_shared_email)
		return ERR_NONE;
	TRY(db_exec(c, STMT_EMAIL_IS_TAKEN, DB_ARGS(db_strn(email), db_i64(organization_id)), &r));
	return db_get_bool(r, 0, 0) ? err_say_fmt(c, ERR_BAD_INPUT, &SAY_EMAIL_USED,
	                                          "Email has already been used: %.*s", STRF(email))
	                            : ERR_NONE;
}

enum err_kind
organization_check_window(struct ctx *c, int64_t window_s)
{
	const struct str_list *options = &c->conf->tag_expiration_options;
	int64_t s;

	for (size_t i = 0; i < options->n; i++)
		if (duration_parse(str_of(options->v[i]), &s) && s == window_s)
			return ERR_NONE;
	return err_say(c, ERR_BAD_INPUT, &SAY_WINDOW);
}

enum err_kind
organization_change(struct ctx *c, int64_t organization_id, const struct organization_settings *s)
{
	if (s->set_email && s->email.p != NULL)
		TRY(organization_check_email(c, organization_id, s->email));
	if (s->set_window)
		TRY(organization_check_window(c, s->window_s));
	return db_exec(c, STMT_ORGANIZATION_CHANGE,
	               DB_ARGS(db_i64(organization_id), db_bool(s->set_email), db_strn(s->email),
	                       s->set_invoice_email ? db_bool(s->invoice_email) : db_null(),
	                       db_bool(s->set_invoice_address), db_strn(s->invoice_address),
	                       s->set_window ? db_i64(s->window_s) : db_null()),
	               NULL);
}

enum err_kind
organization_delete(struct ctx *c, int64_t organization_id)
{
	const struct db_args *id = DB_ARGS(db_i64(organization_id));

	TRY(db_queue(c, STMT_ORGANIZATION_REMOVE_ROBOTS, id, NULL));
	TRY(db_queue(c, STMT_ORGANIZATION_REMOVE_DEFAULTS, id, NULL));
	TRY(db_queue(c, STMT_ORGANIZATION_REMOVE_TEAMS, id, NULL));
	TRY(db_queue(c, STMT_ORGANIZATION_REMOVE_APPLICATIONS, id, NULL));
	return namespace_delete(c, organization_id);
}

/* Differs: Quay leaves default permissions of a removed member. Whoever is taken out gets nothing from repositories to come. */
enum err_kind
organization_remove_member(struct ctx *c, int64_t organization_id, int64_t account_id)
{
	const struct db_args *who = DB_ARGS(db_i64(organization_id), db_i64(account_id));
	const struct db_result *r;

	TRY(db_exec(c, STMT_ORGANIZATION_ADMINS_LOCK, DB_ARGS(db_i64(organization_id)), NULL));
	TRY(db_exec(c, STMT_ORGANIZATION_HAS_ONLY_ADMIN, who, &r));
	if (db_get_bool(r, 0, 0))
		return err_say(c, ERR_BAD_INPUT, &SAY_ONLY_ADMIN);
	return db_exec(c, STMT_ORGANIZATION_REMOVE_MEMBER, who, NULL);
}
