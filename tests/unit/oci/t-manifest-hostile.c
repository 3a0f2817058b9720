/* Manifests that must be refused, each with its words, and the bounds on what a refusal costs. */
#include "oci-fixture.h"

#include "oci/manifest.h"
#include "oci/say.h"

#define A                           "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define C                           "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define S2                          "application/vnd.docker.distribution.manifest.v2+json"
#define LIST                        "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI                         "application/vnd.oci.image.manifest.v1+json"
#define INDEX                       "application/vnd.oci.image.index.v1+json"
#define LAYER                       "application/vnd.oci.image.layer.v1.tar+gzip"
#define FOREIGN                     "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
#define DESC(type, digest, size)    "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" #size "}"
#define OCI_CONFIG                  DESC("application/vnd.oci.image.config.v1+json", C, 7)
#define DOCKER_CONFIG               DESC("application/vnd.docker.container.image.v1+json", C, 7)
#define IMAGE(config, layers, more) "{\"schemaVersion\":2,\"config\":" config ",\"layers\":" layers more "}"
#define DOCKER(config, layers)                                                                               \
	"{\"schemaVersion\":2,\"mediaType\":\"" S2 "\",\"config\":" config ",\"layers\":" layers "}"

#define MALFORMED "malformed manifest data: "
#define NO_MATCH  "failed to parse manifest: manifest data does not match schema: "

static void
refused(struct ctx *c, const char *type, struct str bytes, const char *words)
{
	struct oci_manifest *m = (void *)c;
	const char *want = str_fmt(c->mem, "{\"message\":\"%s", words);

	if (oci_manifest_parse(c, bytes, str_of(type), &JS_MANIFEST, &m) != ERR_BAD_INPUT)
		fail_msg("not refused: %.*s", bytes.n > 300 ? 300 : (int)bytes.n, bytes.p);
	assert_ptr_equal(m, c); /* untouched */
	assert_ptr_equal(c->err.say, &OCI_SAY_MANIFEST_INVALID);
	assert_true(str_is_utf8(str_of(c->err.detail_json)));
	if (strncmp(c->err.detail_json, want, strlen(want)) != 0)
		fail_msg("%.*s: %s, expected %s", bytes.n > 300 ? 300 : (int)bytes.n, bytes.p,
		         c->err.detail_json, want);
}

static void
not_json(void **state)
{
	static const struct str t[] = {
		STR(""),
		STR(" "),
		STR("{"),
		STR("{}x"),
		STR("nul"),
		STR("{\"a\":NaN}"),
		STR("{\"a\":Infinity}"),
		STR("{\"a\":1,\"a\":2}"),
		STR("{\"a\":\"\\u0000\"}"),
		STR("{\"a\\u0000b\":1}"),
		STR("{\"a\":\"\0\"}"),
		STR("{\"a\":\"\xff\"}"),
		STR("{\"a\":\"\xc0\xaf\"}"),
		STR("{\"a\":\"\xed\xa0\x80\"}"),
		STR("{\"a\":\"\\ud800\"}"),
		STR("{\"a\":01}"),
		STR("{\"a\":1e999}"),
		STR("{'a':1}"),
		STR("\xef\xbb\xbf{}"),
		STR("{\"a\":123456789012345678901234567890}"),
		STR("{\"a\":\"\n\"}"),
		STR("{\"a\":1,}"),
		STR("\0"),
		STR("{\"size\":9223372036854775808}"),
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++) {
		refused(c, OCI, t[i], MALFORMED);
		refused(c, LIST, t[i], MALFORMED);
		refused(c, "", t[i], MALFORMED);
	}
}

