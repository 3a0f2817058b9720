/* For the tests of conf: a file on disk, its snapshot and its report. */
#ifndef KADE_TESTS_UNIT_CONF_LOADING_H
#define KADE_TESTS_UNIT_CONF_LOADING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"

struct world {
	struct ctx c;
	struct conf_report rep;
	char dir[64], path[80];
	const struct conf *conf;
};

static inline int
begin(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	unsetenv("QUAY_OVERRIDE_CONFIG");
	unsetenv("QUAY_DISTRIBUTED_STORAGE_PREFERENCE");
	w->c.mem = w->rep.mem = arena_new(0);
	snprintf(w->dir, sizeof w->dir, "/tmp/kade-t-conf.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof w->path, "%s/config.yaml", w->dir);
	*state = w;
	return 0;
}

static inline int
finish(void **state)
{
	struct world *w = *state;

	conf_free(w->conf);
	arena_free(w->c.mem);
	unlink(w->path);
	rmdir(w->dir);
	free(w);
	return 0;
}

static inline void
write_file(struct world *w, const char *text, size_t n)
{
	FILE *f = fopen(w->path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(w->path, 0600), 0);
}

/* What every file needs, and then the text. */
#define LEAST                                                                                                \
	"SERVER_HOSTNAME: registry.example.com\n"                                                            \
	"SECRET_KEY: 2f5d5c1e-7a0e-4a0f-9d55-1d0f3a9f7a11\n"                                                 \
	"DATABASE_SECRET_KEY: 48a0f7c2-6d0b-4b0a-8a45-0b7a4b6f9f02\n"                                        \
	"DB_URI: postgresql://quay:quay@127.0.0.1:5432/quay\n"                                               \
	"DISTRIBUTED_STORAGE_CONFIG: {default: [LocalStorage, {storage_path: /srv/kade}]}\n"

/* Loads, whatever the report says; the former snapshot goes. */
static inline const struct conf *
load_raw(struct world *w, const char *text)
{
	const struct conf *conf = NULL;

	conf_free(w->conf);
	w->conf = NULL;
	memset(&w->rep, 0, sizeof w->rep);
	w->rep.mem = w->c.mem;
	write_file(w, text, strlen(text));
	if (conf_load_anyway(&w->c, w->path, &conf, &w->rep) == ERR_NONE)
		w->conf = conf;
	return w->conf;
}

static inline const struct conf *
load(struct world *w, const char *more)
{
	char *text = str_fmt(w->c.mem, "%s%s", LEAST, more);

	return load_raw(w, text);
}

static inline const struct conf_note *
note_of(struct world *w, enum conf_severity sev, const char *key)
{
	for (size_t i = 0; i < w->rep.n; i++)
		if (w->rep.v[i].severity == sev && strcmp(w->rep.v[i].key, key) == 0)
			return &w->rep.v[i];
	return NULL;
}

/* A note of this weight on this key holds the words; line 0 = any. Its text. */
static inline const char *
assert_note_at(struct world *w, enum conf_severity sev, const char *key, int line, const char *words)
{
	for (size_t i = 0; i < w->rep.n; i++) {
		const struct conf_note *n = &w->rep.v[i];
		if (n->severity == sev && strcmp(n->key, key) == 0 && strstr(n->text, words) != NULL &&
		    (line == 0 || n->line == line))
			return n->text;
	}
	for (size_t i = 0; i < w->rep.n; i++)
		print_message("%d line %d %s: %s\n", w->rep.v[i].severity, w->rep.v[i].line, w->rep.v[i].key,
		              w->rep.v[i].text);
	fail_msg("no note on %s, line %d, with \"%s\"", key, line, words);
	return "";
}

static inline void
assert_note(struct world *w, enum conf_severity sev, const char *key, const char *words)
{
	assert_note_at(w, sev, key, 0, words);
}

static inline void
assert_no_errors(struct world *w)
{
	for (size_t i = 0; i < w->rep.n; i++)
		if (w->rep.v[i].severity == CONF_ERROR)
			fail_msg("%s: %s", w->rep.v[i].key, w->rep.v[i].text);
	assert_non_null(w->conf);
}
#endif
