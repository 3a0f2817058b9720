/* The user object of the REST API: whole for the own account, reduced for everybody else. */
#ifndef KADE_API_VIEW_USER_H
#define KADE_API_VIEW_USER_H
#include <jansson.h>

#include "base/err.h"

struct db_args;
struct db_result;
struct req;

/* Appends what statement user_load needs behind the caller's arguments: name (NULL = the caller) and the listed namespaces. */
void view_user_args(struct req *rq, struct db_args *a, const char *name);
/* The answer 200 from a result of user_load, whose first row has a user. What is shown depends on whether that is the caller
 * and on the token's scopes. */
enum err_kind view_user(struct req *rq, const struct db_result *r) MUST_CHECK;
/* Reads the caller's account again, by its uuid of now, and answers with it: after a change. */
enum err_kind view_user_again(struct req *rq, const char *uuid) MUST_CHECK;
#endif
