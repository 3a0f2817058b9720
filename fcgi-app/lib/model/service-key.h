/* Service keys: rules for their names and what the log says of them. */
#ifndef KADE_MODEL_SERVICE_KEY_H
#define KADE_MODEL_SERVICE_KEY_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
#define SERVICE_KEY_PANEL    "Super User API" /* ways of approval, as Quay calls them */
#define SERVICE_KEY_ROTATION "Key Rotation"

/* ^[a-z0-9_]+$, at most 255 characters. */
bool service_name_valid(struct str s);
/* Blanks, letters, digits and - _ : /; at most 255 characters; may be empty. */
bool service_key_name_valid(struct str s);

struct service_key {
	struct str kid, service, name, jwk, metadata; /* JSON texts; metadata an object */
	int64_t    expires_ms, rotation_s;            /* 0: none */
	const char *approval;                         /* NULL: to be approved yet */
	int64_t     approver_id;                      /* 0: none */
	struct str  notes;
};
/* Inserts it, after old ones of its service were removed. ERR_CONFLICT: the id is taken. */
enum err_kind service_key_add(struct ctx *c, const struct service_key *k) MUST_CHECK;
/* {"kid", "service", "name", "expiration_date"}: what every audit row of a key starts with. Freed with c->mem. */
json_t *service_key_audit(struct ctx *c, struct str kid, struct str service, struct str name, int64_t expires_ms);
#endif
