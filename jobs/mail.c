/* kade-mail: sends the mails that requests have queued. Best resident: a request that queues one wakes it after its commit; cron
 * is the net. A mail is taken for two minutes, sent, and its row deleted. What the server did not take is tried again, later
 * each time; a server that is away costs no try. A crash between the server's word and the deletion sends a mail twice, under the
 * same Message-ID. */
#include <poll.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "conf/conf.h"
#include "job.h"
#include "model/mail-code.h"
#include "model/mail.h"
#include "net/ca.h"
#include "net/smtp.h"

#define LEASE_MS      INT64_C(120000)
#define FIRST_WAIT_MS INT64_C(10000)
#define MOST_WAIT_MS  INT64_C(3600000)
#define LINGER_MS     250 /* longer than a pool's pause between two wakings */
#define INTERVAL_S    15

struct taken {
	int64_t id, created_ms;
	int tries_left;
	char lease[37];
	struct str body;
};

static void
close_smtp(void *p)
{
	smtp_close(p);
}

/* The system's authorities and those beside config.yaml, as one file for libcurl. */
static enum err_kind
ca_file(struct job *j, const char **path)
{
	struct ca_bundle b;

	TRY(ca_bundle_load(j->c, &(struct ca_sources){ .conf_dir = j->c->conf->dir }, &b));
	for (size_t i = 0; i < b.n_problems; i++)
		log_line(j->c, LOG_LEVEL_WARN, "%s: %s", b.problems[i].file, b.problems[i].text);
	*path = str_fmt(j->c->mem, "%s/mail-ca.pem", j->setup.state_dir);
	return ca_bundle_write(j->c, &b, *path);
}

/* A connection for this slice; it opens with the first mail. */
static enum err_kind
open_smtp(struct job *j, struct smtp **out)
{
	const struct conf *cf = j->c->conf;
	struct smtp_conf sc = { .host = cf->mail_server,
		                .port = (int)cf->mail_port,
		                .tls = cf->mail_use_ssl   ? SMTP_TLS
		                       : cf->mail_use_tls ? SMTP_STARTTLS
		                                          : SMTP_PLAIN,
		                .username = cf->mail_username,
		                .password = cf->mail_password,
		                .sender = cf->mail_default_sender,
		                .ehlo = cf->server_hostname };

	TRY(ca_file(j, &sc.ca_file));
	TRY(smtp_open(j->c, &sc, out));
	arena_defer(j->c->mem, close_smtp, *out);
	return ERR_NONE;
}

static enum err_kind
claim(struct job *j, struct taken *t, bool *found)
{
	const struct db_result *r;

	random_uuid(t->lease);
	TRY(db_exec(j->c, STMT_MAIL_CLAIM, DB_ARGS(db_str(t->lease), db_i64(LEASE_MS)), &r));
	*found = r->rows > 0;
	t->id = db_get_i64(r, 0, MAIL_CLAIM_ID);
	t->created_ms = db_get_i64(r, 0, MAIL_CLAIM_CREATED_MS);
	t->tries_left = (int)db_get_i64(r, 0, MAIL_CLAIM_TRIES_LEFT);
	t->body = db_get_strn(r, 0, MAIL_CLAIM_BODY);
	return ERR_NONE;
}

static enum err_kind
done(struct job *j, const struct taken *t)
{
	return db_exec(j->c, STMT_MAIL_DONE, DB_ARGS(db_i64(t->id), db_str(t->lease)), NULL);
}

/* 10 s, 30 s, 90 s … one hour, by the number of tries that were made. */
static int64_t
wait_ms(int tries_left)
{
	int64_t ms = FIRST_WAIT_MS;

	for (int i = tries_left + 1; i < MAIL_TRIES && ms < MOST_WAIT_MS; i++)
		ms *= 3;
	return ms < MOST_WAIT_MS ? ms : MOST_WAIT_MS;
}

/* Keeps what went wrong in c->err. */
static enum err_kind
put_back(struct job *j, const struct taken *t, enum smtp_outcome o)
{
	const struct err kept = j->c->err;
	const int tries = o == SMTP_DOWN ? t->tries_left + 1 : o == SMTP_REFUSED ? 0 : t->tries_left;

	TRY(db_exec(j->c, STMT_MAIL_LATER,
	            DB_ARGS(db_i64(t->id), db_str(t->lease),
	                    db_i64(o == SMTP_DOWN ? FIRST_WAIT_MS : wait_ms(t->tries_left)), db_i32(tries)),
	            NULL));
	j->c->err = kept;
	return ERR_NONE;
}

/* Whose mail it is, with a fresh code, and which organizations have the address. Only now: the request that asked for it says
 * the same to everybody, and takes as long. */
