/* Schema 1: parts, payload and refusals. The signed specimen is made here: the payload rule does not need its
 * signature. */
#include "oci-fixture.h"

#include "base/digest.h"
#include "oci/manifest.h"
#include "oci/say.h"
#include "oci/schema1.h"

#define A   "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B   "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define V1  "application/vnd.docker.distribution.manifest.v1+json"
#define V1S "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define HISTORY(leaf, base)                                                                                  \
	"\"history\":[{\"v1Compatibility\":\"" leaf "\"},{\"v1Compatibility\":\"" base "\"}]"
#define GOOD   HISTORY("{\\\"id\\\":\\\"leaf\\\",\\\"parent\\\":\\\"base\\\"}", "{\\\"id\\\":\\\"base\\\"}")
#define LAYERS "\"fsLayers\":[{\"blobSum\":\"" A "\"},{\"blobSum\":\"" B "\"}]"
#define BODY(name, tag, layers, history)                                                                     \
	"{\n   \"schemaVersion\": 1,\n   \"name\": \"" name "\",\n   \"tag\": \"" tag                        \
	"\",\n   \"architecture\": \"amd64\",\n   " layers ",\n   " history

static enum err_kind
parse(struct ctx *c, const char *type, const char *text, struct oci_manifest **m)
{
	return oci_manifest_parse(c, str_of(text), str_of(type), &JS_MANIFEST, m);
}

/* The document with n signatures over `length` bytes and a tail. */
static const char *
sign(struct ctx *c, const char *body, size_t length, const char *tail, int n)
{
	const char *protect = base64url_put(
	    c->mem,
	    str_of(str_fmt(c->mem,
	                   "{\"formatLength\":%zu,\"formatTail\":\"%s\",\"time\":\"2024-01-01T00:00:00Z\"}",
	                   length, base64url_put(c->mem, str_of(tail)))));
	struct buf b = BUF(c->mem);

	buf_puts(&b, body);
	buf_puts(&b, ",\n   \"signatures\": [");
	for (int i = 0; i < n; i++)
		buf_putf(&b,
		         "%s{\"header\":{\"jwk\":{\"kty\":\"EC\"},\"alg\":\"ES256\"},\"signature\":\"AA\","
		         "\"protected\":\"%s\"}",
		         i == 0 ? "" : ",", protect);
	buf_puts(&b, "]\n}");
	return buf_cstr(&b);
}

static void
unsigned_form(void **state)
{
	static const char text[] = BODY("ns/repo/sub", "latest", LAYERS, GOOD) "\n}";
	static const char *const types[] = { V1, V1S, "", "application/json" };
	struct ctx *c = *state;
	struct oci_manifest *m;
	struct oci_digest d, e;

	for (size_t i = 0; i < COUNT(types); i++) {
		assert_int_equal(parse(c, types[i], text, &m), ERR_NONE);
		assert_int_equal(m->media,
		                 OCI_MEDIA_SCHEMA1); /* whatever was claimed: there is no signature */
	}
	assert_string_equal(m->media_type, V1);
	assert_int_equal(m->schema, 1);
	assert_str(m->schema1->ns, "ns");
	assert_str(m->schema1->repo, "repo/sub");
	assert_str(m->schema1->tag, "latest");
	assert_int_equal(m->layers.n, 2);
	assert_string_equal(m->layers.v[0].digest.text, B); /* base first */
	assert_string_equal(m->schema1->v1[0].id, "base");
	assert_null(m->schema1->v1[0].parent);
	assert_string_equal(m->schema1->v1[1].parent, "base");
	assert_int_equal(m->blobs.n, 2);
	assert_int_equal(m->layers_size_bytes, -1);
	oci_manifest_digest(m, OCI_SHA256, STR(text), &d);
	oci_digest_of(OCI_SHA256, STR(text), &e);
	assert_true(oci_digest_eq(&d, &e));
}

