/* The API as an OpenAPI 3.0 document, made of the rows that serve it: GET /api/v1/ui/openapi.json, a path that Quay does not
 * have, and `kade.fcgi --openapi`. The discovery document keeps the shape of Quay's; this one is for today's tools.
 * https://spec.openapis.org/oas/v3.0.3 */
#include "api/openapi.h"

#include <string.h>

#include "api/routes.h"
#include "api/subject.h"
#include "app.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/field.h"
#include "http/response.h"
#include "http/route-words.h"
#include "http/router.h"

#define MEM_BYTES (16 << 20)

static bool
is_listed(const struct conf *cf, const struct route *rt)
{
	return strncmp(rt->path, SUBJECT_PREFIX, sizeof SUBJECT_PREFIX - 1) == 0 &&
	       (rt->flags & ROUTE_UNSERVED) == 0 && (cf == NULL || route_is_on(cf, rt));
}

/* One member of a body, with what is checked before the handler runs. */
static void
put_field(json_t *properties, const struct field *f)
{
	json_t *p = jo_object(properties, f->name);

	if (f->type != FIELD_ANY)
		jo_str(p, "type", field_type_words(f->type));
	if (f->type == FIELD_ARRAY)
		jo_object(p, "items");
	if (f->doc != NULL)
		jo_str(p, "description", f->doc);
	if (f->may_be_null)
		jo_bool(p, "nullable", true);
	if (f->type == FIELD_INT && (f->min != 0 || f->max != 0)) {
		jo_i64(p, "minimum", f->min);
		jo_i64(p, "maximum", f->max);
	}
	if (f->type == FIELD_STR && f->min > 0)
		jo_i64(p, "minLength", f->min);
	if (f->type == FIELD_STR && f->max > 0)
		jo_i64(p, "maxLength", f->max);
	if (f->one_of == NULL)
		return;
	json_t *e = jo_array(p, "enum");
	for (size_t i = 0; f->one_of[i] != NULL; i++)
		ja_str(e, f->one_of[i]);
	if (f->may_be_null)
		ja_take(e, json_null());
}

static void
put_body(json_t *op, const struct route *rt)
{
	json_t *body = jo_object(op, "requestBody"), *schema, *properties, *required = NULL;

	jo_bool(body, "required", true);
	schema = jo_object(jo_object(jo_object(body, "content"), "application/json"), "schema");
	jo_str(schema, "type", "object");
	if (rt->body->name == NULL)
		return;
	properties = jo_object(schema, "properties");
	for (const struct field *f = rt->body; f->name != NULL; f++) {
		put_field(properties, f);
		if (!f->is_required)
			continue;
		if (required == NULL)
			required = jo_array(schema, "required");
		ja_str(required, f->name);
	}
}

static void
put_parameters(struct ctx *c, json_t *op, const struct route *rt)
{
	json_t *list = jo_array(op, "parameters"), *o;
	const char *name, *kind;

	for (size_t i = 0; (kind = route_capture(c->mem, rt, i, &name)) != NULL; i++) {
		o = ja_object(list);
		jo_str(o, "name", name);
		jo_str(o, "in", "path");
		jo_bool(o, "required", true);
		if (strcmp(kind, "repopath") == 0)
			jo_str(o, "description",
			       "Namespace and name of the repository, with the slash between them as it is: "
			       "namespace/name.");
		jo_str(jo_object(o, "schema"), "type", strcmp(kind, "int") == 0 ? "integer" : "string");
	}
	for (const struct param *p = rt->query; p != NULL && p->name != NULL; p++) {
		o = ja_object(list);
		jo_str(o, "name", p->name);
		jo_str(o, "in", "query");
		if (p->doc != NULL)
			jo_str(o, "description", p->doc);
		jo_str(jo_object(o, "schema"), "type", p->is_int ? "integer" : "string");
	}
}

