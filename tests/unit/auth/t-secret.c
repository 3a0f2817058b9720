/* Keys and protected texts against Quay's vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/page-token.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"

static struct ctx C;

static int
setup(void **state)
{
	(void)state;
	C = (struct ctx){ .mem = arena_new(0) };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(C.mem);
	return 0;
}

static struct str
rep(const char *unit_hex)
{
	char *p = arena_alloc(C.mem, 65);

	for (int i = 0; i < 64; i++)
		p[i] = unit_hex[(size_t)i % strlen(unit_hex)];
	p[64] = '\0';
	return str_of(p);
}

static void
key_conversion(void **state)
{
	static const struct {
		const char *text, *hex; /* repeated to 32 bytes */
	} V[] = {
		{"anothercrazykey!",		                                            "616e6f746865726372617a796b657921"        },
		{ "00000000-1111-2222-3333-444455556666",                                       "00000000111122223333444455556666"        },
		{ "urn:uuid:{00000000-1111-2222-3333-444455556666}",                            "00000000111122223333444455556666"        },
		{ "{00000000-1111-2222-3333-444455556666}",                                     "00000000111122223333444455556666"        },
		{ "12345678",		                                                   "bc614e"                                  },
		{ "4095",		                                                       "34303935"                                },
		{ "65535",		                                                      "ff"		                      },
		{ " 65535 ",		                                                    "ff"		                      },
		{ "+65535",		                                                     "ff"		                      },
		{ "1_000_0",		                                                    "2710"		                    },
		{ "1__0",		                                                       "315f5f30"                                },
		{ "10_",		                                                        "31305f"		                  },
		{ "-5",		                                                         "2d35"		                    },
		{ "5",		                                                          "05"		                      },
		{ "0",		                                                          "00"		                      },
		{ "-0",		                                                         "00"		                      },
		{ "007",		                                                        "07"		                      },
		{ "90903411788936212187391083183187290271833948104421377041270893711246841331",
                 "337312f0f6694447fbbf0736ddb9e00569513ea798318788a43d06d46555f333"                                                       },
		{ "superdupersecret!!!1",		                                       "7375706572647570657273656372657421212131"},
		{ "\xc3\xa9",		                                                   "e9"		                      }, /* a code point, not its UTF-8 bytes */
	};

	(void)state;
	for (size_t i = 0; i < sizeof V / sizeof V[0]; i++) {
		struct secret_key k;
		char hex[65];
		assert_true(secret_key_convert(&C, str_of(V[i].text), &k));
		hex_put(hex, k.b, 32);
		assert_string_equal(hex, rep(V[i].hex).p);
	}
	struct secret_key k;
	assert_false(secret_key_convert(&C, STR(""), &k));
	assert_false(secret_key_convert(&C, STR("\xe2\x82\xac"), &k)); /* U+20AC */
	assert_false(secret_key_convert(&C, STR("\xff"), &k));
}

static struct secrets
secrets(void)
{
	struct secrets s;

	assert_int_equal(secrets_init(&C, STR("superdupersecret!!!1"), STR("anothercrazykey!"), &s),
	                 ERR_NONE);
	return s;
}

static void
ccm_vector_both_ways(void **state)
{
	static const uint8_t NONCE[13] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
	const char *want = "v0$$AAECAwQFBgcICQoLDH2kPMWbmbmW/05Uw3gTRxVYvglYJuIqu12iEQ==";
	const struct secrets s = secrets();
	struct str out;

	(void)state;
	assert_int_equal(secret_seal_v0(&C, &s.database, NONCE, STR("hello world"), &out), ERR_NONE);
	assert_string_equal(out.p, want);
	assert_int_equal(secret_open(&C, &s, "any", str_of(want), &out), ERR_NONE);
	assert_true(str_eq(out, STR("hello world")));
	assert_int_equal(secret_seal_v0(&C, &s.database, NULL, STR(""), &out), ERR_NONE);
	assert_int_equal(secret_open(&C, &s, "any", out, &out), ERR_NONE);
	assert_int_equal(out.n, 0);
}

