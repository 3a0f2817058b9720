/* kade-admin adopt-storage, status: to whom the storage belongs, and how the installation stands. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "base/arena.h"
#include "base/clock.h"
#include "conf/conf.h"
#include "lost.h"
#include "model/schema.h"
#include "store/instance.h"
#include "store/store.h"

struct mine {
	struct store_instance id;
	bool deletion_paused;
	int64_t now_ms; /* of the database */
};

static enum err_kind
mine_get(struct admin *a, struct mine *out)
{
	const struct db_result *r;

	TRY(db_exec(a->c, STMT_INSTANCE, DB_NO_ARGS, &r));
	if (r->rows == 0)
		return err_set(a->c, ERR_UNSUPPORTED,
		               "the table instance is empty: the schema was not made by kade-migrate");
	snprintf(out->id.uuid, sizeof out->id.uuid, "%s", db_get_str(r, 0, INSTANCE_UUID));
	out->id.epoch = db_get_i64(r, 0, INSTANCE_EPOCH);
	out->deletion_paused = db_get_bool(r, 0, INSTANCE_DELETION_PAUSED);
	out->now_ms = db_get_i64(r, 0, INSTANCE_NOW_MS);
	return ERR_NONE;
}

static const char *
owner_text(struct admin *a, enum store_owner o, const struct store_instance *found)
{
	switch (o) {
	case STORE_OWNER_SAME:
		return "this database";
	case STORE_OWNER_NONE:
		return "nobody";
	case STORE_OWNER_EPOCH:
		return str_fmt(a->c->mem, "this database, but epoch %lld", (long long)found->epoch);
	case STORE_OWNER_FOREIGN:
		return str_fmt(a->c->mem, "another database (%s, epoch %lld)", found->uuid,
		               (long long)found->epoch);
	case STORE_OWNER_DAMAGED:
		break;
	}
	return "not readable: its object kade-instance is damaged";
}

/* Claims what nobody owns; counts what somebody else owns. */
static enum err_kind
claim_free(struct admin *a, const struct mine *m, size_t *n_others)
{
	for (size_t i = 0; i < store_count(a->s.stores); i++) {
		struct store *s = store_at(a->s.stores, i);
		struct store_instance found = { .epoch = 0 };
		enum store_owner owner;

		TRY(store_instance_compare(a->c, s, &m->id, &owner, &found));
		if (owner == STORE_OWNER_NONE)
			TRY(store_instance_claim(a->c, s, &m->id));
		*n_others += owner != STORE_OWNER_NONE && owner != STORE_OWNER_SAME;
		printf("%s: %s\n", s->name,
		       owner == STORE_OWNER_NONE
		           ? "claimed"
		           : str_fmt(a->c->mem, "belongs to %s", owner_text(a, owner, &found)));
	}
	return ERR_NONE;
}

/* The database's epoch first: until a location has it too, no job of either database deletes there. */
static enum err_kind
take_over(struct admin *a)
{
	struct mine m;
	const struct db_result *r;

	TRY(db_exec(a->c, STMT_INSTANCE_ADOPT, DB_NO_ARGS, &r));
	TRY(mine_get(a, &m));
	for (size_t i = 0; i < store_count(a->s.stores); i++) {
		struct store *s = store_at(a->s.stores, i);
		TRY(store_instance_adopt(a->c, s, &m.id));
		printf("%s: taken over, epoch %lld\n", s->name, (long long)m.id.epoch);
	}
	return ERR_NONE;
}

static enum err_kind
adopt_storage(struct admin *a)
{
	size_t n_others = 0;
	struct mine m;

	if (a->c->conf->is_readonly)
		return err_set(a->c, ERR_READ_ONLY, "REGISTRY_STATE is readonly");
	TRY(setup_stores(&a->s));
	TRY(mine_get(a, &m));
	TRY(claim_free(a, &m, &n_others));
	if (n_others == 0)
		return ERR_NONE;
	if (!a->yes)
		return err_set(a->c, ERR_CONFLICT,
		               "if no other registry uses that storage any more, take it over with --yes: "
		               "its jobs will then stop deleting "
		               "there, and this database's will begin to");
	return take_over(a);
}

