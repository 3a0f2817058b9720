/* Robot accounts of a namespace: creation, tokens, the issuers whose tokens they may exchange. */
#ifndef KADE_MODEL_ROBOT_H
#define KADE_MODEL_ROBOT_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;
struct secrets;
struct robot {
	int64_t id;
	const char *name;                     /* namespace+short */
	int64_t created_ms, last_accessed_ms; /* 0: never */
	const char *description, *metadata;   /* metadata: JSON */
	const char *token;                    /* NULL: not asked for, or it cannot be opened */
	struct str teams, repositories;       /* JSON lists of names; p == NULL: none */
};
struct robot_query {
	int64_t owner_id;
	const char *name; /* NULL: all of the owner */
	bool with_token, with_permissions;
	int64_t max; /* 0: no bound */
};
struct robot_new {
	int64_t owner_id;
	struct str ns, short_name, description;
	const char *metadata; /* JSON object */
};

/* The robots of a namespace, by name. Rows are read with robot_from_row(). */
enum err_kind robot_list(struct ctx *c, const struct robot_query *q, const struct db_result **out) MUST_CHECK;
/* One row of it; the token is opened. *out given. */
enum err_kind robot_from_row(struct ctx *c, const struct secrets *s, const struct db_result *r, int row,
                             struct robot *out) MUST_CHECK;
/* ERR_BAD_INPUT "Could not find robot with specified username". Full name: NAMESPACE+SHORT. */
enum err_kind robot_get(struct ctx *c, const struct secrets *s, const struct robot_query *q,
                        struct robot *out) MUST_CHECK;
/* A robot with a fresh token. ERR_BAD_INPUT: name taken or no name, robots are disallowed. In a transaction. */
enum err_kind robot_create(struct ctx *c, const struct secrets *s, const struct robot_new *n,
                           int64_t *id) MUST_CHECK;
enum err_kind robot_delete(struct ctx *c, int64_t owner_id, const char *name) MUST_CHECK;
struct robot_issuers {
	struct str *issuers, *subjects;
	struct str *audiences; /* a JSON list; empty: any */
	size_t n;
};
/* Replaces whose tokens a robot may exchange by these; NULL: none. */
enum err_kind robot_set_federation(struct ctx *c, int64_t robot_id, const struct robot_issuers *f) MUST_CHECK;
#endif
