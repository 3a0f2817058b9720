/* OAuth applications of an organization, and what anybody may know of one. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-account.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/field.h"
#include "http/response.h"
#include "model/application.h"

#define RESERVED_NAME "__quay_bootstrap_app"
#define LIST_MEM_BYTES (8 << 20)
static const struct say SAY_RESERVED = { 400, "invalid_request", "Application name is reserved for bootstrap token provisioning" };

/* An application has a name, so that the consent page can say who asks (Differs: Quay takes an application without a name). */
static const struct field CREATE[] = {
	F_STR("name", F_TEXT, F_REQUIRED, .min = 1, .max = 255, .doc = "The name of the application."),
	F_STR("redirect_uri", .max = 2048, .doc = "The URI for the application's OAuth redirect."),
	F_STR("application_uri", .max = 2048, .doc = "The URI for the application's homepage."),
	F_STR("description", F_TEXT, .max = 16384, .doc = "The human-readable description for the application."),
	F_STR("avatar_email", F_NULL, .max = 254, .doc = "The e-mail address of the avatar to use for the application."),
	F_END
};
static const struct field UPDATE[] = {
	F_STR("name", F_TEXT, F_REQUIRED, .min = 1, .max = 255, .doc = "The name of the application."),
	F_STR("redirect_uri", F_REQUIRED, .max = 2048, .doc = "The URI for the application's OAuth redirect."),
	F_STR("application_uri", F_REQUIRED, .max = 2048, .doc = "The URI for the application's homepage."),
	F_STR("description", F_TEXT, .max = 16384, .doc = "The human-readable description for the application."),
	F_STR("avatar_email", F_NULL, .max = 254, .doc = "The e-mail address of the avatar to use for the application."),
	F_END
};

static enum err_kind
bind_one(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "client_id")));
	return ERR_NONE;
}

static enum err_kind
bind_all(struct req *rq, struct db_args *a)
{
	(void)rq;
	db_args_add(a, db_null());
	return ERR_NONE;
}

/* Secrets are shown to who administrates the organization, not to who may read everything. */
static bool
sees_secrets(const struct req *rq)
{
	const enum org_role cap = scope_max_org_role(rq->ident.scopes);

	return (rq->facts.org_role == ORG_ROLE_ADMIN && cap == ORG_ROLE_ADMIN) ||
	       (facts_caps(rq->c->conf, &rq->ident, rq->ns, STR0, ROLE_ADMIN) & CAPS_SU_ALL) != 0;
}

static enum err_kind
put_application(struct req *rq, json_t *o, const struct application *a)
{
	const bool secrets = sees_secrets(rq);
	struct str secret;

	jo_str(o, "name", a->name);
	jo_str(o, "description", a->description);
	jo_str(o, "application_uri", a->application_uri);
	jo_str(o, "client_id", a->client_id);
	jo_str(o, "redirect_uri", secrets ? a->redirect_uri : NULL);
	jo_str(o, "avatar_email", secrets ? a->avatar_email : NULL);
	jo_null(o, "client_secret");
	if (secrets) {
		TRY(application_secret(rq->c, &rq->app->login->secrets, a, &secret));
		jo_strn(o, "client_secret", secret);
		res_header_set(rq, "Cache-Control", STR("no-store"));
	}
	return ERR_NONE;
}

static enum err_kind
check_organization(struct req *rq)
{
	return rq->facts.namespace_id != 0 && rq->facts.namespace_is_org && rq->facts.namespace_enabled
	           ? ERR_NONE
	           : err_set(rq->c, ERR_NOT_FOUND, "no such organization");
}

/* The application of the path, loaded with the facts. */
static enum err_kind
get_application(struct req *rq, struct application *a)
{
	TRY(check_organization(rq));
	application_from_row(rq->load, 0, APPLICATIONS_LOAD_APPLICATION0, a);
	return a->id != 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such application");
}

static enum err_kind
api_application_list(struct req *rq)
{
	json_t *list = jo_array(res_json(rq, 200), "applications");

	TRY(check_organization(rq));
	for (int i = 0; i < rq->load->rows; i++) {
		struct application a;
		application_from_row(rq->load, i, APPLICATIONS_LOAD_APPLICATION0, &a);
		if (a.id != 0)
			TRY(put_application(rq, ja_object(list), &a));
	}
	return ERR_NONE;
}

static enum err_kind
api_application_get(struct req *rq)
{
	struct application a;

	TRY(get_application(rq, &a));
	return put_application(rq, res_json(rq, 200), &a);
}

