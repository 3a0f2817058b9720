/* Hashes, encodings, random bytes. The one file that uses OpenSSL's deprecated SHA256_* functions: see digest.h. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/arena.h"

#define STATE_PREFIX "s256v1:"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256), "struct sha256 is too small");

void
digest_sha256(struct str in, uint8_t out[SHA256_BYTES])
{
	SHA256((const unsigned char *)in.p, in.n, out);
}

void
digest_sha512(struct str in, uint8_t out[SHA512_BYTES])
{
	SHA512((const unsigned char *)in.p, in.n, out);
}

void
digest_hmac_sha256(struct str key, struct str in, uint8_t out[SHA256_BYTES])
{
	unsigned n = SHA256_BYTES;

	HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)in.p, in.n, out, &n);
}

static SHA256_CTX *
state(struct sha256 *s)
{
	return (SHA256_CTX *)(void *)s->opaque;
}

void
sha256_start(struct sha256 *s)
{
	memset(s, 0, sizeof *s);
	SHA256_Init(state(s));
}

void
sha256_feed(struct sha256 *s, const void *p, size_t n)
{
	SHA256_Update(state(s), p, n);
}

void
sha256_end(const struct sha256 *s, uint8_t out[SHA256_BYTES])
{
	struct sha256 copy = *s;

	SHA256_Final(out, state(&copy));
}

void
sha256_save(const struct sha256 *s, char out[SHA256_STATE_TEXT])
{
	const SHA256_CTX *x = (const SHA256_CTX *)(const void *)s->opaque;
	uint8_t           raw[40 + 64];
	const uint64_t    bits = (uint64_t)x->Nh << 32 | x->Nl;

	for (int i = 0; i < 8; i++)
		for (int b = 0; b < 4; b++)
			raw[i * 4 + b] = (uint8_t)(x->h[i] >> (24 - 8 * b));
	for (int b = 0; b < 8; b++)
		raw[32 + b] = (uint8_t)(bits >> (56 - 8 * b));
	memcpy(raw + 40, x->data, x->num);
	memcpy(out, STATE_PREFIX, sizeof STATE_PREFIX - 1);
	EVP_EncodeBlock((unsigned char *)out + sizeof STATE_PREFIX - 1, raw, (int)(40 + x->num));
}

bool
sha256_load(struct sha256 *s, struct str text)
{
	uint8_t    raw[144];
	int        n, pad = 0;
	uint64_t   bits = 0;
	struct str b64;

	if (!str_starts(text, STR(STATE_PREFIX)))
		return false;
	b64 = str_sub(text, sizeof STATE_PREFIX - 1, text.n);
	if (b64.n < 56 || b64.n > 140 || b64.n % 4 != 0)
		return false;
	n = EVP_DecodeBlock(raw, (const unsigned char *)b64.p, (int)b64.n);
	pad = b64.p[b64.n - 1] != '=' ? 0 : b64.p[b64.n - 2] != '=' ? 1 : 2;
	if (n < 40 + pad)
		return false;
	n -= pad;
	sha256_start(s);
	SHA256_CTX *x = state(s);
	for (int i = 0; i < 8; i++)
		x->h[i] = (SHA_LONG)raw[i * 4] << 24 | (SHA_LONG)raw[i * 4 + 1] << 16 | (SHA_LONG)raw[i * 4 + 2] << 8 | raw[i * 4 + 3];
	for (int b = 0; b < 8; b++)
		bits = bits << 8 | raw[32 + b];
	if (bits % 8 != 0 || n != 40 + (int)(bits / 8 % 64))
		return false;
	x->Nl = (SHA_LONG)bits;
	x->Nh = (SHA_LONG)(bits >> 32);
	x->num = (unsigned)(n - 40);
	memcpy(x->data, raw + 40, x->num);
	return true;
}

void
hex_put(char *out, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

static int
hex_value(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

bool
hex_get(struct str hex, uint8_t *out, size_t n)
{
	if (hex.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const int hi = hex_value(hex.p[2 * i]), lo = hex_value(hex.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

char *
base64_put(struct arena *mem, struct str in)
{
	char *out = arena_alloc(mem, (in.n + 2) / 3 * 4 + 1);

	out[0] = '\0';
	if (in.n > 0)
		EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)in.p, (int)in.n);
	return out;
}

char *
base64url_put(struct arena *mem, struct str in)
{
	char *out = base64_put(mem, in);

	for (char *p = out;; p++) {
		if (*p == '+')
			*p = '-';
		else if (*p == '/')
			*p = '_';
		else if (*p == '=' || *p == '\0') {
			*p = '\0';
			return out;
		}
	}
}

static int
b64_value(char ch, char c62, char c63)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	return ch == c62 ? 62 : ch == c63 ? 63 : -1;
}

static bool
b64_get(struct arena *mem, struct str in, char c62, char c63, struct str *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t   n = 0;
	char    *p;

	if (in.n % 4 == 1)
		return false;
	p = arena_alloc(mem, in.n / 4 * 3 + 4);
	for (size_t i = 0; i < in.n; i++) {
		const int v = b64_value(in.p[i], c62, c63);
		if (v < 0)
			return false;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			p[n++] = (char)(acc >> bits & 0xff);
		}
	}
	if ((acc & ((1U << bits) - 1)) != 0)
		return false;
	p[n] = '\0';
	*out = (struct str){ p, n };
	return true;
}

bool
base64_get(struct arena *mem, struct str in, struct str *out)
{
	if (in.n % 4 != 0)
		return false;
	if (in.n > 0 && in.p[in.n - 1] == '=')
		in.n--;
	if (in.n > 0 && in.n % 4 == 3 && in.p[in.n - 1] == '=')
		in.n--;
	return b64_get(mem, in, '+', '/', out);
}

bool
base64url_get(struct arena *mem, struct str in, struct str *out)
{
	return b64_get(mem, in, '-', '_', out);
}

bool
mem_eq_ct(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void
random_bytes(void *p, size_t n)
{
	uint8_t *q = p;

	while (n > 0) {
		const ssize_t got = getrandom(q, n > 256 ? 256 : n, 0);
		if (got <= 0)
			abort();
		q += got;
		n -= (size_t)got;
	}
}

void
random_text(char *out, size_t n, const char *alphabet)
{
	const size_t   m = strlen(alphabet);
	const unsigned fair = 256 - (unsigned)(256 % m);
	size_t         i = 0;

	while (i < n) {
		uint8_t raw[64];
		random_bytes(raw, sizeof raw);
		for (size_t k = 0; k < sizeof raw && i < n; k++)
			if (raw[k] < fair)
				out[i++] = alphabet[raw[k] % m];
	}
	out[n] = '\0';
}

void
random_uuid(char out[37])
{
	uint8_t r[16];
	char    hex[33];

	random_bytes(r, sizeof r);
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	hex_put(hex, r, sizeof r);
	for (int i = 0, o = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[o++] = '-';
		out[o++] = hex[i];
	}
	out[36] = '\0';
}
