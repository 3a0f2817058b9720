/* Documents at fixed places, by which other programs find their way: what this registry can do, where a password is changed. */
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "http/response.h"
#include "site/routes.h"

static void
put_template(struct req *rq, json_t *o, const char *capability, const char *member, const char *path)
{
	jo_str(jo_object(o, capability), member, str_fmt(rq->c->mem, "%s%s", req_base_url(rq), path));
}

static enum err_kind
site_capabilities(struct req *rq)
{
	json_t *o = res_json(rq, 200), *v;

	jo_str(o, "appName", "io.quay");
	v = jo_object(o, "capabilities");
	put_template(rq, v, "io.quay.view-image", "url-template", "/{namespace}/{reponame}:{tag}");
	put_template(rq, v, "io.quay.image-security", "rest-api-template", "/api/v1/repository/{namespace}/{reponame}/image/{imageid}/security");
	jo_bool(json_object_get(v, "io.quay.image-security"), "deprecated", true);
	put_template(rq, v, "io.quay.manifest-security", "rest-api-template", "/api/v1/repository/{namespace}/{reponame}/manifest/{digest}/security");
	return ERR_NONE;
}

static enum err_kind
site_change_password(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);

	buf_puts(&b, "/user/");
	buf_put_url(&b, str_of(rq->facts.caller_name));
	buf_puts(&b, "?tab=settings");
	res_header(rq, "Location", buf_str(&b));
	res_empty(rq, 302);
	return ERR_NONE;
}

const struct route SITE_WELL_KNOWN_ROUTES[] = {
	{ .id = "wellknown.app_capabilities", .methods = HTTP_GET | HTTP_HEAD, .path = "/.well-known/app-capabilities", .proto = PROTO_SITE, .auth = AUTH_NONE,
	  .perm = PERM_NONE, .run = site_capabilities, .doc = "What this registry can do, for programs that look for it." },
	{ .id = "wellknown.change_password", .methods = HTTP_GET | HTTP_HEAD, .path = "/.well-known/change-password", .proto = PROTO_SITE, .auth = AUTH_API,
	  .perm = PERM_USER_READ, .rate = RATE_API_READ, .run = site_change_password, .doc = "Where the person who is signed in changes the password." },
	{ .id = NULL }
};
