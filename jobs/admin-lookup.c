/* kade-admin: what its commands share. */
#include <string.h>

#include "admin.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "conf/node.h"
#include "model/facts.h"
#include "oci/name.h"

const char *
admin_c(struct admin *a, struct str s)
{
	return str_dup(a->c->mem, s);
}

static const char *
kind_name(unsigned kinds)
{
	switch (kinds) {
	case KIND_USER:
		return "user";
	case KIND_ORG:
		return "organization";
	case KIND_ROBOT:
		return "robot";
	case KIND_USER | KIND_ROBOT:
		return "user or robot";
	default:
		return "user or organization";
	}
}

enum err_kind
admin_account_get(struct admin *a, struct str name, unsigned kinds, struct admin_account *out)
{
	const struct db_result *r;
	int kind = 0;

	TRY(db_exec(a->c, STMT_ACCOUNT_BY_NAME, DB_ARGS(db_strn(name)), &r));
	if (r->rows > 0)
		kind = (int)db_get_i64(r, 0, ACCOUNT_BY_NAME_KIND);
	if (kind == 0 || (kinds & (1u << (kind - 1))) == 0)
		return err_set(a->c, ERR_NOT_FOUND, "there is no %s named %.*s", kind_name(kinds),
		               STRF(name));
	*out = (struct admin_account){ .id = db_get_i64(r, 0, ACCOUNT_BY_NAME_ID),
		                       .owner_id = db_get_i64(r, 0, ACCOUNT_BY_NAME_OWNER_ID),
		                       .kind = kind,
		                       .is_enabled = db_get_bool(r, 0, ACCOUNT_BY_NAME_IS_ENABLED),
		                       .name = admin_c(a, name),
		                       .email = db_get_str(r, 0, ACCOUNT_BY_NAME_EMAIL) };
	return ERR_NONE;
}

enum err_kind
admin_repo_find(struct admin *a, struct str path, struct admin_repo *out)
{
	const struct conf *cf = a->c->conf;
	const struct oci_name_rules rules = { str_of(cf->library_namespace), cf->feature_library_support };
	struct admin_account ns;
	const struct db_result *r;

	*out = (struct admin_repo){ 0 };
	TRY(oci_name_split(a->c, path, &rules, &out->ns, &out->name));
	TRY(oci_repo_check(a->c, out->name, cf->feature_extended_repository_names));
	TRY(admin_account_get(a, out->ns, KIND_USER | KIND_ORG, &ns));
	out->namespace_id = ns.id;
	out->ns_is_org = ns.kind == 2;
	TRY(db_exec(a->c, STMT_REPOSITORY_BY_NAME, DB_ARGS(db_strn(out->ns), db_strn(out->name)), &r));
	if (r->rows == 0)
		return ERR_NONE;
	out->id = db_get_i64(r, 0, REPOSITORY_BY_NAME_ID);
	out->state = (int)db_get_i64(r, 0, REPOSITORY_BY_NAME_STATE);
	out->is_public = db_get_bool(r, 0, REPOSITORY_BY_NAME_IS_PUBLIC);
	return ERR_NONE;
}

enum err_kind
admin_repo_get(struct admin *a, struct str path, struct admin_repo *out)
{
	TRY(admin_repo_find(a, path, out));
	if (out->id == 0 || out->state == REPO_MARKED_FOR_DELETION)
		return err_set(a->c, ERR_NOT_FOUND, "there is no repository %.*s", STRF(path));
	return ERR_NONE;
}

enum err_kind
admin_choice(struct admin *a, struct str word, const char *choices, int *out)
{
	struct str rest = str_of(choices), one;
	int n = 1;

	while (str_cut(rest, '|', &one, &rest) || one.n > 0) {
		if (str_eq(word, one)) {
			*out = n;
			return ERR_NONE;
		}
		n++;
	}
	return err_set(a->c, ERR_BAD_INPUT, "%.*s is none of %s", STRF(word), choices);
}

enum err_kind
admin_expires(struct admin *a, int64_t *out_ms)
{
	int64_t seconds;

	*out_ms = 0;
	if (a->expires == NULL)
		return ERR_NONE;
	if (!duration_parse(str_of(a->expires), &seconds) || seconds < 1 ||
	    seconds > INT64_C(1000) * 366 * 86400)
		return err_set(a->c, ERR_BAD_INPUT, "--expires takes a duration like 12h, 30d or 1y");
	*out_ms = seconds * 1000;
	return ERR_NONE;
}

enum err_kind
admin_audit(struct admin *a, enum audit_kind kind, int64_t namespace_id, int64_t repository_id,
            const char *const *members)
{
	struct buf b = BUF(a->c->mem);

	buf_putc(&b, '{');
	for (size_t i = 0; members[i] != NULL; i += 2) {
		if (i > 0)
			buf_putc(&b, ',');
		buf_put_json(&b, str_of(members[i]));
		buf_putc(&b, ':');
		buf_put_json(&b, str_of(members[i + 1]));
	}
	buf_putc(&b, '}');
	return audit_add(a->c, &(struct audit_row){ .kind = kind,
	                                            .namespace_id = namespace_id,
	                                            .repository_id = repository_id,
	                                            .metadata = buf_str(&b) });
}
