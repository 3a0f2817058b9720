/* Tokens and keys: RFC vectors, everything that must be refused, key files, claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/jose.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"

/* RFC 7638 section 3.1 */
#define RFC7638_N                                                                                            \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"            \
	"BJECPebWKRXjBZCiFV4n3oknj"                                                                          \
	"hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"                                    \
	"FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"                                                  \
	"vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-"      \
	"csFCur-kEgU8awapJzK"                                                                                \
	"nqDKgw"
/* RFC 7515 A.2 and A.3 */
#define A2_N                                                                                                 \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-" \
	"yRT-SFd2lZS-pC"                                                                                     \
	"gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"      \
	"UTo7WTBEMa2R2CapHg6"                                                                                \
	"65xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"                           \
	"h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW"                                                           \
	"yuXpoQ"
#define A_PAYLOAD                                                                                            \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define A2_TOKEN                                                                                             \
	"eyJhbGciOiJSUzI1NiJ9." A_PAYLOAD                                                                    \
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"             \
	"O8W2Fp5jujGbds9uJdbF9CUAr7t1d"                                                                      \
	"nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"            \
	"eSN9383LcOLn6_dO--xi12jzDwusC"                                                                      \
	"-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"  \
	"IoypGlUPQGe77Rw"
#define A3_JWK                                                                                               \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","           \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define A3_TOKEN                                                                                             \
	"eyJhbGciOiJFUzI1NiJ9." A_PAYLOAD                                                                    \
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define NOW 1800000000

static struct ctx C;
static struct jose_key *EC, *RSA_KEY, *EC2;

static int
setup(void **state)
{
	(void)state;
	C = (struct ctx){ .mem = arena_new(0) };
	return jose_key_make(&C, JOSE_ES256, &EC) || jose_key_make(&C, JOSE_ES256, &EC2) ||
	       jose_key_make(&C, JOSE_RS256, &RSA_KEY);
}

static int
teardown(void **state)
{
	(void)state;
	jose_key_free(EC);
	jose_key_free(EC2);
	jose_key_free(RSA_KEY);
	arena_free(C.mem);
	return 0;
}

static json_t *
json(const char *text)
{
	json_t *v = NULL;

	assert_int_equal(js_parse(&C, str_of(text), &JS_API, &v), ERR_NONE);
	return v;
}

static enum err_kind
from_jwk(const char *text, struct jose_key **out)
{
	const enum err_kind k = jose_key_from_jwk(&C, json(text), out);

	if (k == ERR_NONE)
		arena_defer(C.mem, jose_key_free, *out);
	return k;
}

static struct str
sign(const struct jose_key *key, const char *claims)
{
	struct str out = STR0;

	assert_int_equal(jose_sign(&C, key, json(claims), &out), ERR_NONE);
	return out;
}

static void
refused(struct str token, const struct jose_key *key)
{
	struct jose_verified v;

	assert_int_equal(jose_verify_key(&C, token, key, &v), ERR_UNAUTHENTICATED);
}

static const char *
b64(const char *text)
{
	return base64url_put(C.mem, str_of(text));
}

