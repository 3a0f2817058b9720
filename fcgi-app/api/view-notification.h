/* Notifications as the REST API shows them, and the rows by which tests are queued. */
#ifndef KADE_API_VIEW_NOTIFICATION_H
#define KADE_API_VIEW_NOTIFICATION_H
#include <jansson.h>

#include "base/err.h"
#include "base/str.h"
#include "http/field.h"

struct db_result;
struct req;
extern const struct field NOTIFICATION_FIELDS[]; /* the body of a new one */
/* The columns of the set `note`, from first_col on: is there one? */
bool note_is_there(const struct db_result *r, int row, int first_col);
/* {"uuid", "title", "event", "method", "config", "event_config", "number_of_failures"}. A new reference. */
json_t *view_note(struct req *rq, const struct db_result *r, int row, int first_col);
/* {"notifications": […]}, from all rows. */
void view_notes(struct req *rq, const struct db_result *r, int first_col);
/* Queues a sample of the notification in row 0 to itself; namespace: of a namespace, else of the request's repository. */
enum err_kind note_queue_test(struct req *rq, const struct db_result *r, int first_col, struct str namespace) MUST_CHECK;
#endif
