/* Media types and the choice by Accept. */
#include "oci-fixture.h"

#include "oci/media-type.h"

#define S1    "application/vnd.docker.distribution.manifest.v1+json"
#define S1S   "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define S2    "application/vnd.docker.distribution.manifest.v2+json"
#define LIST  "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI   "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"

static void
table(void **state)
{
	(void)state;
	for (int m = OCI_MEDIA_OTHER + 1; m < OCI_MEDIAS; m++) {
		const struct oci_media_info *info = oci_media_info((enum oci_media)m);
		assert_non_null(info->name);
		assert_int_equal(oci_media_find(str_of(info->name)), m);
		assert_true(oci_media_valid(str_of(info->name)));
	}
	assert_int_equal(oci_media_find(STR("application/json")), OCI_MEDIA_OTHER);
	assert_int_equal(oci_media_find(STR0), OCI_MEDIA_OTHER);
	assert_true(oci_media_is(OCI_MEDIA_DOCKER_LIST, OCI_IS_LIST));
	assert_false(oci_media_is(OCI_MEDIA_OCI_ARTIFACT, OCI_IS_MANIFEST));
	assert_str(oci_media_strip(STR(" " OCI " ; charset=utf-8")), OCI);
	assert_str(oci_media_strip(STR("")), "");
}

static void
validity(void **state)
{
	static const struct {
		struct str s;
		bool ok;
	} t[] = {
		{STR("text/plain"),		                                 true },
		{ STR("application/vnd.cncf.openpolicyagent.policy.layer.v1+rego"), true },
		{ STR("text/spdx+xml"),		                             true },
		{ STR("application/x;a=b"),                                         true }, /* the rule is not anchored */
		{ STR("text"),		                                      false},
		{ STR("/"),		                                         false},
		{ STR("a/"),		                                        false},
		{ STR("/a"),		                                        false},
		{ STR("+/+"),		                                       false},
		{ STR(""),		                                          false},
		{ STR("a/b\n"),		                                     false},
		{ STR("a/b\0"),		                                     false},
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++)
		if (oci_media_valid(t[i].s) != t[i].ok)
			fail_msg("media type \"%.*s\"", STRF(t[i].s));
	assert_true(oci_media_valid(str_of(str_fmt(c->mem, "a/%s", t_repeat(c, 'b', 253).p))));
	assert_false(oci_media_valid(str_of(str_fmt(c->mem, "a/%s", t_repeat(c, 'b', 254).p))));
}

