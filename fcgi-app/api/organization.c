/* Organizations: creation, details, settings, deletion. */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/view-organization.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/decide.h"
#include "http/field.h"
#include "http/response.h"
#include "model/account.h"
#include "model/organization.h"
#include "oci/name.h"

static const struct say SAY_REQUEST = { 400, "invalid_request", "Request error." };
static const struct say SAY_TAKEN = { 400, "invalid_request",
	                              "A user or organization with this name already exists" };

static const struct field CREATE[] = { F_STR("name", F_REQUIRED, .doc = "The organization's name."),
	                               F_STR("email", F_NULL, .doc = "Its contact address."),
	                               F_STR("contact_email", F_NULL, .doc = "The same; goes before email."),
	                               F_STR("recaptcha_response", F_NULL, .doc = "Not read."), F_END };
static const struct field CHANGE[] = { F_STR("email", F_NULL, .doc = "Contact address; empty or null: none."),
	                               F_STR("contact_email", F_NULL, .doc = "The same; goes before email."),
	                               F_BOOL("invoice_email", .doc = "Receipts are mailed."),
	                               F_STR("invoice_email_address", F_NULL, .doc = "To this address."),
	                               F_INT("tag_expiration_s", .max = INT32_MAX,
	                                     .doc = "How long tags can be restored, in seconds."),
	                               F_END };

/* Of the two names of the address. False: neither was sent. An empty address is none: p == NULL. */
static bool
address_of(const json_t *body, struct str *out)
{
	const char *key = json_object_get(body, "contact_email") != NULL ? "contact_email" : "email";

	*out = js_str(body, key);
	if (out->n == 0)
		*out = STR0;
	return json_object_get(body, key) != NULL;
}

static void
put_text(json_t *o, const char *key, struct str text)
{
	if (text.p == NULL)
		jo_null(o, key);
	else
		jo_strn(o, key, text);
}

static enum err_kind
api_organization_create(struct req *rq)
{
	struct ctx *c = rq->c;
	struct organization_new n = { .name = js_str(rq->body, "name"), .owner_id = rq->facts.caller_id };
	json_t *log = js_object(c);
	int64_t id;
	enum err_kind e;

	address_of(rq->body, &n.email);
	if (!oci_namespace_valid(n.name))
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY_REQUEST, "Invalid organization name: %s",
		                   n.name.n < OCI_NAMESPACE_MIN || n.name.n > OCI_NAMESPACE_MAX
		                       ? OCI_SAY_NAMESPACE_LENGTH.message
		                       : OCI_SAY_NAMESPACE_CHARACTERS.message);
	if (n.email.p != NULL)
		TRY(organization_check_email(c, 0, n.email));
	e = account_make_organization(c, &n, &id);
	if (e == ERR_CONFLICT)
		return err_say(c, ERR_BAD_INPUT, &SAY_TAKEN);
	TRY(e);
	put_text(log, "email", n.email);
	jo_strn(log, "namespace", n.name);
	TRY(log_action(rq, AUDIT_org_create, id, 0, log));
	res_body(rq, 201, "application/json", STR("\"Created\"\n"));
	return ERR_NONE;
}

static enum err_kind
need_organization(struct req *rq)
{
	return rq->facts.namespace_is_org ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such organization");
}

static enum err_kind
api_organization_get(struct req *rq)
{
	TRY(need_organization(rq));
	return view_organization(rq, rq->load, res_json(rq, 200));
}

/* One row for each kind of change, as Quay's. */
static enum err_kind
log_changes(struct req *rq, const struct organization_settings *s)
{
	const char *ns = str_dup(rq->c->mem, rq->ns);
	const int64_t id = rq->facts.namespace_id;
	json_t *log;

	if (s->set_invoice_email) {
		log = js_object(rq->c);
		jo_bool(log, "invoice_email", s->invoice_email);
		jo_str(log, "namespace", ns);
		TRY(log_action(rq, AUDIT_org_change_invoicing, id, 0, log));
	}
	if (s->set_invoice_address) {
		log = js_object(rq->c);
		put_text(log, "invoice_email_address", s->invoice_address);
		jo_str(log, "namespace", ns);
		TRY(log_action(rq, AUDIT_org_change_invoicing, id, 0, log));
	}
	if (s->set_email) {
		log = js_object(rq->c);
		put_text(log, "email", s->email);
		jo_str(log, "namespace", ns);
		jo_str(log, "old_email", db_get_str(rq->load, 0, ORGANIZATION_LOAD_ORG0 + 1));
		TRY(log_action(rq, AUDIT_org_change_email, id, 0, log));
	}
	if (s->set_window) {
		log = js_object(rq->c);
		jo_i64(log, "tag_expiration", s->window_s);
		jo_str(log, "namespace", ns);
		TRY(log_action(rq, AUDIT_org_change_tag_expiration, id, 0, log));
	}
	return ERR_NONE;
}

