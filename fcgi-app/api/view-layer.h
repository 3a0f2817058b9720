/* The layers of an image as the REST API shows them. */
#ifndef KADE_API_VIEW_LAYER_H
#define KADE_API_VIEW_LAYER_H
#include <jansson.h>

struct ctx;
struct oci_config;
struct oci_manifest;
/* [{"index", "compressed_size", "is_remote", "urls", "command", "comment", "author", "blob_digest", "created_datetime"}], base
 * first. config NULL, or with less history than there are layers: the layers alone, without what their making was. A new
 * reference. */
json_t *view_layers(struct ctx *c, const struct oci_manifest *m, const struct oci_config *config);
#endif
