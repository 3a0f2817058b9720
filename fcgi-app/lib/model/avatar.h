/* The picture that stands for an account, team or application: a colour and a hash by which picture services know an address. */
#ifndef KADE_MODEL_AVATAR_H
#define KADE_MODEL_AVATAR_H
#include <jansson.h>

enum avatar_kind { AVATAR_USER, AVATAR_ROBOT, AVATAR_TEAM, AVATAR_ORG, AVATAR_APP };
/* {"name", "hash", "color", "kind"}, a new reference. The hash is the SHA-256 of the trimmed, lower-case e-mail address; of the
 * name when email is NULL or empty (teams always). */
json_t *avatar_to_json(enum avatar_kind kind, const char *name, const char *email);
#endif
