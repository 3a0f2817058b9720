/* Schema and program compared. */
#include "model/schema.h"

#include <string.h>

#include "base/ctx.h"
#include "db/db.h"

enum err_kind
schema_accepts(struct ctx *c, int64_t version, int64_t min_app_version)
{
	if (version == 0)
		return err_set(c, ERR_UNSUPPORTED, "the database has no schema yet: run kade-migrate");
	if (min_app_version > KADE_APP_VERSION)
		return err_set(c, ERR_UNSUPPORTED,
		               "the schema (version %lld) needs programs of level %lld, this one has level "
		               "%d: upgrade this host",
		               (long long)version, (long long)min_app_version, KADE_APP_VERSION);
	if (version < KADE_SCHEMA_NEEDED)
		return err_set(c, ERR_UNSUPPORTED,
		               "the schema has version %lld, this program needs %d: run kade-migrate",
		               (long long)version, KADE_SCHEMA_NEEDED);
	return ERR_NONE;
}

enum err_kind
schema_check(struct ctx *c)
{
	const struct db_result *r;
	const enum err_kind e = db_exec(c, STMT_SCHEMA_STATE, DB_NO_ARGS, &r);

	if (e != ERR_NONE && strcmp(db_sqlstate(c), "42P01") == 0) /* undefined_table */
		return schema_accepts(c, 0, 0);
	TRY(e);
	return schema_accepts(c, db_get_i64(r, 0, SCHEMA_STATE_VERSION),
	                      db_get_i64(r, 0, SCHEMA_STATE_MIN_APP_VERSION));
}
