/* Names: namespaces, repositories, tags, robot accounts, and the tags that other tools derive from a digest.
 * Hand-written scanners, linear in the input, that take untrusted bytes. Used by the registry, the API and
 * every job that makes names. */
#ifndef KADE_OCI_NAME_H
#define KADE_OCI_NAME_H
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct oci_digest;
#define OCI_NAMESPACE_MIN 2
#define OCI_NAMESPACE_MAX 255
#define OCI_REPO_MAX      255
#define OCI_TAG_MAX       128

extern const struct say OCI_SAY_NAMESPACE_LENGTH;     /* 400: not 2 to 255 characters */
extern const struct say OCI_SAY_NAMESPACE_CHARACTERS; /* 400: does not match the expression below */

/* ^([a-z0-9]+(?:[._-][a-z0-9]+)*)$, 2 to 255 characters: users, organizations, teams, robot short names. */
bool oci_namespace_valid(struct str s);
/* The same, telling which rule failed in the words of the API: "Invalid namespace N: Namespace must …".
 * ERR_BAD_INPUT. */
enum err_kind oci_namespace_check(struct ctx *c, struct str s) MUST_CHECK;
/* The part after the namespace. Plain: ^[a-z0-9][.a-z0-9_-]{0,254}$. Extended
 * (FEATURE_EXTENDED_REPOSITORY_NAMES): such segments joined by '/', 255 characters at most in all. */
bool oci_repo_valid(struct str s, bool extended);
/* The same, failing with 400 NAME_INVALID: "Nested repositories are not supported. Found: X" for a slash
 * where extended names are off, else "Invalid repository name: X". */
enum err_kind oci_repo_check(struct ctx *c, struct str s, bool extended) MUST_CHECK;
/* ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$. */
bool oci_tag_valid(struct str s);

struct oci_name_rules {       /* from the configuration */
	struct str library;   /* LIBRARY_NAMESPACE */
	bool library_support; /* FEATURE_LIBRARY_SUPPORT: a name of one segment means library/NAME */
};
/* Splits the path of a repository at its first '/', one trailing '/' dropped. Slices borrowed from path or
 * rules; not checked further than non-empty. ERR_BAD_INPUT with 400 NAME_INVALID: a single segment without
 * library support
 * ("A namespace must be specified explicitly"), or an empty part. */
enum err_kind oci_name_split(struct ctx *c, struct str path, const struct oci_name_rules *rules,
                             struct str *ns, struct str *repo) MUST_CHECK;

/* Robot accounts are written namespace+short. True and both parts when s has exactly that form with valid
 * parts. */
bool oci_robot_split(struct str s, struct str *ns, struct str *short_name);
/* "ns+short". Given. */
char *oci_robot_name(struct ctx *c, struct str ns, struct str short_name);

/* Tags that cosign makes beside an image: sha256-<64 hex>.sig, .att, .sbom. */
enum oci_sibling { OCI_SIBLING_SIG, OCI_SIBLING_ATT, OCI_SIBLING_SBOM, OCI_SIBLINGS };
#define OCI_SIBLING_TEXT 80
/* True when tag is one of them; *subject (may be NULL) is the digest it speaks of. */
bool oci_sibling_parse(struct str tag, struct oci_digest *subject);
/* The sibling tag of a sha256 digest; "" for another algorithm, which cosign does not name so. */
void oci_sibling_tag(const struct oci_digest *subject, enum oci_sibling which, char out[OCI_SIBLING_TEXT]);

/* The tag under which clients without the referrers API keep a subject's referrers: algorithm and hex joined
 * by '-', cut to 32 and 64 characters (so sha512-<first 64 hex>). */
#define OCI_REFERRERS_TAG_TEXT 98
void oci_referrers_tag(const struct oci_digest *subject, char out[OCI_REFERRERS_TAG_TEXT]);
/* True for a tag of that form, which is then hidden from nothing but may hold a fallback index. */
bool oci_referrers_tag_valid(struct str tag);
#endif
