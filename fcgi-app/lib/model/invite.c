/* Invitations to teams. */
#include "model/invite.h"

#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "model/mail-code.h"
#include "model/mail.h"

#define LIFE db_i64(TEAM_INVITE_LIFE_S * 1000)

static const char *
note_key(struct ctx *c, int64_t team_id)
{
	return str_fmt(c->mem, "team_invite/%lld", (long long)team_id);
}

static enum err_kind
add_note(struct ctx *c, const struct invite_new *n, struct str code)
{
	json_t *o = js_object(c);

	jo_strn(o, "code", code);
	jo_str(o, "inviter", n->inviter);
	jo_str(o, "org", n->organization);
	jo_str(o, "team", n->team);
	return db_exec(c, STMT_ACCOUNT_NOTE_PUT,
	               DB_ARGS(db_i64(n->account_id), db_str("org_team_invite"), db_strn(js_dump(c, o)),
	                       db_str(note_key(c, n->team_id))),
	               NULL);
}

enum err_kind
invite_make(struct ctx *c, const struct secrets *s, const struct invite_new *n)
{
	const struct str code = team_invite_code(c);

	TRY(db_exec(c, STMT_TEAM_INVITE_PUT,
	            DB_ARGS(db_i64(n->team_id), db_i64_or_null(n->account_id),
	                    n->account_id == 0 ? db_strn(n->address) : db_null(), db_i64(n->inviter_id),
	                    team_invite_hash(c, s, code)),
	            NULL));
	if (n->account_id != 0)
		TRY(add_note(c, n, code));
	if (n->address.p == NULL)
		return ERR_NONE;
	return mail_queue(c, s,
	                  &(struct mail){ .kind = MAIL_TEAM_INVITE,
	                                  .to = n->address,
	                                  .code = code,
	                                  .org = str_of(n->organization),
	                                  .team = str_of(n->team),
	                                  .inviter = str_of(n->inviter),
	                                  .until_ms = c->now_ms + TEAM_INVITE_LIFE_S * 1000 });
}

enum err_kind
invite_find(struct ctx *c, const struct secrets *s, struct str code, int64_t account_id, struct invite *out)
{
	const struct db_result *r;

	*out = (struct invite){ .id = 0 };
	if (!str_starts(code, STR(TEAM_INVITE_PREFIX)))
		return ERR_NONE;
	TRY(db_exec(c, STMT_TEAM_INVITE_BY_CODE,
	            DB_ARGS(team_invite_hash(c, s, code), db_i64_or_null(account_id), LIFE), &r));
	if (r->rows == 0)
		return ERR_NONE;
	*out = (struct invite){ .id = db_get_i64(r, 0, TEAM_INVITE_BY_CODE_ID),
		                .team_id = db_get_i64(r, 0, TEAM_INVITE_BY_CODE_TEAM_ID),
		                .organization_id = db_get_i64(r, 0, TEAM_INVITE_BY_CODE_ORGANIZATION_ID),
		                .team = db_get_str(r, 0, TEAM_INVITE_BY_CODE_TEAM),
		                .organization = db_get_str(r, 0, TEAM_INVITE_BY_CODE_ORGANIZATION),
		                .inviter = db_get_str(r, 0, TEAM_INVITE_BY_CODE_INVITER),
		                .is_mine = db_get_bool(r, 0, TEAM_INVITE_BY_CODE_IS_MINE) };
	return ERR_NONE;
}

enum err_kind
invite_verifies(struct ctx *c, const struct secrets *s, struct str code, int64_t account_id, bool *yes)
{
	const struct db_result *r;

	*yes = false;
	if (!str_starts(code, STR(TEAM_INVITE_PREFIX)))
		return ERR_NONE;
	TRY(db_exec(c, STMT_TEAM_INVITE_VERIFIES,
	            DB_ARGS(team_invite_hash(c, s, code), db_i64(account_id), LIFE), &r));
	*yes = r->affected > 0;
	return ERR_NONE;
}

static enum err_kind
log_answer(struct ctx *c, const struct audit_row *log, enum audit_kind kind, int64_t organization_id,
           const char *const words[3])
{
	struct audit_row row = *log;
	json_t *o = js_object(c);

	jo_str(o, "member", words[0]);
	jo_str(o, "team", words[1]);
	jo_str(o, "inviter", words[2]);
	row.kind = kind;
	row.namespace_id = organization_id;
	row.metadata = js_dump(c, o);
	return audit_add(c, &row);
}

enum err_kind
invite_accept(struct ctx *c, const struct invite *i, const char *member, const struct audit_row *log)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_TEAM_INVITE_ACCEPT,
	            DB_ARGS(db_i64(log->performer_id), db_i64(i->organization_id), LIFE), &r));
	for (int k = 0; k < r->rows; k++) {
		const char *const words[] = { member, db_get_str(r, k, TEAM_INVITE_ACCEPT_TEAM),
			                      db_get_str(r, k, TEAM_INVITE_ACCEPT_INVITER) };
		TRY(log_answer(c, log, AUDIT_org_team_member_invite_accepted, i->organization_id, words));
		TRY(invite_note_remove(c, db_get_i64(r, k, TEAM_INVITE_ACCEPT_TEAM_ID), log->performer_id));
	}
	return ERR_NONE;
}

enum err_kind
invite_decline(struct ctx *c, const struct invite *i, const char *member, const struct audit_row *log)
{
	TRY(db_exec(c, STMT_TEAM_INVITE_DROP, DB_ARGS(db_i64(i->id)), NULL));
	TRY(invite_note_remove(c, i->team_id, log->performer_id));
	return log_answer(c, log, AUDIT_org_team_member_invite_declined, i->organization_id,
	                  (const char *const[]){ member, i->team, i->inviter });
}

enum err_kind
invite_note_remove(struct ctx *c, int64_t team_id, int64_t account_id)
{
	return db_exec(c, STMT_ACCOUNT_NOTE_TAKE, DB_ARGS(db_i64(account_id), db_str(note_key(c, team_id))),
	               NULL);
}
