/* TLS for our own client connections (Redis): one set of options becomes a context that all threads share.
 * libcurl, libpq and libldap bring their own. */
#ifndef KADE_NET_TLS_H
#define KADE_NET_TLS_H
#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ctx;
struct tls_client;
enum tls_verify {
	TLS_VERIFY_REQUIRED = 0,
	TLS_VERIFY_OPTIONAL, /* as required: a TLS server always shows a certificate */
	TLS_VERIFY_NONE
};
struct tls_conf {
	enum tls_verify verify;
	bool any_host;            /* do not compare the certificate's names with the host */
	const char *ca_file;      /* PEM; NULL with ca_path NULL: the system's */
	const char *ca_path;      /* hashed folder; NULL: none */
	const char *cert_file;    /* client certificate with its chain, PEM; NULL: none */
	const char *key_file;     /* NULL: in cert_file */
	const char *key_password; /* NULL: none */
	const char *ciphers;      /* for TLS 1.2, OpenSSL's syntax; NULL: OpenSSL's */
	int min_version;          /* TLS1_2_VERSION, TLS1_3_VERSION; 0: TLS 1.2 */
};

/* Process lifetime unless given back with tls_client_free(). ERR_BAD_INPUT names the file or option and the
 * reason. */
enum err_kind tls_client_new(struct ctx *c, const struct tls_conf *conf, struct tls_client **out) MUST_CHECK;
void tls_client_free(struct tls_client *t);
/* A session on a connected socket; host is what the certificate must name (a name or an address). Taken by
 * the caller (SSL_free); the descriptor stays the caller's. Writing to a closed peer raises no SIGPIPE. NULL:
 * out of memory. */
SSL *tls_session(const struct tls_client *t, int fd, const char *host);
/* Why the last call on s failed, in plain words: "the certificate has expired (CN=…)". */
void tls_reason(SSL *s, char *out, size_t cap);
#endif
