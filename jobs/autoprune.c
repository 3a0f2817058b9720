/* kade-autoprune: removes tags by the policies of namespaces and repositories, and once a day by that of the configuration. What it
 * removes goes into the time machine. A namespace is worked off repository by repository; how far a run has come stands in its row,
 * so that a run that ends early goes on. --dry-run names every tag and why. */
#include "model/prune.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "conf/conf.h"
#include "job.h"

#define DAY_MS       (24 * INT64_C(3600000))
#define REPOSITORIES 50
#define SHOWN_TAGS   100000 /* of a dry run */

static bool
is_on(const struct conf *cf, const char **off)
{
	*off = "FEATURE_AUTO_PRUNE is false";
	return cf->feature_auto_prune;
}

static struct str
scope_namespace(const struct job *j)
{
	struct str ns = str_of(j->opt.namespace_name), rest;

	if (j->opt.repository != NULL)
		str_cut(str_of(j->opt.repository), '/', &ns, &rest);
	return ns;
}

static struct str
scope_repository(const struct job *j)
{
	struct str ns, repo = STR0;

	if (j->opt.repository != NULL)
		str_cut(str_of(j->opt.repository), '/', &ns, &repo);
	return repo;
}

/* Who is named on the command line is due at once, but once in a run; a run for one repository is not the namespace's. */
static int64_t
before_ms(const struct job *j)
{
	if (scope_namespace(j).p != NULL)
		return j->due.now_ms;
	return j->due.now_ms - j->c->conf->autoprune_task_run_minimum_interval_minutes * 60000;
}

static int64_t
default_before_ms(const struct job *j)
{
	return j->due.now_ms - DAY_MS;
}

static bool
has_default(const struct job *j)
{
	return j->c->conf->default_namespace_autoprune_policy != NULL && scope_namespace(j).p == NULL;
}

static void
due_args(const struct job *j, struct db_args *a)
{
	db_args_add(a, db_i64(before_ms(j)));
	db_args_add(a, has_default(j) ? db_i64(default_before_ms(j)) : db_null());
}

static struct prune_target
target_of(const struct db_result *r, int row)
{
	enum { ID, NAME, NAMESPACE_ID, NAMESPACE, WINDOW, COLS };
	_Static_assert((int)COLS == PRUNE_REPOSITORY_COLS, "policy.sql and autoprune.c differ");

	return (struct prune_target){ .repository_id = db_get_i64(r, row, ID),
		                      .repo = db_get_strn(r, row, NAME),
		                      .namespace_id = db_get_i64(r, row, NAMESPACE_ID),
		                      .ns = db_get_strn(r, row, NAMESPACE),
		                      .window_ms = db_get_i64(r, row, WINDOW) };
}

/* Walks over one repository and removes what its rules select. *is_end false: the run is to end before it is through. */
static enum err_kind
prune_one(struct job *j, const struct prune_target *t, struct prune_rules *rules, bool *is_end)
{
	struct ctx *c = j->c;
	struct prune_walk w;
	int64_t all = 0;

	TRY(prune_walk_begin(c, t, rules, &w));
	while (!w.is_end && job_go_on(j)) {
		const struct arena_mark m = arena_mark(c->mem);
		int64_t removed;

		TRY(prune_walk_page(c, &w));
		TRY(prune_walk_remove(c, &w, &removed));
		all += removed;
		arena_rewind(c->mem, m);
	}
	prune_walk_end(c, &w);
	if (all > 0)
		log_line(c, LOG_LEVEL_INFO, "%.*s/%.*s: %lld tags were removed", STRF(t->ns), STRF(t->repo),
		         (long long)all);
	*is_end = w.is_end;
	return ERR_NONE;
}

static enum err_kind
rules_of(struct job *j, const struct prune_target *t, bool use_default, bool pulls_known,
         struct prune_rules *rules)
{
	*rules = (struct prune_rules){ 0 };
	if (!use_default)
		return prune_rules_load(j->c, t, pulls_known, rules);
	prune_rules_default(j->c, rules);
	return ERR_NONE;
}

