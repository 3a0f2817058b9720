/* Media types that the registry knows, and what an Accept header asks for. */
#ifndef KADE_OCI_MEDIA_TYPE_H
#define KADE_OCI_MEDIA_TYPE_H
#include <stdbool.h>

#include "base/str.h"

/* One row each in media-type.c. */
enum oci_media {
	OCI_MEDIA_OTHER = 0, /* any type not listed: artifacts may use what they like */
	OCI_MEDIA_SCHEMA1,
	OCI_MEDIA_SCHEMA1_SIGNED,
	OCI_MEDIA_DOCKER_MANIFEST,
	OCI_MEDIA_DOCKER_LIST,
	OCI_MEDIA_OCI_MANIFEST,
	OCI_MEDIA_OCI_INDEX,
	OCI_MEDIA_OCI_ARTIFACT, /* the withdrawn artifact manifest: refused with 415 */
	OCI_MEDIA_DOCKER_CONFIG,
	OCI_MEDIA_DOCKER_PLUGIN,
	OCI_MEDIA_OCI_CONFIG,
	OCI_MEDIA_OCI_EMPTY,
	OCI_MEDIA_HELM_CONFIG,
	OCI_MEDIA_BUILDKIT_CACHE,
	OCI_MEDIA_DOCKER_LAYER,
	OCI_MEDIA_DOCKER_LAYER_GZIP,
	OCI_MEDIA_DOCKER_LAYER_ZSTD,
	OCI_MEDIA_DOCKER_FOREIGN,
	OCI_MEDIA_DOCKER_FOREIGN_GZIP,
	OCI_MEDIA_OCI_LAYER,
	OCI_MEDIA_OCI_LAYER_GZIP,
	OCI_MEDIA_OCI_LAYER_ZSTD,
	OCI_MEDIA_OCI_FOREIGN,
	OCI_MEDIA_OCI_FOREIGN_GZIP,
	OCI_MEDIA_OCI_FOREIGN_ZSTD,
	OCI_MEDIAS
};
enum oci_media_flag {
	OCI_IS_MANIFEST = 1, /* can be pushed as a manifest and named as a child; lists included */
	OCI_IS_LIST = 2,     /* Docker manifest list or OCI index */
	OCI_IS_SCHEMA1 = 4,
	OCI_IS_CONFIG = 8,
	OCI_IS_IMAGE_CONFIG = 16, /* a config that describes a container image: labels, history, platform */
	OCI_IS_LAYER = 32,
	OCI_IS_FOREIGN = 64, /* a layer that need not be in the registry */
	OCI_IS_DOCKER = 128  /* may stand in a schema 2 manifest */
};
struct oci_media_info {
	const char *name; /* "" for OCI_MEDIA_OTHER */
	unsigned flags;
};
#define OCI_MEDIA_TYPE_MAX 255

/* By the exact name, without parameters. */
enum oci_media oci_media_find(struct str name);
const struct oci_media_info *oci_media_info(enum oci_media m);
static inline bool
oci_media_is(enum oci_media m, unsigned flags)
{
	return (oci_media_info(m)->flags & flags) != 0;
}
/* "a/b; charset=x" → "a/b", blanks removed. */
struct str oci_media_strip(struct str header);
/* A type that a descriptor may name: contains word/word as \w+/[-.\w]+(\+[-.\w]+)? does, without control
 * characters and at most 255 bytes. */
bool oci_media_valid(struct str name);

/* KADE.SCHEMA1_FALLBACK: when an image may be answered as schema 1. */
enum oci_schema1_fallback {
	OCI_SCHEMA1_NEVER,
	/* When Accept lists a schema 1 type, or an old Docker says application/json alone. */
	OCI_SCHEMA1_LEGACY_ACCEPT,
	/* Also for an empty Accept and for wildcards, as Quay does. */
	OCI_SCHEMA1_ALWAYS
};
struct oci_accept {
	unsigned types;     /* bit 1 << enum oci_media for each manifest type listed */
	bool is_empty;      /* header missing, or no media type in it */
	bool has_any;       /* wildcard or application wildcard */
	bool is_json;       /* application/json and nothing else */
	bool is_old_docker; /* see oci_is_old_docker(); set by the caller */
};
enum oci_serve {
	OCI_SERVE_STORED,
	/* The linux/amd64 child of the list; ask again with the child's type; 404 without such a child. */
	OCI_SERVE_CHILD,
	/* Converted; 404 MANIFEST_UNKNOWN where the image cannot be. */
	OCI_SERVE_SCHEMA1
};
/* Reads the header (all lines, merged with ", "). Types are compared exactly, parameters and q-values are
 * ignored. */
void oci_accept_parse(struct str header, struct oci_accept *out);
/* Docker before 1.10, which knows schema 1 alone: "docker/1.9.1 go/…". */
bool oci_is_old_docker(struct str user_agent);
/* For a GET or HEAD by tag; by digest the stored bytes are served without asking. */
enum oci_serve oci_accept_choose(const struct oci_accept *a, enum oci_media stored,
                                 enum oci_schema1_fallback fallback);
#endif
