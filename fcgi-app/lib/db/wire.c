/* Arguments and results in PostgreSQL's binary form: big-endian integers, text as it is, one-dimensional arrays. */
#include <endian.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "db/conn.h"

#define OID_BOOL 16
#define OID_INT8 20
#define OID_INT2 21
#define OID_INT4 23
#define OID_TEXT 25

static char *
put_int(struct arena *mem, unsigned oid, int64_t v, int *len)
{
	char *p = arena_alloc(mem, 8);

	if (oid == OID_INT8) {
		const uint64_t be = htobe64((uint64_t)v);
		memcpy(p, &be, 8);
		*len = 8;
	} else if (oid == OID_INT4) {
		const uint32_t be = htobe32((uint32_t)v);
		memcpy(p, &be, 4);
		*len = 4;
	} else if (oid == OID_INT2) {
		const uint16_t be = htobe16((uint16_t)v);
		memcpy(p, &be, 2);
		*len = 2;
	} else {
		p[0] = v != 0;
		*len = 1;
	}
	return p;
}

static void
put_be32(char **p, uint32_t v)
{
	const uint32_t be = htobe32(v);

	memcpy(*p, &be, 4);
	*p += 4;
}

static char *
put_array(struct arena *mem, const struct db_arg *a, int *len)
{
	const bool        is_text = a->type == DB_TEXT_ARRAY;
	const struct str *s = a->v;
	const int64_t    *v = a->v;
	size_t            bytes = 20;
	char             *out, *p;

	for (size_t i = 0; i < a->n; i++)
		bytes += 4 + (is_text ? s[i].n : 8);
	out = p = arena_alloc(mem, bytes);
	put_be32(&p, a->n == 0 ? 0 : 1);
	put_be32(&p, 0);
	put_be32(&p, is_text ? OID_TEXT : OID_INT8);
	if (a->n > 0) {
		put_be32(&p, (uint32_t)a->n);
		put_be32(&p, 1);
	}
	for (size_t i = 0; i < a->n; i++) {
		put_be32(&p, is_text ? (uint32_t)s[i].n : 8);
		if (is_text && s[i].n > 0) {
			memcpy(p, s[i].p, s[i].n);
			p += s[i].n;
		} else if (!is_text) {
			const uint64_t be = htobe64((uint64_t)v[i]);
			memcpy(p, &be, 8);
			p += 8;
		}
	}
	*len = (int)(p - out);
	return out;
}

const struct db_wire *
db_encode(struct ctx *c, enum stmt s, const struct db_args *a)
{
	const struct stmt_info *info = &stmt_table[s];
	struct db_wire         *w = ARENA_NEW(c->mem, struct db_wire);
	const char            **values = ARENA_ARRAY(c->mem, const char *, (size_t)info->nargs + 1);
	int                    *lengths = ARENA_ARRAY(c->mem, int, (size_t)info->nargs + 1);
	int                    *formats = ARENA_ARRAY(c->mem, int, (size_t)info->nargs + 1);

	if (a->n != info->nargs)
		return NULL;
	for (int i = 0; i < a->n; i++) {
		const struct db_arg *v = &a->v[i];
		formats[i] = 1;
		switch (v->type) {
		case DB_NULL:
			values[i] = NULL;
			break;
		case DB_I64:
		case DB_I32:
		case DB_BOOL:
			values[i] = put_int(c->mem, info->oids[i], v->i, &lengths[i]);
			break;
		case DB_TEXT:
		case DB_BYTES:
			values[i] = v->s.p;
			lengths[i] = (int)v->s.n;
			break;
		case DB_I64_ARRAY:
		case DB_TEXT_ARRAY:
			values[i] = put_array(c->mem, v, &lengths[i]);
			break;
		}
	}
	w->n = a->n;
	w->values = values;
	w->lengths = lengths;
	w->formats = formats;
	return w;
}

static void
clear_result(void *p)
{
	struct db_result *r = p;

	PQclear(r->pg);
	r->pg = NULL;
}

struct db_result *
db_result_new(struct ctx *c)
{
	struct db_result *r = ARENA_NEW(c->mem, struct db_result);

	arena_defer(c->mem, clear_result, r);
	return r;
}

bool
db_is_null(const struct db_result *r, int row, int col)
{
	return row >= r->rows || col >= r->cols || PQgetisnull(r->pg, row, col) != 0;
}

int64_t
db_get_i64(const struct db_result *r, int row, int col)
{
	const char *p;

	if (db_is_null(r, row, col))
		return 0;
	p = PQgetvalue(r->pg, row, col);
	switch (PQgetlength(r->pg, row, col)) {
	case 8: {
		uint64_t v;
		memcpy(&v, p, 8);
		return (int64_t)be64toh(v);
	}
	case 4: {
		uint32_t v;
		memcpy(&v, p, 4);
		return (int32_t)be32toh(v);
	}
	case 2: {
		uint16_t v;
		memcpy(&v, p, 2);
		return (int16_t)be16toh(v);
	}
	default:
		return *p;
	}
}

bool
db_get_bool(const struct db_result *r, int row, int col)
{
	return !db_is_null(r, row, col) && *PQgetvalue(r->pg, row, col) != 0;
}

const char *
db_get_str(const struct db_result *r, int row, int col)
{
	return db_is_null(r, row, col) ? NULL : PQgetvalue(r->pg, row, col);
}

struct str
db_get_strn(const struct db_result *r, int row, int col)
{
	if (db_is_null(r, row, col))
		return STR0;
	return (struct str){ PQgetvalue(r->pg, row, col), (size_t)PQgetlength(r->pg, row, col) };
}
