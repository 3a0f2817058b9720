/* Manifests that must pass, and what is read from them. */
#include "oci-fixture.h"

#include "oci/manifest.h"
#include "oci/say.h"

#define A                        "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B                        "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C                        "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define S2                       "application/vnd.docker.distribution.manifest.v2+json"
#define LIST                     "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI                      "application/vnd.oci.image.manifest.v1+json"
#define INDEX                    "application/vnd.oci.image.index.v1+json"
#define LAYER                    "application/vnd.oci.image.layer.v1.tar+gzip"
#define DLAYER                   "application/vnd.docker.image.rootfs.diff.tar"
#define DESC(type, digest, size) "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" #size "}"
#define OCI_CONFIG               DESC("application/vnd.oci.image.config.v1+json", C, 7)
#define DOCKER_CONFIG            DESC("application/vnd.docker.container.image.v1+json", C, 7)

static const struct oci_manifest *
parse(struct ctx *c, const char *type, struct str bytes)
{
	struct oci_manifest *m = NULL;

	if (oci_manifest_parse(c, bytes, str_of(type), &JS_MANIFEST, &m) != ERR_NONE)
		fail_msg("refused: %s (%s)", c->err.text,
		         c->err.detail_json == NULL ? "" : c->err.detail_json);
	return m;
}

static void
docker_image(void **state)
{
	struct ctx *c = *state;
	const struct oci_manifest *m = parse(
	    c, S2,
	    STR("{\"schemaVersion\":2,\"mediaType\":\"" S2 "\",\"config\":" DOCKER_CONFIG
	        ",\"layers\":[" DESC(DLAYER ".gzip", A, 10) "," DESC(DLAYER ".zstd", B, 20) "," DESC(
	            DLAYER, A,
	            10) ",{\"mediaType\":\"application/"
	                "vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"size\":5,\"digest\":\"sha256:"
	                "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\",\"urls\":["
	                "\"https://x\"]}]}"));

	assert_int_equal(m->media, OCI_MEDIA_DOCKER_MANIFEST);
	assert_string_equal(m->media_type, S2);
	assert_int_equal(m->schema, 2);
	assert_false(m->is_index);
	assert_int_equal(m->layers.n, 4);
	assert_int_equal(m->layers_size_bytes, 45);
	assert_true(m->layers.v[3].is_foreign);
	assert_int_equal(m->blobs.n, 3); /* config, A once, B */
	assert_string_equal(m->blobs.v[0].digest.text, C);
	assert_string_equal(m->blobs.v[1].digest.text, A);
	assert_int_equal(m->blobs.v[2].size_bytes, 20);
	assert_int_equal(m->artifact_type.n, 0);
	assert_true(oci_manifest_has_image_config(m));
	assert_null(m->subject);

	/* no layers at all (scenario 8); a plugin's config; a plain layer with urls counts as foreign */
	m = parse(
	    c, S2,
	    STR("{\"schemaVersion\":2,\"mediaType\":\"" S2 "\",\"config\":" DOCKER_CONFIG ",\"layers\":[]}"));
	assert_int_equal(m->blobs.n, 1);
	assert_int_equal(m->layers_size_bytes, 0);
	m = parse(c, S2,
	          STR("{\"schemaVersion\":2,\"mediaType\":\"" S2 "\",\"config\":" DESC(
	              "application/vnd.docker.plugin.v1+json", C, 7) ",\"layers\":[{\"mediaType\":\"" DLAYER
	                                                             ".gzip\",\"size\":1,\"digest\":\"" A
	                                                             "\",\"urls\":[\"https://x\"]}]}"));
	assert_false(oci_manifest_has_image_config(m));
	assert_int_equal(m->blobs.n, 1);
}

static void
oci_image(void **state)
{
	struct ctx *c = *state;
	const struct oci_manifest *m =
	    parse(c, OCI "; charset=utf-8",
	          STR("{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":[" DESC(
	              LAYER, A, 10) "],\"annotations\":{\"a\":\"b\"},\"subject\":" DESC(OCI, B, 99) "}"));

	assert_int_equal(m->media, OCI_MEDIA_OCI_MANIFEST);
	assert_str(m->artifact_type, "application/vnd.oci.image.config.v1+json");
	assert_int_equal(json_object_size(m->annotations), 1);
	assert_string_equal(m->subject->digest.text, B);
	assert_int_equal(m->subject->size_bytes, 99);
	assert_int_equal(m->blobs.n, 2); /* the subject is no blob */

	/* urls on an ordinary layer are only another source; nondistributable ones are never expected */
	m = parse(c, OCI,
	          STR("{\"schemaVersion\":2,\"mediaType\":\"" OCI "\",\"config\":" OCI_CONFIG ",\"layers\":["
	              "{\"mediaType\":\"" LAYER "\",\"size\":1,\"digest\":\"" A
	              "\",\"urls\":[\"https://x\"]},"
	              "{\"mediaType\":\"application/"
	              "vnd.oci.image.layer.nondistributable.v1.tar+zstd\",\"size\":2,\"digest\":\"" B
	              "\",\"urls\":[\"https://x\"]}]}"));
	assert_false(m->layers.v[0].is_foreign);
	assert_true(m->layers.v[1].is_foreign);
	assert_int_equal(m->blobs.n, 2);
}

