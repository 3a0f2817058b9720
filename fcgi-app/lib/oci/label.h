/* Labels: what a pushed image says about itself, and the few that act on its tags. */
#ifndef KADE_OCI_LABEL_H
#define KADE_OCI_LABEL_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct ctx;
struct oci_label {
	struct str key, value; /* borrowed */
	bool is_json;          /* media type application/json, else text/plain */
};
struct oci_labels {
	struct oci_label *v; /* in c->mem */
	size_t n;
};
#define OCI_LABEL_EXPIRES_AFTER "quay.expires-after"
#define OCI_LABEL_IMMUTABLE     "quay.immutable"

/* config.Labels (NULL for none) with the manifest's annotations (NULL for none) laid over; each key once.
 * Empty keys, keys above
 * 255 bytes and values that are no strings are skipped. */
void oci_labels_merge(struct ctx *c, const json_t *config_labels, const json_t *annotations,
                      struct oci_labels *out);
/* The acting labels that both hold with the same value: an index acts by what all its children say. out may
 * be a or b. */
void oci_labels_common(struct ctx *c, const struct oci_labels *a, const struct oci_labels *b,
                       struct oci_labels *out);
const struct oci_label *oci_labels_find(const struct oci_labels *l, const char *key);
/* {…} or […] that parses as such, at most 5,000 values deep 64. */
bool oci_label_is_json(struct str value);
/* Keys that people may set: ^[a-z0-9](([a-z0-9]|[-.](?![-.]))*[a-z0-9])?$, at most 255 bytes. */
bool oci_label_key_valid(struct str key);

struct oci_acting {
	int64_t expires_after_ms; /* 0 = the labels ask for no expiry */
	bool is_immutable;
};
void oci_labels_acting(const struct oci_labels *l, struct oci_acting *out);
/* A whole number and one unit of s m h d w y (y = 365 d): milliseconds. False for anything else, for 0 and
 * for more than 1,000 years. */
bool oci_duration_parse(struct str s, int64_t *out_ms);
#endif
