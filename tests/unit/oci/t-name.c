/* Names, tags, robots and derived tags. */
#include "oci-fixture.h"

#include "oci/digest-ref.h"
#include "oci/name.h"
#include "oci/say.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
namespaces(void **state)
{
	static const struct {
		struct str s;
		bool ok;
	} t[] = {
		{STR("ab"),         true },
                { STR("a"),         false},
                { STR(""),          false},
		{ STR("a.b"),       true },
                { STR("a..b"),      false},
                { STR("a._b"),      false},
		{ STR(".ab"),       false},
                { STR("ab."),       false},
                { STR("ab-"),       false},
		{ STR("a-b_c.d"),   true },
                { STR("Ab"),        false},
                { STR("a b"),       false},
		{ STR("a/b"),       false},
                { STR("ab\n"),      false},
                { STR("ab\0"),      false},
		{ STR("\xc3\xa9t"), false},
                { STR("devtable"),  true },
                { STR("00"),        true },
		{ STR("a+b"),       false},
                { STR("__"),        false},
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++) {
		if (oci_namespace_valid(t[i].s) != t[i].ok)
			fail_msg("namespace \"%.*s\"", STRF(t[i].s));
		assert_int_equal(oci_namespace_check(c, t[i].s), t[i].ok ? ERR_NONE : ERR_BAD_INPUT);
	}
	assert_true(oci_namespace_valid(t_repeat(c, 'a', 255)));
	assert_false(oci_namespace_valid(t_repeat(c, 'a', 256)));
	assert_int_equal(oci_namespace_check(c, t_repeat(c, 'a', 256)), ERR_BAD_INPUT);
	assert_ptr_equal(c->err.say, &OCI_SAY_NAMESPACE_LENGTH);
	assert_int_equal(oci_namespace_check(c, STR("a!b")), ERR_BAD_INPUT);
	assert_string_equal(c->err.message, "Invalid namespace a!b: Namespace must match expression "
	                                    "^([a-z0-9]+(?:[._-][a-z0-9]+)*)$");
	assert_int_equal(oci_namespace_check(c, STR("a")), ERR_BAD_INPUT);
	assert_string_equal(c->err.message,
	                    "Invalid namespace a: Namespace must be between 2 and 255 characters in length");
	assert_int_equal(oci_namespace_check(c, STR("a\xff\xfe")), ERR_BAD_INPUT); /* not shown: no UTF-8 */
	assert_true(str_is_utf8(str_of(c->err.message)));
}

static void
repositories(void **state)
{
	static const struct {
		struct str s;
		bool plain, extended;
	} t[] = {
		{STR("foo"),              true,  true },
                { STR("foo.bar"),         true,  true },
		{ STR("f"),               true,  true },
                { STR("foo..bar-"),       true,  true },
		{ STR("a__b--c"),         true,  true },
                { STR(""),                false, false},
		{ STR("-foo"),            false, false},
                { STR(".foo"),            false, false},
		{ STR("Foo"),             false, false},
                { STR("some/slash"),      false, true },
		{ STR("a/b/c"),           false, true },
                { STR("a//b"),            false, false},
		{ STR("/a"),              false, false},
                { STR("a/"),              false, false},
		{ STR("a/-b"),            false, false},
                { STR("a/."),             false, false},
		{ STR("a/../b"),          false, false},
                { STR("a b"),             false, false},
		{ STR("a%2fb"),           false, false},
                { STR("a\0b"),            false, false},
		{ STR("a\n"),             false, false},
                { STR("blobs/manifests"), false, true },
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++)
		if (oci_repo_valid(t[i].s, false) != t[i].plain ||
		    oci_repo_valid(t[i].s, true) != t[i].extended)
			fail_msg("repository \"%.*s\"", STRF(t[i].s));
	assert_true(oci_repo_valid(t_repeat(c, 'x', 255), false));
	assert_true(oci_repo_valid(t_repeat(c, 'x', 255), true));
	assert_false(oci_repo_valid(t_repeat(c, 'x', 256), false));
	assert_false(oci_repo_valid(t_repeat(c, 'x', 256), true));
}

static void
repository_refusals(void **state)
{
	struct ctx *c = *state;

	assert_int_equal(oci_repo_check(c, STR("some/slash"), true), ERR_NONE);
	assert_int_equal(oci_repo_check(c, STR("some/slash"), false), ERR_BAD_INPUT);
	assert_string_equal(c->err.message, "Nested repositories are not supported. Found: some/slash");
	assert_string_equal(c->err.say->code, "NAME_INVALID");
	assert_int_equal(oci_repo_check(c, STR("-x"), true), ERR_BAD_INPUT);
	assert_string_equal(c->err.message, "Invalid repository name: -x");
	assert_int_equal(c->err.say->status, 400);
	assert_int_equal(oci_repo_check(c, t_repeat(c, 'y', 100000), true), ERR_BAD_INPUT);
	assert_true(strlen(c->err.message) < 300);
}

