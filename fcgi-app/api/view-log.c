/* Pages of the audit log as the REST API shows them. */
#include "api/view-log.h"

#include "api/view-account.h"
#include "app.h"
#include "auth/page-token.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/request.h"
#include "http/response.h"

#define DAY_MS        INT64_C(86400000)
#define ACCOUNT_ROBOT 3

enum { R_AT_MS, R_ID, R_KIND, R_IP, R_METADATA, R_PERFORMER, R_PERFORMER_EMAIL, R_PERFORMER_KIND, R_COLS };
_Static_assert((int)R_COLS == LOG_ROW_COLS, "log.sql and view-log.c differ");

static const struct say SAY_RANGE = { 400, "invalid_request", "Invalid date range for logs" };
static const struct js_limits TOKEN = { .bytes = 1024, .depth = 2, .values = 16 };
static const struct js_limits METADATA = { .bytes = 8 << 20, .depth = 64, .values = 50000 };

/* "MM/DD/YYYY" (a leading zero may be missing): midnight UTC. */
static bool
parse_day(struct ctx *c, struct str text, int64_t *ms)
{
	struct str month, day, year;
	int64_t m, d, y, t;

	if (!str_cut(text, '/', &month, &day) || !str_cut(day, '/', &day, &year) || year.n != 4 ||
	    month.n > 2 || day.n > 2 || !str_to_i64(month, 1, 12, &m) || !str_to_i64(day, 1, 31, &d) ||
	    !str_to_i64(year, 1970, 9998, &y))
		return false;
	const char *iso = str_fmt(c->mem, "%04d-%02d-%02dT00:00:00Z", (int)y, (int)m, (int)d);
	if (!clock_iso_parse(str_of(iso), &t) ||
	    strcmp(clock_iso(c->mem, t), iso) != 0) /* there is no 30th of February */
		return false;
	*ms = t;
	return true;
}

static void
read_token(struct req *rq, struct log_window *w)
{
	const struct str token = req_query(rq, "next_page");
	struct str plain;
	json_t *o;

	if (token.n == 0 || !page_token_get(rq->c, rq->app->page_key, rq->c->now_ms / 1000, token, &plain))
		return;
	if (js_parse(rq->c, plain, &TOKEN, &o) != ERR_NONE) {
		err_clear(rq->c);
		return;
	}
	const int64_t at_ms = js_i64(o, "at_ms", w->at_ms);
	if (at_ms <= w->at_ms) {
		w->at_ms = at_ms;
		w->before_id = js_i64(o, "start_index", INT64_MAX);
	}
	w->page = js_i64(o, "page_number", 1);
}

struct log_window
log_window_of(struct req *rq)
{
	struct log_window w = {
		.from_ms = rq->c->now_ms - DAY_MS, .to_ms = rq->c->now_ms, .before_id = INT64_MAX, .page = 1
	};
	const int64_t last = rq->c->conf->action_log_max_page;

	parse_day(rq->c, req_query(rq, "starttime"), &w.from_ms);
	parse_day(rq->c, req_query(rq, "endtime"), &w.to_ms);
	w.is_valid = w.to_ms + DAY_MS >= w.from_ms;
	w.to_ms += DAY_MS;
	w.at_ms = w.to_ms - 1;
	read_token(rq, &w);
	w.is_past_last = last > 0 && w.page > last;
	return w;
}

void
log_window_args(struct db_args *a, const struct log_window *w)
{
	db_args_add(a, db_i64(w->from_ms));
	db_args_add(a, db_i64(w->at_ms));
	db_args_add(a, db_i64(w->before_id));
	db_args_add(a, db_i32(LOG_PAGE + 1));
}

enum err_kind
log_window_error(struct req *rq)
{
	return err_say(rq->c, ERR_BAD_INPUT, &SAY_RANGE);
}

/* Metadata is an object; what is not is shown as an empty one. */
static json_t *
view_metadata(struct ctx *c, struct str text)
{
	json_t *o = NULL;

	if (js_parse(c, text, &METADATA, &o) != ERR_NONE) {
		err_clear(c);
		return json_object();
	}
	return json_is_object(o) ? json_incref(o) : json_object();
}

static json_t *
view_log(struct ctx *c, const struct db_result *r, int row, int first_col)
{
	json_t *o = json_object();

	jo_str(o, "kind", db_get_str(r, row, first_col + R_KIND));
	jo_take(o, "metadata", view_metadata(c, db_get_strn(r, row, first_col + R_METADATA)));
	jo_str(o, "ip", db_get_str(r, row, first_col + R_IP));
	jo_str(o, "datetime", clock_rfc2822(c->mem, db_get_i64(r, row, first_col + R_AT_MS)));
	if (!db_is_null(r, row, first_col + R_PERFORMER)) {
		const bool robot = db_get_i64(r, row, first_col + R_PERFORMER_KIND) == ACCOUNT_ROBOT;
		const struct user_ref u = { .name = db_get_str(r, row, first_col + R_PERFORMER),
			                    .email = robot
			                                 ? NULL
			                                 : db_get_str(r, row, first_col + R_PERFORMER_EMAIL),
			                    .is_robot = robot,
			                    .is_org_member = -1 };
		jo_take(o, "performer", view_user_ref(&u));
	}
	return o;
}

static enum err_kind
put_token(struct req *rq, json_t *root, const struct db_result *r, int row, const struct log_window *w,
          int first_col)
{
	json_t *o = js_object(rq->c);
	struct str token;

	jo_i64(o, "at_ms", db_get_i64(r, row, first_col + R_AT_MS));
	jo_i64(o, "start_index", db_get_i64(r, row, first_col + R_ID));
	jo_i64(o, "page_number", w->page + 1);
	TRY(page_token_put(rq->c, rq->app->page_key, rq->c->now_ms / 1000, NULL, js_dump(rq->c, o), &token));
	jo_strn(root, "next_page", token);
	return ERR_NONE;
}

enum err_kind
log_answer(struct req *rq, const struct log_window *w, const struct db_result *r, int first_col)
{
	json_t *root, *list;
	int n = 0;

	if (!w->is_valid)
		return log_window_error(rq);
	root = res_json(rq, 200);
	jo_str(root, "start_time", clock_rfc2822(rq->c->mem, w->from_ms));
	jo_str(root, "end_time", clock_rfc2822(rq->c->mem, w->to_ms));
	list = jo_array(root, "logs");
	if (w->is_past_last)
		return ERR_NONE;
	for (; n < r->rows && n < LOG_PAGE && !db_is_null(r, n, first_col + R_AT_MS); n++)
		ja_take(list, view_log(rq->c, r, n, first_col));
	return r->rows > LOG_PAGE ? put_token(rq, root, r, n - 1, w, first_col) : ERR_NONE;
}

void
log_answer_counts(struct req *rq, const struct db_result *r)
{
	json_t *list = jo_array(res_json(rq, 200), "aggregated");

	for (int i = 0; i < r->rows; i++) {
		json_t *o = ja_object(list);
		jo_str(o, "kind", db_get_str(r, i, LOG_COUNT_NAMESPACE_KIND));
		jo_i64(o, "count", db_get_i64(r, i, LOG_COUNT_NAMESPACE_N));
		jo_str(o, "datetime",
		       clock_rfc2822(rq->c->mem, db_get_i64(r, i, LOG_COUNT_NAMESPACE_DAY_MS)));
	}
}
