/* Claims of registry tokens. Serves /v2/auth, the identity step of /v2, and robot federation. */
#include "auth/registry-token.h"

#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"

#define MEMBER         "io.kade"
#define GRANTS_MAX     256
#define REPOSITORY_MAX 512
#define TEXT_MAX       512

/* Names of identity kinds: ours in MEMBER, and Quay's entity_kind. */
static const struct {
	const char *ours, *quay;
} KINDS[] = {
	[IDENTITY_ANONYMOUS] = {"anonymous", "anonymous"       },
	[IDENTITY_USER] = { "user",     "user"            },
	[IDENTITY_ROBOT] = { "robot",    "robot"           },
	[IDENTITY_APP_TOKEN] = { "app",      "appspecifictoken"},
	[IDENTITY_OAUTH] = { "oauth",    "oauthtoken"      },
	[IDENTITY_ACCESS_TOKEN] = { "access",   "token"           },
};
#define N_KINDS (sizeof KINDS / sizeof KINDS[0])

static const char *
use_name(enum registry_token_use use)
{
	return use == REGISTRY_TOKEN_ACCESS ? "access" : "exchange";
}

/* -------------------------------------------------------------------------------------------------------
 * building */

static const char *
entity_reference(const struct identity *id)
{
	switch (id->kind) {
	case IDENTITY_USER:
		return id->account_uuid;
	case IDENTITY_ROBOT:
		return id->name;
	case IDENTITY_APP_TOKEN:
	case IDENTITY_OAUTH:
	case IDENTITY_ACCESS_TOKEN: /* Quay puts the secret code here */
		return id->token_uuid;
	case IDENTITY_ANONYMOUS:
		break;
	}
	return NULL;
}

static void
put_text(json_t *o, const char *name, const char *text)
{
	if (text != NULL)
		jo_str(o, name, text);
}

/* Quay's members, old names included, then ours. */
static void
put_context(struct ctx *c, json_t *claims, const struct registry_token_args *a)
{
	json_t *o = jo_object(claims, "context"), *ours;
	const struct identity *id = a->who;

	jo_i64(o, "version", 2);
	jo_str(o, "entity_kind", KINDS[id->kind].quay);
	put_text(o, "entity_reference", entity_reference(id));
	jo_str(o, "kind",
	       id->kind == IDENTITY_OAUTH          ? "oauth"
	       : id->kind == IDENTITY_ACCESS_TOKEN ? "token"
	       : id->kind == IDENTITY_ANONYMOUS    ? "anonymous"
	                                           : "user");
	put_text(o, "user", id->name);
	if (id->kind == IDENTITY_OAUTH)
		put_text(o, "oauth", id->token_uuid);
	const char *only = a->n_access == 1 ? str_dup(c->mem, a->access[0].repository) : NULL;
	if (only != NULL) {
		jo_str(jo_object(o, "com.apostille.roots"), only, "$disabled");
		jo_str(o, "com.apostille.root", "$disabled");
	}
	ours = jo_object(o, MEMBER);
	jo_str(ours, "use", use_name(a->use));
	jo_str(ours, "kind", KINDS[id->kind].ours);
	put_text(ours, "name", id->name);
	put_text(ours, "account", id->account_uuid);
	put_text(ours, "token", id->token_uuid);
	if (id->kind == IDENTITY_OAUTH)
		jo_i64(ours, "scopes", id->scopes);
}

static void
put_access(json_t *claims, const struct registry_token_args *a)
{
	json_t *list;

	if (a->use == REGISTRY_TOKEN_EXCHANGE) {
		jo_object(claims, "access"); /* an object, as Quay's exchange gives it */
		return;
	}
	list = jo_array(claims, "access");
	for (size_t i = 0; i < a->n_access; i++) {
		json_t *o = ja_object(list), *actions;
		jo_str(o, "type", "repository");
		jo_strn(o, "name", a->access[i].repository);
		actions = jo_array(o, "actions");
		if ((a->access[i].actions & ACTION_PUSH) != 0)
			ja_str(actions, "push");
		if ((a->access[i].actions & ACTION_PULL) != 0)
			ja_str(actions, "pull");
		if ((a->access[i].actions & ACTION_ALL) != 0)
			ja_str(actions, "*");
	}
}

enum err_kind
registry_token_make(struct ctx *c, const struct jose_key *key, const struct registry_token_args *a,
                    struct str *out)
{
	json_t *claims = js_object(c);

	if (a->n_access > GRANTS_MAX)
		return err_set(c, ERR_BAD_INPUT, "a token for %zu repositories", a->n_access);
	jo_strn(claims, "iss", a->iss);
	jo_strn(claims, "aud", a->aud);
	jo_i64(claims, "nbf", a->now_s);
	jo_i64(claims, "iat", a->now_s);
	jo_i64(claims, "exp", a->now_s + REGISTRY_TOKEN_LIFE_S);
	jo_str(claims, "sub", a->who->name != NULL ? a->who->name : "(anonymous)");
	put_access(claims, a);
	put_context(c, claims, a);
	return jose_sign(c, key, claims, out);
}

/* --------------------------------------------------------------------------------------------------------
 * reading */

static enum err_kind
malformed(struct ctx *c, const char *what)
{
	return err_set(c, ERR_UNAUTHENTICATED, "registry token: %s", what);
}

