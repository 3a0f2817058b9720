/* Docker's schema 1 manifest, signed or not: recognised, split into its parts. Signatures are not verified
 * here. */
#ifndef KADE_OCI_SCHEMA1_H
#define KADE_OCI_SCHEMA1_H
#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct oci_manifest;
struct oci_v1_layer {
	struct str v1_compatibility; /* JSON text, borrowed */
	const char *id, *parent;     /* parent NULL = none */
};
struct oci_signature { /* as in the document, base64url where the format says so; borrowed */
	const json_t *jwk;
	struct str alg, signature, protect;
};
struct oci_schema1 {
	struct str ns, repo; /* of `name`; ns empty when it has one segment */
	struct str tag, architecture;
	struct oci_v1_layer *v1; /* base first, beside oci_manifest.layers */
	size_t n_v1;
	struct oci_signature *signatures;
	size_t n_signatures;
	struct str
	    payload; /* what was signed and what the digest is over; in c->mem when there are signatures */
};
/* 400 NAME_INVALID when the manifest names another repository than the URL; an empty namespace passes for
 * `library`. */
enum err_kind oci_schema1_check_name(struct ctx *c, const struct oci_schema1 *s, struct str ns,
                                     struct str repo, struct str library) MUST_CHECK;
#endif
