/* What jobs and tools open. */
#include "setup.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/counters.h"
#include "base/log.h"
#include "conf/conf.h"
#include "db/session.h"
#include "store/store.h"

#define STATEMENT_TIMEOUT_MS 60000
#define LOCK_TIMEOUT_MS      3000
#define CONNECT_TIMEOUT_S    5

enum exit_code
exit_code_of(enum err_kind k)
{
	switch (k) {
	case ERR_NONE:
		return EXIT_DONE;
	case ERR_DB:
	case ERR_STORE:
	case ERR_UPSTREAM:
		return EXIT_DOWN;
	case ERR_UNSUPPORTED:
		return EXIT_USAGE;
	case ERR_BUSY:
		return EXIT_RUNNING;
	case ERR_READ_ONLY:
		return EXIT_OFF;
	case ERR_BUG:
		return EXIT_INTERNAL;
	default:
		return EXIT_ITEMS_FAILED;
	}
}

static void
say_errors(const struct setup *s, const struct conf_report *rep, const char *path)
{
	for (size_t i = 0; i < rep->n; i++) {
		const struct conf_note *n = &rep->v[i];
		if (n->severity != CONF_ERROR)
			continue;
		fprintf(stderr, "%s: %s: ", s->program, path);
		if (n->line > 0)
			fprintf(stderr, "line %d: ", n->line);
		fprintf(stderr, "%s%s%s\n", n->key, n->key[0] == '\0' ? "" : ": ", n->text);
	}
	if (rep->n_errors == 0)
		fprintf(stderr, "%s: %s: %s\n", s->program, path, s->c.err.text);
}

bool
setup_conf(struct setup *s, const char *program, const char *path)
{
	struct conf_report rep;

	s->program = program;
	s->mem = s->c.mem = arena_new(0);
	rep = (struct conf_report){ .mem = s->mem };
	if (path == NULL)
		path = conf_default_path(s->mem);
	if (conf_load(&s->c, path, &s->c.conf, &rep) != ERR_NONE) {
		say_errors(s, &rep, path);
		arena_free(s->mem);
		s->mem = s->c.mem = NULL;
		return false;
	}
	s->state_dir = s->c.conf->kade_state_dir != NULL ? s->c.conf->kade_state_dir : KADE_LOCALSTATEDIR;
	return true;
}

void
setup_log(struct setup *s)
{
	const struct conf *cf = s->c.conf;

	s->c.log = log_open(cf->kade_log, s->program, (enum log_level)cf->kade_log_level);
	if (s->c.log == NULL) {
		s->c.log = log_open(NULL, s->program, (enum log_level)cf->kade_log_level);
		log_line(&s->c, LOG_LEVEL_WARN, "%s cannot be opened: log lines go to standard error",
		         cf->kade_log);
	}
}

static struct db_pool_conf
pool_conf(const struct setup *s, const struct conf_db *d)
{
	return (struct db_pool_conf){ .keywords = d->keywords,
		                      .values = d->values,
		                      .size = 1,
		                      .pooler = DB_POOLER_NONE,
		                      .program = s->program,
		                      .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
		                      .lock_timeout_ms = LOCK_TIMEOUT_MS,
		                      .connect_timeout_s = CONNECT_TIMEOUT_S };
}

void
setup_db(struct setup *s, int connections)
{
	struct db_pool_conf pc = pool_conf(s, &s->c.conf->db);

	pc.size = connections;
	pc.pooler = (enum db_pooler)s->c.conf->kade_db_pooler;
	s->c.db = db_pool_new(&pc);
}

enum err_kind
setup_session(struct setup *s)
{
	const struct db_pool_conf pc = pool_conf(s, &s->c.conf->db_session);

	return db_session_open(&s->c, &pc, &s->session);
}

enum err_kind
setup_stores(struct setup *s)
{
	const struct conf *cf = s->c.conf;
	struct store_location_conf *l = ARENA_ARRAY(s->mem, struct store_location_conf, cf->locations.n + 1);
	const char **preference = ARENA_ARRAY(s->mem, const char *, cf->storage_preference.n + 1);
	const struct store_set_conf sc = {
		.locations = l,
		.n = cf->locations.n,
		.preference = preference,
		.n_preference = cf->storage_preference.n,
		.env = {.spool_dir = cf->kade_spool_dir, .is_read_only = cf->is_readonly}
	};

	for (size_t i = 0; i < cf->locations.n; i++)
		l[i] = (struct store_location_conf){ .name = cf->locations.v[i].name,
			                             .driver = cf->locations.v[i].driver,
			                             .params = cf->locations.v[i].params };
	for (size_t i = 0; i < cf->storage_preference.n; i++)
		preference[i] = cf->locations.v[cf->storage_preference.v[i]].name;
	return store_set_open(&s->c, &sc, &s->stores);
}

enum err_kind
setup_secrets(struct setup *s)
{
	return secrets_init(&s->c, str_of(s->c.conf->secret_key), str_of(s->c.conf->database_secret_key),
	                    &s->secrets);
}

void
setup_close(struct setup *s)
{
	if (s->c.mem != NULL && s->c.mem != s->mem)
		arena_free(s->c.mem);
	s->c.mem = s->mem;
	db_session_close(s->session);
	store_set_close(s->stores);
	if (s->mem != NULL)
		arena_reset(s->mem, 0); /* results go before their connections */
	db_pool_free(s->c.db);
	counters_close(s->c.counters);
	log_close(s->c.log);
	if (s->c.conf != NULL)
		conf_free(s->c.conf);
	explicit_bzero(&s->secrets, sizeof s->secrets);
	if (s->mem != NULL)
		arena_free(s->mem);
}
