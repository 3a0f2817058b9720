/* kade-actioncount: what happened on a day that is over, counted once, from the audit log: actions of each repository (popularity
 * in lists, the activity of 90 days) and rows of each kind (the superusers' chart). Then the scores by which searches are ordered.
 * A day's cost is its rows; a run without a day that is due looks at one row. */
#include "conf/conf.h"
#include "job.h"

static bool
is_counted(const struct conf *cf, const char **switch_off)
{
	*switch_off = "FEATURE_REPOSITORY_ACTION_COUNTER";
	return cf->feature_repository_action_counter;
}

/* One day, the oldest that is due; the row that says so is written with the counts. */
static enum err_kind
count_day(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_ACTION_COUNT_DAY, DB_NO_ARGS, &r));
	s->n.selected = s->n.done = r->rows;
	return ERR_NONE;
}

/* Scores of repositories that had actions in the window of the score. */
static enum err_kind
score(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_ACTION_SCORE, DB_ARGS(db_i32((int32_t)s->max_items)), &r));
	s->is_last = r->rows == 0;
	s->n.selected = s->n.done = r->rows == 0 ? 0 : db_get_i64(r, 0, ACTION_SCORE_SCORED);
	if (r->rows > 0 && s->n.selected == 0)
		s->n.selected = s->n.skipped = 1; /* a day without actions is done, too */
	return ERR_NONE;
}

static const struct job_step STEPS[] = {
	{ .name = "days", .slice = count_day, .slice_items = 1 },
	{ .name = "scores", .slice = score, .slice_items = 2000 },
	{ .name = NULL },
};
static const struct job_def ACTIONCOUNT = {
	.name = "actioncount",
	.doc = "Counts the actions of days that are over, for popularity and the order of searches.",
	.id = JOB_ID_ACTIONCOUNT,
	.lock = JOB_LOCK_FLEET,
	.is_on = is_counted,
	.due = STMT_ACTION_DUE,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&ACTIONCOUNT, argc, argv);
}
