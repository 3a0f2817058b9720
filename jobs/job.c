/* The frame of the jobs: a run from lock to record. */
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/str.h"
#include "conf/conf.h"
#include "db/session.h"

#define SLICE_BYTES ((size_t)64 << 20)
#define BEAT_US     (30 * INT64_C(1000000))
#define SLICE_TRIES 3

/* Keeps the first failure for the record. A text that was cut in the middle of a character, or quotes odd bytes of somebody
 * else, must still be one that the database takes. */
static void
remember(struct job *j, const char *what)
{
	if (j->message[0] != '\0')
		return;
	snprintf(j->message, sizeof j->message, "%.100s%s%.500s", what, what[0] == '\0' ? "" : ": ",
	         j->c->err.text);
	if (str_is_utf8(str_of(j->message)))
		return;
	for (char *p = j->message; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
}

void
job_item_failed(struct job *j, struct job_slice *s, const char *what)
{
	s->n.failed++;
	remember(j, what);
	log_line(j->c, LOG_LEVEL_WARN, "%s: %s", what, j->c->err.text);
	err_clear(j->c);
}

/* TERM and INT end the run, HUP asks a resident job to read its configuration anew. */
static void
take_signals(struct job *j)
{
	struct signalfd_siginfo si;

	while (read(j->signal_fd, &si, sizeof si) == (ssize_t)sizeof si)
		j->stopped = si.ssi_signo == SIGHUP ? (j->opt.resident ? "HUP" : j->stopped) : "TERM";
}

bool
job_go_on(struct job *j)
{
	const int64_t now_us = clock_mono_us();

	take_signals(j);
	if (j->stopped == NULL && j->opt.max_seconds != 0 &&
	    now_us - j->started_us >= j->opt.max_seconds * 1000000)
		j->stopped = "--max-seconds";
	if (j->stopped == NULL && db_session_wait(j->setup.session, -1, 0) == DB_WOKEN_LOST)
		j->stopped = "the database connection was lost";
	if (j->stopped == NULL && j->run_id != 0 && now_us - j->beat_us >= BEAT_US) {
		const struct err kept = j->c->err;
		if (job_record_beat(j) != ERR_NONE)
			j->stopped = "the database connection was lost";
		j->c->err = kept;
	}
	return j->stopped == NULL;
}

static void
add_counts(struct job_counts *sum, const struct job_counts *n)
{
	sum->selected += n->selected;
	sum->done += n->done;
	sum->failed += n->failed;
	sum->skipped += n->skipped;
	sum->bytes += n->bytes;
}

/* One slice in memory of its own. A full arena jumps here, past the step; what the step registered is undone by the reset:
 * results, an open transaction. */
static enum err_kind
slice_guarded(struct job *j, const struct job_step *st, struct job_slice *s)
{
	struct ctx *c = j->c;
	jmp_buf full;
	enum err_kind e;

	arena_on_full(c->mem, &full);
	if (setjmp(full) == 0) {
		e = st->slice(j, s);
	} else {
		arena_set_limit(c->mem, 0);
		e = err_set(c, ERR_TOO_LARGE, "a slice of %lld items needs more than %zu MiB",
		            (long long)s->max_items, SLICE_BYTES >> 20);
	}
	arena_on_full(c->mem, NULL);
	if (e != ERR_NONE && db_in_tx(c))
		db_rollback(c);
	return e;
}

/* Again when the database says so, and with fewer items when they do not fit. */
static enum err_kind
run_slice(struct job *j, const struct job_step *st, struct job_slice *s)
{
	struct ctx *c = j->c;

	for (int try = 1;; try++) {
		const int64_t max_items = s->max_items;
		const enum err_kind e = slice_guarded(j, st, s);
		const bool busy = db_is_retryable(c->sqlstate) || strcmp(c->sqlstate, "55P03") == 0;

		if (e == ERR_NONE)
			return e;
		const struct err kept = c->err;
		if (!(e == ERR_TOO_LARGE && max_items > 1) &&
		    !(e != ERR_NONE && busy && try < SLICE_TRIES && s->n.done == 0))
			return e;
		log_line(c, LOG_LEVEL_WARN, "%s: %s; trying again", st->name, kept.text);
		arena_reset(c->mem, SLICE_BYTES);
		add_counts(&j->n, &s->n);
		*s = (struct job_slice){ .max_items = e == ERR_TOO_LARGE ? max_items / 2 : max_items };
	}
}

static int64_t
items_left(struct job *j, int64_t slice_items)
{
	if (j->opt.max_items == 0)
		return slice_items;
	const int64_t left = j->opt.max_items - j->n.selected;
	if (left <= 0)
		j->stopped = "--max-items";
	return left < slice_items ? left : slice_items;
}

static enum err_kind
run_step(struct job *j, const struct job_step *st)
{
	if (st->is_on != NULL && !st->is_on(j))
		return ERR_NONE;
	while (job_go_on(j)) {
		struct job_slice s = { .max_items = items_left(j, st->slice_items) };
		enum err_kind e;

		if (j->stopped != NULL)
			return ERR_NONE;
		arena_reset(j->c->mem, SLICE_BYTES);
		e = run_slice(j, st, &s);
		add_counts(&j->n, &s.n);
		if (e != ERR_NONE) {
			remember(j, st->name);
			return e;
		}
		if (s.is_last || s.n.selected == 0 || s.n.done + s.n.skipped == 0)
			return ERR_NONE;
	}
	return ERR_NONE;
}

static enum err_kind
ask_due(struct job *j)
{
	const struct db_result *r;
	struct db_args a = { 0 };

	if (j->def->due == STMT_NONE)
		return ERR_NONE;
	if (j->def->due_args != NULL)
		j->def->due_args(j, &a);
	TRY(db_session_exec(j->c, j->setup.session, j->def->due, &a, &r));
	j->due.backlog = db_get_i64(r, 0, 0);
	j->due.oldest_due_ms = db_get_i64(r, 0, 1);
	return ERR_NONE;
}

static enum err_kind
work(struct job *j)
{
	TRY(job_record_start(j));
	if ((j->def->flags & JOB_STORES) != 0 && j->setup.stores == NULL)
		TRY(setup_stores(&j->setup));
	TRY(job_check_storage(j));
	for (const struct job_step *st = j->def->steps; st->name != NULL; st++) {
		TRY(run_step(j, st));
		if (j->stopped != NULL)
			break;
	}
	return ERR_NONE;
}

static enum exit_code
code_of(struct job *j, enum err_kind e)
{
	if (e != ERR_NONE)
		return e == ERR_TOO_LARGE ? EXIT_ITEMS_FAILED : e == ERR_BUSY ? EXIT_DOWN : exit_code_of(e);
	if (j->stopped != NULL && strncmp(j->stopped, "the database", 12) == 0)
		return EXIT_DOWN;
	if (j->stopped != NULL && (j->due.backlog > 0 || j->def->due == STMT_NONE))
		return EXIT_WORK_LEFT;
	return j->n.failed > 0 ? EXIT_ITEMS_FAILED : EXIT_DONE;
}

/* One run: what is due, work, record. The database and the locks are there. */
static enum exit_code
run_once(struct job *j)
{
	enum exit_code code;
	enum err_kind e;

	arena_reset(j->c->mem, SLICE_BYTES);
	j->started_us = clock_mono_us();
	j->n = (struct job_counts){ 0 };
	j->due = (struct job_due){ 0 };
	j->run_id = 0;
	j->message[0] = '\0';
	e = job_check_database(j);
	if (e == ERR_NONE)
		e = ask_due(j);
	const bool asked = j->def->is_asked != NULL && j->def->is_asked(j);
	const bool idle = e == ERR_NONE && j->due.backlog == 0 && j->def->due != STMT_NONE && !asked;
	if (idle)
		e = job_record_idle(j);
	else if (e == ERR_NONE)
		e = work(j);
	if (e != ERR_NONE)
		remember(j, "");
	arena_reset(j->c->mem, SLICE_BYTES);
	if (!idle && e == ERR_NONE)
		e = ask_due(j); /* what is left */
	code = code_of(j, e);
	if (job_record_end(j, code) != ERR_NONE && code == EXIT_DONE)
		code = EXIT_DOWN;
	job_metrics(j, code);
	job_summary(j, code);
	return code;
}

/* Waits up to ms; false when a signal ends the wait for good. */
static bool
wait_signal(struct job *j, int ms)
{
	struct pollfd fd = { .fd = j->signal_fd, .events = POLLIN };

	(void)poll(&fd, 1, ms);
	take_signals(j);
	return j->stopped == NULL;
}

static enum exit_code
run_resident(struct job *j)
{
	const int64_t interval_s = j->opt.interval_s != 0    ? j->opt.interval_s
	                           : j->def->interval_s != 0 ? j->def->interval_s
	                                                     : 60;
	enum exit_code code = EXIT_DONE;

	if (j->def->channel != NULL &&
	    db_session_script(j->c, j->setup.session, str_fmt(j->c->mem, "LISTEN %s", j->def->channel)) !=
	        ERR_NONE)
		return EXIT_DOWN;
	while (code != EXIT_DOWN && code != EXIT_USAGE && code != EXIT_INTERNAL) {
		code = run_once(j);
		if (j->stopped != NULL && strcmp(j->stopped, "TERM") != 0 && strcmp(j->stopped, "HUP") != 0)
			j->stopped = NULL; /* a limit of the run, not of the process */
		if (j->stopped == NULL && code != EXIT_WORK_LEFT &&
		    db_session_wait(j->setup.session, j->signal_fd, (int)interval_s * 1000) == DB_WOKEN_LOST)
			return EXIT_DOWN;
		take_signals(j);
		if (j->stopped != NULL)
			break;
	}
	if (j->stopped != NULL && strcmp(j->stopped, "HUP") == 0) {
		setup_close(&j->setup);
		execv("/proc/self/exe", j->argv);
		return EXIT_INTERNAL;
	}
	return j->stopped != NULL ? EXIT_DONE : code;
}

static enum err_kind
dry_run(struct job *j)
{
	struct buf out = BUF(j->c->mem);

	TRY(job_check_database(j));
	TRY(ask_due(j));
	if (j->def->due == STMT_NONE)
		printf("kade-%s has something to do at every run\n", j->def->name);
	else if (j->due.oldest_due_ms == 0)
		printf("due: %lld\n", (long long)j->due.backlog);
	else
		printf("due: %lld, the oldest since %s\n", (long long)j->due.backlog,
		       clock_iso(j->c->mem, j->due.oldest_due_ms));
	if (j->def->show != NULL)
		TRY(j->def->show(j, &out));
	if (out.n > 0)
		fwrite(out.p, 1, out.n, stdout);
	return ERR_NONE;
}

static void
open_counters(struct job *j)
{
	char why[256];

	if (!counters_open(str_fmt(j->c->mem, "%s/counters", j->setup.state_dir), &j->c->counters, why,
	                   sizeof why)) {
		log_line(j->c, LOG_LEVEL_WARN, "metrics of this run are not kept: %s", why);
		j->c->counters = counters_anonymous();
	}
}

static void
block_signals(struct job *j)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	j->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
}

