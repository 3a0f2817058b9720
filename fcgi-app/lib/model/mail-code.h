/* Codes in mails that stand for somebody's mailbox: made once, used once, kept as keyed hashes. They prove that who shows them
 * reads mail at an address; what that allows is the account's state at that moment. */
#ifndef KADE_MODEL_MAIL_CODE_H
#define KADE_MODEL_MAIL_CODE_H
#include <stdbool.h>
#include <stdint.h>

#include "auth/secret.h"
#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_arg;

#define CONFIRM_LIFE_S     (7 * INT64_C(86400))
#define CHANGE_LIFE_S      INT64_C(86400)
#define REPO_EMAIL_LIFE_S  (7 * INT64_C(86400))
#define TEAM_INVITE_LIFE_S (30 * INT64_C(86400))
#define TEAM_INVITE_PREFIX "urn:teaminvite:"

enum mail_purpose { /* account_code.purpose */
	            MAIL_PURPOSE_CONFIRM = 1,
	            MAIL_PURPOSE_CHANGE = 2,
	            MAIL_PURPOSE_RECOVERY = 3
};
struct mail_code_new {
	int64_t account_id;
	enum mail_purpose purpose;
	struct str address; /* where the mail goes */
	int64_t life_s;
};
/* A code for a link about an account. *code given, *until_ms by the database's clock. */
enum err_kind mail_code_make(struct ctx *c, const struct secrets *s, const struct mail_code_new *n,
                             struct str *code, int64_t *until_ms) MUST_CHECK;
struct mail_code_used {
	int64_t account_id; /* 0: the code is none, used, too old, or no longer good */
	const char *uuid, *name, *email, *address;
	enum mail_purpose purpose;
	bool has_prompts; /* the interface asks something of the person */
};
/* Uses a code of one of the purposes first … last up, with all others of its account and purpose. In a transaction: borrowed. */
enum err_kind mail_code_use(struct ctx *c, const struct secrets *s, struct str code, enum mail_purpose first,
                            enum mail_purpose last, struct mail_code_used *out) MUST_CHECK;

/* Codes whose rows stand elsewhere (an address for notifications): a new one, and the hash under which a text is kept. kind
 * separates their uses. Given. */
struct str mail_code_text(struct ctx *c);
struct db_arg mail_code_hash(struct ctx *c, const struct secrets *s, const char *kind, struct str code);
/* A code of an invitation, "urn:teaminvite:UUID", and its hash. Given. */
struct str team_invite_code(struct ctx *c);
struct db_arg team_invite_hash(struct ctx *c, const struct secrets *s, struct str code);
#endif