/* One entry of `access`: role = the highest action named. */
static bool
read_grant(const json_t *o, struct grant *out)
{
	const json_t *actions = json_object_get(o, "actions");
	size_t i;
	json_t *v;

	*out = (struct grant){ js_str(o, "name"), ROLE_NONE };
	if (!json_is_object(o) || !str_eq(js_str(o, "type"), STR("repository")) || out->repository.n == 0 ||
	    out->repository.n > REPOSITORY_MAX || !json_is_array(actions) || json_array_size(actions) > 3)
		return false;
	json_array_foreach(actions, i, v)
	{
		const char *name = json_is_string(v) ? json_string_value(v) : "";
		enum role role;
		if (strcmp(name, "*") == 0)
			role = ROLE_ADMIN;
		else if (strcmp(name, "push") == 0)
			role = ROLE_WRITE;
		else if (strcmp(name, "pull") == 0)
			role = ROLE_READ;
		else
			return false;
		if (role > out->role)
			out->role = role;
	}
	return true;
}

static enum err_kind
read_access(struct ctx *c, const json_t *claims, enum registry_token_use use, struct identity *id)
{
	const json_t *list = json_object_get(claims, "access");
	const size_t n = json_array_size(list);
	struct grant *grants;

	id->has_grants = true;
	if (use == REGISTRY_TOKEN_EXCHANGE)
		return ERR_NONE;
	if (!json_is_array(list) || n > GRANTS_MAX)
		return malformed(c, "access is not a list of a permitted length");
	grants = ARENA_ARRAY(c->mem, struct grant, n);
	for (size_t i = 0; i < n; i++)
		if (!read_grant(json_array_get(list, i), &grants[i]))
			return malformed(c, "access holds something that is no grant");
	id->grants = grants;
	id->n_grants = n;
	return ERR_NONE;
}

/* A text member: absent = NULL; false when it is there but no text of a permitted length. */
static bool
read_text(struct ctx *c, const json_t *o, const char *name, const char **out)
{
	const struct str s = js_str(o, name);

	*out = NULL;
	if (json_object_get(o, name) == NULL)
		return true;
	if (s.p == NULL || s.n == 0 || s.n > TEXT_MAX)
		return false;
	*out = str_dup(c->mem, s);
	return *out != NULL;
}

/* Each kind with what it must and must not name. */
static bool
is_complete(const struct identity *id)
{
	switch (id->kind) {
	case IDENTITY_ANONYMOUS:
		return id->name == NULL && id->account_uuid == NULL && id->token_uuid == NULL;
	case IDENTITY_USER:
	case IDENTITY_ROBOT:
		return id->name != NULL && id->account_uuid != NULL && id->token_uuid == NULL;
	case IDENTITY_APP_TOKEN:
	case IDENTITY_OAUTH:
		return id->name != NULL && id->account_uuid != NULL && id->token_uuid != NULL;
	case IDENTITY_ACCESS_TOKEN:
		return id->name == NULL && id->account_uuid == NULL && id->token_uuid != NULL;
	}
	return false;
}

static enum err_kind
read_context(struct ctx *c, const json_t *claims, enum registry_token_use use, struct identity *id)
{
	const json_t *ours = json_object_get(json_object_get(claims, "context"), MEMBER);
	const struct str kind = js_str(ours, "kind"), sub = js_str(claims, "sub");
	size_t k = 0;

	if (!json_is_object(ours) || !str_eq_c(js_str(ours, "use"), use_name(use)))
		return malformed(c, "not made here for this use");
	while (k < N_KINDS && !str_eq_c(kind, KINDS[k].ours))
		k++;
	if (k == N_KINDS)
		return malformed(c, "unknown kind of identity");
	id->kind = (enum identity_kind)k;
	if (!read_text(c, ours, "name", &id->name) || !read_text(c, ours, "account", &id->account_uuid) ||
	    !read_text(c, ours, "token", &id->token_uuid) || !is_complete(id))
		return malformed(c, "incomplete identity");
	if (!str_eq_c(sub, id->name != NULL ? id->name : "(anonymous)"))
		return malformed(c, "sub is somebody else");
	id->scopes = SCOPE_DIRECT;
	if (id->kind == IDENTITY_OAUTH)
		id->scopes = (unsigned)js_i64(ours, "scopes", 0) & SCOPE_GRANTABLE;
	if (id->kind == IDENTITY_ANONYMOUS)
		id->scopes = 0;
	return ERR_NONE;
}

enum err_kind
registry_token_verify(struct ctx *c, struct str token, const struct registry_token_want *want,
                      struct identity *id, int64_t *exp_s)
{
	struct identity got = { .kind = IDENTITY_ANONYMOUS };
	struct jose_verified v;

	TRY(jose_verify(c, token, want->find, want->find_arg, &v));
	TRY(jose_check_claims(
	    c, v.claims,
	    &(struct jose_expect){
	        .iss = want->iss, .aud = want->aud, .now_s = want->now_s, .max_life_s = JOSE_LIFE_MAX_S }));
	TRY(read_context(c, v.claims, want->use, &got));
	TRY(read_access(c, v.claims, want->use, &got));
	got.key_id = str_dup_c(c->mem, jose_key_id(v.key));
	*exp_s = (int64_t)json_number_value(
	    json_object_get(v.claims, "exp")); /* jose_check_claims() has seen it */
	*id = got;
	return ERR_NONE;
}

enum role
registry_token_role(const struct identity *id, struct str repository)
{
	enum role best = ROLE_NONE;

	for (size_t i = 0; i < id->n_grants; i++)
		if (id->grants[i].role > best && str_eq(id->grants[i].repository, repository))
			best = id->grants[i].role;
	return best;
}
