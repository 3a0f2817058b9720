/* kade-jobs: how the jobs stand, for people and for monitoring. What counts is the age of what is due, not that of the run. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/js.h"
#include "db/db.h"
#include "setup.h"

#define BEAT_LATE_MS 90000 /* three heartbeats */

static const char HELP[] =
    "Usage: kade-jobs [--config FILE] [--json]\n"
    "\n"
    "Each job that ever ran on this registry: its last run, what it left undone, and since when the oldest\n"
    "of that is due.\n"
    "  --config FILE  config.yaml or its folder; unset: $QUAYCONF/stack/config.yaml, else the built-in "
    "place\n"
    "  --json         one JSON array\n"
    "  --help\n"
    "Exit status: 0 no job is failing, 1 one is or was lost, 2 wrong usage or configuration, 5 the database\n"
    "does not answer.\n";

struct line {
	const char *job, *host, *state, *message;
	int64_t started_ms, ended_ms, success_ms, exit_code, backlog, oldest_due_ms, now_ms;
	int64_t selected, done, failed, skipped, bytes, pid;
	bool is_bad;
};

static void
line_from_row(const struct db_result *r, int i, struct line *l)
{
	const int64_t beat_ms = db_get_i64(r, i, JOB_OVERVIEW_HEARTBEAT_MS);

	*l = (struct line){ .job = db_get_str(r, i, JOB_OVERVIEW_JOB),
		            .host = db_get_str(r, i, JOB_OVERVIEW_HOST),
		            .message = db_get_str(r, i, JOB_OVERVIEW_MESSAGE),
		            .pid = db_get_i64(r, i, JOB_OVERVIEW_PID),
		            .started_ms = db_get_i64(r, i, JOB_OVERVIEW_STARTED_MS),
		            .ended_ms = db_get_i64(r, i, JOB_OVERVIEW_ENDED_MS),
		            .success_ms = db_get_i64(r, i, JOB_OVERVIEW_LAST_SUCCESS_MS),
		            .exit_code = db_get_i64(r, i, JOB_OVERVIEW_EXIT_CODE),
		            .backlog = db_get_i64(r, i, JOB_OVERVIEW_BACKLOG),
		            .oldest_due_ms = db_get_i64(r, i, JOB_OVERVIEW_OLDEST_DUE_MS),
		            .selected = db_get_i64(r, i, JOB_OVERVIEW_SELECTED),
		            .done = db_get_i64(r, i, JOB_OVERVIEW_DONE),
		            .failed = db_get_i64(r, i, JOB_OVERVIEW_FAILED),
		            .skipped = db_get_i64(r, i, JOB_OVERVIEW_SKIPPED),
		            .bytes = db_get_i64(r, i, JOB_OVERVIEW_BYTES),
		            .now_ms = db_get_i64(r, i, JOB_OVERVIEW_NOW_MS) };
	if (l->ended_ms == 0)
		l->state = l->now_ms - beat_ms > BEAT_LATE_MS ? "lost" : "running";
	else if (l->exit_code == EXIT_DONE)
		l->state = l->backlog > 0 ? "due" : "idle";
	else
		l->state = l->exit_code == EXIT_WORK_LEFT ? "behind" : "failing";
	l->is_bad = strcmp(l->state, "lost") == 0 || strcmp(l->state, "failing") == 0;
}

/* "3m", "2h", "5d"; "-" for never. */
static const char *
age(struct arena *mem, int64_t now_ms, int64_t then_ms)
{
	const long long s = then_ms == 0 ? -1 : (long long)(now_ms - then_ms) / 1000;

	if (then_ms == 0 || s < 0)
		return "-";
	if (s < 120)
		return str_fmt(mem, "%llds", s);
	if (s < 7200)
		return str_fmt(mem, "%lldm", s / 60);
	return s < 172800 ? str_fmt(mem, "%lldh", s / 3600) : str_fmt(mem, "%lldd", s / 86400);
}

