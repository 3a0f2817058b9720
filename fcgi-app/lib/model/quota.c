/* Quotas of namespaces. */
#include "model/quota.h"

#include "base/arena.h"
#include "base/ctx.h"
#include "base/log.h"
#include "conf/conf.h"
#include "db/db.h"

#define FOLD_ABOVE 1000 /* rows of the ledger that a push may find */
#define FOLD_ROWS  10000

enum { Q_ID, Q_LIMIT_BYTES, Q_LIMITS, Q_USED_BYTES, Q_COLS };
_Static_assert((int)Q_COLS == QUOTA_COLS, "quota.sql and quota.c differ");

void
quota_from_row(const struct db_result *r, int row, int first_col, struct quota *out)
{
	*out = (struct quota){
		.id = db_get_i64(r, row, first_col + Q_ID),
		.limit_bytes = db_get_i64(r, row, first_col + Q_LIMIT_BYTES),
		.limits = db_get_strn(r, row, first_col + Q_LIMITS),
		.used_bytes = db_get_i64(r, row, first_col + Q_USED_BYTES),
	};
}

bool
quota_is_verified(const struct conf *cf)
{
	return cf->feature_quota_management && cf->feature_verify_quota;
}

enum err_kind
quota_queue_verdict(struct ctx *c, int64_t namespace_id, const struct db_result **r)
{
	const struct db_arg all = db_i64(c->conf->default_system_reject_quota_bytes);

	if (!quota_is_verified(c->conf))
		return ERR_NONE;
	TRY(db_queue(c, STMT_QUOTA_QUEUE, DB_ARGS(db_i64(namespace_id), all), NULL));
	return db_queue(c, STMT_QUOTA_VERDICT,
	                DB_ARGS(db_i64(namespace_id), all, db_i64(c->conf->quota_notification_cooldown_seconds * 1000)), r);
}

void
quota_read_verdict(const struct db_result *r, struct quota_verdict *out)
{
	*out = (struct quota_verdict){ 0 };
	if (r == NULL || r->rows == 0)
		return;
	*out = (struct quota_verdict){ .is_refused = db_get_bool(r, 0, QUOTA_VERDICT_IS_REFUSED),
		                       .is_warned = db_get_bool(r, 0, QUOTA_VERDICT_IS_WARNED),
		                       .unfolded = db_get_i64(r, 0, QUOTA_VERDICT_UNFOLDED) };
}

void
quota_after_push(struct ctx *c, int64_t namespace_id, const struct quota_verdict *v)
{
	const struct err kept = c->err;
	enum err_kind    e = ERR_NONE;
	int64_t          folded;

	if (v->is_refused)
		e = db_exec(c, STMT_QUOTA_NOTE_REFUSAL,
		            DB_ARGS(db_i64(namespace_id), db_i64(c->conf->quota_notification_cooldown_seconds * 1000)), NULL);
	else if (v->unfolded > FOLD_ABOVE)
		e = quota_fold(c, namespace_id, FOLD_ROWS, &folded);
	if (e != ERR_NONE)
		log_line(c, LOG_LEVEL_WARN, "quota of namespace %lld: %s", (long long)namespace_id, c->err.text);
	c->err = kept;
}

enum err_kind
quota_fold(struct ctx *c, int64_t namespace_id, int64_t max, int64_t *folded)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_QUOTA_FOLD, DB_ARGS(db_i64(namespace_id), db_i64(max)), &r));
	*folded = db_get_i64(r, 0, QUOTA_FOLD_FOLDED);
	return ERR_NONE;
}

enum err_kind
quota_release(struct ctx *c, const struct quota_removed *d)
{
	if (d->n == 0)
		return ERR_NONE;
	TRY(db_queue(c, STMT_QUOTA_RELEASE_LOCK, DB_ARGS(db_i64_array(d->namespace_ids, d->n), db_i64_array(d->blob_ids, d->n)), NULL));
	TRY(db_queue(c, STMT_QUOTA_RELEASE,
	             DB_ARGS(db_i64_array(d->namespace_ids, d->n), db_i64_array(d->repository_ids, d->n), db_i64_array(d->blob_ids, d->n)), NULL));
	return db_flush(c);
}

static const char PREFIXES[] = "KMGTPEZY";

/* The unit's power and base; false: no unit. */
static bool
parse_unit(struct str u, int *power, int *base)
{
	*power = 0;
	*base = 1000;
	if (u.n == 0 || str_eq(u, STR("B")))
		return true;
	const char *at = u.p[0] == '\0' ? NULL : strchr(PREFIXES, u.p[0]);
	if (at == NULL)
		return false;
	*power = (int)(at - PREFIXES) + 1;
	u = str_sub(u, 1, u.n);
	if (u.n > 0 && u.p[0] == 'i') {
		*base = 1024;
		u = str_sub(u, 1, u.n);
	}
	return u.n == 0 || str_eq(u, STR("B"));
}

enum quota_size
quota_parse_size(struct str text, int64_t *bytes)
{
	size_t  n = 0;
	int     power, base;
	int64_t v;

	while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
		n++;
	const size_t unit = n < text.n && text.p[n] == ' ' ? n + 1 : n;
	if (n == 0 || !parse_unit(str_sub(text, unit, text.n), &power, &base))
		return QUOTA_SIZE_FORM;
	if (!str_to_i64(str_sub(text, 0, n), 0, INT64_MAX, &v))
		return QUOTA_SIZE_LARGE;
	for (int i = 0; i < power; i++)
		if (__builtin_mul_overflow(v, (int64_t)base, &v))
			return QUOTA_SIZE_LARGE;
	*bytes = v;
	return QUOTA_SIZE_GOOD;
}

char *
quota_format_size(struct arena *mem, int64_t bytes)
{
	double v = (double)bytes;
	size_t i = 0;

	if (bytes < 1024)
		return str_fmt(mem, "%lld.0 Byte", (long long)bytes);
	for (v /= 1024; v >= 1024 && i < sizeof PREFIXES - 2; i++)
		v /= 1024;
	return str_fmt(mem, "%.1f %ciB", v, PREFIXES[i]);
}
