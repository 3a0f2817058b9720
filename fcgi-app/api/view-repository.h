/* Repositories as the REST API shows them in lists. */
#ifndef KADE_API_VIEW_REPOSITORY_H
#define KADE_API_VIEW_REPOSITORY_H
#include <jansson.h>
#include <stdbool.h>

struct db_result;
struct req;

/* "NORMAL", "READ_ONLY", "MIRROR", "ORG_MIRROR": the words for enum repo_state. */
const char *view_repo_state(int64_t state);
/* Which members of a list's item are asked for. */
struct view_repo_wants {
	bool last_modified, popularity;
};
/* An item from the columns of the set repo_item, from first_col on. A new reference. */
json_t *view_repo_item(struct req *rq, const struct db_result *r, int row, int first_col,
                       const struct view_repo_wants *w);
#endif
