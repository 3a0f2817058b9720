/* kade-migrate: brings the database to the schema of this release. Migrations run in order, one transaction each; what was
 * done is recorded in schema_migration. Two of them run one after the other. Afterwards the kinds of the audit log and its
 * partitions are made. For operators, quickstart and packages. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "conf/conf.h"
#include "db/session.h"
#include "migrate.h"
#include "model/audit.h"
#include "model/schema.h"
#include "setup.h"

#define SERVER_MIN   140000 /* column compression lz4 */
#define TRIES        30     /* of one migration whose locks are held by others */
#define LOCK_WAIT_MS 600000 /* for another kade-migrate */

enum mode { MODE_APPLY, MODE_STATUS, MODE_CHECK, MODE_DRY };
struct migrate {
	struct setup s;
	enum mode mode;
	const char *schema_dir;
	struct migrations files;
	int64_t version, min_app_version; /* of the database; 0 = none */
	size_t n_applied;
};

static const char HELP[] =
    "Usage: kade-migrate [--config FILE] [--schema DIR] [--status | --check | --dry-run]\n"
    "\n"
    "Brings the database at KADE.DB_SESSION_URI (else DB_URI) to the schema of this release.\n"
    "  --config FILE  config.yaml or its folder; unset: $QUAYCONF/stack/config.yaml, else the built-in "
    "place\n"
    "  --schema DIR   the folder of migrations; unset: $KADE_SCHEMA_DIR, else " KADE_DATADIR "/schema\n"
    "  --status       lists the migrations and what the database has of them\n"
    "  --check        changes nothing: exit status 0 when nothing is to be done, else 1\n"
    "  --dry-run      checks the database and lists what would be applied\n"
    "  --help\n"
    "Exit status: 0 done, 1 a migration failed, or --check found one missing; 2 wrong usage, configuration "
    "or\n"
    "database settings, or a schema that needs a newer release; 4 another kade-migrate did not end in ten\n"
    "minutes; 5 the database does not answer.\n";

