/* GET /api/v1/discovery: the API as a Swagger 2.0 document, made of the very rows that serve it. */
#include <string.h>

#include "api/routes.h"
#include "api/subject.h"
#include "app.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/field.h"
#include "http/response.h"
#include "http/route-words.h"
#include "http/router.h"

#define MEM_BYTES  (16 << 20)

static bool
is_listed(const struct req *rq, const struct route *rt, bool internal)
{
	return rt->proto == PROTO_API && strncmp(rt->path, SUBJECT_PREFIX, sizeof SUBJECT_PREFIX - 1) == 0 && (internal || (rt->flags & ROUTE_INTERNAL) == 0) &&
	       route_is_on(rq->c->conf, rt);
}

/* Swagger's list of the captures of a path. */
static json_t *
captures(struct req *rq, const struct route *rt)
{
	json_t     *list = json_array(), *o;
	const char *name, *kind;

	for (size_t i = 0; (kind = route_capture(rq->c->mem, rt, i, &name)) != NULL; i++) {
		o = ja_object(list);
		jo_str(o, "name", name);
		jo_str(o, "in", "path");
		jo_bool(o, "required", true);
		jo_str(o, "type", "string");
		jo_str(o, "description", strcmp(kind, "repopath") == 0 ? "The full path of the repository. e.g. namespace/name" : "");
	}
	return list;
}

static const char *
body_name(struct req *rq, const struct route *rt)
{
	return str_fmt(rq->c->mem, "%sBody", rt->id);
}

/* The JSON schema of a row's body. */
static void
put_definition(struct req *rq, json_t *definitions, const struct route *rt)
{
	json_t *d = jo_object(definitions, body_name(rq, rt)), *properties, *required = json_array();

	jo_str(d, "type", "object");
	properties = jo_object(d, "properties");
	for (const struct field *f = rt->body; f->name != NULL; f++) {
		json_t *p = jo_object(properties, f->name);
		jo_str(p, "type", f->type == FIELD_ANY ? "object" : field_type_words(f->type));
		if (f->doc != NULL)
			jo_str(p, "description", f->doc);
		if (f->may_be_null)
			jo_bool(p, "x-nullable", true);
		if (f->type == FIELD_ARRAY)
			jo_object(p, "items");
		if (f->one_of != NULL) {
			json_t *e = jo_array(p, "enum");
			for (size_t i = 0; f->one_of[i] != NULL; i++)
				ja_str(e, f->one_of[i]);
		}
		if (f->is_required)
			ja_str(required, f->name);
	}
	if (json_array_size(required) > 0) /* Swagger wants no empty list */
		jo_take(d, "required", required);
	else
		json_decref(required);
}

static void
put_parameters(struct req *rq, json_t *op, const struct route *rt)
{
	json_t *list = jo_array(op, "parameters"), *o;

	for (const struct param *p = rt->query; p != NULL && p->name != NULL; p++) {
		o = ja_object(list);
		jo_str(o, "name", p->name);
		jo_str(o, "in", "query");
		jo_bool(o, "required", false);
		jo_str(o, "type", p->is_int ? "integer" : "string");
		jo_str(o, "description", p->doc != NULL ? p->doc : "");
	}
	if (rt->body == NULL)
		return;
	o = ja_object(list);
	jo_str(o, "name", "body");
	jo_str(o, "in", "body");
	jo_bool(o, "required", true);
	jo_str(jo_object(o, "schema"), "$ref", str_fmt(rq->c->mem, "#/definitions/%s", body_name(rq, rt)));
}

static void
put_responses(json_t *op, unsigned method)
{
	static const struct {
		const char *status, *what;
	} FAIL[] = { { "400", "Bad Request" }, { "401", "Session required" }, { "403", "Unauthorized access" }, { "404", "Not found" } };
	json_t *all = jo_object(op, "responses"), *o;

	for (size_t i = 0; i < sizeof FAIL / sizeof *FAIL; i++) {
		o = jo_object(all, FAIL[i].status);
		jo_str(o, "description", FAIL[i].what);
		jo_str(jo_object(o, "schema"), "$ref", "#/definitions/ApiError");
	}
	o = jo_object(all, method == HTTP_DELETE ? "204" : method == HTTP_POST ? "201" : "200");
	jo_str(o, "description", method == HTTP_DELETE ? "Deleted" : method == HTTP_POST ? "Successful creation" : "Successful invocation");
}

static void
put_operation(struct req *rq, json_t *path, const struct route *rt, bool internal)
{
	static const struct {
		unsigned    method;
		const char *name;
	} METHOD[] = { { HTTP_GET, "get" }, { HTTP_POST, "post" }, { HTTP_PUT, "put" }, { HTTP_PATCH, "patch" }, { HTTP_DELETE, "delete" } };

	for (size_t m = 0; m < sizeof METHOD / sizeof *METHOD; m++) {
		json_t *op;
		if ((rt->methods & METHOD[m].method) == 0)
			continue;
		op = jo_object(path, METHOD[m].name);
		jo_str(op, "operationId", rt->id);
		put_parameters(rq, op, rt);
		jo_str(op, "description", rt->doc != NULL ? rt->doc : "");
		ja_str(jo_array(op, "tags"), SUBJECTS[subject_of(rt)].tag);
		if ((rt->flags & ROUTE_INTERNAL) != 0)
			jo_bool(op, "x-internal", true);
		if (internal && (rt->flags & ROUTE_FRESH) != 0)
			jo_bool(op, "x-requires-fresh-login", true);
		for (size_t i = 0; i < SCOPE_COUNT; i++)
			if ((rt->scope & SCOPES[i].bit) != 0) { /* the first is the one to ask for */
				ja_str(jo_array(ja_object(jo_array(op, "security")), "oauth2_implicit"), SCOPES[i].name);
				break;
			}
		put_responses(op, METHOD[m].method);
	}
}

