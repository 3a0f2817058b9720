/* The frame of the jobs: what is left of a run. Its row in job_run, its metrics, its summary line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/js.h"
#include "base/log.h"
#include "db/session.h"
#include "job.h"

#define TRIM_EVERY 64 /* runs */

const char *
job_host(struct job *j)
{
	char name[256];

	if (gethostname(name, sizeof name) != 0)
		return "?";
	name[sizeof name - 1] = '\0';
	return str_dup_c(j->c->mem, name);
}

enum err_kind
job_record_start(struct job *j)
{
	const struct db_result *r;

	TRY(db_session_exec(j->c, j->setup.session, STMT_JOB_START,
	                    DB_ARGS(db_str(j->def->name), db_str(job_host(j)), db_i32(getpid())), &r));
	j->run_id = db_get_i64(r, 0, JOB_START_ID);
	j->beat_us = clock_mono_us();
	return ERR_NONE;
}

enum err_kind
job_record_beat(struct job *j)
{
	const struct job_counts *n = &j->n;

	j->beat_us = clock_mono_us();
	return db_session_exec(j->c, j->setup.session, STMT_JOB_BEAT,
	                       DB_ARGS(db_i64(j->run_id), db_i64(n->selected), db_i64(n->done),
	                               db_i64(n->failed), db_i64(n->skipped), db_i64(n->bytes)),
	                       NULL);
}

static enum err_kind
trim(struct job *j, int64_t id)
{
	if (id % TRIM_EVERY != 0)
		return ERR_NONE;
	return db_session_exec(j->c, j->setup.session, STMT_JOB_TRIM, DB_ARGS(db_str(j->def->name)), NULL);
}

enum err_kind
job_record_end(struct job *j, enum exit_code code)
{
	const struct job_counts *n = &j->n;

	if (j->run_id == 0)
		return ERR_NONE;
	TRY(db_session_exec(j->c, j->setup.session, STMT_JOB_END,
	                    DB_ARGS(db_i64(j->run_id), db_i32((int32_t)code), db_i64(n->selected),
	                            db_i64(n->done), db_i64(n->failed), db_i64(n->skipped), db_i64(n->bytes),
	                            db_i64(j->due.backlog), db_i64_or_null(j->due.oldest_due_ms),
	                            db_str(j->message[0] == '\0' ? NULL : j->message)),
	                    NULL));
	return trim(j, j->run_id);
}

static enum err_kind
done_row(struct job *j, const char *name, const struct job_counts *n, int64_t *id)
{
	const struct db_result *r;

	TRY(db_session_exec(j->c, j->setup.session, STMT_JOB_DONE,
	                    DB_ARGS(db_str(name), db_str(job_host(j)), db_i32(getpid()), db_i64(n->selected),
	                            db_i64(n->done), db_i64(n->failed), db_i64(n->skipped), db_i64(n->bytes)),
	                    &r));
	*id = db_get_i64(r, 0, JOB_DONE_ID);
	return ERR_NONE;
}

enum err_kind
job_record_idle(struct job *j)
{
	int64_t id;

	TRY(done_row(j, j->def->name, &j->n, &id));
	return trim(j, id);
}

enum err_kind
job_part_last(struct job *j, const char *part, int64_t *ms)
{
	const struct db_result *r;

	TRY(db_session_exec(j->c, j->setup.session, STMT_JOB_LAST_END, DB_ARGS(db_str(part)), &r));
	*ms = r->rows > 0 ? db_get_i64(r, 0, JOB_LAST_END_ENDED_MS) : 0;
	return ERR_NONE;
}

enum err_kind
job_part_done(struct job *j, const char *part, const struct job_counts *n)
{
	int64_t id;

	return done_row(j, part, n, &id);
}

static void
put_i64_or_null(json_t *o, const char *key, const struct db_result *r, int col)
{
	if (db_is_null(r, 0, col))
		jo_null(o, key);
	else
		jo_i64(o, key, db_get_i64(r, 0, col));
}

