/* The permission facts of one repository for one caller: the fixed leading columns of every statement named as a route's
 * `.load`. They come from one SQL function, repo_facts(); see sql/schema. */
#ifndef KADE_MODEL_FACTS_H
#define KADE_MODEL_FACTS_H
#include <stdbool.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/str.h"

struct conf;
struct ctx;
struct db_args;
struct db_result;

enum repo_state { REPO_NORMAL, REPO_READ_ONLY, REPO_MIRROR, REPO_MARKED_FOR_DELETION, REPO_ORG_MIRROR };
enum repo_kind { REPO_KIND_IMAGE = 1, REPO_KIND_APPLICATION = 2 };

/* What the credential allows at most: the sixth argument of repo_facts(). Bits 0-1 hold enum role. */
enum caps {
	CAPS_ROLE_MASK = 3,
	CAPS_PUBLIC = 4,    /* public repositories are readable: anonymous access is on, or the caller is known */
	CAPS_SU_READ = 8,   /* reads everything: superuser with full access, or global read-only */
	CAPS_SU_ALL = 16,   /* superuser with full access */
	CAPS_CREATE = 32,   /* the credential may create repositories */
};
struct facts {
	int64_t namespace_id; /* 0: no such user or organization */
	bool    namespace_is_org, namespace_enabled;
	int64_t repository_id; /* 0: absent, or marked for deletion */
	enum repo_kind  repository_kind;
	enum repo_state repository_state;
	bool      is_public;
	int64_t   caller_id;    /* account; 0 = anonymous or gone */
	const char *caller_name;
	bool      caller_alive; /* account and its owner enabled, token and key alive; true for anonymous */
	enum role role;         /* effective on the repository: live right, capped by the credential */
	enum org_role org_role; /* live, in the namespace; own namespace = ORG_ROLE_ADMIN */
	bool      may_read, may_write, may_admin; /* role, visibility, superuser bits; state is not looked at */
	bool      may_create;   /* a repository in this namespace */
	int64_t   token_id;     /* of the app, OAuth or access token; 0 = none */
};

/* Is the caller a superuser by the configuration (a robot never is)? */
bool facts_is_superuser(const struct conf *cf, const struct identity *id);
/* May the caller read every repository: a global read-only superuser, or a superuser with full access? */
bool facts_reads_everything(const struct conf *cf, const struct identity *id);
/* A global read-only superuser, whatever the token's scopes. Goes before superuser: who is both only reads. */
bool facts_is_global_reader(const struct conf *cf, const struct identity *id);
/* FEATURE_RESTRICTED_USERS: such a user, and the user's robots, create nothing in the own namespace and push nothing to it. */
bool facts_is_restricted(const struct conf *cf, const struct identity *id, struct str ns);
/* What the credential allows at most on ns/repo; need: the role the request asks for, which a grant must reach for
 * CAPS_CREATE (a token that may only pull still learns that a repository it could create is absent). */
unsigned facts_caps(const struct conf *cf, const struct identity *id, struct str ns, struct str repo, enum role need);
/* Appends the leading arguments: namespace, repository, caller uuid, token uuid, key id, caps. */
void facts_args(struct db_args *a, struct str ns, struct str repo, const struct identity *id, unsigned caps);
/* Reads the facts from row 0, columns from first_col on. */
void facts_from_row(struct ctx *c, const struct db_result *r, int first_col, struct facts *out);
/* The same from any row: statements that decide several repositories at once. */
void facts_from_rows(struct ctx *c, const struct db_result *r, int row, int first_col, struct facts *out);
#endif