static void
tags(void **state)
{
	static const struct {
		struct str s;
		bool ok;
	} t[] = {
		{STR("l"),          true },
                { STR("1"),         true },
                { STR(""),          false},
		{ STR(".fail"),     false},
                { STR("-fail"),     false},
                { STR("v1.0-rc_1"), true },
		{ STR("_x"),        true },
                { STR("A.B"),       true },
                { STR("a+b"),       false},
		{ STR("a:b"),       false},
                { STR("a/b"),       false},
                { STR("a\n"),       false},
		{ STR("a\0b"),      false},
                { STR("\xc3\xa9"),  false},
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++)
		if (oci_tag_valid(t[i].s) != t[i].ok)
			fail_msg("tag \"%.*s\"", STRF(t[i].s));
	assert_true(oci_tag_valid(t_repeat(c, 't', 128)));
	assert_false(oci_tag_valid(t_repeat(c, 't', 129)));
}

static void
splitting(void **state)
{
	static const struct {
		const char *path, *ns, *repo; /* ns NULL: refused */
	} with[] = {
		{"a/b",       "a",       "b"      },
		{ "a/b/c",    "a",       "b/c"    },
		{ "newrepo",  "library", "newrepo"},
		{ "a/b/",     "a",       "b"      },
		{ "newrepo/", "library", "newrepo"},
		{ "a//b",     "a",       "/b"     },
		{ "",         NULL,      NULL     },
		{ "/",        NULL,      NULL     },
		{ "/b",       NULL,      NULL     },
	};
	const struct oci_name_rules on = { STR("library"), true }, off = { STR("library"), false };
	struct ctx *c = *state;
	struct str ns, repo;

	for (size_t i = 0; i < COUNT(with); i++) {
		const enum err_kind k = oci_name_split(c, str_of(with[i].path), &on, &ns, &repo);
		assert_int_equal(k, with[i].ns == NULL ? ERR_BAD_INPUT : ERR_NONE);
		if (k == ERR_NONE) {
			assert_str(ns, with[i].ns);
			assert_str(repo, with[i].repo);
		}
	}
	assert_int_equal(oci_name_split(c, STR("library/x"), &off, &ns, &repo), ERR_NONE);
	assert_str(ns, "library");
	assert_int_equal(oci_name_split(c, STR("x"), &off, &ns, &repo), ERR_BAD_INPUT);
	assert_ptr_equal(c->err.say, &OCI_SAY_NAMESPACE_MISSING);
	assert_int_equal(oci_name_split(c, STR("x/"), &off, &ns, &repo), ERR_BAD_INPUT);
}

static void
robots(void **state)
{
	static const char *const bad[] = { "buynlarge", "+x", "a+b", "ab+", "ab+c+de", "ab+C", "ab+c d", "" };
	struct ctx *c = *state;
	struct str ns, name;

	assert_true(oci_robot_split(STR("buynlarge+ownerbot"), &ns, &name));
	assert_str(ns, "buynlarge");
	assert_str(name, "ownerbot");
	assert_string_equal(oci_robot_name(c, ns, name), "buynlarge+ownerbot");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(oci_robot_split(str_of(bad[i]), &ns, &name));
}

static void
derived_tags(void **state)
{
	static const char *const bad[] = {
		"sha256-" HEX64,         "sha256-" HEX64 ".SIG",
		"sha256-" HEX64 ".sigx", "sha512-" HEX64 ".sig",
		"sha256-" HEX64 "0.sig", "sha256:" HEX64 ".sig",
		"sha256-.sig",           "",
	};
	struct oci_digest d, back;
	char text[OCI_SIBLING_TEXT], tag[OCI_REFERRERS_TAG_TEXT];

	(void)state;
	assert_true(oci_digest_parse(STR("sha256:" HEX64), &d));
	for (int i = 0; i < OCI_SIBLINGS; i++) {
		oci_sibling_tag(&d, (enum oci_sibling)i, text);
		assert_true(oci_tag_valid(str_of(text)));
		assert_true(oci_sibling_parse(str_of(text), &back));
		assert_true(oci_digest_eq(&d, &back));
	}
	oci_sibling_tag(&d, OCI_SIBLING_SBOM, text);
	assert_string_equal(text, "sha256-" HEX64 ".sbom");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(oci_sibling_parse(str_of(bad[i]), NULL));
	oci_referrers_tag(&d, tag);
	assert_string_equal(tag, "sha256-" HEX64);
	assert_true(oci_referrers_tag_valid(str_of(tag)));
	assert_true(oci_digest_parse(STR("sha512:" HEX64 "ff" HEX64) /* too long */, &d) == false);
	assert_true(oci_digest_parse(STR("sha512:" HEX64 HEX64), &d));
	oci_referrers_tag(&d, tag);
	assert_string_equal(tag, "sha512-" HEX64);
	oci_sibling_tag(&d, OCI_SIBLING_SIG, text);
	assert_string_equal(text, "");
	assert_false(oci_referrers_tag_valid(STR("sha256-" HEX64 ".sig")));
	assert_false(oci_referrers_tag_valid(STR("latest")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(namespaces), TEST(repositories), TEST(repository_refusals), TEST(tags),
		TEST(splitting),  TEST(robots),       TEST(derived_tags),
	};
	return cmocka_run_group_tests_name("oci/name", tests, NULL, NULL);
}