enum err_kind
job_status_print(struct job *j)
{
	json_t *o = js_object(j->c);
	const struct db_result *r;

	TRY(db_session_exec(j->c, j->setup.session, STMT_JOB_LAST, DB_ARGS(db_str(j->def->name)), &r));
	jo_str(o, "job", j->def->name);
	if (r->rows > 0) {
		jo_str(o, "host", db_get_str(r, 0, JOB_LAST_HOST));
		jo_i64(o, "pid", db_get_i64(r, 0, JOB_LAST_PID));
		jo_i64(o, "started_ms", db_get_i64(r, 0, JOB_LAST_STARTED_MS));
		jo_i64(o, "heartbeat_ms", db_get_i64(r, 0, JOB_LAST_HEARTBEAT_MS));
		put_i64_or_null(o, "ended_ms", r, JOB_LAST_ENDED_MS);
		put_i64_or_null(o, "exit", r, JOB_LAST_EXIT_CODE);
		jo_i64(o, "selected", db_get_i64(r, 0, JOB_LAST_SELECTED));
		jo_i64(o, "done", db_get_i64(r, 0, JOB_LAST_DONE));
		jo_i64(o, "failed", db_get_i64(r, 0, JOB_LAST_FAILED));
		jo_i64(o, "skipped", db_get_i64(r, 0, JOB_LAST_SKIPPED));
		jo_i64(o, "bytes", db_get_i64(r, 0, JOB_LAST_BYTES));
		put_i64_or_null(o, "backlog", r, JOB_LAST_BACKLOG);
		put_i64_or_null(o, "oldest_due_ms", r, JOB_LAST_OLDEST_DUE_MS);
		jo_str(o, "message", db_get_str(r, 0, JOB_LAST_MESSAGE));
	}
	const struct str text = js_dump(j->c, o);
	printf("%.*s\n", STRF(text));
	return ERR_NONE;
}

/* The metrics of this job as the host has them, in the exposition format; replaced as a whole. */
static void
write_textfile(struct job *j)
{
	const char *tmp = str_fmt(j->c->mem, "%s.%ld.tmp", j->opt.textfile, (long)getpid());
	const char *label = str_fmt(j->c->mem, "{job=\"%s\"", j->def->name), *name;
	FILE *f = fopen(tmp, "we");
	int64_t value;

	for (int i = 0; f != NULL && counters_series_get(j->c->counters, i, &name, &value); i++)
		if (strncmp(name, "kade_job_", 9) == 0 && strstr(name, label) != NULL)
			fprintf(f, "%s %lld\n", name, (long long)value);
	if (f == NULL || ferror(f) || fclose(f) != 0 || rename(tmp, j->opt.textfile) != 0) {
		log_line(j->c, LOG_LEVEL_WARN, "%s: %s", j->opt.textfile, strerrordesc_np(errno));
		unlink(tmp);
	}
}

static void
series(struct job *j, const char *name, const char *more, int64_t value, bool add)
{
	const char *full = str_fmt(j->c->mem, "%s{job=\"%s\"%s}", name, j->def->name, more);
	const int at = counters_series(j->c->counters, full);

	if (at < 0)
		return;
	if (add)
		counters_series_add(j->c->counters, at, value);
	else
		counters_series_set(j->c->counters, at, value);
}

void
job_metrics(struct job *j, enum exit_code code)
{
	const int64_t now_ms = clock_now_ms(), took_us = clock_mono_us() - j->started_us;

	series(j, "kade_job_runs_total", str_fmt(j->c->mem, ",exit=\"%d\"", (int)code), 1, true);
	series(j, "kade_job_items_total", ",result=\"done\"", j->n.done, true);
	series(j, "kade_job_items_total", ",result=\"failed\"", j->n.failed, true);
	series(j, "kade_job_items_total", ",result=\"skipped\"", j->n.skipped, true);
	series(j, "kade_job_duration_seconds", "", (took_us + 500000) / 1000000, false);
	series(j, "kade_job_backlog", "", j->due.backlog, false);
	series(j, "kade_job_oldest_due_seconds", "",
	       j->due.oldest_due_ms == 0 || j->due.oldest_due_ms > now_ms
	           ? 0
	           : (now_ms - j->due.oldest_due_ms) / 1000,
	       false);
	if (code == EXIT_DONE)
		series(j, "kade_job_last_success_timestamp", "", now_ms / 1000, false);
	if (j->opt.textfile != NULL)
		write_textfile(j);
}

void
job_summary(struct job *j, enum exit_code code)
{
	const bool quiet = code == EXIT_DONE && j->n.selected == 0;
	json_t *o = js_object(j->c);

	jo_str(o, "job", j->def->name);
	jo_i64(o, "exit", code);
	jo_i64(o, "took_ms", (clock_mono_us() - j->started_us) / 1000);
	jo_i64(o, "selected", j->n.selected);
	jo_i64(o, "done", j->n.done);
	jo_i64(o, "failed", j->n.failed);
	jo_i64(o, "skipped", j->n.skipped);
	jo_i64(o, "bytes", j->n.bytes);
	jo_i64(o, "backlog", j->due.backlog);
	jo_i64(o, "oldest_due_ms", j->due.oldest_due_ms);
	if (j->stopped != NULL)
		jo_str(o, "stopped", j->stopped);
	if (j->message[0] != '\0')
		jo_str(o, "message", j->message);
	const struct str text = js_dump(j->c, o);
	if (j->opt.json)
		printf("%.*s\n", STRF(text));
	log_members(j->c->log,
	            code == EXIT_DONE || code == EXIT_WORK_LEFT ? (quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO)
	            : code == EXIT_ITEMS_FAILED                 ? LOG_LEVEL_WARN
	                                                        : LOG_LEVEL_ERROR,
	            str_sub(text, 1, text.n - 1));
}
