/* The frame of the jobs: what must be true before a job changes anything. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "conf/conf.h"
#include "db/session.h"
#include "job.h"
#include "model/schema.h"
#include "store/instance.h"
#include "store/store.h"

#define SKEW_MS 5000

enum err_kind
job_check_switches(struct job *j)
{
	const struct conf *cf = j->c->conf;
	const struct job_def *d = j->def;
	const char *off = NULL;

	if (cf->is_readonly)
		return err_set(j->c, ERR_READ_ONLY, "off: REGISTRY_STATE is readonly");
	if (cf->account_recovery_mode && (d->flags & JOB_IN_RECOVERY) == 0)
		return err_set(j->c, ERR_READ_ONLY, "off: ACCOUNT_RECOVERY_MODE is set");
	if (cf->disable_pushes && (d->flags & JOB_NOT_WITHOUT_PUSHES) != 0)
		return err_set(j->c, ERR_READ_ONLY, "off: DISABLE_PUSHES is set");
	if (d->is_on != NULL && !d->is_on(cf, &off))
		return err_set(j->c, ERR_READ_ONLY, "off: %s", off);
	return ERR_NONE;
}

enum err_kind
job_lock_host(struct job *j)
{
	const char *path = str_fmt(j->c->mem, "%s/%s.lock", j->setup.state_dir, j->setup.program);

	j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock_fd < 0)
		return err_set(j->c, ERR_UNSUPPORTED, "%s: %s", path, strerrordesc_np(errno));
	if (flock(j->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return ERR_NONE;
	if (errno != EWOULDBLOCK)
		return err_set(j->c, ERR_UNSUPPORTED, "%s: %s", path, strerrordesc_np(errno));
	return err_set(j->c, ERR_BUSY, "it runs already on this host");
}

enum err_kind
job_lock_fleet(struct job *j)
{
	const struct db_result *r;

	if (j->def->lock != JOB_LOCK_FLEET)
		return ERR_NONE;
	TRY(db_session_exec(j->c, j->setup.session, STMT_JOB_LOCK, DB_ARGS(db_i32((int32_t)j->def->id)), &r));
	return db_get_bool(r, 0, JOB_LOCK_TAKEN) ? ERR_NONE
	                                         : err_set(j->c, ERR_BUSY, "it runs already on another host");
}

enum err_kind
job_check_database(struct job *j)
{
	struct ctx *c = j->c;
	const struct db_result *r;
	const enum err_kind e = db_session_exec(c, j->setup.session, STMT_JOB_GUARD, DB_NO_ARGS, &r);

	if (e != ERR_NONE && strcmp(db_sqlstate(c), "42P01") == 0)
		return schema_accepts(c, 0, 0);
	TRY(e);
	j->due.now_ms = db_get_i64(r, 0, JOB_GUARD_NOW_MS);
	TRY(schema_accepts(c, db_get_i64(r, 0, JOB_GUARD_VERSION),
	                   db_get_i64(r, 0, JOB_GUARD_MIN_APP_VERSION)));
	if (llabs((long long)(clock_now_ms() - j->due.now_ms)) > SKEW_MS)
		return err_set(c, ERR_DB,
		               "this host's clock is %+.1f s from the database's: nothing is changed until "
		               "that is put right",
		               (double)(clock_now_ms() - j->due.now_ms) / 1000);
	if ((j->def->flags & JOB_DELETES_OBJECTS) == 0)
		return ERR_NONE;
	const bool asked = j->def->is_asked != NULL && j->def->is_asked(j); /* a comparison deletes nothing by itself */
	if (db_get_bool(r, 0, JOB_GUARD_DELETION_PAUSED) && !asked)
		return err_set(c, ERR_READ_ONLY,
		               "off: deletion is paused since the database was restored (kade-admin status, resume-deletion)");
	return db_is_null(r, 0, JOB_GUARD_UUID) ? err_set(c, ERR_UNSUPPORTED, "the table instance is empty")
	                                        : ERR_NONE;
}

enum err_kind
job_check_storage(struct job *j)
{
	struct ctx *c = j->c;
	const struct db_result *r;
	struct store_instance mine, found;
	enum store_owner owner;

	if ((j->def->flags & JOB_DELETES_OBJECTS) == 0)
		return ERR_NONE;
	TRY(db_session_exec(c, j->setup.session, STMT_INSTANCE, DB_NO_ARGS, &r));
	snprintf(mine.uuid, sizeof mine.uuid, "%s", db_get_str(r, 0, INSTANCE_UUID));
	mine.epoch = db_get_i64(r, 0, INSTANCE_EPOCH);
	for (size_t i = 0; i < store_count(j->setup.stores); i++) {
		const struct store *s = store_at(j->setup.stores, i);

		TRY(store_instance_compare(c, store_at(j->setup.stores, i), &mine, &owner, &found));
		if (owner != STORE_OWNER_SAME)
			return err_set(c, ERR_UNSUPPORTED,
			               "storage %s does not belong to this database (owner: %s): nothing is "
			               "deleted; see kade-admin adopt-storage",
			               s->name, store_owner_name(owner));
	}
	return ERR_NONE;
}