/* The repositories of a page. *last: the last one that is through. Patterns that take too long end the page: *last is then
 * beyond all, so that nobody's expressions keep others waiting. */
static enum err_kind
prune_page(struct job *j, struct job_slice *s, const struct db_result *r, bool use_default, int64_t *last)
{
	bool pulls_known, is_end = true;

	TRY(prune_pulls_known(j->c, &pulls_known));
	for (int i = 0; i < r->rows && is_end && job_go_on(j); i++) {
		const struct prune_target t = target_of(r, i);
		struct prune_rules rules;
		enum err_kind e = rules_of(j, &t, use_default, pulls_known, &rules);

		if (e == ERR_NONE)
			e = prune_one(j, &t, &rules, &is_end);
		if (e != ERR_NONE && db_in_tx(j->c))
			db_rollback(j->c);
		if (e == ERR_DB)
			return e;
		s->n.selected++;
		if (e != ERR_NONE)
			job_item_failed(j, s, str_fmt(j->c->mem, "%.*s/%.*s", STRF(t.ns), STRF(t.repo)));
		else
			s->n.done++;
		if (is_end)
			*last = e == ERR_TOO_LARGE && !use_default ? INT64_MAX : t.repository_id;
		if (*last == INT64_MAX)
			break;
	}
	return ERR_NONE;
}

static enum err_kind
by_policies(struct job *j, struct job_slice *s)
{
	const struct str ns = scope_namespace(j), repo = scope_repository(j);
	const struct db_result *task, *r;

	TRY(db_exec(j->c, STMT_PRUNE_TASK_NEXT, DB_ARGS(db_i64(before_ms(j)), db_strn(ns)), &task));
	if (task->rows == 0)
		return ERR_NONE;
	const int64_t namespace_id = db_get_i64(task, 0, PRUNE_TASK_NEXT_NAMESPACE_ID);
	const bool whole = repo.p == NULL;
	int64_t last = whole ? db_get_i64(task, 0, PRUNE_TASK_NEXT_AFTER_REPOSITORY_ID) : 0;

	TRY(db_exec(
	    j->c, STMT_PRUNE_REPOSITORIES,
	    DB_ARGS(db_i64(namespace_id), db_i64(last), db_i64(s->max_items), db_strn(repo), db_bool(false)),
	    &r));
	TRY(prune_page(j, s, r, false, &last));
	s->is_last = !whole;
	if (!whole)
		return ERR_NONE;
	const bool is_end =
	    last == INT64_MAX || (r->rows < s->max_items && s->n.selected == r->rows && j->stopped == NULL);
	const char *status = s->n.failed > 0 ? str_fmt(j->c->mem, "failure: %.200s", j->message)
	                     : is_end        ? "success"
	                                     : "running";
	s->n.selected++; /* the namespace is an item, too: one without repositories is no end of the work */
	s->n.done++;
	return db_exec(j->c, STMT_PRUNE_TASK_STEP,
	               DB_ARGS(db_i64(namespace_id), is_end ? db_null() : db_i64(last), db_str(status)),
	               NULL);
}

static enum err_kind
by_default(struct job *j, struct job_slice *s)
{
	const struct db_result *at, *r;

	TRY(db_exec(j->c, STMT_PRUNE_DEFAULT_NEXT, DB_ARGS(db_i64(default_before_ms(j))), &at));
	if (at->rows == 0)
		return ERR_NONE;
	int64_t last = db_get_i64(at, 0, PRUNE_DEFAULT_NEXT_AFTER_REPOSITORY_ID);
	TRY(db_exec(j->c, STMT_PRUNE_ALL_REPOSITORIES,
	            DB_ARGS(db_i64(last), db_i64(s->max_items), db_null(), db_null()), &r));
	TRY(prune_page(j, s, r, true, &last));
	const bool is_end = r->rows < s->max_items && s->n.selected == r->rows && j->stopped == NULL;
	s->is_last = is_end;
	return db_exec(j->c, STMT_PRUNE_DEFAULT_STEP, DB_ARGS(is_end ? db_null() : db_i64(last)), NULL);
}