static void
thumbprint_of_rfc7638(void **state)
{
	struct jose_key *key;

	(void)state;
	assert_int_equal(from_jwk("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N
	                          "\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}",
	                          &key),
	                 ERR_NONE);
	assert_string_equal(jose_key_id(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	assert_int_equal(jose_key_alg(key), JOSE_RS256);
	assert_false(jose_key_is_private(key));
}

static void
tokens_of_rfc7515(void **state)
{
	struct jose_verified v;
	struct jose_key *rsa, *ec;

	(void)state;
	assert_int_equal(from_jwk("{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}", &rsa), ERR_NONE);
	assert_int_equal(from_jwk(A3_JWK, &ec), ERR_NONE);
	assert_int_equal(jose_verify_key(&C, STR(A2_TOKEN), rsa, &v), ERR_NONE);
	assert_true(str_eq(js_str(v.claims, "iss"), STR("joe")));
	assert_int_equal(jose_verify_key(&C, STR(A3_TOKEN), ec, &v), ERR_NONE);
	assert_int_equal(js_i64(v.claims, "exp", 0), 1300819380);
	assert_ptr_equal(v.key, ec);
	refused(STR(A2_TOKEN), ec);
	refused(STR(A3_TOKEN), rsa);
	refused(STR(A3_TOKEN), EC);
}

static enum err_kind
find_by_kid(struct ctx *c, void *arg, struct str kid, const struct jose_key **out)
{
	const struct jose_key *const all[] = { EC, EC2, RSA_KEY };

	(void)c, (void)arg;
	for (size_t i = 0; i < 3; i++)
		if (str_eq_c(kid, jose_key_id(all[i])))
			*out = all[i];
	return ERR_NONE;
}

static void
round_trip_by_kid(void **state)
{
	const struct jose_key *const all[] = { EC, EC2, RSA_KEY };
	struct jose_verified v;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct str t = sign(all[i], "{\"sub\":\"alice\"}");
		assert_int_equal(jose_verify(&C, t, find_by_kid, NULL, &v), ERR_NONE);
		assert_ptr_equal(v.key, all[i]);
		assert_true(str_eq(js_str(v.claims, "sub"), STR("alice")));
		assert_true(str_eq(js_str(v.header, "typ"), STR("JWT")));
		assert_true(jose_is_jwt(&C, t));
	}
	assert_int_equal(jose_verify(&C, STR(A3_TOKEN), find_by_kid, NULL, &v),
	                 ERR_UNAUTHENTICATED); /* no kid, no key */
}

static void
jwk_round_trip_has_no_private_member(void **state)
{
	const struct jose_key *const all[] = { EC, RSA_KEY };
	static const char *const PRIVATE[] = { "d", "p", "q", "dp", "dq", "qi", "k" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		json_t *jwk = jose_key_to_jwk(&C, all[i]);
		struct jose_key *pub;
		struct jose_verified v;
		for (size_t k = 0; k < 7; k++)
			assert_null(json_object_get(jwk, PRIVATE[k]));
		assert_int_equal(jose_key_from_jwk(&C, jwk, &pub), ERR_NONE);
		arena_defer(C.mem, jose_key_free, pub);
		assert_string_equal(jose_key_id(pub), jose_key_id(all[i]));
		assert_int_equal(jose_verify_key(&C, sign(all[i], "{}"), pub, &v), ERR_NONE);
		struct str out;
		assert_int_equal(jose_sign(&C, pub, json("{}"), &out), ERR_BUG);
	}
}

/* clang-format off */
static void
bad_jwks(void **state)
{
	static const char *const V[] = {
		"[]", "{}", "{\"kty\":\"oct\",\"k\":\"AAAA\"}", "{\"kty\":\"EC\"}",
		/* not on the curve */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",                            /* tiny */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQ\"}",                     /* e = 1 */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AAEAAQ\"}",                 /* leading zero */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAC\"}",                   /* even */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\",\"alg\":\"PS256\"}", /* another algorithm */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\",\"use\":\"enc\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "=\",\"e\":\"AQAB\"}",
	};
	struct jose_key *key;

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++)
		assert_int_equal(from_jwk(V[i], &key), ERR_BAD_INPUT);
}

/* clang-format on */
/* header . payload . signature made over these very texts with key */
static struct str
forge(const struct jose_key *key, const char *header, const char *payload)
{
	struct str pem, ignored;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char sig[600], rs[64];
	size_t n = sizeof sig;
	const char *in = str_fmt(C.mem, "%s.%s", b64(header), b64(payload));

	assert_int_equal(jose_key_pem(&C, key, JOSE_PEM_PRIVATE, &pem), ERR_NONE);
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, pkey), 1);
	assert_int_equal(EVP_DigestSign(md, sig, &n, (const unsigned char *)in, strlen(in)), 1);
	ignored = (struct str){ (const char *)sig, n };
	if (jose_key_alg(key) == JOSE_ES256) {
		const unsigned char *p = sig;
		ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);
		BN_bn2binpad(ECDSA_SIG_get0_r(s), rs, 32);
		BN_bn2binpad(ECDSA_SIG_get0_s(s), rs + 32, 32);
		ECDSA_SIG_free(s);
		ignored = (struct str){ (const char *)rs, sizeof rs };
	}
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	return str_of(str_fmt(C.mem, "%s.%s", in, base64url_put(C.mem, ignored)));
}