/* A session, or a token with one of the row's scopes; nothing where anybody is served. */
static void
put_security(json_t *op, const struct route *rt)
{
	json_t *list = jo_array(op, "security");

	if (rt->perm == PERM_NONE || rt->perm == PERM_REPO_READ || rt->perm == PERM_NS_ANY)
		ja_object(list); /* {}: without */
	if (rt->auth == AUTH_NONE)
		return;
	jo_array(ja_object(list), "session");
	for (size_t i = 0; i < SCOPE_COUNT; i++)
		if ((rt->scope & SCOPES[i].bit) != 0)
			ja_str(jo_array(ja_object(list), "oauth"), SCOPES[i].name);
	if (rt->scope == 0)
		jo_array(ja_object(list), "oauth");
}

static void
put_responses(json_t *op)
{
	json_t *all = jo_object(op, "responses");

	jo_str(jo_object(all, "2XX"), "description", "Done.");
	jo_str(jo_object(all, "4XX"), "$ref", "#/components/responses/Refused");
	jo_str(jo_object(all, "5XX"), "$ref", "#/components/responses/Refused");
}

static void
put_operation(struct ctx *c, json_t *op, const struct route *rt)
{
	const char *features[ROUTE_FEATURES + 1];
	json_t *list;

	jo_str(op, "operationId", rt->id);
	ja_str(jo_array(op, "tags"), SUBJECTS[subject_of(rt)].tag);
	jo_str(op, "summary", rt->doc != NULL ? rt->doc : "");
	put_parameters(c, op, rt);
	if (rt->body != NULL)
		put_body(op, rt);
	put_security(op, rt);
	put_responses(op);
	jo_str(op, "x-permission", route_perm_words(rt->perm));
	if ((rt->flags & ROUTE_FRESH) != 0)
		jo_bool(op, "x-requires-fresh-login", true);
	route_features(rt, features);
	if (features[0] == NULL)
		return;
	list = jo_array(op, "x-features");
	for (size_t i = 0; features[i] != NULL; i++)
		ja_str(list, features[i]);
}

static void
put_path(struct ctx *c, json_t *paths, const struct route *rt)
{
	static const struct {
		unsigned method;
		const char *name;
	} METHOD[] = { { HTTP_GET, "get" },
		       { HTTP_POST, "post" },
		       { HTTP_PUT, "put" },
		       { HTTP_PATCH, "patch" },
		       { HTTP_DELETE, "delete" } };
	const char *name = route_path_words(c->mem, rt);
	json_t *path = json_object_get(paths, name);

	if (path == NULL)
		path = jo_object(paths, name);
	for (size_t m = 0; m < sizeof METHOD / sizeof *METHOD; m++)
		if ((rt->methods & METHOD[m].method) != 0)
			put_operation(c, jo_object(path, METHOD[m].name), rt);
}

static void
put_info(json_t *o, const struct conf *cf)
{
	json_t *info;

	jo_str(o, "openapi", "3.0.3");
	info = jo_object(o, "info");
	jo_str(info, "title", cf != NULL && cf->registry_title != NULL ? cf->registry_title : "Kade");
	jo_str(info, "version", "v1");
	jo_str(info, "description",
	       "The REST API of the registry. Every GET is answered to HEAD too. Unknown members of a body "
	       "are let through.");
	jo_str(ja_object(jo_array(o, "servers")), "url", cf != NULL ? cf->base_url : "/");
}

static void
put_schemes(struct ctx *c, json_t *components, const struct conf *cf)
{
	json_t *all = jo_object(components, "securitySchemes"), *o, *flow, *scopes;

	o = jo_object(all, "session");
	jo_str(o, "type", "apiKey");
	jo_str(o, "in", "cookie");
	jo_str(o, "name", "_csrf_token");
	jo_str(o, "description",
	       "What signing in gives. Calls that change something show the session's CSRF token in the "
	       "header X-CSRF-Token.");
	o = jo_object(all, "oauth");
	jo_str(o, "type", "oauth2");
	flow = jo_object(jo_object(o, "flows"), "implicit");
	jo_str(flow, "authorizationUrl",
	       str_fmt(c->mem, "%s/oauth/authorize", cf != NULL ? cf->base_url : ""));
	scopes = jo_object(flow, "scopes");
	for (size_t i = 0; i < SCOPE_COUNT; i++)
		jo_str(scopes, SCOPES[i].name, SCOPES[i].description);
}

