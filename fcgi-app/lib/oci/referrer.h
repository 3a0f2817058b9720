/* The answer of the referrers API: an OCI index of the manifests that name a subject. */
#ifndef KADE_OCI_REFERRER_H
#define KADE_OCI_REFERRER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct ctx;
struct oci_descriptor;
struct oci_manifest;
struct oci_referrer {
	struct str media_type, digest;
	int64_t size_bytes;
	struct str artifact_type; /* empty = none */
	struct str annotations;   /* JSON text of an object, as made by oci_referrer_of(); empty = none */
};
/* From a manifest, as it is kept in its row. Annotations are in c->mem, the rest borrowed. */
void oci_referrer_of(struct ctx *c, const struct oci_manifest *m, struct str digest, int64_t size_bytes,
                     struct oci_referrer *out);
/* From an entry of a fallback index (oci_referrers_tag()). */
void oci_referrer_of_entry(struct ctx *c, const struct oci_descriptor *d, struct oci_referrer *out);
/* True when the referrer passes the filter; an empty filter lets all pass. */
bool oci_referrer_passes(const struct oci_referrer *r, struct str artifact_type);
/* The index document: the n entries that pass, in order, the first of each digest. Given. */
struct str oci_referrers_index(struct ctx *c, const struct oci_referrer *v, size_t n,
                               struct str artifact_type);
#endif