static enum err_kind
api_organization_change(struct req *rq)
{
	struct organization_settings s = { 0 };
	struct db_args a = { 0 };
	const struct str old = db_get_strn(rq->load, 0, ORGANIZATION_LOAD_ORG0 + 1);
	const struct db_result *r;

	TRY(need_organization(rq));
	s.set_email = address_of(rq->body, &s.email) &&
	              !(s.email.p == NULL ? old.p == NULL : old.p != NULL && str_eq(s.email, old));
	s.set_invoice_email = json_object_get(rq->body, "invoice_email") != NULL;
	s.invoice_email = js_bool(rq->body, "invoice_email", false);
	s.set_invoice_address = json_object_get(rq->body, "invoice_email_address") != NULL;
	s.invoice_address = js_str(rq->body, "invoice_email_address");
	s.set_window = rq->c->conf->feature_change_tag_expiration &&
	               json_object_get(rq->body, "tag_expiration_s") != NULL;
	s.window_s = js_i64(rq->body, "tag_expiration_s", 0);
	TRY(organization_change(rq->c, rq->facts.namespace_id, &s));
	TRY(log_changes(rq, &s));
	facts_args(&a, rq->ns, STR0, &rq->ident, decide_caps(rq));
	TRY(db_exec(rq->c, STMT_ORGANIZATION_LOAD, &a, &r));
	return view_organization(rq, r, res_json(rq, 200));
}

static enum err_kind
api_organization_delete(struct req *rq)
{
	json_t *log = js_object(rq->c);

	TRY(need_organization(rq));
	jo_strn(log, "namespace", rq->ns);
	TRY(log_action(rq, AUDIT_org_delete, rq->facts.namespace_id, 0, log));
	TRY(organization_delete(rq->c, rq->facts.namespace_id));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* clang-format off */
const struct route API_ORGANIZATION_ROUTES[] = {
	{ .id = "createOrganization", .methods = HTTP_POST, .path = "/api/v1/organization/", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NEW_ORGANIZATION,
	  .scope = SCOPE_USER_ADMIN, .rate = RATE_API_WRITE, .tx = TX_WRITE, .body = CREATE, .run = api_organization_create,
	  .doc = "Makes an organization; the caller is in its team of owners." },
	{ .id = "getOrganization", .methods = HTTP_GET | HTTP_HEAD, .path = "/api/v1/organization/<name:orgname>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ANY, .flags = ROUTE_SU_READ, .rate = RATE_API_READ, .load = STMT_ORGANIZATION_LOAD, .mem_bytes = 4 << 20, .run = api_organization_get,
	  .doc = "Details of an organization: its teams for members, its settings for admins." },
	{ .id = "changeOrganizationDetails", .methods = HTTP_PUT, .path = "/api/v1/organization/<name:orgname>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_FULL, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .tx = TX_WRITE, .load = STMT_ORGANIZATION_LOAD,
	  .mem_bytes = 4 << 20, .body = CHANGE, .run = api_organization_change, .doc = "Changes settings of an organization." },
	{ .id = "deleteAdminedOrganization", .methods = HTTP_DELETE, .path = "/api/v1/organization/<name:orgname>", .proto = PROTO_API, .auth = AUTH_API,
	  .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_FULL | ROUTE_FRESH, .scope = SCOPE_ORG_ADMIN, .rate = RATE_API_WRITE, .tx = TX_WRITE,
	  .run = api_organization_delete, .doc = "Deletes an organization with everything in it." },
	{ .id = NULL }
};
