/* Compact JWS: signing, verifying, claims. Serves registry tokens (one signature check per new token: the hot
 * path behind the token cache), service keys, robot federation and OpenID Connect. Sources: RFC 7515, 7518,
 * 7519, 8725.
 *
 * Over OpenSSL 3, not libcjose: that library picks the verifying function by the token's own `alg` member
 * (also HS256 and the PS and EdDSA families) where here the key alone decides, takes duplicate members,
 * allocates outside the arena, and uses OpenSSL's deprecated RSA and ECDSA calls. What is left for it would
 * be base64url and the r‖s form of ECDSA signatures. */
#include "auth/jose.h"

#include <math.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "auth/jose-key.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"

#define ES256_BYTES   64
#define SIGNATURE_MAX 512

static const struct js_limits HEADER_LIMITS = { .bytes = 2048, .depth = 3, .values = 32 };
static const struct js_limits CLAIMS_LIMITS = { .bytes = JOSE_TOKEN_MAX, .depth = 16, .values = 2000 };

/* ------------------------------------------------------------------------------------------------------
 * signing */

/* DER of ECDSA to r‖s, 32 bytes each (RFC 7518 section 3.4). */
static bool
es256_from_der(const unsigned char *der, size_t n, unsigned char out[ES256_BYTES])
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	bool ok =
	    sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, ES256_BYTES / 2) == ES256_BYTES / 2 &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + ES256_BYTES / 2, ES256_BYTES / 2) == ES256_BYTES / 2;

	ECDSA_SIG_free(sig);
	return ok;
}

/* r‖s to DER; at most 72 bytes. 0 = failed. */
static size_t
es256_to_der(const unsigned char *rs, unsigned char out[SIGNATURE_MAX])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(rs, ES256_BYTES / 2, NULL),
	       *s = BN_bin2bn(rs + ES256_BYTES / 2, ES256_BYTES / 2, NULL);
	int n = 0;

	if (sig == NULL || r == NULL || s == NULL || !ECDSA_SIG_set0(sig, r, s)) {
		BN_free(r);
		BN_free(s);
	} else {
		n = i2d_ECDSA_SIG(sig, &out);
	}
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

static bool
sign_bytes(const struct jose_key *key, struct str in, unsigned char out[SIGNATURE_MAX], size_t *n)
{
	unsigned char raw[SIGNATURE_MAX];
	size_t raw_n = sizeof raw;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
	          EVP_DigestSign(md, raw, &raw_n, (const unsigned char *)in.p, in.n) == 1;

	EVP_MD_CTX_free(md);
	if (!ok)
		return false;
	if (key->alg == JOSE_ES256) {
		*n = ES256_BYTES;
		return es256_from_der(raw, raw_n, out);
	}
	*n = raw_n;
	memcpy(out, raw, raw_n);
	return true;
}

enum err_kind
jose_sign(struct ctx *c, const struct jose_key *key, const json_t *claims, struct str *out)
{
	unsigned char sig[SIGNATURE_MAX];
	size_t sig_n;
	const struct str payload = js_dump(c, claims);
	const char *body, *tail, *head;

	if (payload.n > JOSE_TOKEN_MAX)
		return err_set(c, ERR_BAD_INPUT, "a token of %zu bytes of claims is too long", payload.n);
	if (!key->is_private)
		return err_set(c, ERR_BUG, "a public key cannot sign");
	body = base64url_put(c->mem, payload);
	head = str_fmt(c->mem, "%s.%s", key->head, body);
	if (!sign_bytes(key, str_of(head), sig, &sig_n))
		return err_set(c, ERR_BUG, "%s signature failed", jose_alg_name(key->alg));
	tail = base64url_put(c->mem, (struct str){ (const char *)sig, sig_n });
	const struct str token = str_of(str_fmt(c->mem, "%s.%s", head, tail));
	if (token.n > JOSE_TOKEN_MAX)
		return err_set(c, ERR_BAD_INPUT, "a token of %zu bytes is too long", token.n);
	*out = token;
	return ERR_NONE;
}

/* ----------------------------------------------------------------------------------------------------
 * verifying */

struct parts {
	struct str header, payload, signature; /* base64url */
	struct str signing_input;
};