static void
wrong_shapes(void **state)
{
	static const struct {
		const char *type, *body, *words;
	} t[] = {
		{OCI,		                           "[]",		                                NO_MATCH "not an object"                  },
		{ OCI,		                          "1",		                                 NO_MATCH "not an object"                  },
		{ OCI,		                          "null",		                              NO_MATCH "not an object"                  },
		{ OCI,		                          "\"x\"",		                             NO_MATCH "not an object"                  },
		{ OCI,		                          "{}",		                                NO_MATCH "'schemaVersion' is not 2"       },
		{ OCI,		                          "{\"schemaVersion\":\"2\"}",                         NO_MATCH "'schemaVersion' is not 2"       },
		{ OCI,		                          "{\"schemaVersion\":2.0}",                           NO_MATCH "'schemaVersion' is not 2"       },
		{ OCI,		                          "{\"schemaVersion\":1}",                             NO_MATCH "'schemaVersion' is not 2"       },
		{ OCI,		                          "{\"schemaVersion\":2}",                             NO_MATCH "'config' is not an object"      },
		{ OCI,		                          "{\"schemaVersion\":2,\"mediaType\":3}",             NO_MATCH "'mediaType' of the manifest"    },
		{ OCI,		                          "{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\"}",
                 NO_MATCH "'mediaType' is '" INDEX "'"		                                                                                         },
		{ S2,		                           "{\"schemaVersion\":2}",                             NO_MATCH "the manifest has no 'mediaType'"},
		{ S2,		                           "{\"schemaVersion\":2,\"mediaType\":null}",          NO_MATCH "'mediaType' of the manifest"    },
		{ S2,		                           IMAGE(DOCKER_CONFIG,                                 "[]",                                       ",\"mediaType\":\"" OCI "\""), NO_MATCH "'mediaType' is" },
		{ LIST,                    "{\"schemaVersion\":2,\"manifests\":[]}",
                 NO_MATCH "the manifest has no 'mediaType'"		                                                                                           },
		{ OCI,    IMAGE("[]",		                                      "[]",""), NO_MATCH "'config' is not an object" },
		{ OCI,		                         IMAGE("null",                                    "[]",		                                        ""), NO_MATCH "'config' is not an object" },
		{ OCI,		                          IMAGE("{}",		                         "[]",		                            ""), NO_MATCH "'config' has no 'mediaType'" },
		{ OCI,         "{\"schemaVersion\":2,\"config\":" OCI_CONFIG "}",
                 NO_MATCH "'layers' is not an array"		                                                                                 },
		{ OCI,		                         IMAGE(OCI_CONFIG,		                                 "null",          ""), NO_MATCH "'layers' is not an array" },
		{ OCI,		                          IMAGE(OCI_CONFIG,                                    "{}",		                                                                                            ""), NO_MATCH "'layers' is not an array" },
		{ OCI,		                          IMAGE(OCI_CONFIG,                                     "[1]",                         ""), NO_MATCH "a layer is not an object" },
		{ OCI,          IMAGE(OCI_CONFIG,		                                            "[[]]",		                                                                                   ""), NO_MATCH "a layer is not an object" },
		{ OCI,		                         IMAGE(OCI_CONFIG,		                                      "[]",",\"subject\":[]"), NO_MATCH "'subject' is not an object" },
		{ OCI,		                          IMAGE(OCI_CONFIG,                                    "[]",                                     ",\"subject\":{}"), NO_MATCH "'subject' has no 'mediaType'" },
		{ OCI,          IMAGE(OCI_CONFIG,		                                            "[]",		                                                                                   ",\"annotations\":[]"),
                 NO_MATCH "'annotations' of the manifest" },
		{ OCI,		                       IMAGE(OCI_CONFIG,                            "[]",",\"artifactType\":1"),
                 NO_MATCH "'artifactType' of the manifest" },
		{ OCI,		                          IMAGE(OCI_CONFIG,                                     "[]",                      ",\"manifests\":[]"),
                 NO_MATCH "an image manifest with 'manifests'" },
		{ OCI,        IMAGE(OCI_CONFIG,		                                          "[" DESC(FOREIGN,		                                                                                 A, 1) "]", ""),
                 "missing `urls` for remote layer" },
		{ INDEX,		                         "{\"schemaVersion\":2}",                                       NO_MATCH "'manifests' is not an array"     },
		{ INDEX,		                          "{\"schemaVersion\":2,\"manifests\":{}}",		                                                    NO_MATCH "'manifests' is not an array"                                              },
		{ INDEX,      "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}",                                                        NO_MATCH "a list with"                                                                                              },
		{ INDEX,		                         "{\"schemaVersion\":2,\"manifests\":[],\"config\":{}}",                                           NO_MATCH "a list with"                                                                                                     },
		{ INDEX,		                          "{\"schemaVersion\":2,\"manifests\":[0]}",                                    NO_MATCH "an entry of 'manifests'"                                     },
		{ INDEX, "{\"schemaVersion\":2,\"manifests\":[" DESC(OCI,                                                   A,		                                                                          1) "," DESC(OCI, A, 2) "]}",
                 NO_MATCH "two sizes for " A },
		{ S2,		             DOCKER(OCI_CONFIG,                      "[]"),NO_MATCH "'mediaType' of 'config'" },
		{ S2,             DOCKER(DOCKER_CONFIG,		                                               "[" DESC(LAYER,		                                                                                    A, 1) "]"), NO_MATCH "'mediaType' of a layer" },
		{ S2,
                 DOCKER(DOCKER_CONFIG,
                 "[" DESC("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",                                                    A, 1) "]"),
                 "missing `urls` for remote layer" },
		{ "",       "{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":[]}",
                 NO_MATCH "the manifest has no 'name'"},
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(t); i++)
		refused(c, t[i].type, str_of(t[i].body), t[i].words);
}

