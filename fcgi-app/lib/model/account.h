/* Users, organizations, robots and tokens as the first-user call and the command line make them. */
#ifndef KADE_MODEL_ACCOUNT_H
#define KADE_MODEL_ACCOUNT_H
#include <stdbool.h>
#include <stdint.h>

#include "auth/credential.h"
#include "base/err.h"
#include "base/str.h"

struct ctx;
struct secrets;
struct user_new {
	struct str name, email; /* email p == NULL: none */
	struct str password;    /* p == NULL: cannot log in by password */
	const char *password_hash; /* of a password that was checked before; goes before `password` */
	bool is_unverified; /* the address is to be confirmed */
};
/* Checks name, e-mail and password by their rules, hashes, inserts. ERR_CONFLICT when name or e-mail is taken. */
enum err_kind account_make_user(struct ctx *c, const struct user_new *u, int64_t *id, const char **uuid) MUST_CHECK;
/* A robot NAMESPACE+short with a fresh token. */
enum err_kind account_make_robot(struct ctx *c, const struct secrets *s, struct str ns, struct str short_name, char token[TOKEN_TEXT_MAX + 1]) MUST_CHECK;
/* The robot's token, for those who may see it again. ERR_NOT_FOUND: no such robot. *token given. */
enum err_kind account_robot_token(struct ctx *c, const struct secrets *s, int64_t robot_id, struct str *token) MUST_CHECK;
/* A fresh token for a robot; the old one ends at once, everywhere. */
enum err_kind account_robot_renew(struct ctx *c, const struct secrets *s, int64_t robot_id, char token[TOKEN_TEXT_MAX + 1]) MUST_CHECK;
/* Checks the rules, hashes, stores; sessions and cached logins of the account end. */
enum err_kind account_set_password(struct ctx *c, int64_t user_id, struct str password) MUST_CHECK;

struct organization_new {
	struct str name, email; /* email p == NULL: none */
	int64_t    owner_id;    /* the first member of its team of owners */
};
/* ERR_CONFLICT when the name is taken. */
enum err_kind account_make_organization(struct ctx *c, const struct organization_new *o, int64_t *id) MUST_CHECK;

struct token_new {
	int         kind;             /* 1 app, 2 OAuth, 3 repository access */
	int64_t     account_id;       /* kinds 1 and 2 */
	int64_t     application_id;   /* kind 2 */
	int64_t     repository_id;    /* kind 3 */
	int         role;             /* kind 3: 1 read, 2 write, 3 admin */
	const char *title, *scopes;
	int64_t     expires_after_ms; /* 0 = never */
};
/* A token of any kind; its text is shown once here (app and access tokens can be shown again: sealed). *uuid (given) names it
 * in the interface; NULL when it is not wanted. */
enum err_kind account_make_token(struct ctx *c, const struct secrets *s, const struct token_new *t, char token[TOKEN_TEXT_MAX + 1],
                                 const char **uuid) MUST_CHECK;
/* The organization's application of that client id, made with a fresh secret when it is missing. */
enum err_kind account_ensure_application(struct ctx *c, const struct secrets *s, int64_t organization_id, const char *client_id, const char *name,
                                         int64_t *id) MUST_CHECK;
#endif
