/* Digests: forms, references of a route, paths, hashing. */
#include "oci-fixture.h"

#include "oci/digest-ref.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
references(void **state)
{
	static const struct {
		struct str s;
		enum oci_ref_kind kind;
	} t[] = {
		{STR("sha256:" HEX64),		                                            OCI_REF_DIGEST    },
		{ STR("sha512:" HEX64 HEX64),		                                     OCI_REF_DIGEST    },
		{ STR("sha512:" HEX64),		                                           OCI_REF_LAX_DIGEST},
		{ STR("sha256:" HEX64 "0"),		                                       OCI_REF_LAX_DIGEST},
		{ STR("sha256:ABCDEF" HEX64),		                                     OCI_REF_LAX_DIGEST},
		{ STR("sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"),
                 OCI_REF_LAX_DIGEST		                                                                 },
		{ STR("SHA256:" HEX64),		                                           OCI_REF_LAX_DIGEST},
		{ STR("blake3+b64_x.-:00"),		                                       OCI_REF_LAX_DIGEST},
		{ STR("sha256:baddigeststring"),		                                  OCI_REF_BAD_DIGEST},
		{ STR("sha256:"),		                                                 OCI_REF_BAD_DIGEST},
		{ STR(":00"),		                                                     OCI_REF_BAD_DIGEST},
		{ STR("sha256:" HEX64 "\n"),		                                      OCI_REF_BAD_DIGEST},
		{ STR("sha256:00:00"),		                                            OCI_REF_BAD_DIGEST},
		{ STR("sha 256:00"),		                                              OCI_REF_BAD_DIGEST},
		{ STR("latest"),		                                                  OCI_REF_TAG       },
		{ STR(".x"),		                                                      OCI_REF_NONE      },
		{ STR(""),		                                                        OCI_REF_NONE      },
	};
	struct ctx *c = *state;
	struct oci_digest d;

	for (size_t i = 0; i < COUNT(t); i++)
		if (oci_ref_parse(t[i].s, &d) != t[i].kind || oci_ref_parse(t[i].s, NULL) != t[i].kind)
			fail_msg("reference \"%.*s\"", STRF(t[i].s));
	assert_int_equal(oci_ref_parse((struct str){ "sha256:\0\0", 9 }, &d), OCI_REF_BAD_DIGEST);
	const char *huge = str_fmt(c->mem, "sha256:%s", t_repeat(c, 'a', 100000).p);
	assert_int_equal(oci_ref_parse(str_of(huge), &d), OCI_REF_BAD_DIGEST);
}

static void
parts(void **state)
{
	struct oci_digest d, e;
	char path[OCI_DIGEST_PATH];

	(void)state;
	assert_true(oci_digest_parse(STR("sha256:" HEX64), &d));
	assert_int_equal(d.alg, OCI_SHA256);
	assert_str(oci_digest_hex(&d), HEX64);
	oci_digest_path(&d, path);
	assert_string_equal(path, "sha256/01/" HEX64);
	assert_true(oci_digest_parse(STR("sha512:" HEX64 HEX64), &e));
	assert_str(oci_digest_hex(&e), HEX64 HEX64);
	oci_digest_path(&e, path);
	assert_string_equal(path, "sha512/01/" HEX64 HEX64);
	assert_false(oci_digest_eq(&d, &e));
	e = d;
	assert_true(oci_digest_eq(&d, &e));
	assert_int_equal(oci_alg_parse(STR("sha512")), OCI_SHA512);
	assert_int_equal(oci_alg_parse(STR("sha384")), OCI_ALG_NONE);
	assert_int_equal(oci_alg_parse(STR0), OCI_ALG_NONE);
}

static void
known_hashes(void **state)
{
	static const char sha512_abc[] =
	    "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
	struct ctx *c = *state;
	struct oci_digest d, want;
	struct oci_hash *h;

	oci_digest_of(OCI_SHA256, STR0, &d);
	assert_string_equal(d.text, OCI_DIGEST_EMPTY);
	oci_digest_of(OCI_SHA256, STR("{}"), &d);
	assert_string_equal(d.text, OCI_DIGEST_EMPTY_JSON);
	oci_digest_of(OCI_SHA512, STR("abc"), &d);
	assert_string_equal(d.text, sha512_abc);

	h = oci_hash_start(c, OCI_SHA512);
	oci_hash_feed(h, "a", 1);
	oci_hash_feed(h, "bc", 2);
	assert_true(oci_digest_parse(str_of(sha512_abc), &want));
	assert_true(oci_hash_matches(h, &want));
	h = oci_hash_start(c, OCI_SHA256);
	oci_hash_feed(h, "{", 1);
	oci_hash_feed(h, "}", 1);
	oci_hash_end(h, &d);
	assert_string_equal(d.text, OCI_DIGEST_EMPTY_JSON);
	h = oci_hash_start(c, OCI_SHA256);
	assert_false(oci_hash_matches(h, &want));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(references), TEST(parts), TEST(known_hashes) };
	return cmocka_run_group_tests_name("oci/digest-ref", tests, NULL, NULL);
}
