/* Lists of Kade's own interface (/api/v1/ui/): q, limit and cursor of the query; total, next cursor and rows of the answer. */
#ifndef KADE_API_UI_LIST_H
#define KADE_API_UI_LIST_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "http/field.h"

struct db_args;
struct req;

#define UI_TOTAL_MAX 1000 /* totals are counted so far; beyond, total_is_more */
/* Where a page begins: the row that the page before ended with. */
struct ui_cursor {
	struct str first, second; /* texts of the row's place; "" on the first page */
	int64_t    number;
};
/* The query's cursor, if it was made for the same list and order; else the first page. */
struct ui_cursor ui_cursor_of(struct req *rq, const char *order);
/* Rows that a page shows: `limit`, 1 to 100, 50 when absent. The statement is asked for one more. */
int ui_limit(struct req *rq);
/* Appends the pattern for `q` (contains, wildcards escaped), or NULL; lower: in lower case, for names of accounts. */
void ui_bind_q(struct req *rq, struct db_args *a, bool lower);
/* {"NAME": [], "total"?: n, "total_is_more"?: bool}: the root, and the array in *rows. total_col: of row 0; NULL there: none is told. */
json_t *ui_begin(struct req *rq, const char *name, int total_col, json_t **rows);
/* "cursor": where the next page begins; called when the statement gave more rows than the page. */
enum err_kind ui_next(struct req *rq, json_t *root, const char *order, const struct ui_cursor *last) MUST_CHECK;
/* A time in ISO form, null for 0. */
void ui_time(struct req *rq, json_t *o, const char *name, int64_t ms);
#define UI_COUNT_MAX 200 /* so far the counts of one namespace's row */
/* A count that the statement ended at max + 1: {"NAME": max, "NAME_is_more": true}. */
void ui_count(json_t *o, const char *name, int64_t n, int64_t max);
extern const struct param UI_QUERY[];
#endif
