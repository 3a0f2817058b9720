/* Invitations to teams: of users, and of people by an address of theirs. Somebody's invitations to one organization are accepted
 * together. The code goes out in a mail, and to a user also in a note of the interface. */
#ifndef KADE_MODEL_INVITE_H
#define KADE_MODEL_INVITE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "model/audit.h"

struct ctx;
struct secrets;

struct invite_new {
	int64_t team_id, account_id, inviter_id; /* account_id 0: by address alone */
	struct str address;                      /* where the mail goes; p NULL: the user has none */
	const char *team, *organization, *inviter;
};
struct invite {
	int64_t id; /* 0: there is no such invitation, or it is too old */
	int64_t team_id, organization_id;
	const char *team, *organization, *inviter;
	bool is_mine; /* of the account that looked */
};
/* Invites, and ends an earlier invitation of the same to this team. In a transaction. ERR_BAD_INPUT: the address is none. */
enum err_kind invite_make(struct ctx *c, const struct secrets *s, const struct invite_new *n) MUST_CHECK;
/* As seen by an account (0: nobody). Borrowed. */
enum err_kind invite_find(struct ctx *c, const struct secrets *s, struct str code, int64_t account_id,
                          struct invite *out) MUST_CHECK;
/* An account whose address is that of the invitation becomes a verified one: the code came there. *yes: so it is. */
enum err_kind invite_verifies(struct ctx *c, const struct secrets *s, struct str code, int64_t account_id,
                              bool *yes) MUST_CHECK;
/* Somebody takes an invitation that is his, and with it all of his to that organization. log: performer, address, token of the
 * rows in the audit log; member: his name. In a transaction. */
enum err_kind invite_accept(struct ctx *c, const struct invite *i, const char *member,
                            const struct audit_row *log) MUST_CHECK;
enum err_kind invite_decline(struct ctx *c, const struct invite *i, const char *member,
                             const struct audit_row *log) MUST_CHECK;
/* The note about an invitation goes: it was answered or taken back. */
enum err_kind invite_note_remove(struct ctx *c, int64_t team_id, int64_t account_id) MUST_CHECK;
#endif
