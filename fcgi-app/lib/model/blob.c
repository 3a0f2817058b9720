/* Blobs as one repository sees them. */
#include "model/blob.h"

#include "auth/identity.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/facts.h"

int64_t
push_window_ms(const struct ctx *c)
{
	return c->conf->push_temp_tag_expiration_sec * 1000;
}

bool
blob_from_rows(struct ctx *c, const struct db_result *r, int first_col, struct blob *out)
{
	enum { ID, SIZE, IDLE, LOCATION, KEY, NOW };
	struct blob_place *p;

	if (r->rows == 0 || db_is_null(r, 0, first_col + ID))
		return false;
	p = ARENA_ARRAY(c->mem, struct blob_place, (size_t)r->rows);
	for (int i = 0; i < r->rows; i++)
		p[i] = (struct blob_place){ .location = db_get_str(r, i, first_col + LOCATION), .key = db_get_str(r, i, first_col + KEY) };
	*out = (struct blob){ .id = db_get_i64(r, 0, first_col + ID), .size_bytes = db_get_i64(r, 0, first_col + SIZE),
		              .idle_since_ms = db_get_i64(r, 0, first_col + IDLE), .now_ms = db_get_i64(r, 0, first_col + NOW),
		              .places = p, .n_places = r->rows };
	return true;
}

enum err_kind
blob_renew_if_idle(struct ctx *c, int64_t repository_id, const struct blob *b)
{
	const struct db_result *r;

	if (b->idle_since_ms == 0 || b->now_ms - b->idle_since_ms < push_window_ms(c) / 4)
		return ERR_NONE;
	TRY(db_exec(c, STMT_BLOB_RENEW, DB_ARGS(db_i64(repository_id), db_i64(b->id)), &r));
	return r->rows > 0 ? ERR_NONE : err_set(c, ERR_NOT_FOUND, "the link was collected meanwhile");
}

/* A mount asks for what the caller may read now, not only for what the token names: a client holds a token for the target
 * alone (Differs: Quay wants the source in the token). Tokens without an account have their grants only. */
static struct identity
live_rights(const struct identity *caller)
{
	struct identity id = *caller;

	if (id.account_uuid != NULL && id.kind != IDENTITY_OAUTH)
		id.has_grants = false;
	return id;
}

static enum err_kind
mount_from(struct ctx *c, const struct blob_mount *m, const struct db_result **r)
{
	const struct identity id = live_rights(m->caller);
	struct db_args        a = { 0 };

	facts_args(&a, m->from_ns, m->from_repo, &id, facts_caps(c->conf, &id, m->from_ns, m->from_repo, ROLE_READ));
	db_args_add(&a, db_strn(m->digest));
	db_args_add(&a, db_i64(push_window_ms(c)));
	db_args_add(&a, db_i64(m->target_id));
	return db_exec(c, STMT_BLOB_MOUNT, &a, r);
}

static enum err_kind
mount_anywhere(struct ctx *c, const struct blob_mount *m, const struct db_result **r)
{
	const struct identity id = live_rights(m->caller);
	const bool            by_account = !id.has_grants && id.kind != IDENTITY_OAUTH;
	const unsigned        caps = facts_caps(c->conf, &id, STR0, STR0, ROLE_READ);

	return db_exec(c, STMT_BLOB_MOUNT_ANYWHERE,
	               DB_ARGS(db_strn(m->digest), db_i64(push_window_ms(c)), db_i64(m->target_id),
	                       db_i64_or_null(by_account ? m->caller_id : 0), db_bool((caps & CAPS_PUBLIC) != 0),
	                       db_bool((caps & CAPS_SU_READ) != 0)),
	               r);
}

enum err_kind
blob_mount(struct ctx *c, const struct blob_mount *m, bool *mounted)
{
	const struct db_result *r;

	TRY(m->from_ns.p != NULL ? mount_from(c, m, &r) : mount_anywhere(c, m, &r));
	*mounted = r->rows > 0;
	return ERR_NONE;
}
