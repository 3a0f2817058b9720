/* Answers. A handler sets status, headers and a body; the dispatcher sends them after the commit. Large bodies are streamed
 * with res_stream_*() by a handler that holds no transaction. */
#ifndef KADE_HTTP_RESPONSE_H
#define KADE_HTTP_RESPONSE_H
#include <jansson.h>

#include "http/request.h"

void res_status(struct req *rq, int status);
/* Adds a header (value copied; control characters dropped). Names are written as given. X-Sendfile and X-Accel-Redirect
 * switch Content-Length off: the web server sets it. */
void res_header(struct req *rq, const char *name, struct str value);
/* As res_header(), in place of what was set under that name (any case). */
void res_header_set(struct req *rq, const char *name, struct str value);
void res_headerf(struct req *rq, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Sets status and an empty JSON object that becomes the body when the answer is sent. Borrowed. */
json_t *res_json(struct req *rq, int status);
/* The same with an array. */
json_t *res_json_array(struct req *rq, int status);
/* Sets status, Content-Type and body (borrowed until sent: arena, result or constant). */
void res_body(struct req *rq, int status, const char *type, struct str body);
/* Status without body: Content-Length: 0, or none for 204 and 304. */
void res_empty(struct req *rq, int status);
/* HEAD or streamed answers: the length that GET would have. */
void res_length(struct req *rq, int64_t bytes);
/* Sends the head now and lets the handler write the body itself. */
enum err_kind res_stream_begin(struct req *rq) MUST_CHECK;
enum err_kind res_stream_write(struct req *rq, const void *p,
                               size_t n) MUST_CHECK; /* ERR_CLIENT_GONE when nobody reads */
enum err_kind res_stream_flush(struct req *rq) MUST_CHECK;
/* Replaces whatever was set by the error c->err in the form of rq->proto (http/problem.c). */
void res_problem(struct req *rq);
/* The challenge of /v2: WWW-Authenticate with the scope that the row asks for (none without a repository). On every 401
 * of /v2 by itself; the ping adds it to its 200 too. */
void res_challenge(struct req *rq);
/* Sends head and body if not sent yet. */
void res_send(struct req *rq);
/* False when a streamed answer did not reach the length it promised, or failed after its head. */
bool res_is_whole(const struct req *rq);
#endif