static void
sealed_texts_are_bound(void **state)
{
	const struct secrets s = secrets();
	struct secrets other;
	struct str a, b, out;

	(void)state;
	assert_int_equal(secrets_init(&C, STR("x"), STR("y"), &other), ERR_NONE);
	assert_int_equal(secret_seal(&C, &s, "robot token", STR("S3CRET"), &a), ERR_NONE);
	assert_int_equal(secret_seal(&C, &s, "robot token", STR("S3CRET"), &b), ERR_NONE);
	assert_false(str_eq(a, b)); /* a nonce of its own each time */
	assert_true(str_starts(a, STR("v1$$")));
	assert_int_equal(secret_open(&C, &s, "robot token", a, &out), ERR_NONE);
	assert_true(str_eq(out, STR("S3CRET")));
	assert_int_equal(secret_open(&C, &s, "client secret", a, &out), ERR_DENIED);
	assert_int_equal(secret_open(&C, &other, "robot token", a, &out), ERR_DENIED);
	for (size_t i = 0; i < a.n; i++) { /* every character counts */
		char *bent = str_dup(C.mem, a);
		bent[i] = bent[i] == 'A' ? 'B' : 'A';
		assert_int_not_equal(secret_open(&C, &s, "robot token", str_of(bent), &out), ERR_NONE);
	}
	for (size_t n = 0; n < a.n; n++)
		assert_int_not_equal(secret_open(&C, &s, "robot token", str_sub(a, 0, n), &out), ERR_NONE);
	assert_int_equal(secret_open(&C, &s, "x", STR("plain"), &out), ERR_UNSUPPORTED);
	assert_int_equal(secret_open(&C, &s, "x", STR("v2$$AAAA"), &out), ERR_UNSUPPORTED);
}

