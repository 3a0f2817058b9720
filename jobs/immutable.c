/* kade-immutable: marks the tags that were there before an immutability policy was written or changed. Until then they are held by
 * the policy itself (model/tag-policy.h), so nothing depends on when this runs. Repository by repository, page by page; how far it
 * has come stands in the policy. */
#include "base/arena.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "job.h"
#include "model/audit.h"
#include "model/tag-policy.h"

#define PAGE 500

struct policy {
	int64_t id, namespace_id, repository_id, changed_ms;
	struct str ns, repo, pattern;
	bool matches;
	struct tag_policies compiled;
};

static bool
is_on(const struct conf *cf, const char **off)
{
	*off = "FEATURE_IMMUTABLE_TAGS is false";
	return cf->feature_immutable_tags;
}

static enum err_kind
hold(struct ctx *c, const struct policy *p, bool *held)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_IMMUTABILITY_HOLD, DB_ARGS(db_i64(p->id), db_i64(p->changed_ms)), &r));
	*held = r->rows > 0;
	return ERR_NONE;
}

/* The tags of a page that the policy wants, in one transaction with the note of how many. */
static enum err_kind
mark(struct ctx *c, const struct policy *p, const int64_t *ids, size_t n, bool *held)
{
	const struct db_result *r;

	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(hold(c, p, held));
	if (*held) {
		TRY(db_exec(c, STMT_IMMUTABILITY_MARK,
		            DB_ARGS(db_i64_array(ids, n), db_bool(c->conf->feature_immutable_tags_can_expire),
		                    db_i64(p->changed_ms)),
		            &r));
		TRY(db_exec(c, STMT_IMMUTABILITY_ADD_MARKED, DB_ARGS(db_i64(p->id), db_i64(r->rows)), NULL));
	}
	return db_commit(c);
}

/* All tags of one repository. *held false: the policy was changed or removed meanwhile. */
static enum err_kind
mark_repository(struct job *j, const struct policy *p, int64_t repository_id, bool *held)
{
	struct ctx *c = j->c;
	char after[130] = "";
	int64_t ids[PAGE];

	for (int rows = PAGE; rows == PAGE && *held && job_go_on(j);) {
		const struct arena_mark m = arena_mark(c->mem);
		const struct db_result *r;
		size_t n = 0;

		TRY(db_exec(
		    c, STMT_IMMUTABILITY_TAGS,
		    DB_ARGS(db_i64(repository_id), db_str(after), db_i64(PAGE), db_i64(p->changed_ms)), &r));
		rows = r->rows;
		for (int i = 0; i < r->rows; i++) {
			const struct str name = db_get_strn(r, i, IMMUTABILITY_TAGS_NAME);

			if (tag_policies_want(&p->compiled, name))
				ids[n++] = db_get_i64(r, i, IMMUTABILITY_TAGS_ID);
			snprintf(after, sizeof after, "%.*s", STRF(name));
		}
		if (n > 0)
			TRY(mark(c, p, ids, n, held));
		arena_rewind(c->mem, m);
	}
	return ERR_NONE;
}

static enum err_kind
log_marked(struct ctx *c, const struct policy *p, int64_t count)
{
	struct buf b = BUF(c->mem);

	buf_puts(&b, "{\"namespace\":");
	buf_put_json(&b, p->ns);
	if (p->repository_id != 0) {
		buf_puts(&b, ",\"repo\":");
		buf_put_json(&b, p->repo);
	}
	buf_puts(&b, ",\"tag_pattern\":");
	buf_put_json(&b, p->pattern);
	buf_putf(&b, ",\"tag_pattern_matches\":%s,\"count\":%lld}", p->matches ? "true" : "false",
	         (long long)count);
	return audit_add(c, &(struct audit_row){ .kind = AUDIT_tags_made_immutable_by_policy,
	                                         .namespace_id = p->namespace_id,
	                                         .repository_id = p->repository_id,
	                                         .metadata = buf_str(&b) });
}

