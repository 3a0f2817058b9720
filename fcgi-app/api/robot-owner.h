/* Whose robots a path is about: the caller's (/user/robots) or an organization's. */
#ifndef KADE_API_ROBOT_OWNER_H
#define KADE_API_ROBOT_OWNER_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct req;
struct robot_owner {
	int64_t id;                  /* 0: no such namespace */
	struct str name, short_name; /* short_name p == NULL: the path names no robot */
	const char *robot;           /* the full name; NULL as above */
	bool is_admin;               /* may see tokens */
};
void robot_owner(struct req *rq, struct robot_owner *o);
/* The same, and the robot's id. ERR_BAD_INPUT for an unknown robot. */
enum err_kind robot_owner_get(struct req *rq, struct robot_owner *o, int64_t *robot_id) MUST_CHECK;
#endif
