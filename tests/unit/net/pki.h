/* For the tests of lib/net: a certificate authority of their own, made anew each time. */
#ifndef KADE_TESTS_NET_PKI_H
#define KADE_TESTS_NET_PKI_H

struct pki_cert;
struct pki_want {
	const char *cn;
	const char *san; /* "DNS:kade.test,IP:127.0.0.1"; NULL: none */
	int is_ca;
	int from_s, until_s;           /* validity, seconds from now; until_s 0: a day */
	const struct pki_cert *issuer; /* NULL: self-signed */
};
/* A key (P-256) and its certificate, until pki_free_all(). Aborts on failure. */
struct pki_cert *pki_make(const struct pki_want *want);
/* Writes the certificates one after another (NULL ends the list), or the key. */
void pki_write_certs(const char *path, const struct pki_cert *const *list);
void pki_write_key(const char *path, const struct pki_cert *cert);
void pki_write_der(const char *path, const struct pki_cert *cert);
void pki_free_all(void);
#endif
