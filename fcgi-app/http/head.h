/* The head of an answer as text, for response.c and its tests. */
#ifndef KADE_HTTP_HEAD_H
#define KADE_HTTP_HEAD_H
#include <stdbool.h>

struct buf;
struct req;

/* Appends "Status: …" up to and with the empty line. res.length counts as known when >= 0. */
void head_put(struct req *rq, struct buf *b);
/* False where the answer has no body whatever the handler set: HEAD, 204, 304, 1xx, an authorizer's yes. */
bool head_has_body(const struct req *rq);
/* The standard's words for a status. */
const char *head_reason(int status);
#endif
