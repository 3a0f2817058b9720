/* Manifests in a repository: the push as one transaction, rows of reads. */
#ifndef KADE_MODEL_MANIFEST_H
#define KADE_MODEL_MANIFEST_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "model/tag-policy.h"
#include "oci/label.h"
#include "oci/manifest.h"

struct ctx;
struct db_result;
struct quota_verdict;
struct manifest_row {
	int64_t    id;
	struct str digest, media_type, bytes; /* borrowed from the result */
};
/* The columns of the set `manifest`, from first_col on. False: none. */
bool manifest_from_row(const struct db_result *r, int row, int first_col, struct manifest_row *out);

struct manifest_push {
	int64_t                    namespace_id, repository_id, performer_id;
	const struct oci_manifest *m;
	struct str                 bytes;
	struct oci_digest          digest;
	const struct str          *tags; /* names to point to it; none: pushed by digest */
	size_t                     n_tags;
	const struct oci_labels   *labels;      /* stored with a manifest that is new */
	struct oci_acting          acting;      /* what they ask for its tags */
	struct str                 audit_ip;
	struct str                 audit_track; /* metadata without its closing brace (audit_track()) */
};
/* What a push refers to, as the repository knows it now. */
struct manifest_parts {
	const struct db_result *r;
	const int              *sorted; /* its rows in the order of kind and digest */
	struct tag_policies     policies;
};
/* Asks for blobs, children and the tags' present state, in one statement. */
enum err_kind manifest_parts_load(struct ctx *c, const struct manifest_push *p, struct manifest_parts *out) MUST_CHECK;
/* Refuses what may not be: unknown blobs and children, sizes of children that differ, immutable tags that point elsewhere. */
enum err_kind manifest_parts_check(struct ctx *c, const struct manifest_push *p, const struct manifest_parts *parts) MUST_CHECK;
/* Writes everything in the open transaction: manifest, links, children, labels, quota, tags, audit rows. Runs in one round
 * trip; the caller commits. ERR_BUSY: a tag or manifest changed meanwhile, run the whole push again. ERR_QUOTA: the namespace has
 * reached its limit (v says so too). */
enum err_kind manifest_store(struct ctx *c, const struct manifest_push *p, const struct manifest_parts *parts,
                             struct quota_verdict *v) MUST_CHECK;
#endif
