/* kade-quota: keeps the sizes of namespaces and repositories in order. Folds what pushes and removals wrote into the ledger; sums up
 * all blobs when a superuser asked for it; looks at the limits of namespaces that want to hear of them; compares the sizes of
 * each namespace with what is there, once a week or with --verify now, and puts right what differs. */
#include "model/quota.h"

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "job.h"

#define WEEK_MS    (7 * 24 * INT64_C(3600000))
#define FOLD_ROWS  10000
#define EXTRA_ROWS 1000
#define NOTICES    "quota-notices" /* a part of the job: when the limits were looked at last */

static int64_t
verify_before_ms(const struct job *j)
{
	return j->opt.verify ? j->due.now_ms : j->due.now_ms - WEEK_MS;
}

static bool
tells(const struct conf *cf)
{
	return cf->feature_quota_management && cf->feature_quota_notifications;
}

static void
due_args(const struct job *j, struct db_args *a)
{
	db_args_add(a, db_i64(verify_before_ms(j)));
	db_args_add(a, db_bool(tells(j->c->conf)));
	db_args_add(a, db_str(NOTICES));
}

static enum err_kind
fold(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_QUOTA_UNFOLDED, DB_ARGS(db_i64(FOLD_ROWS)), &r));
	for (int i = 0; i < r->rows && job_go_on(j); i++) {
		int64_t folded;

		TRY(quota_fold(j->c, db_get_i64(r, i, QUOTA_UNFOLDED_NAMESPACE_ID), FOLD_ROWS, &folded));
		s->n.selected += folded;
		s->n.done += folded;
	}
	return ERR_NONE;
}

static enum err_kind
registry_size(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_REGISTRY_SIZE_STEP, DB_ARGS(db_i64(s->max_items)), &r));
	s->n.selected = s->n.done = r->rows;
	s->is_last = r->rows == 0 || db_get_bool(r, 0, REGISTRY_SIZE_STEP_IS_DONE);
	return ERR_NONE;
}

/* Members that nothing needs: in a transaction each page, with the locks of quota_release(). */
static enum err_kind
drop_extra(struct job *j, int64_t namespace_id, int64_t *n)
{
	struct ctx *c = j->c;
	const struct db_result *r;
	int64_t *ns, *none, *blobs;

	TRY(db_exec(c, STMT_QUOTA_VERIFY_EXTRA, DB_ARGS(db_i64(namespace_id), db_i64(EXTRA_ROWS)), &r));
	*n = r->rows;
	if (r->rows == 0)
		return ERR_NONE;
	ns = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows);
	none = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows);
	blobs = ARENA_ARRAY(c->mem, int64_t, (size_t)r->rows);
	for (int i = 0; i < r->rows; i++) {
		ns[i] = namespace_id;
		blobs[i] = db_get_i64(r, i, QUOTA_VERIFY_EXTRA_BLOB_ID);
	}
	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(quota_release(c, &(struct quota_removed){ ns, none, blobs, (size_t)r->rows }));
	return db_commit(c);
}

static enum err_kind
verify_one(struct job *j, int64_t namespace_id)
{
	const struct db_result *r;
	int64_t extra = EXTRA_ROWS, all_extra = 0;

	TRY(db_exec(j->c, STMT_QUOTA_VERIFY_MISSING, DB_ARGS(db_i64(namespace_id)), &r));
	const int64_t missing = db_get_i64(r, 0, QUOTA_VERIFY_MISSING_N);
	for (int64_t pages = 0; extra == EXTRA_ROWS && pages < 1000 && job_go_on(j); pages++) {
		TRY(drop_extra(j, namespace_id, &extra));
		all_extra += extra;
	}
	TRY(db_exec(j->c, STMT_QUOTA_VERIFY_SUM, DB_ARGS(db_i64(namespace_id)), &r));
	const int64_t off = db_get_i64(r, 0, QUOTA_VERIFY_SUM_OFF_BYTES),
	              repositories = db_get_i64(r, 0, QUOTA_VERIFY_SUM_REPOSITORIES);
	if (missing + all_extra + repositories != 0 || off != 0)
		log_line(j->c, LOG_LEVEL_WARN,
		         "namespace %lld: %lld blobs were not counted, %lld were counted for nothing, its "
		         "size was "
		         "off by %lld bytes, %lld repositories had a wrong size; put right",
		         (long long)namespace_id, (long long)missing, (long long)all_extra, (long long)off,
		         (long long)repositories);
	return ERR_NONE;
}

static enum err_kind
verify(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_QUOTA_VERIFY_DUE,
	            DB_ARGS(db_i64(verify_before_ms(j)), db_i64(s->max_items), db_str(j->opt.namespace_name)),
	            &r));
	s->n.selected = r->rows;
	for (int i = 0; i < r->rows && job_go_on(j); i++) {
		TRY(verify_one(j, db_get_i64(r, i, QUOTA_VERIFY_DUE_NAMESPACE_ID)));
		s->n.done++;
	}
	return ERR_NONE;
}

static bool
tells_of_limits(const struct job *j)
{
	return tells(j->c->conf);
}

static enum err_kind
notices(struct job *j, struct job_slice *s)
{
	const struct db_result *r;
	struct job_counts n = { 0 };

	TRY(db_exec(j->c, STMT_QUOTA_NOTICES,
	            DB_ARGS(db_i64(j->c->conf->quota_notification_cooldown_seconds * 1000)), &r));
	n.selected = n.done = db_get_i64(r, 0, QUOTA_NOTICES_SENT);
	s->n = n;
	s->is_last = true;
	return job_part_done(j, NOTICES, &n);
}

/* Unlike verification, which is due by time, folding goes on until the ledger is empty. */
static const struct job_step STEPS[] = {
	{ .name = "fold", .slice = fold, .slice_items = FOLD_ROWS },
	{ .name = "registry size", .slice = registry_size, .slice_items = 50000 },
	{ .name = "verify", .slice = verify, .slice_items = 20 },
	{ .name = "fold again", .slice = fold, .slice_items = FOLD_ROWS },
	{ .name = "notices", .is_on = tells_of_limits, .slice = notices, .slice_items = 1 },
	{ .name = NULL },
};
static const struct job_def QUOTA = {
	.name = "quota",
	.doc = "Folds the sizes that pushes and removals changed, computes the registry's size when asked, "
	       "compares\n"
	       "the sizes with what is there and puts them right.",
	.id = JOB_ID_QUOTA,
	.lock = JOB_LOCK_FLEET,
	.flags = JOB_TAKES_VERIFY | JOB_TAKES_SCOPE,
	.due = STMT_QUOTA_DUE,
	.due_args = due_args,
	.interval_s = 60,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&QUOTA, argc, argv);
}
