/* To whom a location belongs: the small object `kade-instance` holds the uuid and epoch of the database that owns it. A job
 * that deletes objects compares it with the database first, so that a cloned database never collects production's blobs.
 * Serves the jobs' frame and kade-admin adopt-storage. */
#ifndef KADE_STORE_INSTANCE_H
#define KADE_STORE_INSTANCE_H
#include <stdint.h>

#include "base/err.h"

struct ctx;
struct store;
struct store_instance {
	char uuid[37];
	int64_t epoch; /* ≥ 1; grows with each adoption */
};
enum store_owner {
	STORE_OWNER_SAME, /* uuid and epoch are equal: objects may be deleted */
	STORE_OWNER_NONE, /* no such object: a new location, or one that Quay used */
	STORE_OWNER_EPOCH, /* the same uuid, another epoch: somebody adopted it since, or this database is older */
	STORE_OWNER_FOREIGN, /* another database's */
	STORE_OWNER_DAMAGED  /* an object that cannot be read as one */
};

/* Compares the location with `want` (the database's). *found is filled for SAME, EPOCH and FOREIGN. */
enum err_kind store_instance_compare(struct ctx *c, struct store *s, const struct store_instance *want,
                                     enum store_owner *out, struct store_instance *found) MUST_CHECK;
/* Claims a location that nobody owns; ERR_CONFLICT when somebody does (also when two claim it at once: one wins). */
enum err_kind store_instance_claim(struct ctx *c, struct store *s,
                                   const struct store_instance *mine) MUST_CHECK;
/* Takes the location over, whoever owned it. */
enum err_kind store_instance_adopt(struct ctx *c, struct store *s,
                                   const struct store_instance *mine) MUST_CHECK;
/* For messages: "same", "none", … */
const char *store_owner_name(enum store_owner o);
#endif
