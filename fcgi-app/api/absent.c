/* Calls of Quay's API whose services do not exist here: notary (repository signatures and trust), the security scanner,
 * and the linking of accounts of a federated directory. Their paths are claimed, so that they are not taken for
 * repositories with such names, and answer as Quay does with the feature off: 404 to reads, 405 to
 * everything else, whether the configuration asks for them or not. */
#include "api/routes.h"
#include "conf/conf.h"
#include "base/ctx.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"

static const struct say SAY_NO_METHOD = { 405, "message",
	                                  "The method is not allowed for the requested URL." };

static const struct say SAY_SERVICE = { 400, "invalid_request", "Unknown login service" };
static const char *const LOGIN_KINDS[] = { "login", "attach", "cli", NULL };

static enum err_kind
api_absent(struct req *rq)
{
	if ((rq->method & (HTTP_GET | HTTP_HEAD)) != 0)
		return err_set(rq->c, ERR_NOT_FOUND, "not served");
	return err_say(rq->c, ERR_UNSUPPORTED, &SAY_NO_METHOD);
}

/* Accounts come from the registry's own database: there is nobody to link. */
static enum err_kind
api_entity_link(struct req *rq)
{
	return err_set(rq->c, ERR_NOT_FOUND, "no federated directory");
}

/* No login service is configured that could be asked. */
static enum err_kind
api_external_login(struct req *rq)
{
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_SERVICE, "Unknown login service: %.*s", STRF(req_capture(rq, "service_id")));
}

static const struct field EXTERNAL_LOGIN[] = { F_STR("kind", F_REQUIRED, .one_of = LOGIN_KINDS, .doc = "What the login is for."), F_END };

#define REPO  "/api/v1/repository/<repopath:repository>"
#define READS HTTP_GET | HTTP_HEAD
#define ABSENT(m, p, flag)                                                                                   \
	.methods = (m), .path = (p), .proto = PROTO_API, .auth = AUTH_NONE, .perm = PERM_NONE,               \
	.rate = RATE_API_READ, .feature = CONF_FLAG(flag),                                                   \
	.flags = ROUTE_NO_CSRF | ROUTE_ANONYMOUS_OK | ROUTE_READONLY_OK | ROUTE_UNSERVED, .run = api_absent
const struct route API_ABSENT_ROUTES[] = {
	{.id = "getRepoSignatures",
         ABSENT(READS, REPO "/signatures", feature_signing),
         .doc = "Delegations of notary." },
	{ .id = "changeRepoTrust",
         ABSENT(HTTP_POST, REPO "/changetrust", feature_signing),
         .doc = "Switches notary for a repository." },
	{ .id = "getRepoManifestSecurity",
         ABSENT(READS, REPO "/manifest/<ref:manifestref>/security", feature_security_scanner),
         .doc = "What the scanner found." },
	{ .id = "linkExternalUser",
         .methods = HTTP_POST,
         .path = "/api/v1/entities/link/<name:username>",
         .proto = PROTO_API,
         .auth = AUTH_API,
         .perm = PERM_NONE,
         .rate = RATE_API_WRITE,
         .run = api_entity_link,
         .doc = "Makes the account of a user of a federated directory." },
	{ .id = "retrieveExternalLoginAuthorizationUrl",
         .methods = HTTP_POST,
         .path = "/api/v1/externallogin/<name:service_id>",
         .proto = PROTO_API,
         .auth = AUTH_API,
         .perm = PERM_NONE,
         .rate = RATE_AUTH,
         .flags = ROUTE_ANONYMOUS_OK | ROUTE_READONLY_OK | ROUTE_INTERNAL,
         .body = EXTERNAL_LOGIN,
         .run = api_external_login,
         .doc = "Request the auth URL for an external login." },
	{ .id = NULL}
};