static void
artifacts(void **state)
{
	struct ctx *c = *state;
	const struct oci_manifest *m =
	    parse(c, OCI,
	          STR("{\"schemaVersion\":2,\"artifactType\":\"application/vnd.example\",\"config\":" DESC(
	              "application/vnd.oci.empty.v1+json", OCI_DIGEST_EMPTY_JSON,
	              2) ",\"layers\":[" DESC("application/vnd.oci.empty.v1+json", OCI_DIGEST_EMPTY_JSON,
	                                      2) "],\"subject\":null,\"annotations\":null}"));

	assert_str(m->artifact_type, "application/vnd.example");
	assert_int_equal(m->blobs.n, 1); /* config and layer are the same blob */
	assert_null(m->subject);
	assert_null(m->annotations);

	/* OPA policy (scenario 54), helm, an empty artifactType, inline data */
	m = parse(
	    c, OCI,
	    STR("{\"schemaVersion\":2,\"artifactType\":\"\",\"config\":" DESC(
	        "application/vnd.unknown.config.v1+json", C,
	        2) ",\"layers\":[" DESC("application/vnd.cncf.openpolicyagent.policy.layer.v1+rego", A,
	                                2) ","
	                                   "{\"mediaType\":\"application/wasm\",\"size\":2,\"digest\":\"" B
	                                   "\",\"data\":\"e30=\"}]}"));
	assert_str(m->artifact_type, "application/vnd.unknown.config.v1+json");
	assert_int_equal(m->blobs.n, 3);
}