/* The policy is through: the note of it and the row of the log in one transaction. */
static enum err_kind
finish_once(struct ctx *c, const struct policy *p)
{
	const struct db_result *r;

	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(db_exec(c, STMT_IMMUTABILITY_STEP, DB_ARGS(db_i64(p->id), db_i64(p->changed_ms), db_null()), &r));
	if (r->rows > 0 && db_get_i64(r, 0, IMMUTABILITY_STEP_BACKFILLED) > 0)
		TRY(log_marked(c, p, db_get_i64(r, 0, IMMUTABILITY_STEP_BACKFILLED)));
	return db_commit(c);
}

static enum err_kind
finish(struct ctx *c, const struct policy *p)
{
	enum err_kind e;

	do {
		e = finish_once(c, p);
		if (e != ERR_NONE && db_in_tx(c))
			db_rollback(c);
	} while (e != ERR_NONE && audit_was_overflow(c));
	return e;
}

static struct policy
policy_from_row(struct ctx *c, const struct db_result *r)
{
	struct policy p = { .id = db_get_i64(r, 0, IMMUTABILITY_NEXT_ID),
		            .namespace_id = db_get_i64(r, 0, IMMUTABILITY_NEXT_NAMESPACE_ID),
		            .repository_id = db_get_i64(r, 0, IMMUTABILITY_NEXT_REPOSITORY_ID),
		            .changed_ms = db_get_i64(r, 0, IMMUTABILITY_NEXT_CHANGED_MS),
		            .ns = db_get_strn(r, 0, IMMUTABILITY_NEXT_NAMESPACE),
		            .repo = db_get_strn(r, 0, IMMUTABILITY_NEXT_REPOSITORY),
		            .pattern = db_get_strn(r, 0, IMMUTABILITY_NEXT_TAG_PATTERN),
		            .matches = db_get_bool(r, 0, IMMUTABILITY_NEXT_TAG_PATTERN_MATCHES) };

	tag_policies_add(c, &p.compiled, p.pattern, p.matches, 0);
	return p;
}

static enum err_kind
backfill(struct job *j, struct job_slice *s)
{
	struct ctx *c = j->c;
	const struct db_result *r;

	TRY(db_exec(c, STMT_IMMUTABILITY_NEXT, DB_NO_ARGS, &r));
	if (r->rows == 0)
		return ERR_NONE;
	const struct policy p = policy_from_row(c, r);
	const int64_t after = db_get_i64(r, 0, IMMUTABILITY_NEXT_AFTER_ID);
	bool held = true;

	TRY(db_exec(c, STMT_IMMUTABILITY_REPOSITORIES,
	            DB_ARGS(db_i64(p.namespace_id), db_i64_or_null(p.repository_id), db_i64(after),
	                    db_i64(s->max_items)),
	            &r));
	s->n.selected = s->n.done = 1;
	for (int i = 0; i < r->rows && held; i++) {
		const int64_t id = db_get_i64(r, i, IMMUTABILITY_REPOSITORIES_ID);

		TRY(mark_repository(j, &p, id, &held));
		if (!held || !job_go_on(j))
			return ERR_NONE;
		TRY(db_exec(c, STMT_IMMUTABILITY_STEP,
		            DB_ARGS(db_i64(p.id), db_i64(p.changed_ms), db_i64(id)), NULL));
		s->n.selected++;
		s->n.done++;
	}
	return held && r->rows < s->max_items ? finish(c, &p) : ERR_NONE;
}

static const struct job_step STEPS[] = {
	{ .name = "mark", .slice = backfill, .slice_items = 100 },
	{ .name = NULL },
};
static const struct job_def IMMUTABLE = {
	.name = "immutable",
	.doc = "Marks the tags that were there before an immutability policy.",
	.id = JOB_ID_IMMUTABLE,
	.lock = JOB_LOCK_FLEET,
	.is_on = is_on,
	.due = STMT_IMMUTABILITY_DUE,
	.interval_s = 60,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&IMMUTABLE, argc, argv);
}
