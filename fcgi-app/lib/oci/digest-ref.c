/* Digests as text, as paths and as running hashes. */
#include "oci/digest-ref.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "oci/name.h"

#define LAX_DIGEST_MAX 1024 /* longer segments are no digest of any algorithm */

struct oci_hash {
	enum oci_alg alg;
	struct sha256 sha256;
	EVP_MD_CTX *evp; /* SHA-512 only */
};

enum oci_alg
oci_alg_parse(struct str s)
{
	if (str_eq(s, STR("sha256")))
		return OCI_SHA256;
	return str_eq(s, STR("sha512")) ? OCI_SHA512 : OCI_ALG_NONE;
}

const char *
oci_alg_name(enum oci_alg alg)
{
	return alg == OCI_SHA256 ? "sha256" : alg == OCI_SHA512 ? "sha512" : "none";
}

size_t
oci_alg_hex(enum oci_alg alg)
{
	return alg == OCI_SHA256 ? 2 * SHA256_BYTES : alg == OCI_SHA512 ? 2 * SHA512_BYTES : 0;
}

bool
oci_digest_parse(struct str s, struct oci_digest *out)
{
	struct str name, hex;
	enum oci_alg alg;

	if (!str_cut(s, ':', &name, &hex))
		return false;
	alg = oci_alg_parse(name);
	if (alg == OCI_ALG_NONE || hex.n != oci_alg_hex(alg))
		return false;
	for (size_t i = 0; i < hex.n; i++)
		if (!(hex.p[i] >= '0' && hex.p[i] <= '9') && !(hex.p[i] >= 'a' && hex.p[i] <= 'f'))
			return false;
	out->alg = alg;
	memcpy(out->text, s.p, s.n);
	out->text[s.n] = '\0';
	return true;
}

/* ([A-Za-z0-9_+.-]+):([A-Fa-f0-9]+) */
static bool
is_lax_digest(struct str name, struct str hex)
{
	if (name.n == 0 || hex.n == 0 || name.n + hex.n > LAX_DIGEST_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		const char ch = name.p[i];
		if (!((ch | 32) >= 'a' && (ch | 32) <= 'z') && !(ch >= '0' && ch <= '9') && ch != '_' &&
		    ch != '+' && ch != '.' && ch != '-')
			return false;
	}
	for (size_t i = 0; i < hex.n; i++)
		if (!((hex.p[i] | 32) >= 'a' && (hex.p[i] | 32) <= 'f') &&
		    !(hex.p[i] >= '0' && hex.p[i] <= '9'))
			return false;
	return true;
}

enum oci_ref_kind
oci_ref_parse(struct str s, struct oci_digest *out)
{
	struct oci_digest d;
	struct str name, hex;

	if (!str_cut(s, ':', &name, &hex))
		return oci_tag_valid(s) ? OCI_REF_TAG : OCI_REF_NONE;
	if (oci_digest_parse(s, out == NULL ? &d : out))
		return OCI_REF_DIGEST;
	return is_lax_digest(name, hex) ? OCI_REF_LAX_DIGEST : OCI_REF_BAD_DIGEST;
}

struct str
oci_digest_hex(const struct oci_digest *d)
{
	return (struct str){ d->text + sizeof "sha256",
		             oci_alg_hex(d->alg) }; /* both names have six letters */
}

bool
oci_digest_eq(const struct oci_digest *a, const struct oci_digest *b)
{
	return a->alg == b->alg && strcmp(a->text, b->text) == 0;
}

void
oci_digest_path(const struct oci_digest *d, char out[OCI_DIGEST_PATH])
{
	const struct str hex = oci_digest_hex(d);

	snprintf(out, OCI_DIGEST_PATH, "%s/%.2s/%.*s", oci_alg_name(d->alg), hex.p, STRF(hex));
}

void
oci_digest_from_raw(enum oci_alg alg, const void *raw, struct oci_digest *out)
{
	assert(alg == OCI_SHA256 || alg == OCI_SHA512);
	out->alg = alg;
	memcpy(out->text, alg == OCI_SHA256 ? "sha256:" : "sha512:", 7);
	hex_put(out->text + 7, raw, oci_alg_hex(alg) / 2);
}

void
oci_digest_of(enum oci_alg alg, struct str bytes, struct oci_digest *out)
{
	uint8_t raw[SHA512_BYTES];

	if (alg == OCI_SHA512)
		digest_sha512(bytes, raw);
	else
		digest_sha256(bytes, raw);
	oci_digest_from_raw(alg, raw, out);
}

static void
free_evp(void *p)
{
	EVP_MD_CTX_free(p);
}

struct oci_hash *
oci_hash_start(struct ctx *c, enum oci_alg alg)
{
	struct oci_hash *h = ARENA_NEW(c->mem, struct oci_hash);

	assert(alg == OCI_SHA256 || alg == OCI_SHA512);
	h->alg = alg;
	if (alg == OCI_SHA256) {
		sha256_start(&h->sha256);
		return h;
	}
	h->evp = EVP_MD_CTX_new();
	assert(h->evp != NULL && EVP_DigestInit_ex(h->evp, EVP_sha512(), NULL) == 1);
	arena_defer(c->mem, free_evp, h->evp);
	return h;
}

void
oci_hash_feed(struct oci_hash *h, const void *p, size_t n)
{
	if (h->alg == OCI_SHA256)
		sha256_feed(&h->sha256, p, n);
	else
		EVP_DigestUpdate(h->evp, p, n);
}

void
oci_hash_end(struct oci_hash *h, struct oci_digest *out)
{
	uint8_t raw[SHA512_BYTES];

	if (h->alg == OCI_SHA256)
		sha256_end(&h->sha256, raw);
	else
		EVP_DigestFinal_ex(h->evp, raw, NULL);
	oci_digest_from_raw(h->alg, raw, out);
}

bool
oci_hash_matches(struct oci_hash *h, const struct oci_digest *expected)
{
	struct oci_digest got;

	oci_hash_end(h, &got);
	return oci_digest_eq(&got, expected);
}
