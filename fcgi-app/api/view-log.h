/* Pages of the audit log as the REST API shows them: the window of days, the page token, the rows. For the logs of users,
 * organizations and repositories, and for whoever lists more than one namespace. */
#ifndef KADE_API_VIEW_LOG_H
#define KADE_API_VIEW_LOG_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct db_args;
struct db_result;
struct req;

#define LOG_PAGE 20
struct log_window {
	int64_t from_ms, to_ms;   /* [from, to) */
	int64_t at_ms, before_id; /* the page goes on below this row */
	int64_t page;             /* its number, from 1 */
	bool is_valid;            /* the end does not lie before the start */
	bool is_past_last;        /* beyond ACTION_LOG_MAX_PAGE: an empty page */
};
/* From starttime, endtime (MM/DD/YYYY, UTC; anything else counts as absent) and next_page. Default: from a day ago until now;
 * the end is moved one day ahead, so that endtime is inclusive. */
struct log_window log_window_of(struct req *rq);
/* Appends from_ms, at_ms, before_id and page: one row more than a page, to know whether there are more. */
void log_window_args(struct db_args *a, const struct log_window *w);
/* 400 "Invalid date range for logs". */
enum err_kind log_window_error(struct req *rq) MUST_CHECK;
/* The answer {start_time, end_time, logs, next_page?} from the columns of the set log_row. */
enum err_kind log_answer(struct req *rq, const struct log_window *w, const struct db_result *r,
                         int first_col) MUST_CHECK;
/* {"aggregated": [{kind, count, datetime}]} from the rows of a log_count statement. */
void log_answer_counts(struct req *rq, const struct db_result *r);
#endif
