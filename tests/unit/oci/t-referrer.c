/* The index of referrers. */
#include "oci-fixture.h"

#include "oci/manifest.h"
#include "oci/referrer.h"

#define A     "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B     "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define OCI   "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"
#define HEAD  "{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":["

static struct oci_referrer
referrer(struct ctx *c, const char *type, const char *body, const char *digest)
{
	struct oci_manifest *m;
	struct oci_referrer r;

	assert_int_equal(oci_manifest_parse(c, str_of(body), str_of(type), &JS_MANIFEST, &m), ERR_NONE);
	oci_referrer_of(c, m, str_of(digest), (int64_t)strlen(body), &r);
	return r;
}

static void
documents(void **state)
{
	static const char image[] =
	    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.c\",\"size\":2,\"digest\":\"" A
	    "\"},"
	    "\"layers\":[],\"annotations\":{\"q\":\"\\\"\xc3\xa9\\n\"}}";
	static const char index[] = "{\"schemaVersion\":2,\"manifests\":[]}";
	struct ctx *c = *state;
	struct oci_referrer v[3] = { referrer(c, OCI, image, A), referrer(c, INDEX, index, B),
		                     referrer(c, OCI, image, A) };
	struct str doc = oci_referrers_index(c, v, 3, STR0);
	json_t *root;

	assert_str(oci_referrers_index(c, NULL, 0, STR0), HEAD "]}");
	assert_int_equal(js_parse(c, doc, &JS_MANIFEST, &root), ERR_NONE);
	const json_t *list = json_object_get(root, "manifests"), *e = json_array_get(list, 0);
	assert_int_equal(json_array_size(list), 2); /* the repeated digest once */
	assert_str(js_str(e, "mediaType"), OCI);
	assert_str(js_str(e, "digest"), A);
	assert_str(js_str(e, "artifactType"), "application/vnd.c"); /* of the config */
	assert_int_equal(js_i64(e, "size", -1), sizeof image - 1);
	assert_str(js_str(json_object_get(e, "annotations"), "q"), "\"\xc3\xa9\n");
	e = json_array_get(list, 1);
	assert_null(json_object_get(e, "artifactType"));
	assert_null(json_object_get(e, "annotations"));

	doc = oci_referrers_index(c, v, 3, STR("application/vnd.c"));
	assert_int_equal(js_parse(c, doc, &JS_MANIFEST, &root), ERR_NONE);
	assert_int_equal(json_array_size(json_object_get(root, "manifests")), 1);
	assert_str(oci_referrers_index(c, v, 3, STR("application/vnd")), HEAD "]}");
}

/* Entries of a fallback index carry their own type and annotations; the index of the answer passes the
 * parser. */
static void
fallback_entries(void **state)
{
	static const char index[] =
	    "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI "\",\"size\":5,\"digest\":\"" A "\","
	    "\"artifactType\":\"application/x\",\"annotations\":{\"a\":\"b\"}},"
	    "{\"mediaType\":\"" OCI "\",\"size\":6,\"digest\":\"" B "\"}]}";
	struct ctx *c = *state;
	struct oci_manifest *m;
	struct oci_referrer v[2];

	assert_int_equal(oci_manifest_parse(c, str_of(index), STR(INDEX), &JS_MANIFEST, &m), ERR_NONE);
	for (size_t i = 0; i < 2; i++)
		oci_referrer_of_entry(c, &m->entries.v[i], &v[i]);
	struct str doc = oci_referrers_index(c, v, 2, STR0);
	assert_str(doc, HEAD "{\"mediaType\":\"" OCI "\",\"digest\":\"" A
	                     "\",\"size\":5,\"artifactType\":\"application/x\","
	                     "\"annotations\":{\"a\":\"b\"}},{\"mediaType\":\"" OCI "\",\"digest\":\"" B
	                     "\",\"size\":6}]}");
	assert_int_equal(oci_manifest_parse(c, doc, STR(INDEX), &JS_MANIFEST, &m), ERR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(documents), TEST(fallback_entries) };
	return cmocka_run_group_tests_name("oci/referrer", tests, NULL, NULL);
}
