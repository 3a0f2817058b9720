/* Config blobs: strictly for schema 2, where a config without history was never an image, leniently for OCI,
 * where tools write all kinds. */
#include "oci/image-config.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "oci/say.h"

static const json_t *
array_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_array(v) ? v : NULL;
}

static void
read_history(struct ctx *c, const json_t *list, struct oci_config *out)
{
	out->history = ARENA_ARRAY(c->mem, struct oci_history, json_array_size(list));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		out->history[out->n_history++] = (struct oci_history){
			.created = js_str(o, "created"),
			.author = js_str(o, "author"),
			.created_by = js_str(o, "created_by"),
			.comment = js_str(o, "comment"),
			.is_empty_layer = js_bool(o, "empty_layer", false),
		};
	}
}

static void
read_diff_ids(struct ctx *c, const json_t *list, struct oci_config *out)
{
	out->diff_ids = ARENA_ARRAY(c->mem, struct str, json_array_size(list));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		if (json_is_string(v))
			out->diff_ids[out->n_diff_ids++] =
			    (struct str){ json_string_value(v), json_string_length(v) };
	}
}

static void
read_members(struct ctx *c, const json_t *root, struct oci_config *out)
{
	const json_t *labels = json_object_get(json_object_get(root, "config"), "Labels");

	*out = (struct oci_config){
		.root = root,
		.architecture = js_str(root, "architecture"),
		.os = js_str(root, "os"),
		.variant = js_str(root, "variant"),
		.created = js_str(root, "created"),
		.author = js_str(root, "author"),
		.labels = json_is_object(labels) ? labels : NULL,
	};
	read_history(c, array_of(root, "history"), out);
	read_diff_ids(c, array_of(json_object_get(root, "rootfs"), "diff_ids"), out);
}

enum err_kind
oci_config_parse_strict(struct ctx *c, struct str bytes, const struct js_limits *limits,
                        struct oci_config *out)
{
	char why[200];
	json_t *root;

	if (js_parse(c, bytes, limits, &root) != ERR_NONE) {
		snprintf(why, sizeof why, "%.190s", c->err.text);
		return oci_manifest_invalid(c, "malformed config data: %s", why);
	}
	if (!json_is_object(root) || array_of(root, "history") == NULL ||
	    js_str(json_object_get(root, "rootfs"), "type").n == 0)
		return oci_manifest_invalid(c, "config data does not match schema");
	read_members(c, root, out);
	return ERR_NONE;
}

void
oci_config_parse(struct ctx *c, struct str bytes, const struct js_limits *limits, struct oci_config *out)
{
	json_t *root;

	*out = (struct oci_config){ 0 };
	if (js_parse(c, bytes, limits, &root) != ERR_NONE)
		err_clear(c); /* absent, not a failure */
	else if (json_is_object(root))
		read_members(c, root, out);
}
