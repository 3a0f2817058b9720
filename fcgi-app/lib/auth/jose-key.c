/* JOSE keys: making, PEM files, JWK and thumbprints, over OpenSSL 3's provider interface. Serves jose.c, the
 * service keys and the key server. Thumbprint: RFC 7638; JWK members: RFC 7518 section 6. */
#include "auth/jose-key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"

#define COORD_BYTES   32
#define RSA_MIN_BYTES 256
#define RSA_MAX_BYTES 512
#define PEM_MAX_BYTES 65536

static const char *const ALG_NAME[] = { [JOSE_ES256] = "ES256", [JOSE_RS256] = "RS256" };

const char *
jose_alg_name(enum jose_alg alg)
{
	return ALG_NAME[alg];
}

const char *
jose_key_id(const struct jose_key *key)
{
	return key->kid;
}

enum jose_alg
jose_key_alg(const struct jose_key *key)
{
	return key->alg;
}

bool
jose_key_is_private(const struct jose_key *key)
{
	return key->is_private;
}

void
jose_key_free(void *p)
{
	struct jose_key *key = p;

	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

static void
free_pkey(void *p)
{
	EVP_PKEY_free(p);
}

/* A number of the key, big-endian in n bytes (0: as few as it takes), as base64url; NULL when the key has
 * none. */
static const char *
number_text(struct ctx *c, const EVP_PKEY *pkey, const char *param, int n)
{
	unsigned char raw[RSA_MAX_BYTES];
	BIGNUM *bn = NULL;

	if (!EVP_PKEY_get_bn_param(pkey, param, &bn))
		return NULL;
	if (n == 0)
		n = BN_num_bytes(bn);
	const int done = n <= RSA_MAX_BYTES ? BN_bn2binpad(bn, raw, n) : -1;
	BN_free(bn);
	return done == n ? base64url_put(c->mem, (struct str){ (const char *)raw, (size_t)n }) : NULL;
}

struct numbers {
	const char *a, *b; /* EC: x, y; RSA: n, e */
};

static bool
numbers_get(struct ctx *c, const struct jose_key *key, struct numbers *out)
{
	if (key->alg == JOSE_ES256) {
		out->a = number_text(c, key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, COORD_BYTES);
		out->b = number_text(c, key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, COORD_BYTES);
	} else {
		out->a = number_text(c, key->pkey, OSSL_PKEY_PARAM_RSA_N, 0);
		out->b = number_text(c, key->pkey, OSSL_PKEY_PARAM_RSA_E, 0);
	}
	return out->a != NULL && out->b != NULL;
}

/* Which algorithm a key is for; false for any other kind of key, curve or size. */
static bool
alg_of(const EVP_PKEY *pkey, enum jose_alg *out)
{
	char group[32] = "";
	size_t n = 0;

	if (EVP_PKEY_is_a(pkey, "EC")) {
		*out = JOSE_ES256;
		return EVP_PKEY_get_group_name(pkey, group, sizeof group, &n) &&
		       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
	}
	*out = JOSE_RS256;
	return EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) > RSA_MIN_BYTES * 8 - 8 &&
	       EVP_PKEY_get_bits(pkey) <= RSA_MAX_BYTES * 8;
}

/* Wraps a key, with its thumbprint and ready header. pkey belongs to c->mem (deferred); the result holds a
 * reference. */
static enum err_kind
key_wrap(struct ctx *c, EVP_PKEY *pkey, bool is_private, struct jose_key **out)
{
	struct jose_key *key = calloc(1, sizeof *key);
	struct numbers num;
	uint8_t sum[SHA256_BYTES];
	const char *text, *head;

	if (key == NULL)
		return err_set(c, ERR_BUSY, "no memory for a key");
	arena_defer(c->mem, jose_key_free, key);
	if (!alg_of(pkey, &key->alg))
		return err_set(c, ERR_BAD_INPUT, "neither a P-256 nor an RSA key of 2048 to 4096 bits");
	EVP_PKEY_up_ref(pkey);
	key->pkey = pkey;
	key->is_private = is_private;
	if (!numbers_get(c, key, &num))
		return err_set(c, ERR_BAD_INPUT, "the key has no public part");
	text = key->alg == JOSE_ES256
	           ? str_fmt(c->mem, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", num.a,
	                     num.b)
	           : str_fmt(c->mem, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", num.b, num.a);
	digest_sha256(str_of(text), sum);
	text = base64url_put(c->mem, (struct str){ (const char *)sum, sizeof sum });
	memcpy(key->kid, text, JOSE_KID_TEXT);
	text =
	    str_fmt(c->mem, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}", ALG_NAME[key->alg], key->kid);
	head = base64url_put(c->mem, str_of(text));
	key->head_n = strlen(head);
	memcpy(key->head, head, key->head_n + 1);
	arena_undefer(c->mem, jose_key_free, key);
	*out = key;
	return ERR_NONE;
}

enum err_kind
jose_key_make(struct ctx *c, enum jose_alg alg, struct jose_key **out)
{
	EVP_PKEY *pkey = alg == JOSE_ES256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);

	if (pkey == NULL)
		return err_set(c, ERR_BUG, "no %s key can be made", ALG_NAME[alg]);
	arena_defer(c->mem, free_pkey, pkey);
	return key_wrap(c, pkey, true, out);
}

