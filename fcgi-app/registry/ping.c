/* GET /v2/: is this a registry, and who am I? Answers 200 to any valid credential, an anonymous token included. */
#include "conf/conf.h"
#include "http/response.h"
#include "registry/v2.h"

static enum err_kind
reg_ping(struct req *rq)
{
	res_body(rq, 200, "application/json", STR("true"));
	res_challenge(rq);
	res_header(rq, "X-Sparse-Manifest-Support", rq->c->conf->feature_sparse_index ? STR("true") : STR("false"));
	return ERR_NONE;
}

const struct route REG_PING_ROUTES[] = {
	{ .id = "v2Support", .methods = HTTP_GET | HTTP_HEAD, .path = "/v2/", .proto = PROTO_V2, .auth = AUTH_REGISTRY, .perm = PERM_TOKEN,
	  .rate = RATE_REGISTRY_READ, .feature = CONF_FLAG(feature_advertise_v2), .run = reg_ping,
	  .doc = "Whether the registry API is here, and the challenge that names the token service." },
	REG_SAY_END
};
