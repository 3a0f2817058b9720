/* The refusals that are made for the case. */
#include "oci-fixture.h"

#include "base/js.h"
#include "oci/say.h"

static const json_t *
detail(struct ctx *c)
{
	json_t *v = NULL;

	assert_non_null(c->err.detail_json);
	assert_int_equal(js_parse(c, str_of(c->err.detail_json), &JS_API, &v), ERR_NONE);
	return v;
}

static void
cases(void **state)
{
	struct ctx *c = *state;

	assert_int_equal(oci_blob_too_large(c, INT64_C(5368709120), INT64_C(1610612736)), ERR_TOO_LARGE);
	assert_string_equal(c->err.message,
	                    "Uploaded blob of 5.00 GiB is larger than 1.50 GiB allowed by this registry");
	assert_int_equal(c->err.say->status, 413);
	assert_true(js_i64(detail(c), "max_allowed", 0) == INT64_C(1610612736));
	assert_true(js_i64(detail(c), "uploaded", 0) == INT64_C(5368709120));
	assert_str(js_str(detail(c), "reason"), "5368709120 is greater than maximum allowed size 1610612736");

	assert_int_equal(oci_blob_unknown_in_manifest(c, "sha256:ab"), ERR_BAD_INPUT);
	assert_string_equal(c->err.say->code, "MANIFEST_BLOB_UNKNOWN");
	assert_str(js_str(detail(c), "message"), "Unknown blob `sha256:ab`");
	assert_str(js_str(detail(c), "digest"), "sha256:ab");

	assert_int_equal(oci_tag_expired(c, "v1"), ERR_NOT_FOUND);
	assert_string_equal(c->err.message,
	                    "Tag v1 was deleted or has expired. To pull, revive via time machine");
	assert_int_equal(oci_tag_immutable(c, "v1"), ERR_CONFLICT);
	assert_str(js_str(detail(c), "message"), "tag 'v1' is immutable");
	assert_int_equal(oci_upload_invalid(c, "Missing digest arg on monolithic upload"), ERR_BAD_INPUT);
	assert_str(js_str(detail(c), "reason"), "Missing digest arg on monolithic upload");
	assert_int_equal(oci_manifest_invalid(c, "a \"quoted\" %s\xff", "\xf0\x9f\x98\x80"), ERR_BAD_INPUT);
	assert_str(js_str(detail(c), "message"), "a \"quoted\" \xf0\x9f\x98\x80\xef\xbf\xbd");
	assert_null(c->err.message); /* the error's own message stays "manifest invalid" */
}

/* Codes hold upper-case letters and '_' only, as the specification asks. */
static void
codes(void **state)
{
	static const struct say *const all[] = {
		&OCI_SAY_BLOB_UNKNOWN,        &OCI_SAY_BLOB_UPLOAD_INVALID,
		&OCI_SAY_BLOB_UPLOAD_UNKNOWN, &OCI_SAY_BLOB_TOO_LARGE,
		&OCI_SAY_BLOB_UPLOAD_RANGE,   &OCI_SAY_BLOB_RANGE,
		&OCI_SAY_DIGEST_INVALID,      &OCI_SAY_MANIFEST_BLOB_UNKNOWN,
		&OCI_SAY_MANIFEST_INVALID,    &OCI_SAY_MANIFEST_UNSUPPORTED,
		&OCI_SAY_MANIFEST_TOO_LARGE,  &OCI_SAY_MANIFEST_UNKNOWN,
		&OCI_SAY_MANIFEST_UNVERIFIED, &OCI_SAY_TAG_EXPIRED,
		&OCI_SAY_NAME_INVALID,        &OCI_SAY_NAMESPACE_MISSING,
		&OCI_SAY_NAMESPACE_MISMATCH,  &OCI_SAY_REPOSITORY_MISMATCH,
		&OCI_SAY_NAME_UNKNOWN,        &OCI_SAY_SIZE_INVALID,
		&OCI_SAY_TAG_ALREADY_EXISTS,  &OCI_SAY_TAG_IMMUTABLE,
		&OCI_SAY_TAG_INVALID,         &OCI_SAY_TOO_MANY_TAGS_REQUESTED,
		&OCI_SAY_TOO_MANY_TAG_PARAMS, &OCI_SAY_QUOTA,
		&OCI_SAY_UNAUTHORIZED,        &OCI_SAY_CREDENTIALS_INVALID,
		&OCI_SAY_UNSUPPORTED,         &OCI_SAY_APP_REPOSITORY,
		&OCI_SAY_INVALID_REQUEST,     &OCI_SAY_CONTENT_RANGE_INVALID,
		&OCI_SAY_NAMESPACE_DISABLED,  &OCI_SAY_READ_ONLY,
		&OCI_SAY_PUSHES_DISABLED,     &OCI_SAY_RECOVERY_MODE,
		&OCI_SAY_TOO_MANY_REQUESTS,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		assert_in_range(all[i]->status, 400, 499);
		assert_true(all[i]->message[0] != '\0');
		for (const char *p = all[i]->code; *p != '\0'; p++)
			assert_true((*p >= 'A' && *p <= 'Z') || *p == '_');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(cases), TEST(codes) };
	return cmocka_run_group_tests_name("oci/say", tests, NULL, NULL);
}