static void
close_fd(void *p)
{
	close((int)(intptr_t)p);
}

/* Keeps OpenSSL from asking a terminal for a pass phrase. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static enum err_kind
read_private_file(struct ctx *c, const char *path, char *text, size_t *n)
{
	struct stat st;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return err_set(c, errno == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, "key file %s: %s", path,
		               strerrordesc_np(errno));
	arena_defer(c->mem, close_fd, (void *)(intptr_t)fd);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(c, ERR_DENIED, "key file %s is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return err_set(c, ERR_DENIED, "key file %s can be read by others: mode %03o, must be 600",
		               path, (unsigned)st.st_mode & 0777);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(c, ERR_DENIED, "key file %s belongs to user %u", path, (unsigned)st.st_uid);
	*n = 0;
	for (;;) {
		const ssize_t got = read(fd, text + *n, PEM_MAX_BYTES - *n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(c, ERR_DENIED, "key file %s: %s", path, strerrordesc_np(errno));
		*n += (size_t)got;
		if (got == 0 || *n == PEM_MAX_BYTES)
			return ERR_NONE;
	}
}

enum err_kind
jose_key_load(struct ctx *c, const char *path, struct jose_key **out)
{
	char *text = arena_alloc(c->mem, PEM_MAX_BYTES);
	size_t n = 0;

	TRY(read_private_file(c, path, text, &n));
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	EVP_PKEY *pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	explicit_bzero(text, n);
	if (pkey == NULL)
		return err_set(c, ERR_BAD_INPUT, "key file %s holds no private key in PEM form", path);
	arena_defer(c->mem, free_pkey, pkey);
	return key_wrap(c, pkey, true, out);
}

static void
free_bio(void *p)
{
	BIO_free_all(p);
}

enum err_kind
jose_key_pem(struct ctx *c, const struct jose_key *key, enum jose_pem which, struct str *out)
{
	BIO *bio = BIO_new(which == JOSE_PEM_PRIVATE ? BIO_s_secmem() : BIO_s_mem());
	char *p = NULL;
	bool ok;

	if (bio == NULL)
		return err_set(c, ERR_BUSY, "no memory for a PEM text");
	arena_defer(c->mem, free_bio, bio);
	if (which == JOSE_PEM_PRIVATE && !key->is_private)
		return err_set(c, ERR_BUG, "a public key has no private text");
	ok = which == JOSE_PEM_PRIVATE
	         ? PEM_write_bio_PrivateKey_traditional(bio, key->pkey, NULL, NULL, 0, NULL, NULL)
	         : PEM_write_bio_PUBKEY(bio, key->pkey);
	const long n = BIO_get_mem_data(bio, &p);
	if (!ok || n <= 0)
		return err_set(c, ERR_BUG, "the key cannot be written as PEM");
	*out = (struct str){ arena_copy(c->mem, p, (size_t)n), (size_t)n };
	return ERR_NONE;
}

static bool
write_all(int fd, struct str s)
{
	while (s.n > 0) {
		const ssize_t done = write(fd, s.p, s.n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		s = str_sub(s, (size_t)done, s.n);
	}
	return true;
}

static bool
sync_folder(struct ctx *c, const char *path)
{
	struct str folder, name;

	if (!str_rcut(str_of(path), '/', &folder, &name))
		folder = STR(".");
	else if (folder.n == 0)
		folder = STR("/");
	const int fd = open(str_dup(c->mem, folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	const bool ok = fsync(fd) == 0;
	close(fd);
	return ok;
}

enum err_kind
jose_key_store(struct ctx *c, const struct jose_key *key, const char *path)
{
	char *tmp = str_fmt(c->mem, "%s.XXXXXX", path);
	struct str pem;
	bool ok;

	TRY(jose_key_pem(c, key, JOSE_PEM_PRIVATE, &pem));
	const int fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return err_set(c, ERR_DENIED, "key file %s: %s", path, strerrordesc_np(errno));
	ok = fchmod(fd, 0600) == 0 && write_all(fd, pem) && fsync(fd) == 0;
	ok = close(fd) == 0 && ok && rename(tmp, path) == 0;
	const int why = errno;
	explicit_bzero((void *)(uintptr_t)pem.p, pem.n);
	if (!ok) {
		unlink(tmp);
		return err_set(c, ERR_DENIED, "key file %s: %s", path, strerrordesc_np(why));
	}
	if (!sync_folder(c, path))
		return err_set(c, ERR_DENIED, "folder of key file %s cannot be synced", path);
	return ERR_NONE;
}

json_t *
jose_key_to_jwk(struct ctx *c, const struct jose_key *key)
{
	json_t *o = js_object(c);
	struct numbers num = { NULL, NULL };

	numbers_get(c, key, &num); /* key_wrap() has seen that it works */
	jo_str(o, "kty", key->alg == JOSE_ES256 ? "EC" : "RSA");
	jo_str(o, "alg", ALG_NAME[key->alg]);
	jo_str(o, "use", "sig");
	jo_str(o, "kid", key->kid);
	if (key->alg == JOSE_ES256)
		jo_str(o, "crv", "P-256");
	jo_str(o, key->alg == JOSE_ES256 ? "x" : "n", num.a);
	jo_str(o, key->alg == JOSE_ES256 ? "y" : "e", num.b);
	return o;
}

