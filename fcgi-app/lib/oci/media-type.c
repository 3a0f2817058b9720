/* The table of media types, and the choice of an answer by Accept. */
#include "oci/media-type.h"

static const struct oci_media_info INFO[OCI_MEDIAS] = {
	[OCI_MEDIA_OTHER] = {"",	                                                      0                            },
	[OCI_MEDIA_SCHEMA1] = { "application/vnd.docker.distribution.manifest.v1+json",
                             OCI_IS_MANIFEST | OCI_IS_SCHEMA1                                                              },
	[OCI_MEDIA_SCHEMA1_SIGNED] = { "application/vnd.docker.distribution.manifest.v1+prettyjws",
                             OCI_IS_MANIFEST | OCI_IS_SCHEMA1                                                              },
	[OCI_MEDIA_DOCKER_MANIFEST] = { "application/vnd.docker.distribution.manifest.v2+json",
                             OCI_IS_MANIFEST	                                                                       },
	[OCI_MEDIA_DOCKER_LIST] = { "application/vnd.docker.distribution.manifest.list.v2+json",
                             OCI_IS_MANIFEST | OCI_IS_LIST                                                                 },
	[OCI_MEDIA_OCI_MANIFEST] = { "application/vnd.oci.image.manifest.v1+json",                   OCI_IS_MANIFEST              },
	[OCI_MEDIA_OCI_INDEX] = { "application/vnd.oci.image.index.v1+json",                      OCI_IS_MANIFEST | OCI_IS_LIST},
	[OCI_MEDIA_OCI_ARTIFACT] = { "application/vnd.oci.artifact.manifest.v1+json",                0                            },
	[OCI_MEDIA_DOCKER_CONFIG] = { "application/vnd.docker.container.image.v1+json",
                             OCI_IS_CONFIG | OCI_IS_IMAGE_CONFIG | OCI_IS_DOCKER                                           },
	[OCI_MEDIA_DOCKER_PLUGIN] = { "application/vnd.docker.plugin.v1+json",
                             OCI_IS_CONFIG | OCI_IS_DOCKER                                                                 },
	[OCI_MEDIA_OCI_CONFIG] = { "application/vnd.oci.image.config.v1+json",
                             OCI_IS_CONFIG | OCI_IS_IMAGE_CONFIG                                                           },
	[OCI_MEDIA_OCI_EMPTY] = { "application/vnd.oci.empty.v1+json",                            OCI_IS_CONFIG                },
	[OCI_MEDIA_HELM_CONFIG] = { "application/vnd.cncf.helm.config.v1+json",                     OCI_IS_CONFIG                },
	[OCI_MEDIA_BUILDKIT_CACHE] = { "application/vnd.buildkit.cacheconfig.v0",                      OCI_IS_CONFIG                },
	[OCI_MEDIA_DOCKER_LAYER] = { "application/vnd.docker.image.rootfs.diff.tar",
                             OCI_IS_LAYER | OCI_IS_DOCKER	                                                          },
	[OCI_MEDIA_DOCKER_LAYER_GZIP] = { "application/vnd.docker.image.rootfs.diff.tar.gzip",
                             OCI_IS_LAYER | OCI_IS_DOCKER                                                                  },
	[OCI_MEDIA_DOCKER_LAYER_ZSTD] = { "application/vnd.docker.image.rootfs.diff.tar.zstd",
                             OCI_IS_LAYER | OCI_IS_DOCKER                                                                  },
	[OCI_MEDIA_DOCKER_FOREIGN] = { "application/vnd.docker.image.rootfs.foreign.diff.tar",
                             OCI_IS_LAYER | OCI_IS_FOREIGN | OCI_IS_DOCKER                                                 },
	[OCI_MEDIA_DOCKER_FOREIGN_GZIP] = { "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                             OCI_IS_LAYER | OCI_IS_FOREIGN | OCI_IS_DOCKER                                                 },
	[OCI_MEDIA_OCI_LAYER] = { "application/vnd.oci.image.layer.v1.tar",                       OCI_IS_LAYER                 },
	[OCI_MEDIA_OCI_LAYER_GZIP] = { "application/vnd.oci.image.layer.v1.tar+gzip",                  OCI_IS_LAYER                 },
	[OCI_MEDIA_OCI_LAYER_ZSTD] = { "application/vnd.oci.image.layer.v1.tar+zstd",                  OCI_IS_LAYER                 },
	[OCI_MEDIA_OCI_FOREIGN] = { "application/vnd.oci.image.layer.nondistributable.v1.tar",
                             OCI_IS_LAYER | OCI_IS_FOREIGN                                                                 },
	[OCI_MEDIA_OCI_FOREIGN_GZIP] = { "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                             OCI_IS_LAYER | OCI_IS_FOREIGN                                                                 },
	[OCI_MEDIA_OCI_FOREIGN_ZSTD] = { "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                             OCI_IS_LAYER | OCI_IS_FOREIGN                                                                 },
};

enum oci_media
oci_media_find(struct str name)
{
	if (!str_starts(name, STR("application/vnd."))) /* all rows do: most artifact types leave here */
		return OCI_MEDIA_OTHER;
	for (int m = OCI_MEDIA_OTHER + 1; m < OCI_MEDIAS; m++)
		if (str_eq_c(name, INFO[m].name))
			return (enum oci_media)m;
	return OCI_MEDIA_OTHER;
}

const struct oci_media_info *
oci_media_info(enum oci_media m)
{
	return &INFO[(unsigned)m < OCI_MEDIAS ? m : OCI_MEDIA_OTHER];
}

struct str
oci_media_strip(struct str header)
{
	struct str head, tail;

	str_cut(header, ';', &head, &tail);
	return str_trim(head);
}

static bool
is_word(char ch)
{
	return ((ch | 32) >= 'a' && (ch | 32) <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' ||
	       (ch & 0x80) != 0;
}

bool
oci_media_valid(struct str name)
{
	bool found = false;

	if (name.n == 0 || name.n > OCI_MEDIA_TYPE_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if ((unsigned char)name.p[i] < ' ' || name.p[i] == 127)
			return false;
		if (name.p[i] == '/' && i > 0 && i + 1 < name.n && is_word(name.p[i - 1]) &&
		    (is_word(name.p[i + 1]) || name.p[i + 1] == '.' || name.p[i + 1] == '-'))
			found = true;
	}
	return found;
}

/* Cuts the next element of a list at a ',' that is not in a quoted string. False at the end. */
static bool
next_element(struct str *rest, struct str *out)
{
	bool quoted = false;
	size_t i = 0;

	if (rest->n == 0)
		return false;
	for (; i < rest->n; i++) {
		if (quoted && rest->p[i] == '\\')
			i++;
		else if (rest->p[i] == '"')
			quoted = !quoted;
		else if (rest->p[i] == ',' && !quoted)
			break;
	}
	if (i > rest->n)
		i = rest->n; /* a backslash was the last byte */
	*out = str_sub(*rest, 0, i);
	*rest = i < rest->n ? str_sub(*rest, i + 1, rest->n) : STR0;
	return true;
}

void
oci_accept_parse(struct str header, struct oci_accept *out)
{
	struct str element;
	unsigned json = 0, others = 0;

	*out = (struct oci_accept){ 0 };
	while (next_element(&header, &element)) {
		const struct str type = oci_media_strip(element);
		const enum oci_media m = oci_media_find(type);

		if (type.n == 0)
			continue;
		if (str_eq(type, STR("application/json")))
			json = 1;
		else
			others = 1;
		if (str_eq(type, STR("*/*")) || str_eq(type, STR("application/*")))
			out->has_any = true;
		if (oci_media_is(m, OCI_IS_MANIFEST))
			out->types |= 1U << m;
	}
	out->is_empty = json == 0 && others == 0;
	out->is_json = json != 0 && others == 0;
}

bool
oci_is_old_docker(struct str user_agent)
{
	struct str version, rest, major, minor;
	int64_t a, b;

	if (!str_starts(user_agent, STR("docker/")))
		return false;
	str_cut(str_sub(user_agent, 7, user_agent.n), ' ', &version, &rest);
	if (!str_cut(version, '.', &major, &minor))
		return false;
	str_cut(minor, '.', &minor, &rest);
	return str_to_i64(major, 0, 1000, &a) && str_to_i64(minor, 0, 1000, &b) &&
	       (a < 1 || (a == 1 && b < 10));
}

#define SCHEMA1_BITS (1U << OCI_MEDIA_SCHEMA1 | 1U << OCI_MEDIA_SCHEMA1_SIGNED)
#define IMAGE_BITS   (1U << OCI_MEDIA_DOCKER_MANIFEST | 1U << OCI_MEDIA_OCI_MANIFEST)

enum oci_serve
oci_accept_choose(const struct oci_accept *a, enum oci_media stored, enum oci_schema1_fallback fallback)
{
	const bool asks_schema1 = (a->types & SCHEMA1_BITS) != 0 || (a->is_json && a->is_old_docker);
	const bool schema1 =
	    fallback == OCI_SCHEMA1_ALWAYS || (fallback == OCI_SCHEMA1_LEGACY_ACCEPT && asks_schema1);

	if ((a->types & 1U << stored) != 0 || oci_media_is(stored, OCI_IS_SCHEMA1))
		return OCI_SERVE_STORED;
	if (fallback != OCI_SCHEMA1_ALWAYS && (a->is_empty || a->has_any))
		return OCI_SERVE_STORED;
	if (oci_media_is(stored, OCI_IS_LIST))
		return schema1 || (a->types & IMAGE_BITS) != 0 ? OCI_SERVE_CHILD : OCI_SERVE_STORED;
	return schema1 ? OCI_SERVE_SCHEMA1 : OCI_SERVE_STORED;
}
