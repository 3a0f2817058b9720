/* Quotas of namespaces. */
#include "model/quota.h"

#include "base/arena.h"
#include "base/ctx.h"
#include "db/db.h"

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

enum err_kind
quota_release_begin(struct ctx *c, struct quota_release *q)
{
	return db_exec(c, STMT_QUOTA_RELEASE_TRY,
	               DB_ARGS(db_i64_array(q->repositories, (size_t)q->n), db_i64_array(q->blobs, (size_t)q->n), db_i64_array(q->namespaces, (size_t)q->n)),
	               &q->tried);
}

enum err_kind
quota_release_end(struct ctx *c, const struct quota_release *q)
{
	const int n = q->tried->rows;
	int64_t  *namespaces, *blobs;

	if (n == 0)
		return ERR_NONE;
	namespaces = ARENA_ARRAY(c->mem, int64_t, (size_t)n);
	blobs = ARENA_ARRAY(c->mem, int64_t, (size_t)n);
	for (int i = 0; i < n; i++) {
		namespaces[i] = db_get_i64(q->tried, i, QUOTA_RELEASE_TRY_NAMESPACE_ID);
		blobs[i] = db_get_i64(q->tried, i, QUOTA_RELEASE_TRY_BLOB_ID);
	}
	return db_queue(c, STMT_QUOTA_RELEASE_SETTLE, DB_ARGS(db_i64_array(namespaces, (size_t)n), db_i64_array(blobs, (size_t)n)), NULL);
}
