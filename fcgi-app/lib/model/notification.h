/* Notifications: which events and methods there are, what their configuration must hold, and samples for a test. Who may have
 * them is the caller's matter; a job delivers. */
#ifndef KADE_MODEL_NOTIFICATION_H
#define KADE_MODEL_NOTIFICATION_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
enum notification_of { NOTIFICATION_REPOSITORY, NOTIFICATION_NAMESPACE };
struct notification_new {
	enum notification_of of;
	int64_t              namespace_id;   /* targets in the interface belong to it */
	int64_t              repository_id;  /* 0: of a namespace. Whose confirmed addresses count */
	struct str           event, method;
	const json_t        *config, *event_config; /* objects */
};
/* Is everything as event and method want it? *config (given): the method's members alone, as JSON; members that it does not know
 * are left out. ERR_BAD_INPUT with Quay's words. */
enum err_kind notification_check(struct ctx *c, const struct notification_new *n, struct str *config) MUST_CHECK;

/* Adds to event_data what a test of this event shows. */
void notification_sample(json_t *event_data, struct str event, const json_t *event_config);

/* A webhook's body made from a template: a JSON text whose strings may hold ${path}; path: a.b, a[0], a[*].b, $. True when it can
 * be used. */
bool notification_template_valid(struct ctx *c, struct str text);
#endif