static void
boxes(void **state)
{
	const struct secrets s = secrets();
	struct str box, out;

	(void)state;
	assert_int_equal(secret_box(&C, &s.cookie, "session", STR("{\"u\":1}"), &box), ERR_NONE);
	for (size_t i = 0; i < box.n; i++)
		assert_non_null(
		    strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", box.p[i]));
	assert_true(secret_unbox(&C, &s.cookie, "session", box, &out));
	assert_true(str_eq(out, STR("{\"u\":1}")));
	assert_false(secret_unbox(&C, &s.cookie, "state", box, &out));
	assert_false(secret_unbox(&C, &s.seal, "session", box, &out));
	assert_false(secret_unbox(&C, &s.cookie, "session", STR(""), &out));
}

static void
encrypted_password_vector(void **state)
{
	static const uint8_t IV[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	const char *want = "AAECAwQFBgcICQoLDA0OD6I4NUs3yZfKYoznLkaj8Y3gfDPTtMyGsbIN+lhOQQZc";
	const struct secrets s = secrets();
	struct str out;

	(void)state;
	err_clear(&C);
	assert_int_equal(secret_password_put(&C, &s.application, IV, STR("s3cret pass"), &out), ERR_NONE);
	assert_string_equal(out.p, want);
	assert_true(secret_password_get(&C, &s.application, str_of(want), &out));
	assert_true(str_eq(out, STR("s3cret pass")));
	assert_false(secret_password_get(&C, &s.database, str_of(want), &out));
	assert_false(secret_password_get(&C, &s.application, STR("plain password"), &out));
	assert_false(secret_password_get(&C, &s.application, STR(""), &out));
	assert_false(secret_password_get(&C, &s.application, STR("AAAA"), &out));
	assert_int_equal(secret_password_put(&C, &s.application, NULL, STR("p\xc3\xa4\"ss\\"), &out),
	                 ERR_NONE);
	assert_true(secret_password_get(&C, &s.application, out, &out));
	assert_true(str_eq(out, STR("p\xc3\xa4\"ss\\")));
	assert_int_equal(C.err.kind, ERR_NONE); /* a plain password is no failure */
}

static void
page_token_vector(void **state)
{
	const char *token =
	    "gAAAAABlU_"
	    "EAo4p9rZAZwh3FGjyKD48xMFvXJ66Df6CbU1H5iWy50kPtY1dv5C8SOHs03K0I6xELBFmNUixFwCDLCGAwfwWlcQi9PH3QzA"
	    "_vYLh1xteWnfU=";
	const int64_t made = 1700000000;
	struct page_key key;
	struct str out, raw;

	(void)state;
	assert_true(page_key_parse(&C, STR("0OYrc16oBuksR8T3JGB-xxYSlZ2-7I_zzqrLzggBJ58="), &key));
	assert_true(page_token_get(&C, &key, made + 1, str_of(token), &out));
	assert_true(str_eq(out, STR("{\"start_id\": 42}")));
	assert_true(base64url_get(C.mem, str_sub(str_of(token), 0, strlen(token) - 1), &raw));
	assert_int_equal(
	    page_token_put(&C, &key, made, (const uint8_t *)raw.p + 9, STR("{\"start_id\": 42}"), &out),
	    ERR_NONE);
	assert_string_equal(out.p, token);
	assert_true(page_token_get(&C, &key, made + PAGE_TOKEN_LIFE_S, str_of(token), &out));
	assert_false(page_token_get(&C, &key, made + PAGE_TOKEN_LIFE_S + 1, str_of(token), &out));
	assert_false(page_token_get(&C, &key, made - 61, str_of(token), &out));
	for (size_t i = 0; i < strlen(token); i++) {
		char *bent = str_dup_c(C.mem, token);
		bent[i] = bent[i] == 'A' ? 'B' : 'A';
		assert_false(page_token_get(&C, &key, made, str_of(bent), &out));
	}
	assert_false(page_token_get(&C, &key, made, STR(""), &out));
	assert_false(page_key_parse(&C, STR("short"), &key));
}

static void
token_hashes_and_derived_keys_differ(void **state)
{
	const struct secrets s = secrets();
	uint8_t a[32], b[32];

	(void)state;
	secret_token_hash(&s, "app", STR("TOKEN"), a);
	secret_token_hash(&s, "app", STR("TOKEN"), b);
	assert_memory_equal(a, b, 32);
	secret_token_hash(&s, "oauth", STR("TOKEN"), b);
	assert_memory_not_equal(a, b, 32);
	secret_token_hash(&s, "appT", STR("OKEN"), b);
	assert_memory_not_equal(a, b, 32);
	assert_memory_not_equal(s.seal.b, s.token_hash.b, 32);
	assert_memory_not_equal(s.seal.b, s.database.b, 32);
}

/* RFC 5869 has no case with our salt; this one was computed with another implementation of HKDF (Python's
 * hmac). */
static void
hkdf_value(void **state)
{
	struct secret_key from, out;
	char hex[65];

	(void)state;
	for (int i = 0; i < 32; i++)
		from.b[i] = (uint8_t)i;
	secret_key_derive(&from, "sealed texts 1", &out);
	hex_put(hex, out.b, 32);
	assert_string_equal(hex, "20d1c26886c3536de29d4683ff0b5a5d5a132fd11a8092307418093fa9cf60bc");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_conversion),
		cmocka_unit_test(ccm_vector_both_ways),
		cmocka_unit_test(sealed_texts_are_bound),
		cmocka_unit_test(boxes),
		cmocka_unit_test(encrypted_password_vector),
		cmocka_unit_test(page_token_vector),
		cmocka_unit_test(token_hashes_and_derived_keys_differ),
		cmocka_unit_test(hkdf_value),
	};

	return cmocka_run_group_tests_name("auth/secret", tests, setup, teardown);
}
