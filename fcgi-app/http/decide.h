/* May this caller do this? The one place where a row's permission is decided, from the facts that its statement brought. */
#ifndef KADE_HTTP_DECIDE_H
#define KADE_HTTP_DECIDE_H
#include <stdbool.h>

#include "auth/identity.h"
#include "base/err.h"
#include "http/route.h"

struct req;
/* Rows whose statement leads with the facts of a repository or a namespace; the others lead with the caller's. */
bool decide_has_facts(const struct route *rt);
bool decide_is_repo(const struct route *rt);
/* The role that a row asks for, for the upper bound of the credential. */
enum role decide_needed_role(enum perm p);
/* What the credential allows at most on the row's target: facts_caps() without the superuser's bits where an API row does not
 * name them. */
unsigned decide_caps(const struct req *rq);
/* The account behind the credential still lives and has the name that the credential says. */
bool decide_is_alive(const struct req *rq);
/* ERR_NONE, or the refusal in the protocol's words. */
enum err_kind decide(struct req *rq) MUST_CHECK;
#endif
