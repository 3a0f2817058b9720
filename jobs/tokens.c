/* kade-tokens: removes app-specific tokens that expired more than EXPIRED_APP_SPECIFIC_TOKEN_GC ago, and codes of OAuth and of
 * mails that expired. Due rows come through indexes by time; one short transaction per slice. */
#include "base/buf.h"
#include "base/clock.h"
#include "conf/conf.h"
#include "job.h"
#include "model/mail-code.h"

static struct db_arg
keep(const struct job *j)
{
	const struct conf *cf = j->c->conf;

	if (!cf->feature_app_specific_tokens || cf->expired_app_specific_token_gc_s < 0)
		return db_null(); /* for ever */
	return db_i64(cf->expired_app_specific_token_gc_s * 1000);
}

static bool
app_tokens_end(const struct job *j)
{
	return keep(j).type != DB_NULL;
}

static enum err_kind
count(struct job_slice *s, const struct db_result *r)
{
	s->n.selected = s->n.done = r->affected; /* 0 ends the step: nothing is left that is due */
	return ERR_NONE;
}

static enum err_kind
app_tokens(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_APP_TOKEN_REMOVE_EXPIRED, DB_ARGS(keep(j), db_i64(s->max_items)), &r));
	return count(s, r);
}

static enum err_kind
oauth_codes(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_OAUTH_CODE_REMOVE_EXPIRED, DB_ARGS(db_i64(s->max_items)), &r));
	return count(s, r);
}

static enum err_kind
mail_codes(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_ACCOUNT_CODE_REMOVE_EXPIRED, DB_ARGS(db_i64(s->max_items)), &r));
	return count(s, r);
}

static enum err_kind
invitations(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_TEAM_INVITE_REMOVE_EXPIRED, DB_ARGS(db_i64(TEAM_INVITE_LIFE_S * 1000), db_i64(s->max_items)), &r));
	return count(s, r);
}

static void
due_args(const struct job *j, struct db_args *a)
{
	db_args_add(a, keep(j));
	db_args_add(a, db_i64(TEAM_INVITE_LIFE_S * 1000));
}

/* Titles are chosen by people, who may see them; the tokens themselves are not in the database. */
static enum err_kind
show(struct job *j, struct buf *out)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_APP_TOKEN_EXPIRED, DB_ARGS(keep(j), db_i64(100)), &r));
	for (int i = 0; i < r->rows; i++) {
		const struct str title = db_get_strn(r, i, APP_TOKEN_EXPIRED_TITLE);
		buf_putf(out, "%s expired %s ", db_get_str(r, i, APP_TOKEN_EXPIRED_UUID),
		         clock_iso(j->c->mem, db_get_i64(r, i, APP_TOKEN_EXPIRED_EXPIRES_MS)));
		buf_put_json(out, title);
		buf_putc(out, '\n');
	}
	return ERR_NONE;
}

static const struct job_step STEPS[] = {
	{.name = "app tokens",  .is_on = app_tokens_end, .slice = app_tokens, .slice_items = 500 },
	{ .name = "OAuth codes",  .slice = oauth_codes, .slice_items = 500 },
	{ .name = "mail codes",                    .slice = mail_codes, .slice_items = 500 },
	{ .name = "invitations",                   .slice = invitations, .slice_items = 500 },
	{ .name = NULL},
};
static const struct job_def TOKENS = {
	.name = "tokens",
	.doc = "Removes app tokens that expired a while ago, and expired codes of OAuth, mails and invitations.",
	.id = JOB_ID_TOKENS,
	.lock = JOB_LOCK_FLEET,
	.due = STMT_TOKEN_DUE,
	.due_args = due_args,
	.show = show,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&TOKENS, argc, argv);
}
