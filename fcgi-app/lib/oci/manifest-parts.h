/* What the readers of the manifest kinds share. Private to oci/manifest*.c, index.c and schema1.c. */
#ifndef KADE_OCI_MANIFEST_PARTS_H
#define KADE_OCI_MANIFEST_PARTS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "oci/manifest.h"

/* Fails with "failed to parse manifest: manifest data does not match schema: " and the text. */
enum err_kind oci_no_match(struct ctx *c, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* The member, or NULL when absent or null. */
const json_t *oci_member(const json_t *o, const char *key);
/* A string member into *out (borrowed); `must`: absent is a failure, else *out = empty. `in` names the object
 * in texts. */
enum err_kind oci_read_str(struct ctx *c, const json_t *o, const char *in, const char *key, bool must,
                           struct str *out) MUST_CHECK;
/* schemaVersion = 2, and mediaType, where it is there, the manifest's own; must: it has to be there. */
enum err_kind oci_check_head(struct ctx *c, const struct oci_manifest *m, bool must) MUST_CHECK;
/* An object member, or NULL. */
enum err_kind oci_read_object(struct ctx *c, const json_t *o, const char *in, const char *key,
                              const json_t **out) MUST_CHECK;
/* One descriptor: mediaType, size ≥ 0, digest; annotations, artifactType, urls, platform where they are
 * there. The platform of a manifest needs architecture and os. is_foreign is left to the caller; *has_urls
 * (may be NULL) tells a non-empty urls. */
enum err_kind oci_read_descriptor(struct ctx *c, const json_t *o, const char *in, struct oci_descriptor *out,
                                  bool *has_urls) MUST_CHECK;
/* config, layers (with the kind's own rule for each), blobs and the sum of sizes: the two kinds of image
 * manifest. */
typedef enum err_kind oci_check_layer(struct ctx *c, struct oci_descriptor *d, bool has_urls);
enum err_kind oci_read_image(struct ctx *c, struct oci_manifest *m, oci_check_layer *check) MUST_CHECK;
/* subject, artifactType, annotations of the OCI kinds. */
enum err_kind oci_read_oci_extras(struct ctx *c, struct oci_manifest *m) MUST_CHECK;
/* Each digest once, in order of first appearance. With same_size a digest claimed with two sizes is a
 * failure. */
enum err_kind oci_unique(struct ctx *c, const struct oci_descriptors *in, bool same_size,
                         struct oci_descriptors *out) MUST_CHECK;

/* One per kind; m->media, media_type, root and schema are set. */
enum err_kind oci_read_docker(struct ctx *c, struct oci_manifest *m) MUST_CHECK;
enum err_kind oci_read_oci(struct ctx *c, struct oci_manifest *m) MUST_CHECK;
enum err_kind oci_read_index(struct ctx *c, struct oci_manifest *m) MUST_CHECK;
enum err_kind oci_read_schema1(struct ctx *c, struct oci_manifest *m, struct str bytes) MUST_CHECK;
#endif