/* A number of a JWK: canonical base64url of min to max bytes. */
static bool
jwk_number(struct ctx *c, const json_t *jwk, const char *name, const size_t range[2], struct str *out)
{
	const struct str text = js_str(jwk, name);

	return text.n > 0 && text.n <= (range[1] + 2) / 3 * 4 && base64url_get(c->mem, text, out) &&
	       out->n >= range[0] && out->n <= range[1];
}

static EVP_PKEY *
pkey_from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (pc == NULL || EVP_PKEY_fromdata_init(pc) != 1 ||
	    EVP_PKEY_fromdata(pc, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(pc);
	return pkey;
}

/* EC: the point as 04 ‖ x ‖ y; OpenSSL refuses one that is not on the curve. */
static EVP_PKEY *
pkey_from_ec(struct ctx *c, const json_t *jwk)
{
	static const size_t RANGE[2] = { COORD_BYTES, COORD_BYTES };
	unsigned char point[1 + 2 * COORD_BYTES] = { POINT_CONVERSION_UNCOMPRESSED };
	char group[] = "prime256v1";
	struct str x, y;

	if (!str_eq(js_str(jwk, "crv"), STR("P-256")) || !jwk_number(c, jwk, "x", RANGE, &x) ||
	    !jwk_number(c, jwk, "y", RANGE, &y))
		return NULL;
	memcpy(point + 1, x.p, COORD_BYTES);
	memcpy(point + 1 + COORD_BYTES, y.p, COORD_BYTES);
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		                OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
		                                                  sizeof point),
		                OSSL_PARAM_construct_end() };
	return pkey_from_params("EC", params);
}

/* RSA: n without leading zeros (the thumbprint would not be unique otherwise) and odd, e odd, from 3 to 32
 * bits. */
static EVP_PKEY *
pkey_from_rsa(struct ctx *c, const json_t *jwk)
{
	static const size_t N_RANGE[2] = { RSA_MIN_BYTES, RSA_MAX_BYTES }, E_RANGE[2] = { 1, 4 };
	struct str n, e;
	EVP_PKEY *pkey = NULL;

	if (!jwk_number(c, jwk, "n", N_RANGE, &n) || !jwk_number(c, jwk, "e", E_RANGE, &e))
		return NULL;
	if (n.p[0] == 0 || e.p[0] == 0 || (n.p[n.n - 1] & 1) == 0 || (e.p[e.n - 1] & 1) == 0 ||
	    (e.n == 1 && e.p[0] == 1))
		return NULL;
	BIGNUM *bn_n = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
	BIGNUM *bn_e = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	if (bn_n != NULL && bn_e != NULL && bld != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn_n) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bn_e))
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params != NULL)
		pkey = pkey_from_params("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn_n);
	BN_free(bn_e);
	return pkey;
}

static bool
member_fits(const json_t *jwk, const char *name, const char *want)
{
	return json_object_get(jwk, name) == NULL || str_eq_c(js_str(jwk, name), want);
}

enum err_kind
jose_key_from_jwk(struct ctx *c, const json_t *jwk, struct jose_key **out)
{
	const struct str kty = js_str(jwk, "kty");
	struct jose_key *key;
	EVP_PKEY *pkey = NULL;

	if (str_eq(kty, STR("EC")))
		pkey = pkey_from_ec(c, jwk);
	else if (str_eq(kty, STR("RSA")))
		pkey = pkey_from_rsa(c, jwk);
	else
		return err_set(c, ERR_BAD_INPUT, "JWK: kty is neither EC nor RSA");
	if (pkey == NULL)
		return err_set(c, ERR_BAD_INPUT, "JWK: not a usable %.*s public key", STRF(kty));
	arena_defer(c->mem, free_pkey, pkey);
	TRY(key_wrap(c, pkey, false, &key));
	if (!member_fits(jwk, "alg", ALG_NAME[key->alg]) || !member_fits(jwk, "use", "sig")) {
		jose_key_free(key);
		return err_set(c, ERR_BAD_INPUT, "JWK: alg or use does not fit the %.*s key", STRF(kty));
	}
	*out = key;
	return ERR_NONE;
}
