/* Sealed texts (secret.h): AES-256-GCM for what we write, AES-256-CCM and AES-256-CBC as Quay's databases and
 * users hold them. */
#include <limits.h>
#include <openssl/evp.h>

#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"

#define GCM_PREFIX   "v1$$"
#define CCM_PREFIX   "v0$$"
#define GCM_NONCE    12
#define CCM_NONCE    13
#define TAG          16
#define CBC_BLOCK    16
#define CCM_TEXT_MAX 65535 /* with L = 2 */
#define TEXT_MAX     65536

static struct str
bytes(const uint8_t *p, size_t n)
{
	return (struct str){ (const char *)p, n };
}

static const uint8_t *
octets(struct str s)
{
	return (const uint8_t *)(s.p == NULL ? "" : s.p);
}

/* out: GCM_NONCE + plain.n + TAG bytes. */
static bool
gcm_seal(const struct secret_key *key, const char *aad, struct str plain, uint8_t *out)
{
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	int n = 0, end = 0;
	bool ok;

	random_bytes(out, GCM_NONCE);
	ok = x != NULL && EVP_EncryptInit_ex(x, EVP_aes_256_gcm(), NULL, key->b, out) == 1 &&
	     EVP_EncryptUpdate(x, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) == 1 &&
	     EVP_EncryptUpdate(x, out + GCM_NONCE, &n, octets(plain), (int)plain.n) == 1 &&
	     EVP_EncryptFinal_ex(x, out + GCM_NONCE + n, &end) == 1 &&
	     EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, TAG, out + GCM_NONCE + plain.n) == 1;
	EVP_CIPHER_CTX_free(x);
	return ok;
}

static bool
gcm_open(struct ctx *c, const struct secret_key *key, const char *aad, struct str in, struct str *out)
{
	int n = 0, end = 0;
	bool ok;

	if (in.n < GCM_NONCE + TAG)
		return false;
	const size_t len = in.n - GCM_NONCE - TAG;
	uint8_t *p = arena_alloc(c->mem, len + 1), tag[TAG];
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	memcpy(tag, in.p + in.n - TAG, TAG);
	ok = x != NULL && EVP_DecryptInit_ex(x, EVP_aes_256_gcm(), NULL, key->b, octets(in)) == 1 &&
	     EVP_DecryptUpdate(x, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) == 1 &&
	     EVP_DecryptUpdate(x, p, &n, octets(in) + GCM_NONCE, (int)len) == 1 &&
	     EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
	     EVP_DecryptFinal_ex(x, p + n, &end) == 1;
	EVP_CIPHER_CTX_free(x);
	if (!ok) {
		explicit_bzero(p, len);
		return false;
	}
	p[len] = '\0';
	*out = bytes(p, len);
	return true;
}

static enum err_kind
gcm_text(struct ctx *c, const struct secret_key *key, const char *purpose, struct str plain, struct str *out)
{
	const size_t n = GCM_NONCE + plain.n + TAG;

	if (plain.n > TEXT_MAX)
		return err_set(c, ERR_BAD_INPUT, "a secret of %zu bytes is too long", plain.n);
	uint8_t *raw = arena_alloc(c->mem, n);
	if (!gcm_seal(key, purpose, plain, raw))
		return err_set(c, ERR_BUG, "AES-GCM failed");
	*out = bytes(raw, n);
	return ERR_NONE;
}

enum err_kind
secret_seal(struct ctx *c, const struct secrets *s, const char *purpose, struct str plain, struct str *out)
{
	struct str raw;

	TRY(gcm_text(c, &s->seal, purpose, plain, &raw));
	*out = str_of(str_fmt(c->mem, GCM_PREFIX "%s", base64_put(c->mem, raw)));
	return ERR_NONE;
}

enum err_kind
secret_box(struct ctx *c, const struct secret_key *key, const char *purpose, struct str plain,
           struct str *out)
{
	struct str raw;

	TRY(gcm_text(c, key, purpose, plain, &raw));
	*out = str_of(base64url_put(c->mem, raw));
	return ERR_NONE;
}

bool
secret_unbox(struct ctx *c, const struct secret_key *key, const char *purpose, struct str box,
             struct str *out)
{
	struct str raw;

	return box.n <= TEXT_MAX * 2 && base64url_get(c->mem, box, &raw) &&
	       gcm_open(c, key, purpose, raw, out);
}

enum err_kind
secret_seal_v0(struct ctx *c, const struct secret_key *key, const uint8_t *nonce, struct str plain,
               struct str *out)
{
	const size_t n = CCM_NONCE + plain.n + TAG;
	int done = 0;

	if (plain.n > CCM_TEXT_MAX)
		return err_set(c, ERR_BAD_INPUT, "a secret of %zu bytes is too long", plain.n);
	uint8_t *raw = arena_alloc(c->mem, n);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	if (nonce != NULL)
		memcpy(raw, nonce, CCM_NONCE);
	else
		random_bytes(raw, CCM_NONCE);
	const bool ok = x != NULL && EVP_EncryptInit_ex(x, EVP_aes_256_ccm(), NULL, NULL, NULL) == 1 &&
	                EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_IVLEN, CCM_NONCE, NULL) == 1 &&
	                EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, TAG, NULL) == 1 &&
	                EVP_EncryptInit_ex(x, NULL, NULL, key->b, raw) == 1 &&
	                EVP_EncryptUpdate(x, NULL, &done, NULL, (int)plain.n) == 1 &&
	                EVP_EncryptUpdate(x, raw + CCM_NONCE, &done, octets(plain), (int)plain.n) == 1 &&
	                EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, TAG, raw + CCM_NONCE + plain.n) == 1;
	EVP_CIPHER_CTX_free(x);
	if (!ok)
		return err_set(c, ERR_BUG, "AES-CCM failed");
	*out = str_of(str_fmt(c->mem, CCM_PREFIX "%s", base64_put(c->mem, bytes(raw, n))));
	return ERR_NONE;
}

