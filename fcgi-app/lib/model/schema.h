/* The schema's version and this program's: does the one accept the other? Serves kade.fcgi, the jobs' frame, kade-migrate. */
#ifndef KADE_MODEL_SCHEMA_H
#define KADE_MODEL_SCHEMA_H
#include <stdint.h>

#include "base/err.h"

struct ctx;

/* What a migration's `-- min_app_version` is compared with. Raised by one in the release before the first migration that
 * programs without the change could not work with. */
#define KADE_APP_VERSION 1
/* The oldest schema that this program works with: the number of the newest migration whose tables, columns or functions its
 * statements name. Raised together with them. */
#define KADE_SCHEMA_NEEDED 2

/* ERR_NONE: the schema and the program accept one another. ERR_UNSUPPORTED: they do not (too old, too new or not there), the
 * text says what to do. ERR_DB and so on: the database could not be asked. One statement. */
enum err_kind schema_check(struct ctx *c) MUST_CHECK;
/* The same for numbers already known: version 0 = no schema. */
enum err_kind schema_accepts(struct ctx *c, int64_t version, int64_t min_app_version) MUST_CHECK;
#endif
