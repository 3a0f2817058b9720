/* Content digests as clients write them: "sha256:<64 hex>" or "sha512:<128 hex>", lower case. Parsing,
 * storage path, computing and running verification. */
#ifndef KADE_OCI_DIGEST_REF_H
#define KADE_OCI_DIGEST_REF_H
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct ctx;
enum oci_alg { OCI_ALG_NONE, OCI_SHA256, OCI_SHA512 };
#define OCI_DIGEST_TEXT 136 /* "sha512:" + 128 + NUL */
struct oci_digest {         /* by value; compare with oci_digest_eq() */
	enum oci_alg alg;
	char text[OCI_DIGEST_TEXT]; /* whole, NUL-terminated */
};
#define OCI_DIGEST_EMPTY                                                                                     \
	"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* of no bytes */
#define OCI_DIGEST_EMPTY_JSON                                                                                \
	"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" /* of {} */
/* The gzipped empty tar that old images use for layers without content; served from every repository. */
#define OCI_DIGEST_EMPTY_LAYER "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"

/* "sha256" or "sha512"; OCI_ALG_NONE for anything else. */
enum oci_alg oci_alg_parse(struct str s);
const char *oci_alg_name(enum oci_alg alg);
/* Hex digits of a digest of that algorithm. */
size_t oci_alg_hex(enum oci_alg alg);

/* Strict: a known algorithm, exact length, lower case. */
bool oci_digest_parse(struct str s, struct oci_digest *out);

/* What a path segment that should be a digest or a tag is. */
enum oci_ref_kind {
	OCI_REF_TAG,    /* a valid tag */
	OCI_REF_DIGEST, /* a supported digest */
	/* algorithm:hex by the laxer rule of the route (other algorithm, other length, upper case): cannot be stored,
	 * so 404 for reads, 400 DIGEST_INVALID for writes. */
	OCI_REF_LAX_DIGEST,
	/* Has a ':' but is no digest, as sha256:baddigeststring: 400 DIGEST_INVALID, or 404 for reads. */
	OCI_REF_BAD_DIGEST,
	OCI_REF_NONE /* neither: 404 */
};
/* *out is set for OCI_REF_DIGEST only; NULL allowed. */
enum oci_ref_kind oci_ref_parse(struct str s, struct oci_digest *out);

static inline struct str
oci_digest_str(const struct oci_digest *d)
{
	return str_of(d->text);
}
/* The part after the ':'. Borrowed from d. */
struct str oci_digest_hex(const struct oci_digest *d);
bool oci_digest_eq(const struct oci_digest *a, const struct oci_digest *b);

/* Where a blob lies under the storage root: alg/<first two hex>/<hex>. */
#define OCI_DIGEST_PATH 160
void oci_digest_path(const struct oci_digest *d, char out[OCI_DIGEST_PATH]);

/* Of bytes in memory. alg is not OCI_ALG_NONE. */
void oci_digest_of(enum oci_alg alg, struct str bytes, struct oci_digest *out);
/* From the raw hash, for callers that hashed themselves (an upload's SHA-256). */
void oci_digest_from_raw(enum oci_alg alg, const void *raw, struct oci_digest *out);

/* A running hash in c->mem, for streams that are read again (sha512 uploads, storage checks). It cannot be
 * saved; uploads that survive their process use struct sha256 of base/digest.h. */
struct oci_hash;
struct oci_hash *oci_hash_start(struct ctx *c, enum oci_alg alg);
void oci_hash_feed(struct oci_hash *h, const void *p, size_t n);
/* The digest of all that was fed; h is finished by it. */
void oci_hash_end(struct oci_hash *h, struct oci_digest *out);
/* As oci_hash_end(), then compares. */
bool oci_hash_matches(struct oci_hash *h, const struct oci_digest *expected);
#endif