static void
put_path(struct req *rq, json_t *paths, const struct route *rt, bool internal)
{
	const char *name = route_path_words(rq->c->mem, rt), *tag = SUBJECTS[subject_of(rt)].tag;
	json_t     *path = json_object_get(paths, name), *list;

	if (path == NULL) {
		path = jo_object(paths, name);
		jo_str(path, "x-name", str_fmt(rq->c->mem, "endpoints.api.%s.%s", tag, rt->id));
		jo_str(path, "x-path", name);
		jo_str(path, "x-tag", tag);
		list = captures(rq, rt);
		if (json_array_size(list) > 0)
			jo_take(path, "parameters", list);
		else
			json_decref(list);
	}
	put_operation(rq, path, rt, internal);
}

static void
put_head(struct req *rq, json_t *o)
{
	const struct conf *cf = rq->c->conf;
	json_t            *info, *oauth, *scopes;

	jo_str(o, "swagger", "2.0");
	jo_str(o, "host", cf->server_hostname);
	jo_str(o, "basePath", "/");
	ja_str(jo_array(o, "schemes"), cf->preferred_url_scheme);
	info = jo_object(o, "info");
	jo_str(info, "version", "v1");
	jo_str(info, "title", cf->registry_title);
	jo_str(info, "description", "This API allows you to perform many of the operations required to work with repositories, users, and organizations.");
	jo_str(info, "termsOfService", str_fmt(rq->c->mem, "%s/tos", cf->base_url));
	jo_str(jo_object(info, "contact"), "email", "");
	oauth = jo_object(jo_object(o, "securityDefinitions"), "oauth2_implicit");
	jo_str(oauth, "type", "oauth2");
	jo_str(oauth, "flow", "implicit");
	jo_str(oauth, "authorizationUrl", str_fmt(rq->c->mem, "%s/oauth/authorize", cf->base_url));
	scopes = jo_object(oauth, "scopes");
	for (size_t i = 0; i < SCOPE_COUNT; i++)
		if (SCOPES[i].bit != SCOPE_SUPER_USER || cf->feature_super_users)
			jo_str(scopes, SCOPES[i].name, SCOPES[i].description);
}

static void
put_api_error(json_t *definitions)
{
	static const char *const TEXTS[] = { "detail", "error_message", "error_type", "title", "type" };
	json_t                  *d = jo_object(definitions, "ApiError"), *p;

	jo_str(d, "type", "object");
	p = jo_object(d, "properties");
	for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
		jo_str(jo_object(p, TEXTS[i]), "type", "string");
	jo_str(jo_object(p, "status"), "type", "integer");
	ja_str(jo_array(d, "required"), "status");
}

static enum err_kind
api_discovery(struct req *rq)
{
	const bool internal = param_bool(rq, "internal", false);
	bool      *is_used = ARENA_ARRAY(rq->c->mem, bool, SUBJECT_COUNT);
	json_t    *o = res_json(rq, 200), *paths, *definitions, *tags;

	put_head(rq, o);
	paths = jo_object(o, "paths");
	definitions = jo_object(o, "definitions");
	put_api_error(definitions);
	/* By subject, as the interface of the API's explorer shows them. */
	for (size_t tag = 0; tag < SUBJECT_COUNT; tag++)
		for (const struct route *const *t = app_routes(); *t != NULL; t++)
			for (const struct route *rt = *t; rt->id != NULL; rt++) {
				if (!is_listed(rq, rt, internal) || subject_of(rt) != tag)
					continue;
				is_used[tag] = true;
				put_path(rq, paths, rt, internal);
				if (rt->body != NULL)
					put_definition(rq, definitions, rt);
			}
	tags = jo_array(o, "tags");
	for (size_t i = 0; i < SUBJECT_COUNT; i++) {
		json_t *one;
		bool    again = false;
		for (size_t k = 0; k < i; k++)
			again |= is_used[k] && strcmp(SUBJECTS[k].tag, SUBJECTS[i].tag) == 0;
		if (!is_used[i] || again)
			continue;
		one = ja_object(tags);
		jo_str(one, "name", SUBJECTS[i].tag);
		jo_str(one, "description", SUBJECTS[i].description);
	}
	return ERR_NONE;
}

static const struct param QUERY[] = { { "internal", false, "Whether to include internal APIs." }, { NULL, false, NULL } };

const struct route API_DISCOVERY_ROUTES[] = {
	{ .id = "discovery", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/discovery", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NONE,
	  .rate = RATE_API_READ, .flags = ROUTE_ANONYMOUS_OK, .query = QUERY, .mem_bytes = MEM_BYTES, .run = api_discovery,
	  .doc = "List all of the API endpoints available in the swagger API format." },
	{ .id = NULL }
};
