/* Manifests of every kind that the registry stores, read and checked: what they refer to is what the model
 * links, counts and protects. Bytes are kept as they came and never written anew; a digest is over those
 * bytes. */
#ifndef KADE_OCI_MANIFEST_H
#define KADE_OCI_MANIFEST_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/js.h"
#include "base/str.h"
#include "oci/digest-ref.h"
#include "oci/media-type.h"

struct ctx;
struct oci_schema1;

struct oci_descriptor {
	struct oci_digest digest;
	int64_t size_bytes; /* ≥ 0 as claimed; -1 where schema 1 says none */
	enum oci_media media;
	struct str media_type;
	bool is_foreign;          /* not expected in the registry: schema 2 with urls, OCI nondistributable */
	struct str artifact_type; /* empty = none */
	struct str architecture, os, variant; /* of platform; empty = none */
	const json_t *annotations;            /* an object, or NULL */
};
struct oci_descriptors {
	struct oci_descriptor *v;
	size_t n;
};
/* Everything is in c->mem; slices and json_t are borrowed from the parsed text, valid as long as c->mem. */
struct oci_manifest {
	enum oci_media media;   /* a manifest's; schema 1 is told signed or not by its content */
	const char *media_type; /* its constant name: the Content-Type of every answer */
	int schema;             /* 1 or 2 */
	bool is_index;
	const struct oci_descriptor *config; /* NULL for lists and schema 1 */

	/* As the document lists them, base first (schema 1 turned to that), duplicates and foreign ones included. */
	struct oci_descriptors layers;
	/* Sum over them; -1 for lists and schema 1. */
	int64_t layers_size_bytes;
	/* Of a list: entries that are manifests, as they stand; the same with each digest once, in order; entries of
	 * any other type (buildkit's cache), each digest once. */
	struct oci_descriptors entries, children, blob_refs;
	/* What the repository must hold: config, layers that are not foreign, blob_refs; each digest once, with the
	 * first size claimed. */
	struct oci_descriptors blobs;

	const struct oci_descriptor *subject; /* NULL = none */
	/* artifactType, else an OCI image's config type; empty for a list without. */
	struct str artifact_type;
	const json_t *annotations;         /* OCI only; an object, or NULL */
	const struct oci_schema1 *schema1; /* NULL for others */
	const json_t *root;
};

/* May a manifest be pushed with this Content-Type? *out = OCI_MEDIA_OTHER for none or application/json: the
 * body decides. ERR_BAD_INPUT with OCI_SAY_MANIFEST_UNSUPPORTED (415, "manifest schema version not
 * supported"). */
enum err_kind oci_manifest_gate(struct ctx *c, struct str content_type, enum oci_media *out) MUST_CHECK;

/* Reads and checks one manifest. limits: JS_MANIFEST with the configured size. Content-Type none or
 * application/json: the body's mediaType if it has one, else schema 1. Errors: 415 as above; ERR_TOO_LARGE
 * with OCI_SAY_MANIFEST_TOO_LARGE (413); ERR_BAD_INPUT with OCI_SAY_MANIFEST_INVALID and detail.message
 * "malformed manifest data: …", "failed to parse manifest: manifest data does not match schema: …" or
 * "missing `urls` for remote layer". A parsed body costs about 100 bytes per JSON value, outside the arena's
 * count. */
enum err_kind oci_manifest_parse(struct ctx *c, struct str bytes, struct str content_type,
                                 const struct js_limits *limits, struct oci_manifest **out) MUST_CHECK;

/* The digest by which a manifest is known: over the bytes, but over the signed payload for signed schema 1. */
void oci_manifest_digest(const struct oci_manifest *m, enum oci_alg alg, struct str bytes,
                         struct oci_digest *out);
/* The first entry for that platform, or NULL. Entries that are lists themselves are not looked into. */
const struct oci_descriptor *oci_manifest_child(const struct oci_manifest *m, const char *os,
                                                const char *architecture);
/* True when labels and history can be read from the config blob: an image config of schema 2 or OCI. */
bool oci_manifest_has_image_config(const struct oci_manifest *m);
#endif