static void
signed_form(void **state)
{
	static const char body[] = BODY("ns/repo", "latest", LAYERS, GOOD);
	struct ctx *c = *state;
	struct oci_manifest *m;
	struct oci_digest d, e;
	const char *text = sign(c, body, sizeof body - 1, "\n}", 2);

	assert_int_equal(parse(c, V1S, text, &m), ERR_NONE);
	assert_int_equal(m->media, OCI_MEDIA_SCHEMA1_SIGNED);
	assert_int_equal(m->schema1->n_signatures, 2);
	assert_str(m->schema1->signatures[0].alg, "ES256");
	assert_str(m->schema1->payload, str_fmt(c->mem, "%s\n}", body));
	oci_manifest_digest(m, OCI_SHA256, str_of(text), &d);
	oci_digest_of(OCI_SHA256, str_of(str_fmt(c->mem, "%s\n}", body)), &e);
	assert_true(oci_digest_eq(&d, &e));
	assert_int_equal(parse(c, V1, text, &m), ERR_NONE);
	assert_int_equal(m->media, OCI_MEDIA_SCHEMA1_SIGNED);

	/* a payload that says something else than the document, or nothing */
	assert_int_equal(parse(c, V1S, sign(c, body, 0, "{}", 1), &m), ERR_BAD_INPUT);
	assert_int_equal(parse(c, V1S, sign(c, body, 0, "", 1), &m), ERR_BAD_INPUT);
	assert_int_equal(parse(c, V1S, sign(c, body, 1, "\"tag\":\"other\"}", 1), &m), ERR_BAD_INPUT);
	assert_int_equal(parse(c, V1S, sign(c, body, 1 << 30, "\n}", 1), &m), ERR_BAD_INPUT);
	assert_int_equal(parse(c, V1S, sign(c, body, sizeof body - 1, "\n}", 17), &m), ERR_BAD_INPUT);
	assert_int_equal(parse(c, V1S, sign(c, body, sizeof body - 1, "\n}", 0), &m), ERR_BAD_INPUT);
	assert_non_null(strstr(c->err.detail_json, "could not read the signatures"));
}