static void
right_signature_wrong_form(void **state)
{
	struct jose_verified v;
	char kid[400];

	(void)state;
	assert_int_equal(jose_verify_key(&C, forge(EC, "{\"alg\":\"ES256\"}", "{}"), EC, &v),
	                 ERR_NONE); /* the forge works */
	assert_int_equal(jose_verify_key(&C, forge(RSA_KEY, "{\"alg\":\"RS256\"}", "{}"), RSA_KEY, &v),
	                 ERR_NONE);
	assert_int_equal(
	    jose_verify_key(
	        &C, forge(EC, "{\"alg\":\"ES256\",\"jku\":\"http://x\",\"jwk\":{},\"x5u\":\"y\"}", "{}"), EC,
	        &v),
	    ERR_NONE);                /* ignored */
	/* clang-format off */
	static const char *const HEADERS[] = {
		"{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}", "{\"alg\":\"es256\"}", "{\"alg\":\"ES384\"}", "{}",
		"{\"alg\":null}", "{\"alg\":[\"ES256\"]}", "{\"alg\":\"ES256\",\"alg\":\"ES256\"}", "{\"alg\":\"none\",\"alg\":\"ES256\"}",
		"{\"alg\":\"ES256\",\"crit\":[]}", "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", "{\"alg\":\"ES256\",\"b64\":false}",
		"{\"alg\":\"ES256\",\"kid\":7}", "{\"alg\":\"ES256\",\"kid\":\"\"}", "[\"ES256\"]", "\"ES256\"", "{\"alg\":\"ES256\"",
		"{\"alg\":\"ES256\"} x", "{\"alg\":\"ES256\",\"x\":[[[[1]]]]}", "",
	};
	for (size_t i = 0; i < sizeof HEADERS / sizeof HEADERS[0]; i++)
		refused(forge(EC, HEADERS[i], "{}"), EC);
	static const char *const PAYLOADS[] = { "[]", "1", "", "{\"sub\":\"a\",\"sub\":\"b\"}", "{\"a\":{\"b\":1,\"b\":2}}", "{\"a\":\"\xff\"}",
		                                "{} {}" };
	for (size_t i = 0; i < sizeof PAYLOADS / sizeof PAYLOADS[0]; i++)
		refused(forge(EC, "{\"alg\":\"ES256\"}", PAYLOADS[i]), EC);
	memset(kid, 'k', sizeof kid); /* clang-format on */
	refused(
	    forge(EC, str_fmt(C.mem, "{\"alg\":\"ES256\",\"kid\":\"%.*s\"}", JOSE_KID_MAX + 1, kid), "{}"),
	    EC);
	assert_int_equal(
	    jose_verify_key(
	        &C,
	        forge(EC, str_fmt(C.mem, "{\"alg\":\"ES256\",\"kid\":\"%.*s\"}", JOSE_KID_MAX, kid), "{}"),
	        EC, &v),
	    ERR_NONE);
}

/* The classic: HMAC with the text of the public key, and no signature at all. */
static void
algorithm_confusion(void **state)
{
	struct str pem;
	uint8_t mac[32];

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct jose_key *key = i == 0 ? RSA_KEY : EC;
		const char *in = str_fmt(C.mem, "%s.%s", b64("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"),
		                         b64("{\"sub\":\"root\"}"));
		assert_int_equal(jose_key_pem(&C, key, JOSE_PEM_PUBLIC, &pem), ERR_NONE);
		digest_hmac_sha256(pem, str_of(in), mac);
		refused(str_of(str_fmt(C.mem, "%s.%s", in,
		                       base64url_put(C.mem, (struct str){ (char *)mac, 32 }))),
		        key);
		in = str_fmt(C.mem, "%s.%s", b64("{\"alg\":\"none\"}"), b64("{\"sub\":\"root\"}"));
		refused(str_of(str_fmt(C.mem, "%s.", in)), key);
		refused(str_of(str_fmt(C.mem, "%s.AAAA", in)), key);
		in = str_fmt(C.mem, "%s.%s", b64("{\"alg\":\"ES256\"}"), b64("{\"sub\":\"root\"}"));
		const char zero[64] = { 0 }; /* r = s = 0 */
		refused(str_of(str_fmt(C.mem, "%s.%s", in, base64url_put(C.mem, (struct str){ zero, 64 }))),
		        EC);
	}
	/* signed by one key, presented under the kid of another */
	struct jose_verified v;
	const char *header = str_fmt(C.mem, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", jose_key_id(EC2));
	assert_int_equal(jose_verify(&C, forge(EC, header, "{}"), find_by_kid, NULL, &v),
	                 ERR_UNAUTHENTICATED);
	header = str_fmt(C.mem, "{\"alg\":\"RS256\",\"kid\":\"%s\"}", jose_key_id(EC));
	assert_int_equal(jose_verify(&C, forge(RSA_KEY, header, "{}"), find_by_kid, NULL, &v),
	                 ERR_UNAUTHENTICATED);
}