static void
print_line(struct arena *mem, const struct line *l)
{
	printf("%-14s %-8s %6s %6s %9s %9lld %9lld %8s  %s%s%s\n", l->job, l->state,
	       age(mem, l->now_ms, l->started_ms), age(mem, l->now_ms, l->success_ms),
	       str_fmt(mem, "%lld", (long long)l->done), (long long)l->failed, (long long)l->backlog,
	       age(mem, l->now_ms, l->oldest_due_ms), l->host, l->message == NULL ? "" : "  ",
	       l->message == NULL ? "" : l->message);
}

static void
i64_or_null(json_t *o, const char *key, int64_t v, bool is_null)
{
	if (is_null)
		jo_null(o, key);
	else
		jo_i64(o, key, v);
}

static void
put_line(json_t *arr, const struct line *l)
{
	json_t *o = ja_object(arr);

	jo_str(o, "job", l->job);
	jo_str(o, "state", l->state);
	jo_str(o, "host", l->host);
	jo_i64(o, "pid", l->pid);
	jo_i64(o, "started_ms", l->started_ms);
	i64_or_null(o, "ended_ms", l->ended_ms, l->ended_ms == 0);
	i64_or_null(o, "exit", l->exit_code, l->ended_ms == 0);
	i64_or_null(o, "last_success_ms", l->success_ms, l->success_ms == 0);
	jo_i64(o, "selected", l->selected);
	jo_i64(o, "done", l->done);
	jo_i64(o, "failed", l->failed);
	jo_i64(o, "skipped", l->skipped);
	jo_i64(o, "bytes", l->bytes);
	jo_i64(o, "backlog", l->backlog);
	i64_or_null(o, "oldest_due_s", (l->now_ms - l->oldest_due_ms) / 1000, l->oldest_due_ms == 0);
	jo_str(o, "message", l->message);
}

static enum err_kind
print_all(struct ctx *c, bool as_json, bool *is_bad)
{
	json_t *arr = js_array(c);
	const struct db_result *r;

	TRY(db_exec(c, STMT_JOB_OVERVIEW, DB_NO_ARGS, &r));
	if (!as_json)
		printf("%-14s %-8s %6s %6s %9s %9s %9s %8s  %s\n", "JOB", "STATE", "RAN", "GOOD", "DONE",
		       "FAILED", "BACKLOG", "OLDEST", "HOST");
	for (int i = 0; i < r->rows; i++) {
		struct line l;

		line_from_row(r, i, &l);
		*is_bad |= l.is_bad;
		if (as_json)
			put_line(arr, &l);
		else
			print_line(c->mem, &l);
	}
	if (as_json) {
		const struct str text = js_dump(c, arr);
		printf("%.*s\n", STRF(text));
	}
	return ERR_NONE;
}

int
main(int argc, char **argv)
{
	static const struct option OPTIONS[] = {
		{"config", required_argument, NULL, 'c'},
		{ "help",  no_argument,       NULL, 'h'},
		{ "json",  no_argument,       NULL, 'j'},
		{ NULL,    0,                 NULL, 0  },
	};
	struct setup s = { 0 };
	const char *config = NULL;
	bool as_json = false, is_bad = false;

	for (int opt; (opt = getopt_long(argc, argv, "c:h", OPTIONS, NULL)) != -1;) {
		if (opt == 'c') {
			config = optarg;
		} else if (opt == 'j') {
			as_json = true;
		} else if (opt == 'h') {
			fputs(HELP, stdout);
			return EXIT_DONE;
		} else {
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fputs("kade-jobs: it takes options only\nTry 'kade-jobs --help'.\n", stderr);
		return EXIT_USAGE;
	}
	if (!setup_conf(&s, "kade-jobs", config))
		return EXIT_USAGE;
	setup_db(&s, 1);
	const enum err_kind e = print_all(&s.c, as_json, &is_bad);
	if (e != ERR_NONE)
		fprintf(stderr, "kade-jobs: %s\n", s.c.err.text);
	setup_close(&s);
	return e != ERR_NONE ? (int)exit_code_of(e) : is_bad ? EXIT_ITEMS_FAILED : EXIT_DONE;
}
