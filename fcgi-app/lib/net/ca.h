/* Trusted certificate authorities: the system's bundle and the files that an operator puts beside
 * config.yaml, merged into one PEM text. It is written once to the run directory and then named to libcurl,
 * libldap and OpenSSL alike; the system's own directories are never changed. */
#ifndef KADE_NET_CA_H
#define KADE_NET_CA_H
#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
struct ca_sources {
	const char *system_bundle; /* NULL: the first of the usual places that exists; "": none */
	const char *conf_dir;      /* holds extra_ca_certs (a folder, or one file of many blocks), extra_ca*,
	                              ldap.crt; NULL: none */
	const char *extra_file;    /* one more file, e.g. a driver's ca_cert_path; NULL: none */
};
struct ca_problem {
	const char *file; /* path as opened */
	const char *text; /* what is wrong with it */
};
struct ca_bundle {
	struct str pem;                    /* certificates only, each block followed by a line end; given */
	size_t n_extra;                    /* certificates that came on top of the system's */
	const struct ca_problem *problems; /* files that were skipped, wholly or in part; given */
	size_t n_problems;
};

/* Reads all sources. Broken blocks are skipped and listed in problems: the caller logs them. Extra files may
 * hold several certificates, text between them and CR LF, or one certificate in DER. *out given.
 * ERR_BAD_INPUT: a source directory or the system bundle exists but cannot be read. */
enum err_kind ca_bundle_load(struct ctx *c, const struct ca_sources *src, struct ca_bundle *out) MUST_CHECK;
/* ERR_BAD_INPUT naming the first file with a problem and what it is; ERR_NONE when there is none. For
 * `kade-config check` and for single files that must be right. */
enum err_kind ca_bundle_verify(struct ctx *c, const struct ca_bundle *b) MUST_CHECK;
/* Writes the text to path: beside it first, then renamed, mode 0644. ERR_STORE names the path and the reason.
 */
enum err_kind ca_bundle_write(struct ctx *c, const struct ca_bundle *b, const char *path) MUST_CHECK;
/* The certificates as an OpenSSL store; freed with c->mem, a user that lives longer takes its own reference.
 * ERR_BAD_INPUT when OpenSSL refuses one. */
enum err_kind ca_bundle_store(struct ctx *c, const struct ca_bundle *b, X509_STORE **out) MUST_CHECK;
/* Changes whenever a source file is added, removed or modified (names, sizes, times, inodes); for a cheap
 * look whether the bundle must be built again. */
uint64_t ca_sources_stamp(struct ctx *c, const struct ca_sources *src);
#endif
