/* The frame of the jobs: a job says what is due and how to work off a slice of it; the frame does the rest. Options, locks,
 * guards, limits, dry run, signals, heartbeat, records, metrics, exit codes.
 *
 * Rules for a job: every step is repeatable; storage actions are driven by rows written first; one slice is small (seconds);
 * between two items it asks job_go_on(); no transaction is open during storage or network work. */
#ifndef KADE_JOBS_JOB_H
#define KADE_JOBS_JOB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "db/db.h"
#include "setup.h"

struct buf;
struct job;

/* The second key of each job's fleet lock (the first is 8800). Never changed, never reused; 0 is kade-migrate's. */
enum job_id {
	JOB_ID_TOKENS = 1,
	JOB_ID_UPLOADS = 2,
	JOB_ID_AUDIT = 3,
	JOB_ID_KEYS = 4,
	JOB_ID_GC = 8,
	JOB_ID_MAIL = 20,
	JOB_ID_ACTIONCOUNT = 21,
	JOB_ID_LOGEXPORT = 22,
	JOB_ID_AUTOPRUNE = 30,
	JOB_ID_QUOTA = 31,
	JOB_ID_IMMUTABLE = 32,
};
enum job_lock {
	JOB_LOCK_HOST, /* one on this host */
	JOB_LOCK_FLEET /* one in the fleet, too */
};
enum job_flags {
	JOB_STORES = 1,             /* opens the storage locations */
	JOB_DELETES_OBJECTS = 2,    /* and refuses those that belong to another database */
	JOB_IN_RECOVERY = 4,        /* also runs in ACCOUNT_RECOVERY_MODE */
	JOB_NOT_WITHOUT_PUSHES = 8, /* stops with DISABLE_PUSHES */
	JOB_TAKES_PARALLEL = 16,    /* --parallel */
	JOB_TAKES_SCOPE = 32,       /* --namespace, --repository */
	JOB_TAKES_VERIFY = 64       /* --verify */
};
struct job_counts {
	int64_t selected, done, failed, skipped, bytes;
};
struct job_slice {
	int64_t max_items;   /* at most so many are to be selected */
	struct job_counts n; /* filled by the step; selected 0: nothing is left of this step */
	bool is_last;        /* set by a step that knows that nothing is left */
};
struct job_step {
	const char *name;
	bool (*is_on)(const struct job *j); /* NULL: always */
	/* Works off one slice. A failure ends the run; failed items are counted, and logged by job_item_failed(). */
	enum err_kind (*slice)(struct job *j, struct job_slice *s);
	int64_t slice_items;
};
/* An option of one job's own: its value is j->opt.more[i], in the order of the table. */
struct job_option {
	const char *name;
	const char *value; /* for --help: what its argument is; NULL: it takes none (the value is "" when given) */
	const char *doc;
};
#define JOB_OPTIONS_MAX 8
struct job_def {
	const char *name; /* "tokens" of kade-tokens */
	const char *doc;  /* one sentence for --help */
	enum job_id id;
	enum job_lock lock;
	unsigned flags; /* enum job_flags */
	bool (*is_on)(const struct conf *cf,
	              const char **switch_off); /* NULL: always; *switch_off: the key that says no */
	enum stmt due; /* backlog, oldest_due_ms; STMT_NONE: always something to do */
	void (*due_args)(const struct job *j, struct db_args *a); /* NULL: none */
	enum err_kind (*show)(struct job *j,
	                      struct buf *out); /* for --dry-run: one line an item; NULL: numbers only */
	const char *channel;                    /* of LISTEN when resident; NULL: by the clock only */
	int interval_s;                         /* of a resident one, unless --interval */
	const struct job_step *steps;           /* ended by a row without a name */
	const struct job_option *options;       /* ended by a row without a name; NULL: none of its own */
	/* A question instead of a run, when its option was given: no lock, nothing is changed. *answered false: no question. */
	enum err_kind (*answer)(struct job *j, bool *answered);
	bool (*is_asked)(const struct job *j);  /* the run was asked for by an option: it takes place whatever is due */
};
struct job_options {
	const char *config, *textfile, *namespace_name, *repository;
	bool dry_run, resident, status, json, verbose, verify;
	int64_t interval_s, max_seconds, max_items, parallel, splay_s; /* 0: not given */
	const char *more[JOB_OPTIONS_MAX]; /* the job's own; NULL: not given */
};
struct job_due {
	int64_t backlog, oldest_due_ms, now_ms; /* oldest 0: none; now: of the database */
};
struct job {
	struct ctx *c; /* &setup.c; mem is emptied after each slice */
	const struct job_def *def;
	struct job_options opt;
	struct setup setup;
	char *const *argv;
	int lock_fd, signal_fd;
	int64_t run_id, started_us, beat_us;
	struct job_counts n;
	struct job_due due;
	const char *
	    stopped; /* why the run ends before its work does: "TERM", "--max-seconds" …; NULL: it does not */
	char message[640]; /* of the record: the first failure */
};

/* main() of a job. */
int job_main(const struct job_def *def, int argc, char **argv);

/* To be asked between two items: false when the run is to end (signal, limit, lost fleet lock). Writes the heartbeat when it
 * is time; not inside a transaction. */
bool job_go_on(struct job *j);
/* Counts an item that failed, with the reason that stands in c->err, and logs it. */
void job_item_failed(struct job *j, struct job_slice *s, const char *what);
/* When the named part of a job was last done (0 = never), and the note that it is done now: for what is due once a day. */
enum err_kind job_part_last(struct job *j, const char *part, int64_t *ms) MUST_CHECK;
enum err_kind job_part_done(struct job *j, const char *part, const struct job_counts *n) MUST_CHECK;

/* Inside of the frame. */
/* -1: go on; else the exit status. job-options.c */
int job_options_read(struct job *j, int argc, char **argv);
/* job-guard.c */
enum err_kind job_lock_host(struct job *j) MUST_CHECK;
enum err_kind job_lock_fleet(struct job *j) MUST_CHECK;
enum err_kind job_check_switches(struct job *j) MUST_CHECK; /* ERR_READ_ONLY: off by configuration */
enum err_kind
job_check_database(struct job *j) MUST_CHECK; /* clock, schema, paused deletion; fills due.now_ms */
enum err_kind job_check_storage(struct job *j) MUST_CHECK; /* every location belongs to this database */
/* job-record.c */
enum err_kind job_record_start(struct job *j) MUST_CHECK;
enum err_kind job_record_beat(struct job *j) MUST_CHECK;
enum err_kind job_record_end(struct job *j, enum exit_code code) MUST_CHECK;
enum err_kind job_record_idle(struct job *j) MUST_CHECK;
enum err_kind job_status_print(struct job *j) MUST_CHECK;
void job_metrics(struct job *j, enum exit_code code);
void job_summary(struct job *j, enum exit_code code);
const char *job_host(struct job *j);
#endif
