/* kade-migrate: the files of sql/schema. A file begins with comments; among them `-- min_app_version: N` (required) and
 * `-- transaction: none` for what cannot run in a transaction (CREATE INDEX CONCURRENTLY). Such a file must be repeatable,
 * and each of its statements ends with a line that ends with ';'. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/str.h"
#include "base/vec.h"
#include "migrate.h"

#define FILE_MAX (16 << 20)

/* NNNN-topic.sql */
static bool
name_parse(struct str file, int *version)
{
	int64_t n;

	if (file.n < 10 || file.p[4] != '-' || !str_ends(file, STR(".sql")) ||
	    !str_to_i64(str_sub(file, 0, 4), 1, 9999, &n))
		return false;
	*version = (int)n;
	return true;
}

static enum err_kind
file_read(struct ctx *c, const char *path, const char **out)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *text;
	size_t n;

	if (f == NULL)
		return err_set(c, ERR_UNSUPPORTED, "%s: %s", path, strerrordesc_np(errno));
	if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		fclose(f);
		return err_set(c, ERR_UNSUPPORTED, "%s: no file of at most 16 MiB", path);
	}
	text = arena_alloc(c->mem, (size_t)st.st_size + 1);
	n = fread(text, 1, (size_t)st.st_size, f);
	fclose(f);
	if (n != (size_t)st.st_size)
		return err_set(c, ERR_UNSUPPORTED, "%s: cannot be read", path);
	if (memchr(text, '\0', n) != NULL || !str_is_utf8((struct str){ text, n }))
		return err_set(c, ERR_UNSUPPORTED, "%s: no UTF-8 text", path);
	text[n] = '\0';
	*out = text;
	return ERR_NONE;
}

/* The value of a comment line `-- key: value`. */
static bool
comment_value(struct str line, const char *key, struct str *value)
{
	struct str head, tail;

	if (!str_starts(line, STR("--")) || !str_cut(str_sub(line, 2, line.n), ':', &head, &tail) ||
	    !str_eq_c(str_trim(head), key))
		return false;
	*value = str_trim(tail);
	return true;
}

static enum err_kind
header_parse(struct ctx *c, struct migration *m)
{
	struct str rest = str_of(m->text), line, value;
	int64_t n;

	m->in_tx = true;
	while (str_cut(rest, '\n', &line, &rest) || line.n > 0) {
		line = str_trim(line);
		if (line.n > 0 && !str_starts(line, STR("--")))
			break;
		if (comment_value(line, "min_app_version", &value)) {
			if (!str_to_i64(value, 1, 1000000, &n))
				return err_set(c, ERR_UNSUPPORTED, "%s: min_app_version is a number",
				               m->name);
			m->min_app_version = (int)n;
		} else if (comment_value(line, "transaction", &value)) {
			if (!str_eq_c(value, "none"))
				return err_set(c, ERR_UNSUPPORTED, "%s: transaction: only `none` can be said",
				               m->name);
			m->in_tx = false;
		}
	}
	if (m->min_app_version == 0)
		return err_set(c, ERR_UNSUPPORTED, "%s: no `-- min_app_version: N` in its first comments",
		               m->name);
	return ERR_NONE;
}

static int
by_version(const void *a, const void *b)
{
	const struct migration *x = a, *y = b;

	return x->version - y->version;
}

static void
close_folder(void *p)
{
	closedir(p);
}

enum err_kind
migrations_read(struct ctx *c, const char *dir, struct migrations *out)
{
	DIR *d = opendir(dir);
	VEC(struct migration) all = { 0 };

	if (d == NULL)
		return err_set(c, ERR_UNSUPPORTED, "the migrations' folder %s: %s", dir,
		               strerrordesc_np(errno));
	arena_defer(c->mem, close_folder, d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		const struct str file = str_of(e->d_name);
		struct migration m = { 0 };

		if (e->d_name[0] == '.' || !str_ends(file, STR(".sql")))
			continue;
		if (!name_parse(file, &m.version))
			return err_set(c, ERR_UNSUPPORTED, "%s/%s: a name like 0001-topic.sql is wanted", dir,
			               e->d_name);
		m.name = str_dup(c->mem, str_sub(file, 0, file.n - 4));
		TRY(file_read(c, str_fmt(c->mem, "%s/%s", dir, e->d_name), &m.text));
		TRY(header_parse(c, &m));
		vec_push(c->mem, &all, m);
	}
	if (all.n == 0)
		return err_set(c, ERR_UNSUPPORTED, "%s holds no migrations", dir);
	qsort(all.v, all.n, sizeof *all.v, by_version);
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].version != (int)i + 1)
			return err_set(c, ERR_UNSUPPORTED, "%s: %04d is missing or there twice", dir,
			               (int)i + 1);
	out->v = all.v;
	out->n = all.n;
	return ERR_NONE;
}

const char *
migration_next_statement(struct ctx *c, const char **rest)
{
	struct str left = str_of(*rest), line;
	const char *start = NULL;

	while (str_cut(left, '\n', &line, &left) || line.n > 0) {
		const struct str t = str_trim(line);

		if (start == NULL && t.n > 0 && !str_starts(t, STR("--")))
			start = line.p;
		if (start != NULL && str_ends(t, STR(";"))) {
			*rest = line.p + line.n;
			return str_dup(c->mem, (struct str){ start, (size_t)(line.p + line.n - start) });
		}
	}
	*rest = "";
	return start == NULL ? NULL : str_dup_c(c->mem, start);
}