static void
damaged_tokens(void **state)
{
	const struct str t = sign(EC, "{\"sub\":\"alice\",\"n\":12345}");

	(void)state;
	for (size_t n = 0; n < t.n; n++)
		refused(str_sub(t, 0, n), EC);
	for (size_t i = 0; i < t.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			char *bent = arena_copy(C.mem, t.p, t.n);
			bent[i] = (char)(bent[i] ^ 1 << bit);
			refused((struct str){ bent, t.n }, EC);
		}
	}
	refused(str_of(str_fmt(C.mem, "%s.", t.p)), EC);
	refused(str_of(str_fmt(C.mem, "%s=", t.p)), EC);
	refused(str_of(str_fmt(C.mem, "%s.x", t.p)), EC);
	refused(str_of(str_fmt(C.mem, " %s", t.p)), EC);
	refused(str_of(str_fmt(C.mem, "%s\n", t.p)), EC);
	refused(STR("a.b.c.d.e"), EC);
	refused(STR(".."), EC);
	refused(STR("."), EC);
	refused(STR0, EC);
}

static void
size_limits(void **state)
{
	char *big = arena_alloc(C.mem, 60000);
	struct jose_verified v;
	struct str out;

	(void)state;
	memset(big, 'a', 60000);
	refused((struct str){ big, 60000 }, EC);
	assert_int_equal(jose_sign(&C, EC, json(str_fmt(C.mem, "{\"x\":\"%.*s\"}", 20000, big)), &out),
	                 ERR_BAD_INPUT);
	assert_int_equal(jose_sign(&C, EC, json(str_fmt(C.mem, "{\"x\":\"%.*s\"}", 12200, big)), &out),
	                 ERR_BAD_INPUT);
	out = sign(EC, str_fmt(C.mem, "{\"x\":\"%.*s\"}", 11000, big));
	assert_int_equal(jose_verify_key(&C, out, EC, &v), ERR_NONE);
	memset(big, '[', 6000);
	refused(forge(EC, "{\"alg\":\"ES256\"}", str_fmt(C.mem, "{\"x\":%.*s}", 6000, big)), EC);
}

/* clang-format off */
static void
claims(void **state)
{
	static const struct {
		const char *claims;
		bool        good;
	} V[] = {
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", true },
		{ "{\"iss\":\"quay\",\"aud\":[\"x\",\"reg\"],\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", true },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1799999971,\"iat\":1799999000,\"nbf\":1799999000}", true },     /* within the leeway */
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800000000.9,\"iat\":1.8e9,\"nbf\":1.8e9}", true },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1799999970,\"iat\":1799999000,\"nbf\":1799999000}", false },    /* expired */
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800000100,\"iat\":1800000030,\"nbf\":1800000030}", true },     /* a clock ahead */
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800000100,\"iat\":1800000031,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800000100,\"iat\":1800000000,\"nbf\":1800000031}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800003660,\"iat\":1800000000,\"nbf\":1800000000}", true },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800003661,\"iat\":1800000000,\"nbf\":1800000000}", false },    /* too long a life */
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800000010,\"iat\":1800000020,\"nbf\":1800000000}", false },    /* ends before it starts */
		{ "{\"iss\":\"Quay\",\"aud\":\"reg\",\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"aud\":\"reg\",\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"other\",\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":[],\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":null,\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"exp\":1800003600,\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800003600,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800003600,\"iat\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":\"1800003600\",\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1e300,\"iat\":1800000000,\"nbf\":1800000000}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":9223372036854775807,\"iat\":-9223372036854775808,\"nbf\":0}", false },
		{ "{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800003600,\"iat\":-1,\"nbf\":1800000000}", false },
	};
	struct jose_expect want = { .iss = STR("quay"), .aud = STR("reg"), .now_s = NOW, .max_life_s = JOSE_LIFE_MAX_S };

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++)
		assert_int_equal(jose_check_claims(&C, json(V[i].claims), &want), V[i].good ? ERR_NONE : ERR_UNAUTHENTICATED);
	want.nbf_optional = true;
	assert_int_equal(jose_check_claims(&C, json(V[19].claims), &want), ERR_NONE);
	assert_int_equal(jose_check_claims(&C, json("{\"iss\":\"quay\",\"aud\":\"reg\",\"exp\":1800003600,\"iat\":1800000000,\"nbf\":\"x\"}"), &want),
	                 ERR_UNAUTHENTICATED);
}
/* clang-format on */