/* From the locks on; *code is set when it came to a run. */
static enum err_kind
locked(struct job *j, enum exit_code *code)
{
	uint32_t r;

	TRY(job_lock_host(j));
	random_bytes(&r, sizeof r);
	if (j->opt.splay_s != 0 && !wait_signal(j, (int)(r % ((uint32_t)j->opt.splay_s * 1000))))
		return ERR_NONE;
	open_counters(j);
	TRY(setup_session(&j->setup));
	TRY(job_lock_fleet(j));
	*code = j->opt.resident ? run_resident(j) : run_once(j);
	return ERR_NONE;
}

/* What only asks: the state of the job, what is due, a question of the job's own. *answered false: a run is wanted. */
static enum err_kind
question(struct job *j, bool *answered)
{
	*answered = j->opt.status || j->opt.dry_run;
	if (!*answered && j->def->answer == NULL)
		return ERR_NONE;
	if (!*answered)
		return j->def->answer(j, answered);
	TRY(setup_session(&j->setup));
	return j->opt.status ? job_status_print(j) : dry_run(j);
}

static enum exit_code
start(struct job *j)
{
	enum exit_code code = EXIT_DONE;
	enum err_kind e;
	bool answered;

	setup_log(&j->setup);
	if (j->opt.verbose)
		log_set_level(j->c->log, LOG_LEVEL_DEBUG);
	random_text(j->c->id, sizeof j->c->id - 1, "0123456789abcdef");
	setup_db(&j->setup, 1 + (int)j->opt.parallel);
	j->c->mem = arena_new(SLICE_BYTES);
	e = question(j, &answered);
	if (e != ERR_NONE)
		fprintf(stderr, "%s: %s\n", j->setup.program, j->c->err.text);
	if (e != ERR_NONE || answered)
		return exit_code_of(e);
	e = job_check_switches(j);
	if (e == ERR_NONE)
		e = locked(j, &code);
	if (e == ERR_NONE)
		return code;
	/* off and running are how cron's minutes usually end: no line unless asked for */
	log_line(j->c, e == ERR_READ_ONLY || e == ERR_BUSY ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "%s",
	         j->c->err.text);
	return exit_code_of(e);
}

int
job_main(const struct job_def *def, int argc, char **argv)
{
	char program[64];
	struct job j = { .def = def, .argv = argv, .lock_fd = -1, .signal_fd = -1 };
	int code = job_options_read(&j, argc, argv);

	if (code >= 0)
		return code;
	snprintf(program, sizeof program, "kade-%s", def->name);
	j.c = &j.setup.c;
	block_signals(&j);
	if (!setup_conf(&j.setup, program, j.opt.config))
		return EXIT_USAGE;
	code = (int)start(&j);
	setup_close(&j.setup);
	if (j.lock_fd >= 0)
		close(j.lock_fd);
	close(j.signal_fd);
	return fflush(stdout) != 0 && code == EXIT_DONE ? EXIT_INTERNAL : code;
}
