/* Conditional requests: a list that did not change is answered by 304 without its body. */
#ifndef KADE_HTTP_CONDITIONAL_H
#define KADE_HTTP_CONDITIONAL_H
#include <stdbool.h>

#include "base/str.h"

struct req;

/* The text between the quotes of the first entity tag of If-None-Match that begins with prefix; p == NULL: none. Comparison is
 * weak. Borrowed. */
struct str conditional_shown(const struct req *rq, struct str prefix);
/* Sets ETag (weak), Cache-Control and Vary. tag: without quotes; a handler that knows the tag of its list before the body. */
void conditional_tag(struct req *rq, struct str tag);
/* An answer of /api/v1 that is about to be sent: a 200 to GET or HEAD gets the hash of its body as entity tag, unless it has one
 * or must not be stored, and becomes 304 when the client has it. Rights are decided by then, by the request itself. */
void conditional_settle(struct req *rq);
#endif