/* The one DecryptUpdate over the whole text tells whether the tag fits; what it wrote is not looked at
 * otherwise. */
static bool
ccm_open(struct ctx *c, const struct secret_key *key, struct str in, struct str *out)
{
	int done = 0;

	if (in.n < CCM_NONCE + TAG || in.n > CCM_NONCE + TAG + CCM_TEXT_MAX)
		return false;
	const size_t len = in.n - CCM_NONCE - TAG;
	uint8_t *p = arena_alloc(c->mem, len + 1), tag[TAG];
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	memcpy(tag, in.p + in.n - TAG, TAG);
	const bool ok = x != NULL && EVP_DecryptInit_ex(x, EVP_aes_256_ccm(), NULL, NULL, NULL) == 1 &&
	                EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_IVLEN, CCM_NONCE, NULL) == 1 &&
	                EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
	                EVP_DecryptInit_ex(x, NULL, NULL, key->b, octets(in)) == 1 &&
	                EVP_DecryptUpdate(x, NULL, &done, NULL, (int)len) == 1 &&
	                EVP_DecryptUpdate(x, p, &done, octets(in) + CCM_NONCE, (int)len) == 1;
	EVP_CIPHER_CTX_free(x);
	if (!ok) {
		explicit_bzero(p, len);
		return false;
	}
	p[len] = '\0';
	*out = bytes(p, len);
	return true;
}

enum err_kind
secret_open(struct ctx *c, const struct secrets *s, const char *purpose, struct str sealed, struct str *out)
{
	const bool is_ours = str_starts(sealed, STR(GCM_PREFIX));
	struct str raw;

	if (!is_ours && !str_starts(sealed, STR(CCM_PREFIX)))
		return err_set(c, ERR_UNSUPPORTED, "%s: a sealed text in an unknown form", purpose);
	if (sealed.n > TEXT_MAX * 2 || !base64_get(c->mem, str_sub(sealed, 4, sealed.n), &raw))
		return err_set(c, ERR_DENIED, "%s: a sealed text is damaged", purpose);
	if (is_ours ? !gcm_open(c, &s->seal, purpose, raw, out) : !ccm_open(c, &s->database, raw, out))
		return err_set(c, ERR_DENIED, "%s: a sealed text does not fit DATABASE_SECRET_KEY", purpose);
	return ERR_NONE;
}

enum err_kind
secret_password_put(struct ctx *c, const struct secret_key *key, const uint8_t *iv, struct str password,
                    struct str *out)
{
	json_t *o = js_object(c);
	int n = 0, end = 0;

	if (password.n > 4096 || !str_is_utf8(password))
		return err_set(c, ERR_BAD_INPUT, "a password that cannot be encrypted");
	jo_strn(o, "password", password);
	const size_t len =
	    json_dumpb(o, NULL, 0, JSON_ENSURE_ASCII); /* with a blank after the colon, as Quay writes it */
	char *plain = arena_alloc(c->mem, len);
	uint8_t *raw = arena_alloc(c->mem, CBC_BLOCK + len + CBC_BLOCK);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	json_dumpb(o, plain, len, JSON_ENSURE_ASCII);
	if (iv != NULL)
		memcpy(raw, iv, CBC_BLOCK);
	else
		random_bytes(raw, CBC_BLOCK);
	const bool ok = x != NULL && EVP_EncryptInit_ex(x, EVP_aes_256_cbc(), NULL, key->b, raw) == 1 &&
	                EVP_EncryptUpdate(x, raw + CBC_BLOCK, &n, (const uint8_t *)plain, (int)len) == 1 &&
	                EVP_EncryptFinal_ex(x, raw + CBC_BLOCK + n, &end) == 1;
	EVP_CIPHER_CTX_free(x);
	explicit_bzero(plain, len);
	if (!ok)
		return err_set(c, ERR_BUG, "AES-CBC failed");
	*out = str_of(base64_put(c->mem, bytes(raw, CBC_BLOCK + (size_t)n + (size_t)end)));
	return ERR_NONE;
}

bool
secret_password_get(struct ctx *c, const struct secret_key *key, struct str text, struct str *out)
{
	static const struct js_limits LIMITS = { .bytes = 32768, .depth = 2, .values = 8 };
	const struct err saved = c->err;
	struct str raw;
	json_t *o;
	int n = 0, end = 0;

	if (text.n > LIMITS.bytes || !base64_get(c->mem, text, &raw) || raw.n < 2 * CBC_BLOCK ||
	    raw.n % CBC_BLOCK != 0)
		return false;
	const size_t len = raw.n - CBC_BLOCK;
	uint8_t *p = arena_alloc(c->mem, len + CBC_BLOCK);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = x != NULL && EVP_DecryptInit_ex(x, EVP_aes_256_cbc(), NULL, key->b, octets(raw)) == 1 &&
	          EVP_DecryptUpdate(x, p, &n, octets(raw) + CBC_BLOCK, (int)len) == 1 &&
	          EVP_DecryptFinal_ex(x, p + n, &end) == 1;
	EVP_CIPHER_CTX_free(x);
	if (!ok)
		return false;
	ok = js_parse(c, bytes(p, (size_t)n + (size_t)end), &LIMITS, &o) == ERR_NONE && json_is_object(o) &&
	     json_is_string(json_object_get(o, "password"));
	explicit_bzero(p, len);
	c->err = saved;
	if (ok)
		*out = js_str(o, "password");
	return ok;
}
