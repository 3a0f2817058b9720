/* Registry tokens: the JWT that /v2/auth gives and every /v2 request brings. It says who asked and is an
 * upper bound of what may be done; live rights are the request's own statement. The claims are those that
 * Quay's tokens have, except that no secret stands in them, plus one member of ours in `context`, the only
 * one that is read back. */
#ifndef KADE_AUTH_REGISTRY_TOKEN_H
#define KADE_AUTH_REGISTRY_TOKEN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "auth/jose.h"

#define REGISTRY_TOKEN_LIFE_S 3600

enum token_action { ACTION_PUSH = 1, ACTION_PULL = 2, ACTION_ALL = 4 };
/* One entry of `access`, as asked for, in the order asked; actions may be 0. */
struct access {
	struct str repository;
	unsigned actions; /* ACTION_* bits */
};
/* A token for registry requests, or the one that a robot's federation exchange gives, which is a password for
 * the robot and nothing else: neither passes for the other, so no token renews itself. */
enum registry_token_use { REGISTRY_TOKEN_ACCESS, REGISTRY_TOKEN_EXCHANGE };

struct registry_token_args {
	enum registry_token_use use;
	const struct identity *who; /* kind, name, uuids, scopes; grants are not looked at */
	const struct access *access;
	size_t n_access;
	struct str iss, aud;
	int64_t now_s;
};
/* *out given. Errors as jose_sign(). */
enum err_kind registry_token_make(struct ctx *c, const struct jose_key *key,
                                  const struct registry_token_args *a, struct str *out) MUST_CHECK;

struct registry_token_want {
	enum registry_token_use use;
	jose_find_fn *find; /* keys by kid */
	void *find_arg;
	struct str iss, aud;
	int64_t now_s;
};
/* Signature, claims and grants: *id lives in c->mem, *exp_s says how long it may be kept.
 * ERR_UNAUTHENTICATED. */
enum err_kind registry_token_verify(struct ctx *c, struct str token, const struct registry_token_want *want,
                                    struct identity *id, int64_t *exp_s) MUST_CHECK;
/* The highest role that a registry token names for a repository; ROLE_NONE when it names none. */
enum role registry_token_role(const struct identity *id, struct str repository);
#endif
