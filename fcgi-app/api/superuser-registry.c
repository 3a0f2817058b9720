/* The registry itself, as superusers see it: its state, its size, its history. */
#include "api/routes.h"
#include "auth/scope.h"
#include "base/ctx.h"
#include "base/js.h"
#include "changelog.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"

static enum err_kind
api_registry_status(struct req *rq)
{
	json_t *o = res_json(rq, 200);

	jo_str(o, "status", "ready"); /* without a whole configuration no request is served */
	jo_str(o, "provider_id", "file");
	return ERR_NONE;
}

static enum err_kind
api_registry_size(struct req *rq)
{
	const struct db_result *r;
	json_t                 *o;

	TRY(db_exec(rq->c, STMT_REGISTRY_SIZE, DB_NO_ARGS, &r));
	o = res_json(rq, 200);
	jo_i64(o, "size_bytes", db_get_i64(r, 0, REGISTRY_SIZE_SIZE_BYTES));
	if (db_is_null(r, 0, REGISTRY_SIZE_COMPLETED_MS))
		jo_null(o, "last_ran");
	else
		jo_i64(o, "last_ran", db_get_i64(r, 0, REGISTRY_SIZE_COMPLETED_MS));
	jo_bool(o, "queued", db_get_bool(r, 0, REGISTRY_SIZE_IS_QUEUED));
	jo_bool(o, "running", db_get_bool(r, 0, REGISTRY_SIZE_IS_RUNNING));
	return ERR_NONE;
}

static enum err_kind
api_registry_size_queue(struct req *rq)
{
	const struct db_result *r;

	TRY(db_exec(rq->c, STMT_REGISTRY_SIZE_QUEUE, DB_NO_ARGS, &r));
	res_body(rq, r->rows > 0 ? 201 : 202, "application/json", STR("\"\"\n"));
	return ERR_NONE;
}

static enum err_kind
api_changelog(struct req *rq)
{
	jo_str(res_json(rq, 200), "log", KADE_CHANGELOG);
	return ERR_NONE;
}

/* Whoever may ask learns that the operator has not switched it on. */
static enum err_kind
api_config_dump(struct req *rq)
{
	return err_set(rq->c, ERR_DENIED, "FEATURE_SUPERUSER_CONFIGDUMP is off");
}

#define READS .methods = HTTP_GET | HTTP_HEAD, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_SUPERUSER_READ, .rate = RATE_API_READ, .flags = ROUTE_FRESH, \
	      .feature = CONF_FLAG(feature_super_users)
const struct route API_SUPERUSER_REGISTRY_ROUTES[] = {
	{ .id = "scRegistryStatus", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/superuser/registrystatus", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NONE, .rate = RATE_API_READ, .flags = ROUTE_ANONYMOUS_OK, .feature = CONF_FLAG(feature_super_users), .run = api_registry_status,
	  .doc = "Whether the registry is set up." },
	{ .id = "getRegistrySize", .path = "/api/v1/superuser/registrysize/", READS, .run = api_registry_size, .doc = "The size of all blobs." },
	{ .id = "queueRegistrySizeCalculation", .methods = HTTP_POST, .path = "/api/v1/superuser/registrysize/", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_SUPERUSER, .scope = SCOPE_SUPER_USER, .rate = RATE_API_WRITE, .flags = ROUTE_FRESH, .tx = TX_WRITE,
	  .feature = CONF_FLAG(feature_super_users), .run = api_registry_size_queue, .doc = "Asks for the size to be computed anew." },
	{ .id = "getChangeLog", .path = "/api/v1/superuser/changelog/", READS, .run = api_changelog, .doc = "What is new in each release." },
	{ .id = "getConfigDump", .path = "/api/v1/superuser/config", READS, .run = api_config_dump, .doc = "The configuration: refused unless it is switched on." },
	{ .id = NULL }
};