/* Each member of a descriptor with each wrong value, as config, layer, subject and entry of a list. */
static void
wrong_descriptors(void **state)
{
	static const char *const bad[] = {
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\"",
		"\"mediaType\":\"" LAYER "\",\"size\":1",
		"\"digest\":\"" A "\",\"size\":1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":-1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":-9223372036854775808",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1.0",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1e3",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":\"1\"",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":null",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":true",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":[1]",
		"\"mediaType\":\"" LAYER "\",\"digest\":7,\"size\":1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"\",\"size\":1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "a\",\"size\":1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"sha256:AA\",\"size\":1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"md5:d41d8cd98f00b204e9800998ecf8427e\",\"size\":1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"../../etc/passwd\",\"size\":1",
		"\"mediaType\":\"nothing\",\"digest\":\"" A "\",\"size\":1",
		"\"mediaType\":\"\",\"digest\":\"" A "\",\"size\":1",
		"\"mediaType\":\"a/b\\r\\nX: y\",\"digest\":\"" A "\",\"size\":1",
		"\"mediaType\":[],\"digest\":\"" A "\",\"size\":1",
		"\"mediaType\":null,\"digest\":\"" A "\",\"size\":1",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1,\"urls\":\"x\"",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1,\"urls\":[1]",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1,\"annotations\":\"x\"",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1,\"artifactType\":{}",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1,\"platform\":\"linux\"",
		"\"mediaType\":\"" LAYER "\",\"digest\":\"" A "\",\"size\":1,\"platform\":{\"os\":1}",
		"\"mediaType\":\"" OCI "\",\"digest\":\"" A "\",\"size\":1,\"platform\":{\"os\":\"linux\"}",
		"\"mediaType\":\"" OCI "\",\"digest\":\"" A
		"\",\"size\":1,\"platform\":{\"architecture\":\"amd64\"}",
	};
	static const struct {
		const char *type, *before, *after;
	} place[] = {
		{OCI,    "{\"schemaVersion\":2,\"layers\":[],\"config\":{",                             "}}" },
		{ OCI,   "{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":[" OCI_CONFIG ",{", "}]}"},
		{ OCI,   "{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":[],\"subject\":{",  "}}" },
		{ INDEX, "{\"schemaVersion\":2,\"manifests\":[{",                                       "}]}"},
		{ INDEX, "{\"schemaVersion\":2,\"manifests\":[],\"subject\":{",                         "}}" },
		{ LIST,  "{\"schemaVersion\":2,\"mediaType\":\"" LIST "\",\"manifests\":[{",            "}]}"},
	};
	struct ctx *c = *state;

	for (size_t i = 0; i < COUNT(bad); i++)
		for (size_t k = 0; k < COUNT(place); k++)
			refused(c, place[k].type,
			        str_of(str_fmt(c->mem, "%s%s%s", place[k].before, bad[i], place[k].after)),
			        NO_MATCH);
}

static void
sizes_that_do_not_fit(void **state)
{
	struct ctx *c = *state;

	refused(c, OCI,
	        STR(IMAGE(OCI_CONFIG, "[" DESC(LAYER, A, 9223372036854775807) "," DESC(LAYER, C, 1) "]", "")),
	        NO_MATCH "the sizes of the layers do not fit");
}