static enum err_kind
find_recovery(struct job *j, struct mail *m, bool *anybody)
{
	struct ctx *c = j->c;
	const struct db_result *u, *o;
	struct mail_org *orgs;

	TRY(db_exec(c, STMT_RECOVERY_USER, DB_ARGS(db_strn(m->to)), &u));
	TRY(db_exec(c, STMT_RECOVERY_ORGANIZATIONS, DB_ARGS(db_strn(m->to)), &o));
	*anybody = u->rows > 0 || o->rows > 0;
	orgs = ARENA_ARRAY(c->mem, struct mail_org, (size_t)o->rows + 1);
	for (int i = 0; i < o->rows; i++)
		orgs[i] = (struct mail_org){ db_get_strn(o, i, RECOVERY_ORGANIZATIONS_NAME),
			                     db_get_strn(o, i, RECOVERY_ORGANIZATIONS_ADMINS) };
	m->orgs = orgs;
	if (u->rows == 0)
		return ERR_NONE;
	m->user = db_get_strn(u, 0, RECOVERY_USER_NAME);
	m->to = db_get_strn(u, 0, RECOVERY_USER_EMAIL); /* as the account has it, not as it was typed */
	return mail_code_make(c, &j->setup.secrets,
	                      &(struct mail_code_new){ .account_id = db_get_i64(u, 0, RECOVERY_USER_ID),
	                                               .purpose = MAIL_PURPOSE_RECOVERY,
	                                               .address = m->to,
	                                               .life_s = c->conf->user_recovery_token_lifetime_s },
	                      &m->code, &m->until_ms);
}

/* One mail that was taken. A failure of the database ends the slice; everything else is the mail's own matter. */
static enum err_kind
deliver(struct job *j, struct job_slice *s, const struct taken *t, struct smtp *smtp)
{
	struct ctx *c = j->c;
	const char *what = str_fmt(c->mem, "mail %lld", (long long)t->id);
	enum smtp_outcome o = SMTP_REFUSED;
	struct mail_parts p;
	struct mail m;
	bool anybody = true;
	enum err_kind e = mail_open(c, &j->setup.secrets, t->body, &m);

	if (e == ERR_NONE && m.kind == MAIL_RECOVERY)
		TRY(find_recovery(j, &m, &anybody));
	if (e == ERR_NONE && !anybody) {
		s->n.skipped++;
		return done(j, t);
	}
	if (e == ERR_NONE) {
		mail_render(c, &m, &p);
		e = smtp_send(
		    c, smtp,
		    &(struct smtp_mail){ .to = m.to,
		                         .subject = p.subject,
		                         .text = p.text,
		                         .html = p.html,
		                         .message_id = str_fmt(c->mem, "kade.%lld.%llx", (long long)t->id,
		                                               (unsigned long long)t->created_ms),
		                         .lang = text_lang_tag(p.lang),
		                         .date_ms = clock_now_ms() },
		    &o);
	}
	if (e == ERR_NONE) {
		s->n.done++;
		return done(j, t);
	}
	TRY(put_back(j, t, o));
	s->is_last = o == SMTP_DOWN; /* nor would the others go */
	if (o == SMTP_REFUSED || (o == SMTP_LATER && t->tries_left == 0))
		what = str_fmt(c->mem, "%s is given up", what);
	job_item_failed(j, s, what);
	return ERR_NONE;
}

/* A waking that came too soon after another was left out: one more look, a moment later. */
static enum err_kind
claim_or_linger(struct job *j, const struct job_slice *s, struct taken *t, bool *found)
{
	struct pollfd fd = { .fd = j->signal_fd, .events = POLLIN };

	TRY(claim(j, t, found));
	if (*found || !j->opt.resident || s->n.selected == 0)
		return ERR_NONE;
	(void)poll(&fd, 1, LINGER_MS);
	return job_go_on(j) ? claim(j, t, found) : ERR_NONE;
}

static enum err_kind
send_mails(struct job *j, struct job_slice *s)
{
	struct smtp *smtp = NULL;
	struct taken t;
	bool found = true;

	TRY(setup_secrets(&j->setup));
	while (s->n.selected < s->max_items && !s->is_last && job_go_on(j)) {
		if (smtp == NULL)
			TRY(open_smtp(j, &smtp));
		const struct arena_mark m = arena_mark(j->c->mem);
		TRY(claim_or_linger(j, s, &t, &found));
		if (!found) {
			s->is_last = true;
			break;
		}
		s->n.selected++;
		TRY(deliver(j, s, &t, smtp));
		arena_rewind(j->c->mem, m);
	}
	return ERR_NONE;
}

static enum err_kind
forget(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_MAIL_REMOVE_EXPIRED, DB_ARGS(db_i64(s->max_items)), &r));
	s->n.selected = s->n.skipped = r->affected;
	return ERR_NONE;
}

static bool
is_on(const struct conf *cf, const char **switch_off)
{
	*switch_off = "FEATURE_MAILING";
	return cf->feature_mailing;
}

static const struct job_step STEPS[] = {
	{.name = "expired mails", .slice = forget, .slice_items = 500 },
	{ .name = "mails",     .slice = send_mails, .slice_items = 100 },
	{ .name = NULL       },
};
static const struct job_def MAIL = {
	.name = "mail",
	.doc = "Sends the mails that requests have queued.",
	.id = JOB_ID_MAIL,
	.lock = JOB_LOCK_HOST,
	.flags = JOB_IN_RECOVERY,
	.is_on = is_on,
	.due = STMT_MAIL_DUE,
	.channel = MAIL_CHANNEL,
	.interval_s = INTERVAL_S,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&MAIL, argc, argv);
}
