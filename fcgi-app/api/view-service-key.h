/* Service keys as superusers see them. */
#ifndef KADE_API_VIEW_SERVICE_KEY_H
#define KADE_API_VIEW_SERVICE_KEY_H
#include <jansson.h>

struct db_result;
struct req;
/* From a row of service_key_list. A new reference. */
json_t *view_service_key(struct req *rq, const struct db_result *r, int row);
#endif
