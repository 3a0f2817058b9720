/* Access tokens of repositories: gone since long, as in Quay. Whoever administrates the repository is told so. */
#include "api/routes.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "http/field.h"
#include "http/response.h"

static const struct say SAY_GONE = {
	410, "message", "Access tokens of repositories are no longer supported: use robot accounts"
};

static const struct field CREATE[] = { F_STR("friendlyName", F_REQUIRED, .doc = "Not read."), F_END };
static const struct field CHANGE[] = { F_STR("role", F_REQUIRED, .doc = "Not read."), F_END };

static enum err_kind
api_repository_token(struct req *rq)
{
	return err_say(rq->c, ERR_UNSUPPORTED, &SAY_GONE);
}

/* clang-format off */
#define TOKENS "/api/v1/repository/<repopath:repository>/tokens/"
#define ADMIN  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_REPO_ADMIN, .scope = SCOPE_REPO_ADMIN, .run = api_repository_token, .doc = "Answers 410: no longer supported."
#define GETS   .methods = HTTP_GET | HTTP_HEAD, ADMIN, .flags = ROUTE_SU_READ, .rate = RATE_API_READ
#define WRITES ADMIN, .flags = ROUTE_SU_FULL, .rate = RATE_API_WRITE

const struct route API_REPOSITORY_TOKEN_ROUTES[] = {
	{ .id = "listRepoTokens", .path = TOKENS, GETS },
	{ .id = "createToken", .methods = HTTP_POST, .path = TOKENS, WRITES, .body = CREATE },
	{ .id = "getTokens", .path = TOKENS "<name:code>", GETS },
	{ .id = "changeToken", .methods = HTTP_PUT, .path = TOKENS "<name:code>", WRITES, .body = CHANGE },
	{ .id = "deleteToken", .methods = HTTP_DELETE, .path = TOKENS "<name:code>", WRITES },
	{ .id = NULL }
};
