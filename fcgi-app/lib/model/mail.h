/* Mails: queued in the transaction that causes them, rendered and sent by kade-mail (jobs/mail.c). A row of the queue is sealed
 * under DATABASE_SECRET_KEY, for it holds the code of a link, and goes with the delivery or when the mail is of no use any more. */
#ifndef KADE_MODEL_MAIL_H
#define KADE_MODEL_MAIL_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

struct ctx;
struct secrets;

#define MAIL_CHANNEL "kade_job_mail" /* NOTIFY: there is a mail */
#define MAIL_TRIES   10

enum mail_kind {                            /* stored: never renumbered */
	         MAIL_CONFIRM = 1,          /* to a new account: user, code */
	         MAIL_CHANGE_EMAIL = 2,     /* to the address that an account is to get: user, code */
	         MAIL_EMAIL_CHANGED = 3,    /* to the address that it had: user */
	         MAIL_PASSWORD_CHANGED = 4, /* user */
	         MAIL_RECOVERY = 5,    /* whose account it is, and a code, are found when it is sent: to */
	         MAIL_TEAM_INVITE = 6, /* inviter, team, org, code */
	         MAIL_REPO_EMAIL = 7,  /* user, repository, code */
	         MAIL_KINDS
};
struct mail {
	enum mail_kind kind;
	struct str to; /* an address */
	struct str
	    code; /* of the link; p NULL: the mail has none, or (MAIL_RECOVERY) nobody has that address */
	struct str user, org, team, inviter, repository; /* p NULL: not given */
	int64_t until_ms;                                /* when the code ends; 0: none */
	int64_t life_s; /* how long the mail is worth sending; 0: three days. Not stored in the body */
	/* MAIL_RECOVERY: organizations with that address and their administrators; ended by org.p NULL. NULL: none */
	const struct mail_org {
		struct str org, admins;
	} * orgs;
};
/* What is handed to net/smtp.h. Given. */
struct mail_parts {
	struct str subject, text, html;
	enum text_lang lang;
};

/* Queues a mail, in the open transaction, and asks for a NOTIFY after the commit (c->wake). ERR_BAD_INPUT "Invalid email
 * address". */
enum err_kind mail_queue(struct ctx *c, const struct secrets *s, const struct mail *m) MUST_CHECK;
/* The same of a row's body: *out given. ERR_DENIED, ERR_UNSUPPORTED: it cannot be read with this key. */
enum err_kind mail_open(struct ctx *c, const struct secrets *s, struct str body, struct mail *out) MUST_CHECK;
/* Subject and both forms of the body, in KADE.LANGUAGE, with the registry's title, logo and address. */
void mail_render(struct ctx *c, const struct mail *m, struct mail_parts *out);
#endif
