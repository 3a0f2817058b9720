/* What each job and tool opens first: the configuration, the log, the database, the storage. Serves job.c, admin.c, migrate.c. */
#ifndef KADE_JOBS_SETUP_H
#define KADE_JOBS_SETUP_H
#include <stdbool.h>

#include "auth/secret.h"
#include "base/ctx.h"
#include "db/db.h"

struct conf;
struct db_session;
struct store_set;

enum exit_code { /* of every job and tool */
	         EXIT_DONE = 0,
	         EXIT_ITEMS_FAILED =
	             1, /* finished, but some items failed (they are tried again); a tool: refused, not found */
	         EXIT_USAGE = 2,     /* wrong usage, configuration or schema */
	         EXIT_OFF = 3,       /* switched off by the configuration */
	         EXIT_RUNNING = 4,   /* another one holds the lock */
	         EXIT_DOWN = 5,      /* the database, storage or Redis does not answer; a clock is wrong */
	         EXIT_WORK_LEFT = 6, /* a limit or TERM ended it before the work was done */
	         EXIT_INTERNAL = 70
};
/* The exit code for a failure that ended a program. */
enum exit_code exit_code_of(enum err_kind k);

struct setup {
	struct ctx c; /* c.mem is emptied by the owner as it likes; conf, db, log, counters outlive that */
	struct arena *mem;   /* of the process */
	const char *program; /* "kade-tokens" */
	const char *state_dir;
	struct db_session *session; /* setup_session() */
	struct store_set *stores;   /* setup_stores() */
	struct secrets secrets;     /* setup_secrets() */
};

/* Loads and checks config.yaml (NULL: the built-in place). False: the errors were written to standard error. */
bool setup_conf(struct setup *s, const char *program, const char *path);
/* Opens KADE.LOG; a log that cannot be opened is replaced by standard error. */
void setup_log(struct setup *s);
/* The pool of c.db over DB_URI; nothing connects yet. */
void setup_db(struct setup *s, int connections);
/* The held connection to KADE.DB_SESSION_URI. ERR_DB. */
enum err_kind setup_session(struct setup *s) MUST_CHECK;
/* All locations; no I/O over a network. */
enum err_kind setup_stores(struct setup *s) MUST_CHECK;
enum err_kind setup_secrets(struct setup *s) MUST_CHECK;
/* Closes what was opened; NULL members are allowed. */
void setup_close(struct setup *s);
#endif
