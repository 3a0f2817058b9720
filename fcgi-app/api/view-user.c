/* The user object of the REST API. */
#include "api/view-user.h"

#include "api/view-account.h"
#include "api/view-quota.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"
#include "model/user.h"

enum { M_NAME, M_EMAIL, M_ROLE, M_HAS_BILLING, M_IS_PUBLIC, M_COLS };
_Static_assert((int)M_COLS == MEMBERSHIP_COLS, "user.sql and view-user.c differ");

void
view_user_args(struct req *rq, struct db_args *a, const char *name)
{
	const struct str_list *listed = &rq->c->conf->public_namespaces;
	struct str            *v = ARENA_ARRAY(rq->c->mem, struct str, listed->n + 1);

	for (size_t i = 0; i < listed->n; i++)
		v[i] = str_of(listed->v[i]);
	db_args_add(a, db_str(name));
	db_args_add(a, db_str_array(v, listed->n));
}

static void
put_prompts(json_t *o, struct str prompts)
{
	json_t    *a = jo_array(o, "prompts");
	struct str one;

	while (prompts.n > 0) {
		str_cut(prompts, ',', &one, &prompts);
		ja_take(a, json_stringn(one.p, one.n));
	}
}

static enum err_kind
put_logins(struct req *rq, json_t *o, struct str logins)
{
	json_t *a;

	if (logins.n == 0) {
		jo_array(o, "logins");
		return ERR_NONE;
	}
	TRY(js_parse(rq->c, logins, &JS_API, &a));
	jo_take(o, "logins", json_incref(a));
	return ERR_NONE;
}

/* What only the person sees, with user:admin. */
static enum err_kind
put_details(struct req *rq, json_t *o, const struct profile *p)
{
	jo_bool(o, "can_create_repo", true);
	jo_bool(o, "is_me", true);
	jo_bool(o, "verified", p->is_verified);
	jo_str(o, "email", p->email == NULL ? "" : p->email);
	TRY(put_logins(rq, o, p->logins));
	jo_bool(o, "invoice_email", p->invoice_email);
	jo_str(o, "invoice_email_address", p->invoice_email_address);
	jo_bool(o, "preferred_namespace", p->has_billing);
	jo_i64(o, "tag_expiration_s", p->tag_window_s);
	put_prompts(o, p->prompts);
	jo_str(o, "company", p->company);
	jo_str(o, "family_name", p->family_name);
	jo_str(o, "given_name", p->given_name);
	jo_str(o, "location", p->location);
	jo_bool(o, "is_free_account", !p->has_billing);
	jo_bool(o, "has_password_set", p->has_password);
	return ERR_NONE;
}

static void
put_organizations(struct req *rq, json_t *o, const struct db_result *r, bool is_admin)
{
	const enum org_role cap = scope_max_org_role(rq->ident.scopes);
	json_t             *a = jo_array(o, "organizations");

	for (int i = 0; i < r->rows && !db_is_null(r, i, USER_LOAD_MEMBERSHIP0 + M_NAME); i++) {
		const enum org_role live = (enum org_role)db_get_i64(r, i, USER_LOAD_MEMBERSHIP0 + M_ROLE);
		const enum org_role role = live < cap ? live : cap;
		const char         *name = db_get_str(r, i, USER_LOAD_MEMBERSHIP0 + M_NAME);
		json_t             *org = ja_object(a);
		jo_str(org, "name", name);
		jo_take(org, "avatar", view_avatar(AVATAR_ORG, name, db_get_str(r, i, USER_LOAD_MEMBERSHIP0 + M_EMAIL)));
		jo_bool(org, "can_create_repo", role >= ORG_ROLE_CREATOR);
		jo_bool(org, "public", db_get_bool(r, i, USER_LOAD_MEMBERSHIP0 + M_IS_PUBLIC));
		if (!is_admin)
			continue;
		jo_bool(org, "is_org_admin", role == ORG_ROLE_ADMIN);
		jo_bool(org, "preferred_namespace", db_get_bool(r, i, USER_LOAD_MEMBERSHIP0 + M_HAS_BILLING));
	}
}

/* Whether the caller is a superuser is told to superusers only, and as true for their own account only. */
static void
put_powers(struct req *rq, json_t *o, bool is_own)
{
	const struct conf *cf = rq->c->conf;

	if (facts_is_global_reader(cf, &rq->ident))
		jo_bool(o, "global_readonly_super_user", is_own);
	else if (facts_is_superuser(cf, &rq->ident))
		jo_bool(o, "super_user", is_own);
}

enum err_kind
view_user(struct req *rq, const struct db_result *r)
{
	const enum user_role role = scope_max_user_role(rq->ident.scopes);
	json_t              *o = res_json(rq, 200);
	struct profile       p;
	bool                 is_own;

	profile_from_row(r, 0, USER_LOAD_PROFILE0, &p);
	is_own = p.id == rq->facts.caller_id && (rq->ident.kind == IDENTITY_USER || rq->ident.kind == IDENTITY_OAUTH);
	jo_bool(o, "anonymous", false);
	jo_str(o, "username", p.name);
	jo_take(o, "avatar", view_avatar(AVATAR_USER, p.name, p.email));
	if (is_own && role >= USER_ROLE_ADMIN)
		TRY(put_details(rq, o, &p));
	if (is_own)
		TRY(view_quota_of(rq->c, o, p.id));
	if (is_own && role >= USER_ROLE_READ)
		put_organizations(rq, o, r, role >= USER_ROLE_ADMIN);
	put_powers(rq, o, is_own);
	return ERR_NONE;
}

enum err_kind
view_user_again(struct req *rq, const char *uuid)
{
	const struct db_result *r;
	struct db_args          a = { 0 };

	db_args_add(&a, db_str(uuid));
	db_args_add(&a, db_null());
	db_args_add(&a, db_null());
	view_user_args(rq, &a, NULL);
	TRY(db_exec(rq->c, STMT_USER_LOAD, &a, &r));
	if (db_is_null(r, 0, USER_LOAD_PROFILE0))
		return err_set(rq->c, ERR_BUG, "the account is gone in the middle of its change");
	return view_user(rq, r);
}
