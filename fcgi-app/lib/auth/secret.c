/* Keys: conversion, derivation, token hashes. Serves everything that protects a secret at rest. */
#include "auth/secret.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <unistr.h>

#include "auth/blank.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"

#define NUMBER_DIGITS_MAX 4300 /* Python refuses longer ones, so Quay never took them for numbers */
#define TEXT_MAX          8192

static void
repeat(const uint8_t *p, size_t n, struct secret_key *out)
{
	for (size_t i = 0; i < SECRET_KEY_BYTES; i++)
		out->b[i] = p[i % n];
}

/* The code points of text as bytes; false when one needs more. */
static bool
latin1(struct str text, uint8_t out[TEXT_MAX], size_t *n)
{
	const uint8_t *p = (const uint8_t *)text.p;

	*n = 0;
	while (text.n > 0) {
		ucs4_t cp;
		const int used = u8_mbtouc(&cp, p, text.n);
		if (cp > 255)
			return false;
		out[(*n)++] = (uint8_t)cp;
		p += used;
		text.n -= (size_t)used;
	}
	return true;
}

/* The digits of a decimal number as Python's int() takes it: blanks around, a sign, single '_' between
 * digits. */
static bool
python_digits(const uint8_t *p, size_t n, char digits[TEXT_MAX], bool *is_negative)
{
	size_t used = 0;
	bool after_digit = false;

	while (n > 0 && blank_is(p[0]))
		p++, n--;
	while (n > 0 && blank_is(p[n - 1]))
		n--;
	*is_negative = n > 0 && p[0] == '-';
	if (n > 0 && (p[0] == '-' || p[0] == '+'))
		p++, n--;
	for (size_t i = 0; i < n; i++) {
		if (p[i] >= '0' && p[i] <= '9')
			digits[used++] = (char)p[i];
		else if (p[i] != '_' || !after_digit)
			return false;
		after_digit = p[i] != '_';
	}
	digits[used] = '\0';
	return used > 0 && after_digit && used <= NUMBER_DIGITS_MAX;
}

/* A number whose hexadecimal digits are even in number, as bytes. Zero is "00"; one digit gets a 0 before it.
 */
static bool
from_number(const uint8_t *p, size_t n, struct secret_key *out)
{
	char digits[TEXT_MAX];
	uint8_t raw[NUMBER_DIGITS_MAX];
	bool is_negative, ok = false;
	BIGNUM *bn = NULL;

	if (!python_digits(p, n, digits, &is_negative) || BN_dec2bn(&bn, digits) == 0)
		return false;
	if (BN_is_zero(bn)) {
		memset(out->b, 0, sizeof out->b);
		ok = true;
	} else if (!is_negative && (BN_num_bits(bn) <= 4 || (BN_num_bits(bn) - 1) / 4 % 2 == 1)) {
		repeat(raw, (size_t)BN_bn2bin(bn, raw), out);
		ok = true;
	}
	BN_clear_free(bn);
	explicit_bzero(digits, sizeof digits);
	explicit_bzero(raw, sizeof raw);
	return ok;
}

/* Copies p without any occurrence of word. */
static size_t
drop_word(uint8_t *p, size_t n, const char *word)
{
	const size_t len = strlen(word);
	size_t to = 0;

	for (size_t i = 0; i < n;) {
		if (n - i >= len && memcmp(p + i, word, len) == 0)
			i += len;
		else
			p[to++] = p[i++];
	}
	return to;
}

/* A UUID as Python's uuid.UUID() takes it: "urn:", "uuid:" and hyphens anywhere, braces around. */
static bool
from_uuid(const uint8_t *in, size_t n, struct secret_key *out)
{
	uint8_t p[64], raw[16];
	size_t from = 0;

	if (n > sizeof p)
		return false;
	memcpy(p, in, n);
	n = drop_word(p, n, "urn:");
	n = drop_word(p, n, "uuid:");
	while (from < n && (p[from] == '{' || p[from] == '}'))
		from++;
	while (n > from && (p[n - 1] == '{' || p[n - 1] == '}'))
		n--;
	n = drop_word(p + from, n - from, "-");
	if (!hex_get((struct str){ (const char *)p + from, n }, raw, sizeof raw))
		return false;
	repeat(raw, sizeof raw, out);
	return true;
}

bool
secret_key_convert(struct ctx *c, struct str text, struct secret_key *out)
{
	uint8_t *raw;
	size_t n;

	if (text.n == 0 || text.n > TEXT_MAX - 1 || !str_is_utf8(text))
		return false;
	raw = arena_alloc(c->mem, TEXT_MAX);
	if (!latin1(text, raw, &n))
		return false;
	if (!from_number(raw, n, out) && !from_uuid(raw, n, out))
		repeat(raw, n, out);
	explicit_bzero(raw, TEXT_MAX);
	return true;
}

void
secret_key_derive(const struct secret_key *from, const char *label, struct secret_key *out)
{
	char digest[] = "SHA256", salt[] = "kade";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)from->b,
		                                  sizeof from->b),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof salt - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)label,
		                                  strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *kc = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);

	if (kc == NULL || EVP_KDF_derive(kc, out->b, sizeof out->b, params) != 1)
		abort(); /* OpenSSL without HKDF: nothing could be protected */
	EVP_KDF_CTX_free(kc);
	EVP_KDF_free(kdf);
}

enum err_kind
secrets_init(struct ctx *c, struct str secret_key, struct str database_secret_key, struct secrets *out)
{
	if (!secret_key_convert(c, secret_key, &out->application))
		return err_set(c, ERR_BAD_INPUT, "SECRET_KEY is empty or holds characters above U+00FF");
	if (!secret_key_convert(c, database_secret_key, &out->database))
		return err_set(c, ERR_BAD_INPUT,
		               "DATABASE_SECRET_KEY is empty or holds characters above U+00FF");
	secret_key_derive(&out->database, "sealed texts 1", &out->seal);
	secret_key_derive(&out->database, "token hashes 1", &out->token_hash);
	secret_key_derive(&out->application, "cookies 1", &out->cookie);
	return ERR_NONE;
}

void
secret_token_hash(const struct secrets *s, const char *kind, struct str token, uint8_t out[TOKEN_HASH_BYTES])
{
	struct secret_key
	    inner; /* HMAC of the kind: two passes keep kind and token apart without a copy of the token */

	digest_hmac_sha256((struct str){ (const char *)s->token_hash.b, SECRET_KEY_BYTES }, str_of(kind),
	                   inner.b);
	digest_hmac_sha256((struct str){ (const char *)inner.b, SECRET_KEY_BYTES }, token, out);
	explicit_bzero(&inner, sizeof inner);
}
