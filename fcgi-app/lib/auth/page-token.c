/* Fernet page tokens. Serves the lists of the API and the catalogue. */
#include "auth/page-token.h"

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"

#define FERNET_VERSION 0x80
#define IV_AT          9
#define TEXT_AT        25
#define PLAIN_MAX      4096
#define SKEW_S         60

static bool
padded_get(struct ctx *c, struct str text, struct str *out)
{
	if (text.n % 4 != 0 || text.n == 0)
		return false;
	for (int i = 0; i < 2 && text.p[text.n - 1] == '='; i++)
		text.n--;
	return base64url_get(c->mem, text, out);
}

static struct str
padded_put(struct ctx *c, struct str raw)
{
	char *p = base64_put(c->mem, raw);

	for (char *q = p; *q != '\0'; q++)
		*q = *q == '+' ? '-' : *q == '/' ? '_' : *q;
	return str_of(p);
}

bool
page_key_parse(struct ctx *c, struct str text, struct page_key *out)
{
	struct str raw;

	if (text.n != 44 || !padded_get(c, text, &raw) || raw.n != sizeof *out)
		return false;
	memcpy(out->sign, raw.p, sizeof out->sign);
	memcpy(out->encrypt, raw.p + sizeof out->sign, sizeof out->encrypt);
	return true;
}

static void
sign(const struct page_key *key, const uint8_t *p, size_t n, uint8_t out[SHA256_BYTES])
{
	digest_hmac_sha256((struct str){ (const char *)key->sign, sizeof key->sign },
	                   (struct str){ (const char *)p, n }, out);
}

enum err_kind
page_token_put(struct ctx *c, const struct page_key *key, int64_t now_s, const uint8_t *iv, struct str plain,
               struct str *out)
{
	int n = 0, end = 0;

	if (plain.n > PLAIN_MAX)
		return err_set(c, ERR_BUG, "a page token of %zu bytes", plain.n);
	uint8_t *raw = arena_alloc(c->mem, TEXT_AT + plain.n + 16 + SHA256_BYTES);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	raw[0] = FERNET_VERSION;
	for (int i = 0; i < 8; i++)
		raw[1 + i] = (uint8_t)((uint64_t)now_s >> (56 - 8 * i));
	if (iv != NULL)
		memcpy(raw + IV_AT, iv, 16);
	else
		random_bytes(raw + IV_AT, 16);
	const bool ok =
	    x != NULL && EVP_EncryptInit_ex(x, EVP_aes_128_cbc(), NULL, key->encrypt, raw + IV_AT) == 1 &&
	    EVP_EncryptUpdate(x, raw + TEXT_AT, &n, (const uint8_t *)plain.p, (int)plain.n) == 1 &&
	    EVP_EncryptFinal_ex(x, raw + TEXT_AT + n, &end) == 1;
	EVP_CIPHER_CTX_free(x);
	if (!ok)
		return err_set(c, ERR_BUG, "AES-CBC failed");
	const size_t signed_n = TEXT_AT + (size_t)n + (size_t)end;
	sign(key, raw, signed_n, raw + signed_n);
	*out = padded_put(c, (struct str){ (const char *)raw, signed_n + SHA256_BYTES });
	return ERR_NONE;
}

bool
page_token_get(struct ctx *c, const struct page_key *key, int64_t now_s, struct str token, struct str *out)
{
	uint8_t mac[SHA256_BYTES];
	uint64_t made = 0;
	int n = 0, end = 0;
	struct str raw;

	if (token.n > PLAIN_MAX * 2 || !padded_get(c, token, &raw) || raw.n < TEXT_AT + 16 + SHA256_BYTES ||
	    (raw.n - TEXT_AT - SHA256_BYTES) % 16 != 0)
		return false;
	const uint8_t *p = (const uint8_t *)raw.p;
	const size_t signed_n = raw.n - SHA256_BYTES;
	sign(key, p, signed_n, mac);
	if (p[0] != FERNET_VERSION ||
	    !mem_eq_ct((struct str){ (const char *)mac, sizeof mac }, str_sub(raw, signed_n, raw.n)))
		return false;
	for (int i = 0; i < 8; i++)
		made = made << 8 | p[1 + i];
	if (made > (uint64_t)now_s + SKEW_S || (int64_t)made + PAGE_TOKEN_LIFE_S < now_s)
		return false;
	uint8_t *plain = arena_alloc(c->mem, signed_n);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	const bool ok = x != NULL &&
	                EVP_DecryptInit_ex(x, EVP_aes_128_cbc(), NULL, key->encrypt, p + IV_AT) == 1 &&
	                EVP_DecryptUpdate(x, plain, &n, p + TEXT_AT, (int)(signed_n - TEXT_AT)) == 1 &&
	                EVP_DecryptFinal_ex(x, plain + n, &end) == 1;
	EVP_CIPHER_CTX_free(x);
	if (ok)
		*out = (struct str){ (const char *)plain, (size_t)n + (size_t)end };
	return ok;
}
