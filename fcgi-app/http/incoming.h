/* From the transport's parameters to a struct req: http/loop.c calls this once per request, tests and fuzzers too. */
#ifndef KADE_HTTP_INCOMING_H
#define KADE_HTTP_INCOMING_H
#include <stddef.h>

#include "base/err.h"

struct fcgi_param;
struct req;
struct uri;

/* Fills method, URI, headers, addresses and lengths of rq (rq->c, http and mem are set). *uri receives the split path.
 * Failures are recorded for the answer: 400 (no path, bad length), 414, 431; rq is usable for an answer in any case.
 * A path that no row can name leaves uri->n = -1 and is no failure here: the router answers 404 or 405. */
enum err_kind req_take(struct req *rq, const struct fcgi_param *p, size_t n, struct uri *uri) MUST_CHECK;
#endif
