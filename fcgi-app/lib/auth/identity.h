/* Who asks: the result of checking the credentials of a request. It says what the credential allows at most; what the
 * caller may really do is decided by the request's own statement (model/facts.h). */
#ifndef KADE_AUTH_IDENTITY_H
#define KADE_AUTH_IDENTITY_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum identity_kind {
	IDENTITY_ANONYMOUS,
	IDENTITY_USER,      /* password, session or encrypted password */
	IDENTITY_ROBOT,
	IDENTITY_APP_TOKEN, /* $app: the user, registry only */
	IDENTITY_OAUTH,     /* $oauthtoken or Bearer on /api: scopes cap it */
	IDENTITY_ACCESS_TOKEN /* $token: one repository, no user */
};
enum role { ROLE_NONE, ROLE_READ, ROLE_WRITE, ROLE_ADMIN };
enum org_role { ORG_ROLE_NONE, ORG_ROLE_MEMBER, ORG_ROLE_CREATOR, ORG_ROLE_ADMIN };

/* A grant of a registry token: repository name as in the token, role = the highest action. */
struct grant {
	struct str repository;
	enum role  role;
};
struct identity {
	enum identity_kind  kind;
	const char         *name;         /* user or robot name; NULL for anonymous and access tokens */
	const char         *account_uuid; /* of the user or robot; NULL as above */
	const char         *token_uuid;   /* of the app, OAuth or access token behind it; NULL = none */
	const char         *key_id;       /* of the registry token's signing key; NULL = no registry token */
	bool                has_grants;   /* a registry token: grants below are the upper bound */
	const struct grant *grants;
	size_t              n_grants;
	unsigned            scopes;       /* SCOPE_* bits; all for direct logins */
};
#endif