static void
refusals(void **state)
{
	static const struct {
		const char *text, *words;
	} t[] = {
		{"{}",		                                       "the manifest has no 'name'"},
		{		                                                 "{\"name\":\"a/b\"}",		                               "the manifest has no 'tag'"		                                                                                                                                     },
		{		                                          BODY("a/b",		                                          "-x",		                                                                                                                                                                                            LAYERS, GOOD) "}", "'tag' is not a tag" },
		{		                                BODY("a/b",		                                          "x",		                                                                                                                                                                                                  "\"fsLayers\":{}", GOOD) "}", "not an array" },
		{		                                BODY("a/b",		                                          "x",		                                                                                                                                                                                        "\"fsLayers\":[]", GOOD) "}", "manifest has no layers" },
		{		                               BODY("a/b",		                                          "x",		                                                                                                                                                                       "\"fsLayers\":[1]", GOOD) "}", "an entry of 'fsLayers' has no 'blobSum'" },
		{		             BODY("a/b",		                                          "x",		                                                                                                                                                                                              "\"fsLayers\":[{\"blobSum\":\"x\"}]", GOOD) "}", "'blobSum' is not" },
		{		                                           BODY("a/b",		                              "x",		                                                                                                                                                                                        LAYERS, "\"history\":[]") "}", "manifest has no layers" },
		{		                                                    BODY("a/b",		                            "x",		                                                                                                                                                                                      LAYERS, "\"history\":[{}]") "}", "has no 'v1Compatibility'" },
		{ BODY("a/b",		                                         "x",		                                                                                                                                                                                                               LAYERS, HISTORY("", "{}")) "}", "could not parse v1Compatibility" },
		{		                                                                                                BODY("a/b",          "x",		                                                                                                                                                                             LAYERS, HISTORY("{}", "{}")) "}", "could not parse v1Compatibility" },
		{		                                                                                          BODY("a/b",                 "x",		                                                                                                                                                   LAYERS, HISTORY("{\\\"id\\\":1}", "{}")) "}",
                 "could not parse v1Compatibility" },
		{		                                                                                                       BODY("a/b",		                                         "x",		                                                                                                                                                              LAYERS,
                 HISTORY("{\\\"id\\\":\\\"a\\\",\\\"parent\\\":\\\"zz\\\"}",
                 "{\\\"id\\\":\\\"b\\\"}")) "}",
                 "Unknown parent image zz" },
		{		                                                                                                                  BODY("a/b",		                                                                                                                                                                                   "x",		                                                                                                                                                                                                                        LAYERS,
                 HISTORY("{\\\"id\\\":\\\"a\\\"}",
                 "{\\\"id\\\":\\\"b\\\",\\\"parent\\\":\\\"a\\\"}")) "}",
                 "Unknown parent image a" }, /* scenario 20: the child comes before its parent */
		{		                                                                                    BODY("a/b",		                                                                                                                                                                                       "x",		                                                                                                                                                                                                                                                                                                                                                                      LAYERS,
                 HISTORY("{\\\"id\\\":\\\"a\\\",\\\"parent\\\":\\\"a\\\"}",
                 "{\\\"id\\\":\\\"b\\\"}")) "}",
                 "Unknown parent image a" },
		{		                                                                                  BODY("a/b",		                                                                                                                                                                                 "x",		                                                                                                                                                                                                                                                                                                                                                                         LAYERS, GOOD) ",\"signatures\":{}}", "could not read the signatures" },
		{BODY("a/b","x",LAYERS, GOOD) ",\"signatures\":[7]}", "could not read the signatures" },
	};
	struct ctx *c = *state;
	struct oci_manifest *m;

	for (size_t i = 0; i < COUNT(t); i++) {
		if (parse(c, V1, t[i].text, &m) != ERR_BAD_INPUT)
			fail_msg("not refused: %s", t[i].text);
		if (strstr(c->err.detail_json, t[i].words) == NULL)
			fail_msg("%s: %s, expected %s", t[i].text, c->err.detail_json, t[i].words);
	}
	/* history and fsLayers of different length: the shorter counts */
	assert_int_equal(parse(c, V1,
	                       BODY("a/b", "x",
	                            "\"fsLayers\":[{\"blobSum\":\"" A "\"},{\"blobSum\":\"" B
	                            "\"},{\"blobSum\":\"" A "\"}]",
	                            GOOD) "}",
	                       &m),
	                 ERR_NONE);
	assert_int_equal(m->layers.n, 2);
	/* the same id twice: a parent before either is found */
	assert_int_equal(parse(c, V1,
	                       BODY("a/b", "x", LAYERS,
	                            HISTORY("{\\\"id\\\":\\\"a\\\",\\\"parent\\\":\\\"a\\\"}",
	                                    "{\\\"id\\\":\\\"a\\\"}")) "}",
	                       &m),
	                 ERR_NONE);
}

static void
names(void **state)
{
	struct ctx *c = *state;
	struct oci_manifest *m;

	assert_int_equal(parse(c, V1, BODY("ns/repo", "x", LAYERS, GOOD) "}", &m), ERR_NONE);
	assert_int_equal(oci_schema1_check_name(c, m->schema1, STR("ns"), STR("repo"), STR("library")),
	                 ERR_NONE);
	assert_int_equal(oci_schema1_check_name(c, m->schema1, STR("other"), STR("repo"), STR("library")),
	                 ERR_BAD_INPUT);
	assert_ptr_equal(c->err.say, &OCI_SAY_NAMESPACE_MISMATCH);
	assert_int_equal(oci_schema1_check_name(c, m->schema1, STR("ns"), STR("x"), STR("library")),
	                 ERR_BAD_INPUT);
	assert_ptr_equal(c->err.say, &OCI_SAY_REPOSITORY_MISMATCH);
	assert_int_equal(parse(c, V1, BODY("repo", "x", LAYERS, GOOD) "}", &m), ERR_NONE);
	assert_int_equal(oci_schema1_check_name(c, m->schema1, STR("library"), STR("repo"), STR("library")),
	                 ERR_NONE);
	assert_int_equal(oci_schema1_check_name(c, m->schema1, STR("ns"), STR("repo"), STR("library")),
	                 ERR_BAD_INPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(unsigned_form), TEST(signed_form), TEST(refusals),
		                            TEST(names) };
	return cmocka_run_group_tests_name("oci/schema1", tests, NULL, NULL);
}