/* The body's members that have a meaning, and the application's names: what the log keeps. */
static json_t *
log_body(struct req *rq, const struct field *fields, const char *name, const char *client_id)
{
	json_t *meta = js_object(rq->c);

	for (const struct field *f = fields; f != NULL && f->name != NULL; f++) {
		json_t *v = json_object_get(rq->body, f->name);
		if (v != NULL)
			jo_take(meta, f->name, json_incref(v));
	}
	jo_str(meta, "application_name", name);
	jo_str(meta, "client_id", client_id);
	return meta;
}

static enum err_kind
check_name(struct req *rq)
{
	return str_eq(js_str(rq->body, "name"), STR(RESERVED_NAME)) ? err_say(rq->c, ERR_BAD_INPUT, &SAY_RESERVED) : ERR_NONE;
}

static const char *
text_of(struct req *rq, const char *name)
{
	const struct str s = js_str(rq->body, name);

	return s.p == NULL ? "" : str_dup(rq->c->mem, s);
}

/* The application with what the body says. */
static void
take_body(struct req *rq, struct application *a)
{
	a->name = text_of(rq, "name");
	a->description = text_of(rq, "description");
	a->application_uri = text_of(rq, "application_uri");
	a->redirect_uri = text_of(rq, "redirect_uri");
	a->avatar_email = js_str(rq->body, "avatar_email").n == 0 ? NULL : text_of(rq, "avatar_email");
}

static enum err_kind
api_application_create(struct req *rq)
{
	const struct application_new n = { .organization_id = rq->facts.namespace_id, .name = js_str(rq->body, "name"),
		                           .description = js_str(rq->body, "description"), .application_uri = js_str(rq->body, "application_uri"),
		                           .redirect_uri = js_str(rq->body, "redirect_uri"),
		                           .avatar_email = js_str(rq->body, "avatar_email").n == 0 ? STR0 : js_str(rq->body, "avatar_email") };
	const struct db_result      *r;
	struct db_args               args = { 0 };
	struct application           a;
	const char                  *client_id;

	TRY(check_organization(rq));
	TRY(check_name(rq));
	TRY(application_make(rq->c, &rq->app->login->secrets, &n, &client_id));
	TRY(log_action(rq, AUDIT_create_application, rq->facts.namespace_id, 0, log_body(rq, CREATE, text_of(rq, "name"), client_id)));
	facts_args(&args, rq->ns, STR0, &rq->ident, 0);
	db_args_add(&args, db_str(client_id));
	TRY(db_exec(rq->c, STMT_APPLICATIONS_LOAD, &args, &r));
	if (db_is_null(r, 0, APPLICATIONS_LOAD_APPLICATION0)) /* the organization was deleted meanwhile */
		return err_set(rq->c, ERR_NOT_FOUND, "the organization is gone");
	application_from_row(r, 0, APPLICATIONS_LOAD_APPLICATION0, &a);
	return put_application(rq, res_json(rq, 200), &a);
}

static enum err_kind
api_application_update(struct req *rq)
{
	struct application a;

	TRY(get_application(rq, &a));
	TRY(check_name(rq));
	take_body(rq, &a);
	TRY(db_exec(rq->c, STMT_APPLICATION_UPDATE,
	            DB_ARGS(db_i64(a.id), db_str(a.name), db_str(a.description), db_str(a.application_uri), db_str(a.redirect_uri), db_str(a.avatar_email)),
	            NULL));
	TRY(log_action(rq, AUDIT_update_application, rq->facts.namespace_id, 0, log_body(rq, UPDATE, a.name, a.client_id)));
	return put_application(rq, res_json(rq, 200), &a);
}

static enum err_kind
api_application_delete(struct req *rq)
{
	struct application a;

	TRY(get_application(rq, &a));
	TRY(log_action(rq, AUDIT_delete_application, rq->facts.namespace_id, 0, log_body(rq, NULL, a.name, a.client_id)));
	TRY(db_exec(rq->c, STMT_APPLICATION_DELETE, DB_ARGS(db_i64(a.id)), NULL));
	res_empty(rq, 204);
	return ERR_NONE;
}

static enum err_kind
api_application_reset(struct req *rq)
{
	struct application a;
	char               secret[TOKEN_TEXT_MAX + 1];
	json_t            *o = res_json(rq, 200);

	TRY(get_application(rq, &a));
	TRY(application_renew_secret(rq->c, &rq->app->login->secrets, a.id, secret));
	TRY(log_action(rq, AUDIT_reset_application_client_secret, rq->facts.namespace_id, 0, log_body(rq, NULL, a.name, a.client_id)));
	TRY(put_application(rq, o, &a));
	jo_str(o, "client_secret", secret);
	return ERR_NONE;
}

