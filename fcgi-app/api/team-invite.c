/* Invitations to teams by address, and the invited one's answer. Users are invited through the team's members (api/team.c). */
#include "api/log-action.h"
#include "api/routes.h"
#include "api/send-mail.h"
#include "api/view-account.h"
#include "app.h"
#include "auth/login.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/response.h"
#include "model/invite.h"
#include "model/team.h"
#include "net/smtp.h"

static const struct say SAY_SYNCED = { 400, "invalid_request",
	                               "Cannot call this method on an auth-synced team" };
static const struct say SAY_ADDRESS = { 400, "invalid_request", "Invalid email address" };
static const struct say SAY_CODE = { 400, "message", "The invite code is not valid" };

static enum err_kind
bind_team(struct req *rq, struct db_args *a)
{
	db_args_add(a, db_strn(req_capture(rq, "teamname")));
	return ERR_NONE;
}

static enum err_kind
team_of(struct req *rq, struct team *t)
{
	if (!rq->facts.namespace_is_org)
		return err_set(rq->c, ERR_NOT_FOUND, "no such organization");
	team_from_row(rq->load, 0, FACTS_COLS, t);
	return t->id != 0 ? ERR_NONE : err_set(rq->c, ERR_NOT_FOUND, "no such team");
}

static enum err_kind
log_invite(struct req *rq, enum audit_kind kind, const struct team *t)
{
	const struct str address = req_capture(rq, "email");
	json_t *o = js_object(rq->c);

	jo_strn(o, "email", address);
	jo_str(o, "team", t->name);
	jo_strn(o, "member", address);
	return log_action(rq, kind, rq->facts.namespace_id, 0, o);
}

static enum err_kind
prepare_invite(struct req *rq)
{
	const struct str to = req_capture(rq, "email");
	struct team t;

	TRY(team_of(rq, &t));
	if (t.is_synced && rq->c->conf->feature_team_syncing)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_SYNCED);
	if (!smtp_address_ok(to))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_ADDRESS);
	return send_mail_limit(rq, to, NULL);
}

static enum err_kind
api_invite_put(struct req *rq)
{
	const char *address = str_dup(rq->c->mem, req_capture(rq, "email"));
	struct team t;

	TRY(team_of(rq, &t));
	TRY(invite_make(rq->c, &rq->app->login->secrets,
	                &(struct invite_new){ .team_id = t.id,
	                                      .inviter_id = rq->facts.caller_id,
	                                      .address = str_of(address),
	                                      .team = t.name,
	                                      .organization = str_dup(rq->c->mem, rq->ns),
	                                      .inviter = rq->facts.caller_name }));
	TRY(log_invite(rq, AUDIT_org_invite_team_member, &t));
	view_team_invite(res_json(rq, 200), address);
	return ERR_NONE;
}

static enum err_kind
api_invite_delete(struct req *rq)
{
	const struct db_result *r;
	struct team t;

	TRY(team_of(rq, &t));
	TRY(db_exec(rq->c, STMT_TEAM_INVITE_REMOVE,
	            DB_ARGS(db_i64(t.id), db_null(), db_strn(req_capture(rq, "email"))), &r));
	if (r->affected == 0)
		return err_set(rq->c, ERR_NOT_FOUND, "no such invitation");
	TRY(log_invite(rq, AUDIT_org_delete_team_member_invite, &t));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* The invitation of the path, of the caller. One that is somebody else's is none. */
static enum err_kind
mine(struct req *rq, struct invite *i)
{
	TRY(invite_find(rq->c, &rq->app->login->secrets, req_capture(rq, "code"), rq->facts.caller_id, i));
	return i->id != 0 && i->is_mine ? ERR_NONE : err_say(rq->c, ERR_BAD_INPUT, &SAY_CODE);
}

static struct audit_row
log_row(const struct req *rq)
{
	return (struct audit_row){ .performer_id = rq->facts.caller_id,
		                   .ip = rq->remote_addr,
		                   .oauth_token_id =
		                       rq->ident.kind == IDENTITY_OAUTH ? rq->facts.token_id : 0 };
}

static enum err_kind
api_invite_accept(struct req *rq)
{
	const struct audit_row log = log_row(rq);
	struct invite i;
	json_t *o;

	TRY(mine(rq, &i));
	TRY(invite_accept(rq->c, &i, rq->facts.caller_name, &log));
	o = res_json(rq, 200);
	jo_str(o, "org", i.organization);
	jo_str(o, "team", i.team);
	return ERR_NONE;
}

static enum err_kind
api_invite_decline(struct req *rq)
{
	const struct audit_row log = log_row(rq);
	struct invite i;

	TRY(mine(rq, &i));
	TRY(invite_decline(rq->c, &i, rq->facts.caller_name, &log));
	res_empty(rq, 204);
	return ERR_NONE;
}

/* clang-format off */
#define INVITE "/api/v1/organization/<name:orgname>/team/<name:teamname>/invite/<name:email>"
#define ADMIN  .path = INVITE, .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_NS_ADMIN, .flags = ROUTE_SU_FULL, .scope = SCOPE_ORG_ADMIN, \
	       .rate = RATE_API_WRITE, .feature = CONF_FLAG(feature_mailing), .load = STMT_TEAM_LOAD, .bind = bind_team, .tx = TX_WRITE
#define ANSWER .path = "/api/v1/teaminvite/<name:code>", .proto = PROTO_API, .auth = AUTH_API, .perm = PERM_USER_ADMIN, .scope = SCOPE_USER_ADMIN, \
	       .flags = ROUTE_INTERNAL, .rate = RATE_API_WRITE, .feature = CONF_FLAG(feature_mailing), .tx = TX_WRITE
const struct route API_TEAM_INVITE_ROUTES[] = {
	{ .id = "inviteTeamMemberEmail", .methods = HTTP_PUT, ADMIN, .prepare = prepare_invite, .run = api_invite_put,
	  .doc = "Invites an email address to an existing team." },
	{ .id = "deleteTeamMemberEmailInvite", .methods = HTTP_DELETE, ADMIN, .run = api_invite_delete, .doc = "Delete an invite of an email address to join a team." },
	{ .id = "acceptOrganizationTeamInvite", .methods = HTTP_PUT, ANSWER, .run = api_invite_accept, .doc = "Accepts an invite to join a team in an organization." },
	{ .id = "declineOrganizationTeamInvite", .methods = HTTP_DELETE, ANSWER, .run = api_invite_decline, .doc = "Delete an existing invitation to join a team." },
	{ .id = NULL }
};
