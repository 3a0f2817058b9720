/* What the lists of the interface have in common. A cursor is a page token: clients can neither read nor make one. */
#include "api/ui-list.h"

#include <stdio.h>

#include "app.h"
#include "auth/page-token.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "http/response.h"
#include "model/like.h"

#define LIMIT_MAX     100
#define LIMIT_DEFAULT 50
#define Q_BYTES       128
static const struct js_limits LIMITS = { .bytes = 2048, .depth = 2, .values = 16 };

const struct param UI_QUERY[] = {
	{ .name = "q", .doc = "Rows whose name holds this text." },
	{ .name = "limit", .is_int = true, .doc = "Rows of a page, 1 to 100." },
	{ .name = "sort", .doc = "The order, where the list has several." },
	{ .name = "cursor", .doc = "Where the page begins: cursor of the answer before." },
	{ .name = NULL },
};

struct ui_cursor
ui_cursor_of(struct req *rq, const char *order)
{
	const struct str token = req_query(rq, "cursor");
	struct ui_cursor none = { .first = STR(""), .second = STR(""), .number = INT64_MAX }, c = none;
	struct str       plain;
	json_t          *o;

	if (token.n == 0 || !page_token_get(rq->c, rq->app->page_key, rq->c->now_ms / 1000, token, &plain))
		return none;
	if (js_parse(rq->c, plain, &LIMITS, &o) != ERR_NONE) {
		err_clear(rq->c);
		return none;
	}
	if (!str_eq_c(js_str(o, "o"), order))
		return none;
	c.first = js_str(o, "a");
	c.second = js_str(o, "b");
	c.number = js_i64(o, "n", INT64_MAX);
	return c.first.p == NULL || c.second.p == NULL ? none : c;
}

int
ui_limit(struct req *rq)
{
	return (int)req_query_i64(rq, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT);
}

void
ui_bind_q(struct req *rq, struct db_args *a, bool lower)
{
	struct str q = req_query(rq, "q");

	if (q.n == 0) {
		db_args_add(a, db_null());
		return;
	}
	if (q.n > Q_BYTES)
		q.n = Q_BYTES;
	char *p = str_dup(rq->c->mem, q);
	for (size_t i = 0; lower && i < q.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	db_args_add(a, db_strn(like_pattern(rq->c->mem, (struct str){ p, q.n }, LIKE_ANYWHERE)));
}

void
ui_count(json_t *o, const char *name, int64_t n, int64_t max)
{
	const bool is_more = n > max;
	char       more[64];

	jo_i64(o, name, is_more ? max : n);
	if (!is_more)
		return;
	snprintf(more, sizeof more, "%s_is_more", name);
	jo_bool(o, more, true);
}

json_t *
ui_begin(struct req *rq, const char *name, int total_col, json_t **rows)
{
	json_t *root = res_json(rq, 200);

	*rows = jo_array(root, name);
	if (rq->load->rows > 0 && !db_is_null(rq->load, 0, total_col))
		ui_count(root, "total", db_get_i64(rq->load, 0, total_col), UI_TOTAL_MAX);
	return root;
}

enum err_kind
ui_next(struct req *rq, json_t *root, const char *order, const struct ui_cursor *last)
{
	json_t    *o = js_object(rq->c);
	struct str token;

	jo_str(o, "o", order);
	jo_strn(o, "a", last->first);
	jo_strn(o, "b", last->second);
	jo_i64(o, "n", last->number);
	TRY(page_token_put(rq->c, rq->app->page_key, rq->c->now_ms / 1000, NULL, js_dump(rq->c, o), &token));
	jo_strn(root, "cursor", token);
	return ERR_NONE;
}

void
ui_time(struct req *rq, json_t *o, const char *name, int64_t ms)
{
	if (ms == 0)
		jo_null(o, name);
	else
		jo_str(o, name, clock_iso(rq->c->mem, ms));
}
