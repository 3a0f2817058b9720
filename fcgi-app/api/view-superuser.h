/* Users and organizations as superusers see them. */
#ifndef KADE_API_VIEW_SUPERUSER_H
#define KADE_API_VIEW_SUPERUSER_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct conf;
struct db_result;
struct req;
struct su_account {
	int64_t     id; /* 0: none */
	const char *name, *email;
	bool        is_verified, is_enabled;
};
/* From the columns of the set `su_account`. Borrowed from the result. */
void su_account_from_row(const struct db_result *r, int row, int first_col, struct su_account *out);
/* {"kind": "user", "name", "username", "email", "verified", "avatar", "super_user", "global_readonly_super_user", "enabled"}. A
 * new reference. */
json_t *view_su_user(const struct conf *cf, const struct su_account *a);
/* {"name", "email", "avatar"}. A new reference. */
json_t *view_su_org(const struct su_account *a);
/* Is this a superuser by the configuration: one whom other superusers do not change? */
bool su_is_superuser(const struct conf *cf, const char *name);
#endif
