/* The account of a person and its changes. */
#include "model/user.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "db/db.h"
#include "oci/name.h"

static const struct say SAY_EMAIL_USED = { 400, "invalid_request", "E-mail address already used" };
static const struct say SAY_EMAIL_INVALID = { 400, "invalid_request", "Invalid email address" };
static const struct say SAY_NAME_USED = { 400, "invalid_request", "Username is already in use" };

#define EMAIL_MAX 254

enum { P_ID, P_NAME, P_EMAIL, P_IS_VERIFIED, P_HAS_PASSWORD, P_GIVEN_NAME, P_FAMILY_NAME, P_COMPANY, P_LOCATION, P_INVOICE_EMAIL,
       P_INVOICE_EMAIL_ADDRESS, P_HAS_BILLING, P_TAG_WINDOW_S, P_PROMPTS, P_LOGINS, P_COLS };
_Static_assert((int)P_COLS == PROFILE_COLS, "user.sql and user.c differ");

void
profile_from_row(const struct db_result *r, int row, int first_col, struct profile *out)
{
	*out = (struct profile){
		.id = db_get_i64(r, row, first_col + P_ID),
		.name = db_get_str(r, row, first_col + P_NAME),
		.email = db_get_str(r, row, first_col + P_EMAIL),
		.is_verified = db_get_bool(r, row, first_col + P_IS_VERIFIED),
		.has_password = db_get_bool(r, row, first_col + P_HAS_PASSWORD),
		.given_name = db_get_str(r, row, first_col + P_GIVEN_NAME),
		.family_name = db_get_str(r, row, first_col + P_FAMILY_NAME),
		.company = db_get_str(r, row, first_col + P_COMPANY),
		.location = db_get_str(r, row, first_col + P_LOCATION),
		.invoice_email = db_get_bool(r, row, first_col + P_INVOICE_EMAIL),
		.invoice_email_address = db_get_str(r, row, first_col + P_INVOICE_EMAIL_ADDRESS),
		.has_billing = db_get_bool(r, row, first_col + P_HAS_BILLING),
		.tag_window_s = db_get_i64(r, row, first_col + P_TAG_WINDOW_S),
		.prompts = db_get_strn(r, row, first_col + P_PROMPTS),
		.logins = db_get_strn(r, row, first_col + P_LOGINS),
	};
}

/* One '@', a non-empty local part, at least two non-empty labels behind it. */
bool
email_is_valid(struct str s)
{
	struct str local, domain, label;
	int        labels = 0;

	if (s.n > EMAIL_MAX || !str_cut(s, '@', &local, &domain) || local.n == 0 || str_find(domain, '@') >= 0 || !str_is_utf8(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ')
			return false;
	while (str_cut(domain, '.', &label, &domain) || label.n > 0) {
		if (label.n == 0)
			return false;
		labels++;
		if (domain.p == NULL)
			break;
	}
	return labels >= 2;
}

static bool
is_duplicate(struct ctx *c, enum err_kind e)
{
	return e == ERR_BUG && strcmp(db_sqlstate(c), "23505") == 0;
}

enum err_kind
user_change_password(struct ctx *c, int64_t user_id, const char *hash, const char **uuid)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_USER_CHANGE_PASSWORD, DB_ARGS(db_i64(user_id), db_str(hash)), &r));
	if (r->rows == 0)
		return err_set(c, ERR_NOT_FOUND, "no such user");
	*uuid = db_get_str(r, 0, USER_CHANGE_PASSWORD_UUID);
	return ERR_NONE;
}

enum err_kind
user_check_email(struct ctx *c, int64_t user_id, struct str email)
{
	const struct db_result *r;

	if (!email_is_valid(email))
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL_INVALID);
	TRY(db_exec(c, STMT_USER_EMAIL_IS_USED, DB_ARGS(db_i64(user_id), db_strn(email)), &r));
	return db_get_bool(r, 0, 0) ? err_say(c, ERR_BAD_INPUT, &SAY_EMAIL_USED) : ERR_NONE;
}

enum err_kind
user_change_email(struct ctx *c, int64_t user_id, struct str email)
{
	enum err_kind e;

	if (!email_is_valid(email))
		return err_say(c, ERR_BAD_INPUT, &SAY_EMAIL_INVALID);
	e = db_exec(c, STMT_USER_SET_EMAIL, DB_ARGS(db_i64(user_id), db_strn(email)), NULL);
	return is_duplicate(c, e) ? err_say(c, ERR_BAD_INPUT, &SAY_EMAIL_USED) : e;
}

enum err_kind
user_rename(struct ctx *c, int64_t user_id, const char *old_name, struct str new_name)
{
	const struct db_result *r;
	enum err_kind           e;

	TRY(oci_namespace_check(c, new_name));
	e = db_exec(c, STMT_USER_RENAME, DB_ARGS(db_i64(user_id), db_str(old_name), db_strn(new_name)), &r);
	if (is_duplicate(c, e) || (e == ERR_NONE && r->rows == 0))
		return err_say(c, ERR_BAD_INPUT, &SAY_NAME_USED);
	return e;
}

enum err_kind
namespace_delete(struct ctx *c, int64_t account_id)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_NAMESPACE_MARK_DELETED, DB_ARGS(db_i64(account_id)), &r));
	return r->rows == 1 ? ERR_NONE : err_set(c, ERR_NOT_FOUND, "the namespace is deleted already");
}

enum err_kind
user_sole_admin_of(struct ctx *c, int64_t user_id, const char **names)
{
	const struct db_result *r;
	struct buf              b = BUF(c->mem);

	TRY(db_exec(c, STMT_USER_SOLE_ADMIN_OF, DB_ARGS(db_i64(user_id)), &r));
	for (int i = 0; i < r->rows; i++)
		buf_putf(&b, "%s%s", i == 0 ? "" : ", ", db_get_str(r, i, USER_SOLE_ADMIN_OF_NAME));
	*names = buf_cstr(&b);
	return ERR_NONE;
}
