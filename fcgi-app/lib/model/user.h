/* The account of a person: what the own profile shows, and its changes. Making accounts: model/account.h. */
#ifndef KADE_MODEL_USER_H
#define KADE_MODEL_USER_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;

struct profile {
	int64_t     id; /* 0: no such user */
	const char *name, *email; /* email NULL: none */
	bool        is_verified, has_password, invoice_email, has_billing;
	const char *given_name, *family_name, *company, *location, *invoice_email_address; /* NULL: not given */
	int64_t     tag_window_s;
	struct str  prompts; /* separated by commas */
	struct str  logins;  /* JSON array; empty: none */
};
/* From the columns of the set `profile`. Borrowed from the result. */
void profile_from_row(const struct db_result *r, int row, int first_col, struct profile *out);

/* A new password; every session and cached login of the account ends. hash: password_hash(). *uuid: the account's new one.
 * ERR_NOT_FOUND. */
enum err_kind user_change_password(struct ctx *c, int64_t user_id, const char *hash, const char **uuid) MUST_CHECK;
/* ERR_BAD_INPUT "E-mail address already used", or for a text that is none. */
enum err_kind user_change_email(struct ctx *c, int64_t user_id, struct str email) MUST_CHECK;
/* May the user have this address? As user_change_email(), and nothing is changed. */
enum err_kind user_check_email(struct ctx *c, int64_t user_id, struct str email) MUST_CHECK;
/* The user and his robots are called new_name. ERR_BAD_INPUT when it is taken or no name. */
enum err_kind user_rename(struct ctx *c, int64_t user_id, const char *old_name, struct str new_name) MUST_CHECK;
/* A user or organization ends: disabled and renamed at once, its repositories are collected later. ERR_NOT_FOUND when it is
 * gone already. */
enum err_kind namespace_delete(struct ctx *c, int64_t account_id) MUST_CHECK;
/* The names of organizations that only this user administrates, separated by ", ". "" = none. Given. */
enum err_kind user_sole_admin_of(struct ctx *c, int64_t user_id, const char **names) MUST_CHECK;
/* True when the text may be an e-mail address. */
bool email_is_valid(struct str s);
#endif
