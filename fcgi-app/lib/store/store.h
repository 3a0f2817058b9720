/* The storage locations of a process and every call to them. Serves requests and jobs; drivers are behind driver.h.
 * Each call here checks its key, refuses writes when the registry is read-only (ERR_READ_ONLY), asserts that no database
 * connection is held, and remembers a failing location for 30 seconds so that reads prefer another placement.
 * Meaning, errors and ownership of each call: the slot of the same name in driver.h. */
#ifndef KADE_STORE_STORE_H
#define KADE_STORE_STORE_H
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "store/driver.h"

struct store_set_conf {
	const struct store_location_conf *locations;
	size_t n;
	const char *const *preference; /* names; n_preference 0: all locations in order */
	size_t n_preference;
	struct store_env env;
};
struct store_set;

/* Opens every location. ERR_BAD_INPUT: unknown driver ("X is not a valid storage type."), two locations of one name, a
 * preference that names no location, or a driver's own complaint; nothing stays open then. *out: taken, process lifetime,
 * read-only afterwards and shared by all threads. The caller keeps c only for the call. */
enum err_kind store_set_open(struct ctx *c, const struct store_set_conf *conf,
                             struct store_set **out) MUST_CHECK;
void store_set_close(struct store_set *set); /* NULL is allowed */
/* True when a driver of that name exists (kade-config check). */
bool store_driver_known(const char *name);

struct store *store_find(const struct store_set *set,
                         struct str name);                  /* NULL when there is no such location */
struct store *store_preferred(const struct store_set *set); /* where new uploads go */
size_t store_count(const struct store_set *set);
struct store *store_at(const struct store_set *set, size_t i); /* in the configuration's order */
/* The locations among `names` (the placements of a blob) that this process has, best first: by preference, then in the
 * configuration's order, those that failed lately last. Returns how many; out has room for n_names. Read from out[0], on
 * ERR_STORE before the first byte go on with out[1]. */
size_t store_order(const struct store_set *set, const struct str *names, size_t n_names, struct store **out);

enum err_kind store_stat(struct ctx *c, struct store *s, const char *key, struct store_info *out) MUST_CHECK;
enum err_kind store_get(struct ctx *c, struct store *s, const struct store_get *g) MUST_CHECK;
enum err_kind store_put_small(struct ctx *c, struct store *s, const struct store_small *o) MUST_CHECK;
enum err_kind store_get_small(struct ctx *c, struct store *s, const char *key, size_t max,
                              struct str *out) MUST_CHECK;
/* From one location and key to another, by the store itself where it can, else streamed through this process with 256 KiB
 * of c->mem. An object of the same size already there is kept. The size is compared afterwards. */
enum err_kind store_copy(struct ctx *c, struct store *to, const struct store_copy *cp) MUST_CHECK;
enum store_removed store_remove(struct ctx *c, struct store *s, const char *key) MUST_CHECK;
enum err_kind store_list(struct ctx *c, struct store *s, const struct store_list *l) MUST_CHECK;
enum err_kind store_list_unfinished(struct ctx *c, struct store *s, store_unfinished_seen *seen,
                                    void *arg) MUST_CHECK;
enum err_kind store_abort_unfinished(struct ctx *c, struct store *s, const char *key,
                                     const char *server_id) MUST_CHECK;
enum err_kind store_direct_url(struct ctx *c, struct store *s, const struct store_url_want *w,
                               const char **out) MUST_CHECK;
enum err_kind store_local_path(struct ctx *c, struct store *s, const char *key, const char **out) MUST_CHECK;
/* Health: does nothing and succeeds when the registry is read-only. */
enum err_kind store_validate(struct ctx *c, struct store *s, struct buf *warnings) MUST_CHECK;

/* For upload.c: the checks above for a call that writes (ERR_READ_ONLY) or reads, and the note about a failing location. */
enum err_kind store_may_write(struct ctx *c, const struct store *s) MUST_CHECK;
enum err_kind store_note(struct store *s, enum err_kind k); /* returns k */
#endif