/* Refusals have different members for reasons of history: docs/compatibility.md. */
static void
put_refused(json_t *components)
{
	static const char *const TEXTS[] = {
		"detail", "error_message", "error_type", "title", "type", "error"
	};
	json_t *schema = jo_object(jo_object(components, "schemas"), "Refusal"), *properties, *o;

	jo_str(schema, "type", "object");
	properties = jo_object(schema, "properties");
	for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
		jo_str(jo_object(properties, TEXTS[i]), "type", "string");
	jo_str(jo_object(properties, "message"), "description",
	       "A text, or an object of texts by the name of a query parameter.");
	jo_str(jo_object(properties, "status"), "type", "integer");
	o = jo_object(jo_object(components, "responses"), "Refused");
	jo_str(o, "description", "Refused: the body says why.");
	jo_str(jo_object(jo_object(jo_object(o, "content"), "application/json"), "schema"), "$ref",
	       "#/components/schemas/Refusal");
}

static void
put_tags(json_t *o, const bool *is_used)
{
	json_t *tags = jo_array(o, "tags");

	for (size_t i = 0; i < SUBJECT_COUNT; i++) {
		size_t first = 0;
		bool any = false;
		while (strcmp(SUBJECTS[first].tag, SUBJECTS[i].tag) != 0)
			first++;
		for (size_t k = i; k < SUBJECT_COUNT; k++)
			any |= is_used[k] && strcmp(SUBJECTS[k].tag, SUBJECTS[i].tag) == 0;
		if (first != i || !any)
			continue;
		json_t *one = ja_object(tags);
		jo_str(one, "name", SUBJECTS[i].tag);
		jo_str(one, "description", SUBJECTS[i].description);
	}
}

json_t *
openapi_document(struct ctx *c, const struct conf *conf, const struct route *const *tables)
{
	json_t *o = js_object(c), *paths, *components;
	bool *is_used = ARENA_ARRAY(c->mem, bool, SUBJECT_COUNT);

	put_info(o, conf);
	paths = jo_object(o, "paths");
	for (size_t s = 0; s < SUBJECT_COUNT; s++)
		for (const struct route *const *t = tables; *t != NULL; t++)
			for (const struct route *rt = *t; rt->id != NULL; rt++) {
				if (!is_listed(conf, rt) || subject_of(rt) != s)
					continue;
				is_used[s] = true;
				put_path(c, paths, rt);
			}
	components = jo_object(o, "components");
	put_refused(components);
	put_schemes(c, components, conf);
	put_tags(o, is_used);
	return o;
}

static enum err_kind
api_openapi(struct req *rq)
{
	res_body(rq, 200, "application/json",
	         js_dump(rq->c, openapi_document(rq->c, rq->c->conf, app_routes())));
	return ERR_NONE;
}

const struct route API_OPENAPI_ROUTES[] = { { .id = "openapi",
	                                      .methods = HTTP_GET | HTTP_HEAD,
	                                      .path = "/api/v1/ui/openapi.json",
	                                      .proto = PROTO_API,
	                                      .auth = AUTH_API,
	                                      .perm = PERM_NONE,
	                                      .rate = RATE_API_READ,
	                                      .flags = ROUTE_ANONYMOUS_OK | ROUTE_INTERNAL,
	                                      .mem_bytes = MEM_BYTES,
	                                      .run = api_openapi,
	                                      .doc = "All calls of the API as an OpenAPI 3.0 document." },
	                                    { .id = NULL } };