static void
old_docker(void **state)
{
	static const struct {
		const char *ua;
		bool old;
	} t[] = {
		{"docker/1.9.1 go/go1.4.2 git-commit/a34a1d5", true },
		{ "docker/1.6.0",                              true },
		{ "docker/1.10.0 go/go1.5",                    false},
		{ "docker/20.10.7 go/go1",                     false},
		{ "docker/0.9.0",                              true },
		{ "docker/",		                   false},
		{ "docker/x.y",		                false},
		{ "containerd/1.5.0",                          false},
		{ "",		                          false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(oci_is_old_docker(str_of(t[i].ua)), t[i].old);
}

static void
choices(void **state)
{
	enum { STORED = OCI_SERVE_STORED, CHILD = OCI_SERVE_CHILD, DOWN = OCI_SERVE_SCHEMA1 };
	static const struct {
		const char *accept;
		bool old;
		enum oci_media stored;
		int never, legacy, always;
	} t[] = {
  /* listed: as stored, wherever it stands, whatever its q */
		{OCI,		            false, OCI_MEDIA_OCI_MANIFEST,    STORED, STORED, STORED},
		{ S2 ", " OCI ";q=0.1",          false, OCI_MEDIA_OCI_MANIFEST,    STORED, STORED, STORED},
		{ S2 "," INDEX ",*/*",           false, OCI_MEDIA_OCI_INDEX,       STORED, STORED, STORED},
		{ "text/html;x=\"a,b\" , " LIST, false, OCI_MEDIA_DOCKER_LIST,     STORED, STORED, STORED},
 /* nothing said, or anything taken: Quay converts, we do not */
		{ "",		            false, OCI_MEDIA_DOCKER_MANIFEST, STORED, STORED, DOWN  },
		{ " , ",		         false, OCI_MEDIA_OCI_INDEX,       STORED, STORED, CHILD },
		{ "*/*",		         false, OCI_MEDIA_OCI_MANIFEST,    STORED, STORED, DOWN  },
		{ "*/*",		         false, OCI_MEDIA_OCI_INDEX,       STORED, STORED, CHILD },
		{ "application/*",               false, OCI_MEDIA_DOCKER_LIST,     STORED, STORED, CHILD },
		{ S1 ", */*",                    false, OCI_MEDIA_OCI_INDEX,       STORED, STORED, CHILD },
		{ "application/json",            false, OCI_MEDIA_DOCKER_MANIFEST, STORED, STORED, DOWN  },
		{ "application/json",            true,  OCI_MEDIA_DOCKER_MANIFEST, STORED, DOWN,   DOWN  },
		{ "application/json",            true,  OCI_MEDIA_DOCKER_LIST,     STORED, CHILD,  CHILD },
 /* schema 1 asked for */
		{ S1S ", " S1,                   false, OCI_MEDIA_DOCKER_MANIFEST, STORED, DOWN,   DOWN  },
		{ S1,		            false, OCI_MEDIA_OCI_INDEX,       STORED, CHILD,  CHILD },
		{ S1,		            false, OCI_MEDIA_SCHEMA1_SIGNED,  STORED, STORED, STORED},
		{ OCI,		           false, OCI_MEDIA_SCHEMA1,         STORED, STORED, STORED},
 /* a list for a client that knows images only (scenario 47) */
		{ S2,		            false, OCI_MEDIA_DOCKER_LIST,     CHILD,  CHILD,  CHILD },
		{ S2,		            false, OCI_MEDIA_OCI_INDEX,       CHILD,  CHILD,  CHILD },
		{ OCI,		           false, OCI_MEDIA_DOCKER_LIST,     CHILD,  CHILD,  CHILD },
 /* another kind of list only */
		{ LIST,		          false, OCI_MEDIA_OCI_INDEX,       STORED, STORED, CHILD },
		{ S2,		            false, OCI_MEDIA_OCI_MANIFEST,    STORED, STORED, DOWN  },
		{ "text/html",                   false, OCI_MEDIA_OCI_MANIFEST,    STORED, STORED, DOWN  },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct oci_accept a;
		oci_accept_parse(str_of(t[i].accept), &a);
		a.is_old_docker = t[i].old;
		const int got[] = { (int)oci_accept_choose(&a, t[i].stored, OCI_SCHEMA1_NEVER),
			            (int)oci_accept_choose(&a, t[i].stored, OCI_SCHEMA1_LEGACY_ACCEPT),
			            (int)oci_accept_choose(&a, t[i].stored, OCI_SCHEMA1_ALWAYS) };
		if (got[0] != t[i].never || got[1] != t[i].legacy || got[2] != t[i].always)
			fail_msg("\"%s\" for %s: %d %d %d", t[i].accept, oci_media_info(t[i].stored)->name,
			         got[0], got[1], got[2]);
	}
}

static void
accept_flags(void **state)
{
	struct oci_accept a;

	(void)state;
	oci_accept_parse(STR("\"\\"), &a); /* ends inside an escape */
	assert_false(a.is_empty);
	oci_accept_parse(STR("application/json, text/plain"), &a);
	assert_false(a.is_json);
	oci_accept_parse(STR("application/json;q=1"), &a);
	assert_true(a.is_json);
	oci_accept_parse(STR(",;,"), &a);
	assert_true(a.is_empty);
	oci_accept_parse(STR("application/vnd.docker.container.image.v1+json"), &a);
	assert_int_equal(a.types, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(table), TEST(validity), TEST(old_docker), TEST(choices),
		                            TEST(accept_flags) };
	return cmocka_run_group_tests_name("oci/media-type", tests, NULL, NULL);
}