static bool
split(struct str token, struct parts *out)
{
	struct str rest;

	if (token.n == 0 || token.n > JOSE_TOKEN_MAX || !str_cut(token, '.', &out->header, &rest) ||
	    !str_cut(rest, '.', &out->payload, &out->signature) || str_find(out->signature, '.') >= 0)
		return false;
	out->signing_input = str_sub(token, 0, out->header.n + 1 + out->payload.n);
	return out->header.n > 0 && out->payload.n > 0 && out->signature.n > 0;
}

/* One part as a JSON object. The library's words are dropped: they quote the token. */
static enum err_kind
part_object(struct ctx *c, struct str part, const struct js_limits *lim, const json_t **out)
{
	struct str text;
	json_t *v;

	if (part.n > lim->bytes / 3 * 4 + 4 || !base64url_get(c->mem, part, &text))
		return err_set(c, ERR_UNAUTHENTICATED, "token: a part is too long or not base64url");
	if (js_parse(c, text, lim, &v) != ERR_NONE || !json_is_object(v))
		return err_set(c, ERR_UNAUTHENTICATED,
		               "token: a part is not a JSON object within the limits");
	*out = v;
	return ERR_NONE;
}

/* Header members that have a say (RFC 7515 section 4.1). *kid stays STR0 without one. */
static enum err_kind
header_check(struct ctx *c, const json_t *header, struct str *kid)
{
	const json_t *id = json_object_get(header, "kid");

	if (json_object_get(header, "crit") != NULL || json_object_get(header, "b64") != NULL)
		return err_set(c, ERR_UNAUTHENTICATED, "token: header asks for extensions");
	if (!json_is_string(json_object_get(header, "alg")))
		return err_set(c, ERR_UNAUTHENTICATED, "token: header without alg");
	*kid = STR0;
	if (id == NULL)
		return ERR_NONE;
	*kid = js_str(header, "kid");
	if (kid->p == NULL || kid->n == 0 || kid->n > JOSE_KID_MAX)
		return err_set(c, ERR_UNAUTHENTICATED, "token: kid is not a string of 1 to %d bytes",
		               JOSE_KID_MAX);
	return ERR_NONE;
}