/* A dry run: every tag of a repository that would go, a line each. */
static enum err_kind
show_one(struct job *j, const struct prune_target *t, struct prune_rules *rules, struct buf *out,
         int64_t *left)
{
	struct prune_walk w;

	TRY(prune_walk_begin(j->c, t, rules, &w));
	while (!w.is_end && *left > 0) {
		TRY(prune_walk_page(j->c, &w));
		for (size_t i = 0; i<w.n && * left> 0; i++, --*left)
			buf_putf(out, "%.*s/%.*s:%.*s  %s (%s)\n", STRF(t->ns), STRF(t->repo),
			         STRF(w.victims[i].tag.name), prune_reason(j->c, w.victims[i].rule),
			         w.victims[i].rule->uuid.n == 0
			             ? "DEFAULT_NAMESPACE_AUTOPRUNE_POLICY"
			             : str_dup(j->c->mem, w.victims[i].rule->uuid));
	}
	prune_walk_end(j->c, &w);
	return ERR_NONE;
}

static enum err_kind
show_page(struct job *j, const struct db_result *r, bool use_default, struct buf *out, int64_t *left)
{
	bool pulls_known;

	TRY(prune_pulls_known(j->c, &pulls_known));
	for (int i = 0; i<r->rows && * left> 0; i++) {
		const struct prune_target t = target_of(r, i);
		struct prune_rules rules;

		TRY(rules_of(j, &t, use_default, pulls_known, &rules));
		TRY(show_one(j, &t, &rules, out, left));
	}
	return ERR_NONE;
}

static enum err_kind
show(struct job *j, struct buf *out)
{
	const struct str ns = scope_namespace(j), repo = scope_repository(j);
	const struct db_result *tasks, *r;
	int64_t left = SHOWN_TAGS;
	const char *off;

	if (!is_on(j->c->conf, &off))
		buf_putf(out, "off: %s\n", off);
	TRY(db_exec(j->c, STMT_PRUNE_TASKS, DB_ARGS(db_i64(before_ms(j)), db_strn(ns)), &tasks));
	for (int i = 0; i < tasks->rows && left > 0; i++) {
		TRY(db_exec(j->c, STMT_PRUNE_REPOSITORIES,
		            DB_ARGS(db_i64(db_get_i64(tasks, i, 0)), db_i64(0), db_i64(100000), db_strn(repo),
		                    db_bool(false)),
		            &r));
		TRY(show_page(j, r, false, out, &left));
	}
	if (j->c->conf->default_namespace_autoprune_policy != NULL) {
		TRY(db_exec(j->c, STMT_PRUNE_ALL_REPOSITORIES,
		            DB_ARGS(db_i64(0), db_i64(100000), db_strn(ns), db_strn(repo)), &r));
		TRY(show_page(j, r, true, out, &left));
	}
	if (left == 0)
		buf_puts(out, "… and more\n");
	return ERR_NONE;
}

static const struct job_step STEPS[] = {
	{ .name = "policies", .slice = by_policies, .slice_items = REPOSITORIES },
	{ .name = "default policy", .is_on = has_default, .slice = by_default, .slice_items = REPOSITORIES },
	{ .name = NULL },
};
static const struct job_def AUTOPRUNE = {
	.name = "autoprune",
	.doc =
	    "Removes tags by the policies of namespaces and repositories and by that of the configuration.",
	.id = JOB_ID_AUTOPRUNE,
	.lock = JOB_LOCK_FLEET,
	.flags = JOB_TAKES_SCOPE,
	.is_on = is_on,
	.due = STMT_PRUNE_DUE,
	.due_args = due_args,
	.show = show,
	.interval_s = 600,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&AUTOPRUNE, argc, argv);
}
