/* Roles and permissions as the REST API shows them. */
#include "api/view-permission.h"

#include "api/view-account.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"

const char *const ROLE_NAMES[] = { "read", "write", "admin", NULL };
const char *const TEAM_ROLE_NAMES[] = { "member", "creator", "admin", NULL };

/* Lists that the database made are not bounded by what a client may send. */
static const struct js_limits OWN_LISTS = { .bytes = 64 << 20, .depth = 2, .values = 1 << 20 };

const char *
view_role(enum role r)
{
	return r == ROLE_NONE ? "none" : ROLE_NAMES[r - ROLE_READ];
}

const char *
view_team_role(enum org_role r)
{
	return r == ORG_ROLE_NONE ? "none" : TEAM_ROLE_NAMES[r - ORG_ROLE_MEMBER];
}

static int
index_of(const char *const *names, struct str name)
{
	for (int i = 0; names[i] != NULL; i++)
		if (str_eq_c(name, names[i]))
			return i + 1;
	return 0;
}

enum role
role_of(struct str name)
{
	return (enum role)index_of(ROLE_NAMES, name);
}

enum org_role
team_role_of(struct str name)
{
	return (enum org_role)index_of(TEAM_ROLE_NAMES, name);
}

void
view_repository_roles(json_t *root, const struct db_result *r)
{
	json_t *list = jo_array(root, "permissions");

	for (int i = 0; i < r->rows; i++) {
		json_t *p = ja_object(list), *repository = jo_object(p, "repository");
		jo_str(repository, "name", db_get_str(r, i, 0));
		jo_bool(repository, "is_public", db_get_bool(r, i, 1));
		jo_str(p, "role", view_role((enum role)db_get_i64(r, i, 2)));
	}
}

static json_t *
parse_list(struct ctx *c, struct str list)
{
	json_t *parsed = NULL;

	if (list.p != NULL && js_parse(c, list, &OWN_LISTS, &parsed) != ERR_NONE)
		err_clear(c);
	return parsed;
}

void
view_names(struct ctx *c, json_t *o, const char *key, struct str list)
{
	json_t *parsed = parse_list(c, list);

	if (parsed == NULL)
		jo_array(o, key);
	else
		jo_take(o, key, json_incref(parsed));
}

void
view_team_names(struct ctx *c, json_t *o, const char *key, struct str list)
{
	json_t *out = jo_array(o, key), *v;
	size_t i;

	json_array_foreach(parse_list(c, list), i, v)
	{
		json_t *t = ja_object(out);
		jo_str(t, "name", json_string_value(v));
		jo_take(t, "avatar", view_avatar(AVATAR_TEAM, json_string_value(v), NULL));
	}
}
