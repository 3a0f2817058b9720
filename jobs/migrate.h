/* Inside of kade-migrate: the migrations as files. */
#ifndef KADE_JOBS_MIGRATE_H
#define KADE_JOBS_MIGRATE_H
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ctx;
struct migration {
	int version;      /* NNNN of the name */
	const char *name; /* NNNN-topic */
	const char *text; /* the file */
	int min_app_version;
	bool in_tx;      /* false: `-- transaction: none` */
	bool is_applied; /* set by migrate.c */
	long long applied_ms;
};
struct migrations {
	struct migration *v; /* by version: 1, 2, 3 … */
	size_t n;
};

/* Reads all NNNN-topic.sql of a folder. ERR_UNSUPPORTED: the folder or a file is not what it should be. */
enum err_kind migrations_read(struct ctx *c, const char *dir, struct migrations *out) MUST_CHECK;
/* Cuts the next statement off a script that runs without a transaction: it ends with a line whose last character is ';'.
 * NULL at the end. Given. */
const char *migration_next_statement(struct ctx *c, const char **rest);
#endif
