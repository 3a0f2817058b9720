/* kade-audit: keeps the audit log in order. Makes the partitions of this month and the next three; moves rows that came when
 * their partition was missing to their place; files pulls, which are written to an inbox without index, into the log and the
 * pull statistics. */
#include <string.h>

#include "conf/conf.h"
#include "job.h"

static enum err_kind
partitions(struct job *j, struct job_slice *s)
{
	s->is_last = true;
	return db_exec(j->c, STMT_AUDIT_PARTITIONS_AHEAD, DB_NO_ARGS, NULL);
}

/* 23514: no partition of the log holds the row's time. */
static bool
partition_missing(const struct job *j)
{
	return strcmp(j->c->sqlstate, "23514") == 0;
}

static enum err_kind
move(struct job *j, struct job_slice *s, enum stmt mover, const struct db_args *a, enum stmt months)
{
	const struct db_result *r;
	enum err_kind e = db_exec(j->c, mover, a, &r);

	if (e != ERR_NONE && partition_missing(j)) {
		TRY(db_exec(j->c, months, DB_NO_ARGS, NULL));
		e = db_exec(j->c, mover, a, &r);
	}
	TRY(e);
	s->n.selected = s->n.done = db_get_i64(r, 0, 0);
	s->is_last = s->n.done < s->max_items;
	return ERR_NONE;
}

static enum err_kind
overflow(struct job *j, struct job_slice *s)
{
	return move(j, s, STMT_AUDIT_OVERFLOW_MOVE, DB_ARGS(db_i32((int32_t)s->max_items)),
	            STMT_AUDIT_OVERFLOW_MONTHS);
}

static enum err_kind
inbox(struct job *j, struct job_slice *s)
{
	return move(j, s, STMT_AUDIT_INBOX_MOVE,
	            DB_ARGS(db_i32((int32_t)s->max_items), db_bool(j->c->conf->feature_image_pull_stats),
	                    db_bool(j->c->conf->feature_user_last_accessed)),
	            STMT_AUDIT_INBOX_MONTHS);
}

static const struct job_step STEPS[] = {
	{.name = "partitions", .slice = partitions, .slice_items = 1 },
	{ .name = "overflow",    .slice = overflow, .slice_items = 2000 },
	{ .name = "inbox",  .slice = inbox, .slice_items = 5000 },
	{ .name = NULL},
};
static const struct job_def AUDIT = {
	.name = "audit",
	.doc = "Makes the audit log's partitions ahead, and moves rows that wait to be filed to their place.",
	.id = JOB_ID_AUDIT,
	.lock = JOB_LOCK_FLEET,
	.due = STMT_AUDIT_DUE,
	.interval_s = 10,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&AUDIT, argc, argv);
}