static void
storage_status(struct admin *a, const struct mine *m)
{
	if (setup_stores(&a->s) != ERR_NONE) {
		printf("storage     cannot be opened: %s\n", a->c->err.text);
		return;
	}
	for (size_t i = 0; i < store_count(a->s.stores); i++) {
		struct store *s = store_at(a->s.stores, i);
		struct store_instance found = { .epoch = 0 };
		enum store_owner owner;

		if (store_instance_compare(a->c, s, &m->id, &owner, &found) != ERR_NONE)
			printf("storage     %s: %s\n", s->name, a->c->err.text);
		else
			printf("storage     %s belongs to %s%s\n", s->name, owner_text(a, owner, &found),
			       owner == STORE_OWNER_SAME ? "" : ": see kade-admin adopt-storage");
	}
}

static enum err_kind
superuser_status(struct admin *a)
{
	const struct str_list *l = &a->c->conf->super_users;

	for (size_t i = 0; i < l->n; i++) {
		struct admin_account u;
		const enum err_kind e = admin_account_get(a, str_of(l->v[i]), KIND_USER, &u);

		if (e != ERR_NONE && e != ERR_NOT_FOUND)
			return e;
		printf("superuser   %s%s\n", l->v[i],
		       e == ERR_NOT_FOUND ? ": there is no such user"
		       : u.is_enabled     ? ""
		                          : ": disabled");
	}
	return ERR_NONE;
}

static enum err_kind
status(struct admin *a)
{
	const struct db_result *r;
	struct mine m;

	TRY(db_exec(a->c, STMT_SCHEMA_STATE, DB_NO_ARGS, &r));
	printf("program     %s, level %d\n", PACKAGE_VERSION, KADE_APP_VERSION);
	printf("schema      version %lld, needs level %lld\n",
	       (long long)db_get_i64(r, 0, SCHEMA_STATE_VERSION),
	       (long long)db_get_i64(r, 0, SCHEMA_STATE_MIN_APP_VERSION));
	TRY(mine_get(a, &m));
	printf("database    %s, epoch %lld%s\n", m.id.uuid, (long long)m.id.epoch,
	       m.deletion_paused ? "; deletion is paused" : "");
	printf("clock       %+.1f s from the database's\n", (double)(clock_now_ms() - m.now_ms) / 1000);
	TRY(superuser_status(a));
	storage_status(a, &m);
	return ERR_NONE;
}

/* After a restore: nothing is deleted any more until somebody says so; then every placement is looked up in its store. */
static enum err_kind
after_restore(struct admin *a)
{
	struct lost_counts n = { 0 };

	TRY(setup_stores(&a->s));
	TRY(db_exec(a->c, STMT_INSTANCE_PAUSE, DB_ARGS(db_bool(true)), NULL));
	puts("deletion is paused");
	for (size_t i = 0; i < store_count(a->s.stores); i++) {
		const struct lost_range all = { .store = store_at(a->s.stores, i), .from = "", .upto = "~" };
		TRY(lost_find(a->c, &all, &n));
	}
	printf("%lld objects looked at, %lld missing or damaged (%lld bytes)\n", (long long)n.looked_at, (long long)n.lost, (long long)n.bytes);
	puts(n.lost == 0 ? "kade-gc --scrub lists what came after the backup; kade-admin resume-deletion ends the pause"
	                 : "push those images again or delete them; kade-admin resume-deletion ends the pause");
	return n.lost == 0 ? ERR_NONE : err_set(a->c, ERR_NOT_FOUND, "blobs are lost");
}

static enum err_kind
resume_deletion(struct admin *a)
{
	TRY(db_exec(a->c, STMT_INSTANCE_PAUSE, DB_ARGS(db_bool(false)), NULL));
	puts("deletion goes on");
	return ERR_NONE;
}

const struct admin_command ADMIN_STORAGE[] = {
	{ "after-restore", "", "pauses deletion, looks up every blob in the storage and lists what is lost, by tag", 0, 0, 0, false, after_restore },
	{ "resume-deletion", "", "ends the pause of after-restore", 0, 0, 0, false, resume_deletion },
	{"adopt-storage", "[--yes]",
         "claims storage that nobody owns; with --yes also takes over what another database owns", 0,
         OPTION_YES,	                                                                             0, false, adopt_storage},
	{ "status",       "",        "how the installation stands",                                0, 0, 0, false, status       },
	{ NULL,           NULL,      NULL,	                                                 0, 0, 0, false, NULL         },
};
