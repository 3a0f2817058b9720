/* The config blob of an image: what its labels, its page in the interface and old clients need. */
#ifndef KADE_OCI_IMAGE_CONFIG_H
#define KADE_OCI_IMAGE_CONFIG_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/js.h"
#include "base/str.h"

struct ctx;
struct oci_history {
	struct str created, author, created_by, comment; /* empty = none */
	bool is_empty_layer;
};
struct oci_config { /* in c->mem, borrowed from the parsed text; absent parts are empty, 0 or NULL */
	struct str architecture, os, variant, created, author;
	const json_t *labels; /* config.Labels, an object */
	struct oci_history *history;
	size_t n_history;
	struct str *diff_ids;
	size_t n_diff_ids;
	const json_t *root; /* NULL: the text was no JSON object within the limits */
};
/* A schema 2 image's config must be a JSON object with `history` and `rootfs.type`: ERR_BAD_INPUT, 400
 * MANIFEST_INVALID, "config data does not match schema" or "malformed config data: …". */
enum err_kind oci_config_parse_strict(struct ctx *c, struct str bytes, const struct js_limits *limits,
                                      struct oci_config *out) MUST_CHECK;
/* An OCI image is never refused for its config: whatever cannot be read is absent. */
void oci_config_parse(struct ctx *c, struct str bytes, const struct js_limits *limits,
                      struct oci_config *out);
#endif