static void
key_files(void **state)
{
	const struct jose_key *const all[] = { EC, RSA_KEY };
	char folder[] = "/tmp/kade-jose-XXXXXX";
	struct jose_key *key;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	const char *path = str_fmt(C.mem, "%s/instance.pem", folder);
	umask(0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(jose_key_store(&C, all[i], path), ERR_NONE);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		assert_int_equal(jose_key_load(&C, path, &key), ERR_NONE);
		assert_string_equal(jose_key_id(key), jose_key_id(all[i]));
		assert_true(jose_key_is_private(key));
		struct jose_verified v;
		assert_int_equal(jose_verify_key(&C, sign(key, "{}"), all[i], &v), ERR_NONE);
		jose_key_free(key);
	}
	static const mode_t BAD[] = { 0640, 0604, 0620, 0602, 0644, 0610, 0601 };
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		assert_int_equal(chmod(path, BAD[i]), 0);
		assert_int_equal(jose_key_load(&C, path, &key), ERR_DENIED);
	}
	assert_int_equal(chmod(path, 0600), 0);
	FILE *f = fopen(path, "w");
	fputs("-----BEGIN PRIVATE KEY-----\nnothing\n", f);
	fclose(f);
	assert_int_equal(jose_key_load(&C, path, &key), ERR_BAD_INPUT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(jose_key_load(&C, path, &key), ERR_NOT_FOUND);
	assert_int_equal(jose_key_load(&C, folder, &key), ERR_DENIED);
	assert_int_equal(rmdir(folder), 0); /* also: no temporary file was left */
}

static void
pem_texts(void **state)
{
	struct str pem;

	(void)state;
	assert_int_equal(jose_key_pem(&C, RSA_KEY, JOSE_PEM_PRIVATE, &pem), ERR_NONE);
	assert_true(str_starts(pem, STR("-----BEGIN RSA PRIVATE KEY-----\n")));
	assert_int_equal(jose_key_pem(&C, EC, JOSE_PEM_PRIVATE, &pem), ERR_NONE);
	assert_true(str_starts(pem, STR("-----BEGIN EC PRIVATE KEY-----\n")));
	assert_int_equal(jose_key_pem(&C, EC, JOSE_PEM_PUBLIC, &pem), ERR_NONE);
	assert_true(str_starts(pem, STR("-----BEGIN PUBLIC KEY-----\n")));
}

static void
looks_like_a_jwt(void **state)
{
	(void)state;
	assert_true(jose_is_jwt(&C, str_of(str_fmt(C.mem, "%s.x.y", b64("{\"typ\":\"at+JWT\"}")))));
	assert_true(jose_is_jwt(&C, str_of(str_fmt(C.mem, "%s.x.y", b64("{\"typ\":\"jwt\"}")))));
	assert_false(jose_is_jwt(&C, STR(A3_TOKEN))); /* no typ */
	assert_false(jose_is_jwt(&C, STR("0123456789012345678901234567890123456789")));
	assert_false(jose_is_jwt(&C, STR("a.b.c")));
	assert_false(jose_is_jwt(&C, STR0));
	assert_int_equal(C.err.kind == ERR_BUG, 0);
	const json_t *header, *peeked;
	assert_int_equal(jose_peek(&C, STR(A3_TOKEN), &header, &peeked), ERR_NONE);
	assert_true(str_eq(js_str(peeked, "iss"), STR("joe")));
	assert_int_equal(jose_peek(&C, STR("x.y.z"), &header, &peeked), ERR_UNAUTHENTICATED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thumbprint_of_rfc7638),
		cmocka_unit_test(tokens_of_rfc7515),
		cmocka_unit_test(round_trip_by_kid),
		cmocka_unit_test(jwk_round_trip_has_no_private_member),
		cmocka_unit_test(bad_jwks),
		cmocka_unit_test(right_signature_wrong_form),
		cmocka_unit_test(algorithm_confusion),
		cmocka_unit_test(damaged_tokens),
		cmocka_unit_test(size_limits),
		cmocka_unit_test(claims),
		cmocka_unit_test(key_files),
		cmocka_unit_test(pem_texts),
		cmocka_unit_test(looks_like_a_jwt),
	};

	return cmocka_run_group_tests_name("auth/jose", tests, setup, teardown);
}