static void
too_deep_or_too_much(void **state)
{
	static const char head[] = "{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":[],\"x\":[";
	struct ctx *c = *state;
	struct oci_manifest *m;
	struct js_limits small = JS_MANIFEST;
	const char *deep = str_fmt(c->mem, "%s%s%s]}", head, t_repeat(c, '[', 62).p, t_repeat(c, ']', 62).p);
	struct buf b = BUF(c->mem);

	assert_int_equal(oci_manifest_parse(c, str_of(deep), STR(OCI), &JS_MANIFEST, &m),
	                 ERR_NONE); /* 64 levels */
	deep = str_fmt(c->mem, "%s%s%s]}", head, t_repeat(c, '[', 63).p, t_repeat(c, ']', 63).p);
	refused(c, OCI, str_of(deep), MALFORMED "nested too deeply");
	refused(c, OCI, t_repeat(c, '[', 1000000), MALFORMED "nested too deeply");
	refused(c, OCI, t_repeat(c, '{', 1000000), MALFORMED "nested too deeply");

	buf_puts(&b, "[0");
	for (int i = 0; i < 49999; i++)
		buf_puts(&b, ",0");
	buf_putc(&b, ']'); /* an array and 50,000 numbers */
	refused(c, OCI, buf_str(&b), MALFORMED "nested too deeply or too many values");
	b.n -= 3;
	buf_putc(&b, ']');
	refused(c, OCI, buf_str(&b), NO_MATCH "not an object");

	small.bytes = sizeof head;
	assert_int_equal(oci_manifest_parse(c, str_of(deep), STR(OCI), &small, &m), ERR_TOO_LARGE);
	assert_ptr_equal(c->err.say, &OCI_SAY_MANIFEST_TOO_LARGE);
	assert_int_equal(c->err.say->status, 413);
	assert_non_null(c->err.detail_json);
}

static void
long_texts(void **state)
{
	struct ctx *c = *state;
	const char *text = str_fmt(c->mem, "{\"schemaVersion\":2,\"mediaType\":\"%s\xc3\xa9%s\"}",
	                           t_repeat(c, 'x', 119).p, t_repeat(c, 'x', 100000).p);

	refused(c, OCI, str_of(text), NO_MATCH "'mediaType' is 'xxx");
	assert_true(strlen(c->err.detail_json) < 2000);
	text =
	    str_fmt(c->mem, IMAGE(OCI_CONFIG, "[]", ",\"artifactType\":\"a/%s\""), t_repeat(c, 'x', 254).p);
	refused(c, OCI, str_of(text), NO_MATCH "'artifactType' of the manifest is too long");
}

/* As many descriptors as the limit of values lets through: all different, all equal, and the memory that
 * takes. */
static void
many_descriptors(void **state)
{
	struct ctx *c = *state;
	struct oci_manifest *m;

	for (int same = 0; same < 2; same++) {
		struct buf b = BUF(c->mem);
		buf_puts(&b, "{\"schemaVersion\":2,\"manifests\":[");
		for (int i = 0; i < 7000; i++)
			buf_putf(&b, "%s{\"mediaType\":\"" OCI "\",\"size\":1,\"digest\":\"sha256:%064d\"}",
			         i == 0 ? "" : ",", same == 1 ? 1 : 6999 - i);
		buf_puts(&b, "]}");
		const size_t before = arena_used(c->mem);
		assert_int_equal(oci_manifest_parse(c, buf_str(&b), STR(INDEX), &JS_MANIFEST, &m), ERR_NONE);
		assert_int_equal(m->children.n, same == 1 ? 1 : 7000);
		assert_int_equal(m->entries.n, 7000);
		assert_true(arena_used(c->mem) - before < 10 << 20);
		for (size_t i = 1; i < m->children.n; i++)
			assert_true(strcmp(m->children.v[i - 1].digest.text, m->children.v[i].digest.text) >
			            0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(not_json),
		TEST(wrong_shapes),
		TEST(wrong_descriptors),
		TEST(sizes_that_do_not_fit),
		TEST(long_texts),
		TEST(many_descriptors),
		TEST(too_deep_or_too_much),
	};
	return cmocka_run_group_tests_name("oci/manifest-hostile", tests, NULL, NULL);
}
