/* Documents about the API itself: what an error means, what the registry can do. */
#include "api/routes.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/response.h"

static const struct {
	const char *type, *description;
} ERRORS[] = {
	{ "external_service_timeout", "A service that the registry asks did not answer in time. Trying again later may help." },
	{ "invalid_request", "The request cannot be carried out as it is: a member is missing or wrong, or a rule forbids it. The detail says which." },
	{ "invalid_response", "What the registry was asked for is not there in the form that is needed." },
	{ "invalid_token", "The call needs a valid login or token, and none was shown." },
	{ "expired_token", "The token has expired. A new one is needed." },
	{ "insufficient_scope", "The login or token is valid, but does not allow this call." },
	{ "fresh_login_required", "The call needs a login of the last few minutes: the password has to be verified again." },
	{ "exceeds_license", "The plan of the namespace does not allow so much." },
	{ "not_found", "What the request names does not exist." },
	{ "downstream_issue", "A service that the registry needs for this call failed." },
	{ "tag_immutable", "The tag is immutable: it can be neither moved nor deleted nor made to expire." },
	{ "token_rotation_failed", "The bootstrap token could not be replaced." },
};

static enum err_kind
api_error_description(struct req *rq)
{
	const struct str want = req_capture(rq, "error_type");

	for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
		json_t *o;
		if (!str_eq_c(want, ERRORS[i].type))
			continue;
		o = res_json(rq, 200);
		jo_str(o, "type", str_fmt(rq->c->mem, "%s/api/v1/error/%s", req_base_url(rq), ERRORS[i].type));
		jo_str(o, "title", ERRORS[i].type);
		jo_str(o, "description", ERRORS[i].description);
		return ERR_NONE;
	}
	return err_set(rq->c, ERR_NOT_FOUND, "no such error");
}

static enum err_kind
api_capabilities(struct req *rq)
{
	static const char *const ARCHITECTURES[] = { "amd64", "arm64", "ppc64le", "s390x" };
	json_t                  *o = res_json(rq, 200), *sparse = jo_object(o, "sparse_manifests"), *mirror = jo_array(o, "mirror_architectures");

	jo_bool(sparse, "supported", rq->c->conf->feature_sparse_index);
	jo_array(sparse, "required_architectures");
	jo_bool(sparse, "optional_architectures_allowed", rq->c->conf->feature_sparse_index);
	for (size_t i = 0; i < sizeof ARCHITECTURES / sizeof *ARCHITECTURES; i++)
		ja_str(mirror, ARCHITECTURES[i]);
	return ERR_NONE;
}

const struct route API_DOCUMENT_ROUTES[] = {
	{ .id = "getErrorDescription", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/error/<name:error_type>", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_NONE, .rate = RATE_API_READ, .run = api_error_description, .doc = "Get a detailed description of the error." },
	{ .id = "getRegistryCapabilities", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/registry/capabilities", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_NONE, .rate = RATE_API_READ, .flags = ROUTE_ANONYMOUS_OK, .run = api_capabilities,
	  .doc = "What the registry supports." },
	{ .id = NULL }
};
