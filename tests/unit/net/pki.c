/* A certificate authority for tests. */
#include "pki.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct pki_cert {
	EVP_PKEY *key;
	X509 *x;
	struct pki_cert *next;
};
static struct pki_cert *All;

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX v3;
	X509_EXTENSION *e;

	X509V3_set_ctx(&v3, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
	must(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

struct pki_cert *
pki_make(const struct pki_want *w)
{
	struct pki_cert *c = calloc(1, sizeof *c);
	X509_NAME *name = X509_NAME_new();

	must(c != NULL && name != NULL);
	c->key = EVP_EC_gen("P-256");
	c->x = X509_new();
	must(c->key != NULL && c->x != NULL);
	const struct pki_cert *by = w->issuer != NULL ? w->issuer : c;
	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)w->cn, -1, -1, 0) ==
	     1);
	must(X509_set_version(c->x, 2) == 1 && X509_set_subject_name(c->x, name) == 1 &&
	     X509_set_issuer_name(c->x, w->issuer != NULL ? X509_get_subject_name(w->issuer->x) : name) ==
	         1 &&
	     X509_set_pubkey(c->x, c->key) == 1);
	BIGNUM *serial = BN_new();
	must(serial != NULL && BN_rand(serial, 100, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
	     BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(c->x)) != NULL);
	must(X509_gmtime_adj(X509_getm_notBefore(c->x), w->from_s == 0 ? -60 : w->from_s) != NULL &&
	     X509_gmtime_adj(X509_getm_notAfter(c->x), w->until_s == 0 ? 86400 : w->until_s) != NULL);
	extend(c->x, by->x, NID_basic_constraints, w->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	extend(c->x, by->x, NID_subject_key_identifier, "hash");
	if (w->san != NULL)
		extend(c->x, by->x, NID_subject_alt_name, w->san);
	must(X509_sign(c->x, by->key, EVP_sha256()) > 0);
	c->next = All;
	All = c;
	BN_free(serial);
	X509_NAME_free(name);
	return c;
}

static FILE *
create(const char *path)
{
	FILE *f = fopen(path, "w");

	must(f != NULL);
	return f;
}

void
pki_write_certs(const char *path, const struct pki_cert *const *list)
{
	FILE *f = create(path);

	for (; *list != NULL; list++)
		must(PEM_write_X509(f, (*list)->x));
	must(fclose(f) == 0);
}

void
pki_write_key(const char *path, const struct pki_cert *cert)
{
	FILE *f = create(path);

	must(PEM_write_PrivateKey(f, cert->key, NULL, NULL, 0, NULL, NULL) && fclose(f) == 0);
}

void
pki_write_der(const char *path, const struct pki_cert *cert)
{
	FILE *f = create(path);

	must(i2d_X509_fp(f, cert->x) == 1 && fclose(f) == 0);
}

void
pki_free_all(void)
{
	while (All != NULL) {
		struct pki_cert *c = All;
		All = c->next;
		EVP_PKEY_free(c->key);
		X509_free(c->x);
		free(c);
	}
}
