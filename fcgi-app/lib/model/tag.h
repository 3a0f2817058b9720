/* Tags: named, time-bounded pointers from a repository to a manifest, as people change them by hand. What a row says of the past
 * is never rewritten: moving a tag ends the old row and inserts a new one. Pushes move tags in model/manifest.c. */
#ifndef KADE_MODEL_TAG_H
#define KADE_MODEL_TAG_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct db_result;
struct tag_policies;

struct tag_item { /* a tag with what every list shows of its manifest; slices borrowed from the result */
	int64_t id, manifest_id;
	struct str name;
	int64_t start_ms;
	int64_t expires_ms; /* asked for; 0 = never */
	int64_t ended_ms;   /* moved, deleted or found expired; 0 = not yet */
	bool is_reversion;  /* made by a restore */
	bool is_immutable, is_index;
	int64_t released_ms; /* where it was asked for: when it was made changeable again; 0 = never */
	struct str digest;
	int64_t size_bytes; /* compressed layers; -1 = not known: an index */
};
/* The columns of the set tag_item, from first_col on. False: no tag. */
bool tag_item_from_row(const struct db_result *r, int row, int first_col, struct tag_item *out);
/* When the tag ceased or will cease to be: its end, else its expiry; 0 = never. */
int64_t tag_end_ms(const struct tag_item *t);

struct tag_move {
	int64_t repository_id;
	struct str name;
	int64_t manifest_id;   /* to point to */
	struct str digest;     /* of it */
	struct str old_digest; /* what the name points to now; n == 0: nothing */
	int64_t released_ms;   /* of the row that ends */
	int64_t window_ms;     /* of the namespace's time machine */
	bool is_restore; /* the new row is a reversion, and its manifest may have been deleted by digest */
};
/* Ends the live row and makes the new one, in the open transaction; a policy may make the new one immutable (*by_policy).
 * ERR_NOT_FOUND: the manifest is gone; ERR_CONFLICT (409 tag_immutable): the live row is held by a policy; ERR_BUSY: somebody
 * moved the tag meanwhile, run the transaction again. */
enum err_kind tag_move(struct ctx *c, const struct tag_move *m, bool *by_policy) MUST_CHECK;
/* Is the live tag immutable: by its row, or by a policy that is not through with the tags of before it? */
enum err_kind tag_held(struct ctx *c, int64_t repository_id, const struct tag_item *t, bool *held) MUST_CHECK;

struct tag_remove {
	int64_t repository_id;
	const int64_t *ids; /* live rows; immutable ones and those that ended meanwhile are left out */
	size_t n;
	int64_t window_ms; /* of the time machine; 0: they can be collected at once */
	const struct tag_policies
	    *policies; /* of the repository: of the tags that cosign made, what they hold stays */
};
/* Ends tags with their counts of pulls, and the tags that cosign made for digests on which no other live tag is left. The one
 * way to delete tags by name. *ended: columns of STMT_TAG_DELETE, a row for each that ended. */
enum err_kind tag_remove_rows(struct ctx *c, const struct tag_remove *d,
                              const struct db_result **ended) MUST_CHECK;
/* The same for one. *ended false: somebody else did meanwhile, or it is immutable. */
enum err_kind tag_remove(struct ctx *c, int64_t repository_id, const struct tag_item *t, int64_t window_ms,
                         bool *ended) MUST_CHECK;
/* Ends the tags that cosign made for some digests when no other live tag is left on them. After tags moved or ended. */
enum err_kind tag_end_siblings(struct ctx *c, const struct tag_remove *d, const struct str *digests,
                               size_t n) MUST_CHECK;
/* The same, queued behind the statements of the open transaction. */
enum err_kind tag_queue_siblings(struct ctx *c, const struct tag_remove *d, struct str digest) MUST_CHECK;
/* 409 tag_immutable: "Cannot OPERATION immutable tag 'NAME'". */
enum err_kind tag_immutable_error(struct ctx *c, const char *operation, struct str name) MUST_CHECK;
/* An expiry that a person asks for: not below start + LABELED_EXPIRATION_MINIMUM, not above start + LABELED_EXPIRATION_MAXIMUM.
 * Where that maximum has passed already it counts from now: asking for a future expiry never ends a tag at once. */
int64_t tag_clamp_expiry(const struct ctx *c, int64_t asked_ms, int64_t start_ms, int64_t now_ms);
#endif