static void
pause_ms(unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Between half and all of it, so that two that wait do not step together. */
static unsigned
jittered(unsigned ms)
{
	uint32_t r;

	random_bytes(&r, sizeof r);
	return ms / 2 + r % (ms / 2 + 1);
}

/* Asked again and again, not waited for in the server: a waiting statement holds a snapshot, on which CREATE INDEX
 * CONCURRENTLY of the one that has the lock would wait in turn. */
static enum err_kind
take_lock(struct migrate *m)
{
	struct ctx *c = &m->s.c;
	const int64_t until_us = clock_mono_us() + (int64_t)LOCK_WAIT_MS * 1000;
	bool said = false;

	for (;;) {
		const struct arena_mark mark = arena_mark(c->mem);
		const struct db_result *r;

		TRY(db_session_ask(c, m->s.session, "SELECT pg_try_advisory_lock(8800, 0)::text", &r));
		const bool taken = strcmp(db_get_str(r, 0, 0), "true") == 0;
		arena_rewind(c->mem, mark);
		if (taken)
			return ERR_NONE;
		if (clock_mono_us() > until_us)
			return err_set(c, ERR_BUSY,
			               "another kade-migrate has worked on this database for ten minutes");
		if (!said)
			fprintf(stderr, "kade-migrate: another one is at work, waiting for it\n");
		said = true;
		pause_ms(jittered(400));
	}
}

#define CREATE_HINT                                                                                          \
	"make it anew: CREATE DATABASE kade OWNER kade TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' "   \
	"LC_CTYPE "                                                                                          \
	"'C.UTF-8'"

/* The locale: names sort bytewise, and search folds the case of all scripts. */
static enum err_kind
check_locale(struct ctx *c, const char *provider, const char *collate, const char *ctype, const char *locale)
{
	if (strcmp(provider, "i") == 0)
		return err_set(c, ERR_UNSUPPORTED, "the database sorts by ICU: %s LOCALE_PROVIDER libc",
		               CREATE_HINT);
	if (strcmp(provider, "b") == 0) { /* the built-in provider: sorts bytewise always */
		if (strcmp(locale, "C") != 0)
			return ERR_NONE;
		return err_set(
		    c, ERR_UNSUPPORTED,
		    "the database's locale C knows ASCII letters only: use BUILTIN_LOCALE 'C.UTF-8'");
	}
	if (strcmp(collate, "C") != 0 && strcmp(collate, "POSIX") != 0)
		return err_set(c, ERR_UNSUPPORTED, "LC_COLLATE of the database is %s, it has to be C; %s",
		               collate, CREATE_HINT);
	if (strcasecmp(ctype, "C.UTF-8") == 0 || strcasecmp(ctype, "C.UTF8") == 0)
		return ERR_NONE;
	if (strcasestr(ctype, "utf-8") == NULL && strcasestr(ctype, "utf8") == NULL)
		return err_set(c, ERR_UNSUPPORTED,
		               "LC_CTYPE of the database is %s, with which search does not find names in "
		               "other scripts; %s",
		               ctype, CREATE_HINT);
	fprintf(stderr,
	        "kade-migrate: warning: LC_CTYPE of the database is %s; C.UTF-8 is the one that is tested\n",
	        ctype);
	return ERR_NONE;
}

static enum err_kind
check_database(struct migrate *m)
{
	struct ctx *c = &m->s.c;
	const int server = db_session_server_version(m->s.session);
	const struct db_result *r;

	if (server < SERVER_MIN)
		return err_set(c, ERR_UNSUPPORTED, "the server is PostgreSQL %d, %d or later is needed",
		               server / 10000, SERVER_MIN / 10000);
	TRY(db_session_ask(c, m->s.session,
	                   "SELECT pg_encoding_to_char(d.encoding), coalesce(to_jsonb(d)->>'datlocprovider', "
	                   "'c'), d.datcollate, "
	                   "d.datctype, coalesce(to_jsonb(d)->>'datlocale', ''), "
	                   "(SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm')::text "
	                   "FROM pg_database d WHERE d.datname = current_database()",
	                   &r));
	if (strcmp(db_get_str(r, 0, 0), "UTF8") != 0)
		return err_set(c, ERR_UNSUPPORTED, "the database's encoding is %s, it has to be UTF8; %s",
		               db_get_str(r, 0, 0), CREATE_HINT);
	TRY(check_locale(c, db_get_str(r, 0, 1), db_get_str(r, 0, 2), db_get_str(r, 0, 3),
	                 db_get_str(r, 0, 4)));
	if (strcmp(db_get_str(r, 0, 5), "0") == 0)
		return err_set(
		    c, ERR_UNSUPPORTED,
		    "the extension pg_trgm is not on the database's host: install postgresql-contrib there");
	return ERR_NONE;
}

static enum err_kind
take_record(struct migrate *m, const struct db_result *r, int row)
{
	struct ctx *c = &m->s.c;
	const int64_t version = db_get_i64(r, row, SCHEMA_MIGRATIONS_VERSION);
	const int64_t min = db_get_i64(r, row, SCHEMA_MIGRATIONS_MIN_APP_VERSION);

	m->version = version;
	m->min_app_version = min > m->min_app_version ? min : m->min_app_version;
	if (version < 1 || version > (int64_t)m->files.n)
		return ERR_NONE; /* a later release was here; min_app_version says whether that matters */
	struct migration *f = &m->files.v[version - 1];
	if (strcmp(f->name, db_get_str(r, row, SCHEMA_MIGRATIONS_NAME)) != 0)
		return err_set(c, ERR_UNSUPPORTED, "the database has migration %s where this release has %s",
		               db_get_str(r, row, SCHEMA_MIGRATIONS_NAME), f->name);
	f->is_applied = true;
	f->applied_ms = db_get_i64(r, row, SCHEMA_MIGRATIONS_APPLIED_MS);
	m->n_applied++;
	return ERR_NONE;
}

/* What the database has. */
static enum err_kind
read_state(struct migrate *m)
{
	struct ctx *c = &m->s.c;
	const struct db_result *r;

	m->version = m->min_app_version = 0;
	m->n_applied = 0;
	TRY(db_session_ask(c, m->s.session,
	                   "SELECT (to_regclass('schema_migration') IS NOT NULL)::text, "
	                   "(to_regclass('account') IS NOT NULL)::text",
	                   &r));
	const bool has_record = strcmp(db_get_str(r, 0, 0), "true") == 0,
	           has_tables = strcmp(db_get_str(r, 0, 1), "true") == 0;
	if (has_record) {
		TRY(db_session_exec(c, m->s.session, STMT_SCHEMA_MIGRATIONS, DB_NO_ARGS, &r));
		for (int i = 0; i < r->rows; i++)
			TRY(take_record(m, r, i));
	}
	if (m->version == 0 && has_tables)
		return err_set(c, ERR_UNSUPPORTED,
		               "the database has tables of the registry, but no record of migrations: they "
		               "were made by other means; use an empty "
		               "database");
	if (m->min_app_version > KADE_APP_VERSION)
		return schema_accepts(c, m->version, m->min_app_version);
	for (size_t i = 0; i < m->files.n && m->files.v[i].version < m->version; i++)
		if (!m->files.v[i].is_applied)
			return err_set(c, ERR_UNSUPPORTED, "the database has version %lld but not %s",
			               (long long)m->version, m->files.v[i].name);
	return ERR_NONE;
}

static enum err_kind
run_statements(struct migrate *m, const struct migration *f)
{
	struct ctx *c = &m->s.c;
	const char *rest = f->text, *one;

	TRY(db_session_script(c, m->s.session, "SET statement_timeout = 0"));
	while ((one = migration_next_statement(c, &rest)) != NULL)
		TRY(db_session_script(c, m->s.session, one));
	return ERR_NONE;
}

static enum err_kind
run_in_tx(struct migrate *m, const struct migration *f)
{
	struct ctx *c = &m->s.c;

	TRY(db_session_script(c, m->s.session, "BEGIN"));
	TRY(db_session_script(c, m->s.session, "SET LOCAL statement_timeout = 0"));
	TRY(db_session_script(c, m->s.session, f->text));
	return db_session_in_tx(m->s.session)
	           ? ERR_NONE
	           : err_set(c, ERR_UNSUPPORTED, "%s ends its transaction itself", f->name);
}

static enum err_kind
apply_once(struct migrate *m, const struct migration *f)
{
	struct ctx *c = &m->s.c;

	TRY(f->in_tx ? run_in_tx(m, f) : run_statements(m, f));
	TRY(db_session_exec(c, m->s.session, STMT_SCHEMA_MIGRATION_ADD,
	                    DB_ARGS(db_i32(f->version), db_str(f->name), db_i32(f->min_app_version)), NULL));
	return f->in_tx ? db_session_script(c, m->s.session, "COMMIT") : ERR_NONE;
}

/* Tables in use are not waited for longer than lock_timeout, since everything behind the wait would wait too: let go, try
 * again a little later. */
static enum err_kind
apply(struct migrate *m, const struct migration *f)
{
	struct ctx *c = &m->s.c;

	for (int try = 1;; try++) {
		const enum err_kind e = apply_once(m, f);
		const bool held = strcmp(c->sqlstate, "55P03") == 0 || db_is_retryable(c->sqlstate);

		if (e == ERR_NONE)
			return ERR_NONE;
		const struct err kept = c->err;
		if (db_session_in_tx(m->s.session) &&
		    db_session_script(c, m->s.session, "ROLLBACK") != ERR_NONE)
			return c->err.kind;
		c->err = kept;
		if (!held || try == TRIES)
			return err_set(c,
			               held          ? ERR_BUSY
			               : e == ERR_DB ? ERR_DB
			                             : ERR_CONFLICT,
			               "%s: %s", f->name, str_dup_c(c->mem, kept.text));
		fprintf(stderr, "kade-migrate: %s: its tables are in use, trying again (%d of %d)\n", f->name,
		        try + 1, TRIES);
		pause_ms(jittered(try < 6 ? (unsigned)try * 500 : 3000));
	}
}

/* What lies beside the schema: names of audit kinds, partitions of the coming months. */
static enum err_kind
after(struct migrate *m)
{
	struct ctx *c = &m->s.c;

	TRY(audit_kinds_store(c));
	return db_exec(c, STMT_AUDIT_PARTITIONS_AHEAD, DB_NO_ARGS, NULL);
}

static void
print_status(struct migrate *m)
{
	for (size_t i = 0; i < m->files.n; i++) {
		const struct migration *f = &m->files.v[i];
		printf("%-40s %s\n", f->name,
		       f->is_applied ? clock_iso(m->s.c.mem, f->applied_ms) : "pending");
	}
	if (m->version > (int64_t)m->files.n)
		printf("The database has version %lld, of a later release that this one works with.\n",
		       (long long)m->version);
}

static enum err_kind
apply_all(struct migrate *m)
{
	size_t n = 0;

	TRY(take_lock(m));
	TRY(read_state(m)); /* another one may have worked meanwhile */
	for (size_t i = 0; i < m->files.n; i++) {
		if (m->files.v[i].is_applied || m->files.v[i].version < m->version)
			continue;
		TRY(apply(m, &m->files.v[i]));
		printf("%s applied\n", m->files.v[i].name);
		fflush(stdout);
		n++;
	}
	TRY(after(m));
	if (n == 0)
		printf("The schema is up to date (version %lld).\n", (long long)m->version);
	return ERR_NONE;
}

static enum err_kind
migrate(struct migrate *m)
{
	struct ctx *c = &m->s.c;
	const struct db_pool_conf pc = { .keywords = c->conf->db_session.keywords,
		                         .values = c->conf->db_session.values,
		                         .size = 1,
		                         .program = m->s.program,
		                         .statement_timeout_ms = 60000,
		                         .lock_timeout_ms = 3000 };

	TRY(migrations_read(c, m->schema_dir, &m->files));
	c->db =
	    db_pool_new(&pc); /* the models' functions use the pool: here over the same direct connection */
	TRY(setup_session(&m->s));
	TRY(check_database(m));
	TRY(read_state(m));
	const size_t pending = m->version > (int64_t)m->files.n ? 0 : m->files.n - m->n_applied;
	switch (m->mode) {
	case MODE_STATUS:
		print_status(m);
		return ERR_NONE;
	case MODE_CHECK:
		if (pending > 0)
			return err_set(c, ERR_NOT_FOUND, "%zu migration%s to be applied", pending,
			               pending == 1 ? " is" : "s are");
		return ERR_NONE;
	case MODE_DRY:
		for (size_t i = 0; i < m->files.n && pending > 0; i++)
			if (!m->files.v[i].is_applied)
				printf("would apply %s\n", m->files.v[i].name);
		return ERR_NONE;
	case MODE_APPLY:
		break;
	}
	return apply_all(m);
}

static int
usage(const char *what)
{
	fprintf(stderr, "kade-migrate: %s\nTry 'kade-migrate --help'.\n", what);
	return EXIT_USAGE;
}

enum { OPT_SCHEMA = 256, OPT_STATUS, OPT_CHECK, OPT_DRY };
static const struct option OPTIONS[] = {
	{"config",   required_argument, NULL, 'c'       },
	{ "help",    no_argument,       NULL, 'h'       },
	{ "schema",  required_argument, NULL, OPT_SCHEMA},
	{ "status",  no_argument,       NULL, OPT_STATUS},
	{ "check",   no_argument,       NULL, OPT_CHECK },
	{ "dry-run", no_argument,       NULL, OPT_DRY   },
	{ NULL,      0,                 NULL, 0         },
};

/* -1: go on; else the exit status. */
static int
read_options(int argc, char **argv, struct migrate *m, const char **config)
{
	for (int opt; (opt = getopt_long(argc, argv, "c:h", OPTIONS, NULL)) != -1;) {
		switch (opt) {
		case 'c':
			*config = optarg;
			break;
		case 'h':
			fputs(HELP, stdout);
			return EXIT_DONE;
		case OPT_SCHEMA:
			m->schema_dir = optarg;
			break;
		case OPT_STATUS:
		case OPT_CHECK:
		case OPT_DRY:
			if (m->mode != MODE_APPLY)
				return usage("one of --status, --check and --dry-run");
			m->mode = opt == OPT_STATUS ? MODE_STATUS : opt == OPT_CHECK ? MODE_CHECK : MODE_DRY;
			break;
		default:
			return usage("unknown option");
		}
	}
	return optind < argc ? usage("it takes options only") : -1;
}

int
main(int argc, char **argv)
{
	struct migrate m = { .schema_dir = getenv("KADE_SCHEMA_DIR") };
	const char *config = NULL;
	int status;

	if (m.schema_dir == NULL || m.schema_dir[0] == '\0')
		m.schema_dir = KADE_DATADIR "/schema";
	status = read_options(argc, argv, &m, &config);
	if (status >= 0)
		return status;
	if (!setup_conf(&m.s, "kade-migrate", config))
		return EXIT_USAGE;
	const enum err_kind e = migrate(&m);
	if (e != ERR_NONE)
		fprintf(stderr, "kade-migrate: %s\n", m.s.c.err.text);
	status = exit_code_of(e);
	setup_close(&m.s);
	return status;
}
