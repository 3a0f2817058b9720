/* The member `password` of a body, checked and hashed before the handler's transaction. */
#ifndef KADE_API_NEW_PASSWORD_H
#define KADE_API_NEW_PASSWORD_H
#include "base/err.h"

struct req;
/* For a row's .prepare: rq->prepared becomes the hash (char *), or stays NULL when the body has no password. The hash takes a
 * quarter of a second, so only so many are made at once: ERR_RATE with Retry-After. ERR_BAD_INPUT by the password's rules. */
enum err_kind new_password_prepare(struct req *rq) MUST_CHECK;
#endif