static void
indexes(void **state)
{
	struct ctx *c = *state;
	const struct oci_manifest *m = parse(
	    c, INDEX,
	    STR("{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":["
	        "{\"mediaType\":\"" OCI "\",\"size\":5,\"digest\":\"" A
	        "\",\"platform\":{\"architecture\":\"unknown\",\"os\":\"unknown\"},"
	        "\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}},"
	        "{\"mediaType\":\"" OCI "\",\"size\":6,\"digest\":\"" B
	        "\",\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\"}},"
	        "{\"mediaType\":\"" OCI "\",\"size\":6,\"digest\":\"" B
	        "\",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}," DESC(INDEX, C, 7) "]}"));

	assert_true(m->is_index);
	assert_int_equal(m->entries.n, 4);
	assert_int_equal(m->children.n, 3);
	assert_string_equal(m->children.v[1].digest.text, B);
	assert_str(m->children.v[1].variant, "v8");
	assert_int_equal(m->blobs.n, 0);
	assert_null(m->config);
	assert_int_equal(m->layers_size_bytes, -1);
	assert_int_equal(m->artifact_type.n, 0);
	assert_string_equal(oci_manifest_child(m, "linux", "amd64")->digest.text, B); /* the repeated entry */
	assert_null(oci_manifest_child(m, "windows", "amd64"));

	m = parse(
	    c, INDEX,
	    STR("{\"schemaVersion\":2,\"manifests\":[],\"artifactType\":\"application/x\",\"subject\":" DESC(
	        INDEX, A, 1) "}"));
	assert_int_equal(m->children.n, 0);
	assert_str(m->artifact_type, "application/x");
	assert_string_equal(m->subject->digest.text, A);
	m = parse(c, LIST,
	          STR("{\"schemaVersion\":2,\"mediaType\":\"" LIST "\",\"manifests\":[" DESC(
	              S2, A, 1) "," DESC("application/vnd.docker.distribution.manifest.v1+json", B, 1) "]}"));
	assert_int_equal(m->children.n, 2);
}

/* Buildkit's cache: layers and a config stand as entries, also in Docker's list, with whatever platform. */
static void
buildkit_cache(void **state)
{
	struct ctx *c = *state;
	const struct oci_manifest *m =
	    parse(c, INDEX,
	          STR("{\"schemaVersion\":2,\"manifests\":[" DESC(
	              LAYER, A, 1) ","
	                           "{\"mediaType\":\"" LAYER "\",\"size\":1,\"digest\":\"" A
	                           "\",\"platform\":{}}," DESC("application/vnd.buildkit.cacheconfig.v0", B,
	                                                       3) "]}"));

	assert_int_equal(m->children.n, 0);
	assert_int_equal(m->blob_refs.n, 2);
	assert_int_equal(m->blobs.n, 2);
	assert_string_equal(m->blobs.v[1].digest.text, B);
	m = parse(c, LIST,
	          STR("{\"schemaVersion\":2,\"mediaType\":\"" LIST "\",\"manifests\":[" DESC(
	              DLAYER ".gzip", A, 1) "," DESC("application/vnd.buildkit.cacheconfig.v0", B, 3) "]}"));
	assert_int_equal(m->blobs.n, 2);
}

static void
text_and_unknown_fields(void **state)
{
	struct ctx *c = *state;
	const struct oci_manifest *m =
	    parse(c, OCI,
	          STR("\n {\"schemaVersion\":2,\"x\":{\"y\":[1,2.5,null,true]},\"config\":" OCI_CONFIG
	              ",\"layers\":[{\"org.example\":1,\"mediaType\":\"" LAYER "\",\"size\":1,\"digest\":\"" A
	              "\",\"annotations\":"
	              "{\"k\":\"\xf0\x9f\x98\x80\"}}],\"annotations\":{\"e\":\"\\ud83d\\ude00\",\"\\u00e9\":"
	              "\"\xc3\xa9\"}}  \n"));

	assert_string_equal(json_string_value(json_object_get(m->annotations, "e")), "\xf0\x9f\x98\x80");
	assert_string_equal(json_string_value(json_object_get(m->annotations, "\xc3\xa9")), "\xc3\xa9");
	assert_string_equal(json_string_value(json_object_get(m->layers.v[0].annotations, "k")),
	                    "\xf0\x9f\x98\x80");
}

static void
sha512_children(void **state)
{
	struct ctx *c = *state;
	const char *text = str_fmt(c->mem,
	                           "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI
	                           "\",\"size\":1,\"digest\":\"sha512:%s\"}]}",
	                           t_repeat(c, 'e', 128).p);
	const struct oci_manifest *m = parse(c, INDEX, str_of(text));

	assert_int_equal(m->children.v[0].digest.alg, OCI_SHA512);
}

/* The largest manifest of the conformance suite: 390 annotations of 10,000 bytes. */
static void
large_manifest(void **state)
{
	struct ctx *c = *state;
	struct buf b = BUF(c->mem);
	const struct str v = t_repeat(c, 'v', 10000);

	buf_puts(&b, "{\"schemaVersion\":2,\"mediaType\":\"" OCI "\",\"config\":" OCI_CONFIG
	             ",\"layers\":[],\"annotations\":{");
	for (int i = 0; i < 390; i++)
		buf_putf(&b, "%s\"key-%d\":\"%s\"", i == 0 ? "" : ",", i, v.p);
	buf_puts(&b, "}}");
	assert_true(b.n > 3900000 && b.n < JS_MANIFEST.bytes);
	assert_int_equal(json_object_size(parse(c, OCI, buf_str(&b))->annotations), 390);
}

/* Without Content-Type the body decides; a bare one is schema 1 as ever. */
static void
content_types(void **state)
{
	static const char *const refused[] = { "application/vnd.oci.artifact.manifest.v1+json",
		                               "text/plain",
		                               "application/octet-stream",
		                               "application/vnd.oci.image.config.v1+json",
		                               "garbage",
		                               "Application/Vnd.Oci.Image.Index.v1+json" };
	struct ctx *c = *state;
	const struct str image =
	    STR("{\"schemaVersion\":2,\"mediaType\":\"" OCI "\",\"config\":" OCI_CONFIG ",\"layers\":[]}");
	struct oci_manifest *m;
	enum oci_media media;

	assert_int_equal(parse(c, "", image)->media, OCI_MEDIA_OCI_MANIFEST);
	assert_int_equal(parse(c, "application/json; charset=utf-8", image)->media, OCI_MEDIA_OCI_MANIFEST);
	assert_int_equal(oci_manifest_gate(c, STR("application/json"), &media), ERR_NONE);
	assert_int_equal(media, OCI_MEDIA_OTHER);
	assert_int_equal(oci_manifest_gate(c, STR(INDEX), &media), ERR_NONE);
	assert_int_equal(media, OCI_MEDIA_OCI_INDEX);
	for (size_t i = 0; i < COUNT(refused); i++) {
		assert_int_equal(oci_manifest_parse(c, image, str_of(refused[i]), &JS_MANIFEST, &m),
		                 ERR_BAD_INPUT);
		assert_int_equal(c->err.say->status, 415);
		assert_string_equal(c->err.detail_json,
		                    "{\"message\":\"manifest schema version not supported\"}");
	}
	assert_int_equal(
	    oci_manifest_parse(c, STR("{\"schemaVersion\":2,\"mediaType\":\"x/y\"}"), STR0, &JS_MANIFEST, &m),
	    ERR_BAD_INPUT);
	assert_int_equal(c->err.say->status, 415);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(docker_image),    TEST(oci_image),      TEST(artifacts),
		TEST(indexes),         TEST(buildkit_cache), TEST(text_and_unknown_fields),
		TEST(sha512_children), TEST(large_manifest), TEST(content_types),
	};
	return cmocka_run_group_tests_name("oci/manifest", tests, NULL, NULL);
}
