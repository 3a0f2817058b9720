/* Audit rows of REST calls: performer, address and the OAuth token that was used come from the request. */
#ifndef KADE_API_LOG_ACTION_H
#define KADE_API_LOG_ACTION_H
#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "model/audit.h"

struct req;
/* Writes one row, in the handler's transaction where it has one. namespace_id: under whose log it is filed, 0 = nobody's;
 * repository_id 0 = none; metadata: an object, borrowed; NULL = {}. Nothing is written for namespaces in
 * DISABLED_FOR_AUDIT_LOGS (the row's own namespace, or the caller's). */
enum err_kind log_action(struct req *rq, enum audit_kind kind, int64_t namespace_id, int64_t repository_id, json_t *metadata) MUST_CHECK;
#endif
