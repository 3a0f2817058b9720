/* Keyset pages of the REST API: the query parameter and response member next_page, an opaque token that holds the id after which
 * (or before which) the list goes on. A token that is damaged, foreign or older than two days means the first page. */
#ifndef KADE_API_PAGE_H
#define KADE_API_PAGE_H
#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

struct req;
/* The id in next_page; 0 = first page. */
int64_t page_start(struct req *rq);
/* Adds next_page to the answer. */
enum err_kind page_next(struct req *rq, json_t *out, int64_t id) MUST_CHECK;
#endif