static bool
signature_fits(const struct jose_key *key, struct str in, struct str sig)
{
	unsigned char der[SIGNATURE_MAX];
	const unsigned char *p = (const unsigned char *)sig.p;
	size_t n = sig.n;

	if (key->alg == JOSE_ES256) {
		if (n != ES256_BYTES || (n = es256_to_der(p, der)) == 0)
			return false;
		p = der;
	} else if (n != (size_t)EVP_PKEY_get_size(key->pkey)) {
		return false;
	}
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const bool ok = md != NULL && EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
	                EVP_DigestVerify(md, p, n, (const unsigned char *)in.p, in.n) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

enum err_kind
jose_verify(struct ctx *c, struct str token, jose_find_fn *find, void *arg, struct jose_verified *out)
{
	struct parts p;
	const json_t *header, *claims;
	const struct jose_key *key = NULL;
	struct str kid, sig;

	if (!split(token, &p))
		return err_set(c, ERR_UNAUTHENTICATED, "token: %zu bytes are not a compact JWS", token.n);
	TRY(part_object(c, p.header, &HEADER_LIMITS, &header));
	TRY(header_check(c, header, &kid));
	if (p.signature.n > SIGNATURE_MAX * 2 || !base64url_get(c->mem, p.signature, &sig))
		return err_set(c, ERR_UNAUTHENTICATED, "token: the signature is not base64url");
	TRY(find(c, arg, kid, &key));
	if (key == NULL)
		return err_set(c, ERR_UNAUTHENTICATED, "token: unknown key");
	if (!str_eq_c(js_str(header, "alg"), jose_alg_name(key->alg)))
		return err_set(c, ERR_UNAUTHENTICATED, "token: key %s is for %s only", key->kid,
		               jose_alg_name(key->alg));
	if (!signature_fits(key, p.signing_input, sig))
		return err_set(c, ERR_UNAUTHENTICATED, "token: wrong signature for key %s", key->kid);
	TRY(part_object(c, p.payload, &CLAIMS_LIMITS, &claims));
	*out = (struct jose_verified){ .header = header, .claims = claims, .key = key };
	return ERR_NONE;
}

struct the_key {
	const struct jose_key *key;
};

static enum err_kind
find_the_key(struct ctx *c, void *arg, struct str kid, const struct jose_key **out)
{
	const struct the_key *k = arg;

	(void)c, (void)kid;
	*out = k->key;
	return ERR_NONE;
}

enum err_kind
jose_verify_key(struct ctx *c, struct str token, const struct jose_key *key, struct jose_verified *out)
{
	struct the_key k = { key };

	return jose_verify(c, token, find_the_key, &k, out);
}

enum err_kind
jose_peek(struct ctx *c, struct str token, const json_t **header, const json_t **unverified_claims)
{
	struct parts p;
	const json_t *h, *v;
	struct str kid;

	if (!split(token, &p))
		return err_set(c, ERR_UNAUTHENTICATED, "token: %zu bytes are not a compact JWS", token.n);
	TRY(part_object(c, p.header, &HEADER_LIMITS, &h));
	TRY(header_check(c, h, &kid));
	TRY(part_object(c, p.payload, &CLAIMS_LIMITS, &v));
	*header = h;
	*unverified_claims = v;
	return ERR_NONE;
}

bool
jose_is_jwt(struct ctx *c, struct str text)
{
	const struct err saved = c->err;
	const json_t *header;
	struct str head, rest;
	bool is = false;

	if (text.n <= JOSE_TOKEN_MAX && str_cut(text, '.', &head, &rest) &&
	    part_object(c, head, &HEADER_LIMITS, &header) == ERR_NONE) {
		const struct str typ = js_str(header, "typ");
		is = str_eq_nocase(typ, STR("jwt")) || str_eq_nocase(typ, STR("at+jwt"));
	}
	c->err = saved; /* a secret that is no JWT is not a failure */
	return is;
}

/* -------------------------------------------------------------------------------------------------------
 * claims */

/* A NumericDate (RFC 7519 section 2) within the years 1970 to 5138; a fraction is cut off. */
static bool
claim_time(const json_t *claims, const char *name, int64_t *out)
{
	const json_t *v = json_object_get(claims, name);
	const double d = json_is_number(v) ? json_number_value(v) : -1;

	if (!(d >= 0 && d < 1e11))
		return false;
	*out = (int64_t)floor(d);
	return true;
}

static bool
audience_fits(const json_t *aud, struct str want)
{
	size_t i;
	json_t *v;

	if (json_is_string(aud))
		return str_eq((struct str){ json_string_value(aud), json_string_length(aud) }, want);
	json_array_foreach(aud, i, v)
	{
		if (json_is_string(v) &&
		    str_eq((struct str){ json_string_value(v), json_string_length(v) }, want))
			return true;
	}
	return false;
}

enum err_kind
jose_check_claims(struct ctx *c, const json_t *claims, const struct jose_expect *want)
{
	int64_t exp, iat, nbf = 0;
	const int64_t now = want->now_s;

	if (want->iss.p != NULL && !str_eq(js_str(claims, "iss"), want->iss))
		return err_set(c, ERR_UNAUTHENTICATED, "token: wrong issuer");
	if (want->aud.p != NULL && !audience_fits(json_object_get(claims, "aud"), want->aud))
		return err_set(c, ERR_UNAUTHENTICATED, "token: wrong audience");
	if (!claim_time(claims, "exp", &exp) || !claim_time(claims, "iat", &iat))
		return err_set(c, ERR_UNAUTHENTICATED, "token: exp or iat is missing or no time");
	if (!claim_time(claims, "nbf", &nbf) &&
	    !(want->nbf_optional && json_object_get(claims, "nbf") == NULL))
		return err_set(c, ERR_UNAUTHENTICATED, "token: nbf is missing or no time");
	if (exp + JOSE_LEEWAY_S <= now)
		return err_set(c, ERR_UNAUTHENTICATED, "token: expired %lld s ago", (long long)(now - exp));
	if (iat - JOSE_LEEWAY_S > now || nbf - JOSE_LEEWAY_S > now)
		return err_set(c, ERR_UNAUTHENTICATED, "token: not valid yet");
	if (exp < iat || (want->max_life_s > 0 && exp - iat > want->max_life_s))
		return err_set(c, ERR_UNAUTHENTICATED, "token: lives %lld s", (long long)(exp - iat));
	return ERR_NONE;
}