/* What the consent page shows of an application, for whoever knows its id. */
static enum err_kind
api_application_public(struct req *rq)
{
	const struct db_result *r = rq->load;
	const char             *org = db_get_str(r, 0, APPLICATION_LOAD_ORG_NAME), *email = db_get_str(r, 0, APPLICATION_LOAD_ORG_EMAIL);
	const enum org_role     live = (enum org_role)db_get_i64(r, 0, APPLICATION_LOAD_ORG_ROLE), cap = scope_max_org_role(rq->ident.scopes);
	const enum org_role     role = live < cap ? live : cap;
	struct application      a;
	json_t                 *o, *oo;

	application_from_row(r, 0, APPLICATION_LOAD_APPLICATION0, &a);
	if (a.id == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such application");
	o = res_json(rq, 200);
	jo_str(o, "name", a.name);
	jo_str(o, "description", a.description);
	jo_str(o, "uri", a.application_uri);
	jo_take(o, "avatar", view_avatar(AVATAR_APP, a.name, a.avatar_email != NULL ? a.avatar_email : email));
	oo = jo_object(o, "organization");
	jo_str(oo, "name", org);
	jo_str(oo, "email", role == ORG_ROLE_ADMIN ? view_email(email) : "");
	jo_take(oo, "avatar", view_avatar(AVATAR_ORG, org, email));
	jo_bool(oo, "is_admin", role == ORG_ROLE_ADMIN);
	jo_bool(oo, "is_member", role >= ORG_ROLE_MEMBER);
	return ERR_NONE;
}

#define APPLICATIONS "/api/v1/organization/<name:orgname>/applications"

const struct route API_APPLICATION_ROUTES[] = {
	{ .id = "getOrganizationApplications", .methods = HTTP_GET | HTTP_HEAD, .path = APPLICATIONS, .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_SU_READ, .load = STMT_APPLICATIONS_LOAD,
	  .bind = bind_all, .mem_bytes = LIST_MEM_BYTES, .run = api_application_list, .doc = "List the applications for the specified organization." },
	{ .id = "createOrganizationApplication", .methods = HTTP_POST, .path = APPLICATIONS, .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL, .tx = TX_WRITE, .body = CREATE,
	  .run = api_application_create, .doc = "Creates a new application under this organization." },
	{ .id = "getOrganizationApplication", .methods = HTTP_GET | HTTP_HEAD, .path = APPLICATIONS "/<name:client_id>", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_READ, .flags = ROUTE_SU_READ,
	  .load = STMT_APPLICATIONS_LOAD, .bind = bind_one, .run = api_application_get,
	  .doc = "Retrieves the application with the specified client_id under the specified organization." },
	{ .id = "updateOrganizationApplication", .methods = HTTP_PUT, .path = APPLICATIONS "/<name:client_id>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL, .load = STMT_APPLICATIONS_LOAD,
	  .bind = bind_one, .tx = TX_WRITE, .body = UPDATE, .run = api_application_update, .doc = "Updates an application under this organization." },
	{ .id = "deleteOrganizationApplication", .methods = HTTP_DELETE, .path = APPLICATIONS "/<name:client_id>", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_NS_ADMIN, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL,
	  .load = STMT_APPLICATIONS_LOAD, .bind = bind_one, .tx = TX_WRITE, .run = api_application_delete,
	  .doc = "Deletes the application under this organization, with its tokens." },
	{ .id = "resetOrganizationApplicationClientSecret", .methods = HTTP_POST, .path = APPLICATIONS "/<name:client_id>/resetclientsecret",
	  .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_ADMIN, .rate = RATE_API_WRITE, .flags = ROUTE_SU_FULL | ROUTE_INTERNAL,
	  .load = STMT_APPLICATIONS_LOAD, .bind = bind_one, .tx = TX_WRITE, .run = api_application_reset,
	  .doc = "Resets the client secret of the application." },
	{ .id = "getApplicationInformation", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/app/<name:client_id>", .proto = PROTO_API,
	  .auth = AUTH_API, .perm = PERM_NONE, .rate = RATE_API_READ, .load = STMT_APPLICATION_LOAD, .bind = bind_one, .run = api_application_public,
	  .doc = "Get information on the specified application." },
	{ .id = NULL }
};
