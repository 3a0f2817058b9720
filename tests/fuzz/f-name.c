/* Fuzz target: names, tags, digests, durations. Whatever passes one rule must keep the promises that the
 * others rest on. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "oci/digest-ref.h"
#include "oci/label.h"
#include "oci/media-type.h"
#include "oci/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_references(struct str s)
{
	struct oci_digest d;
	char path[OCI_DIGEST_PATH];

	switch (oci_ref_parse(s, &d)) {
	case OCI_REF_TAG:
		assert(oci_tag_valid(s) && str_find(s, ':') < 0);
		break;
	case OCI_REF_DIGEST:
		assert(str_eq_c(s, d.text) && oci_digest_hex(&d).n == oci_alg_hex(d.alg));
		oci_digest_path(&d, path);
		break;
	case OCI_REF_LAX_DIGEST:
	case OCI_REF_BAD_DIGEST:
		assert(!oci_digest_parse(s, &d) && str_find(s, ':') >= 0);
		break;
	case OCI_REF_NONE:
		assert(!oci_tag_valid(s));
	}
	if (oci_sibling_parse(s, &d))
		assert(oci_tag_valid(s) && oci_digest_parse(str_of(d.text), &d));
	if (oci_referrers_tag_valid(s))
		assert(oci_tag_valid(s));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct oci_name_rules rules = { STR("library"), true };
	struct ctx c = { .mem = arena_new(0) };
	const struct str s = { (const char *)data, size };
	struct str a, b;
	int64_t ms;

	assert(!oci_repo_valid(s, false) || oci_repo_valid(s, true));
	assert((oci_repo_check(&c, s, true) == ERR_NONE) == oci_repo_valid(s, true));
	assert((oci_namespace_check(&c, s) == ERR_NONE) == oci_namespace_valid(s));
	assert(c.err.message == NULL || str_is_utf8(str_of(c.err.message)));
	if (oci_name_split(&c, s, &rules, &a, &b) == ERR_NONE)
		assert(a.n > 0 && b.n > 0 && str_find(a, '/') < 0);
	if (oci_robot_split(s, &a, &b))
		assert(str_eq_c(s, oci_robot_name(&c, a, b)));
	if (oci_duration_parse(s, &ms))
		assert(ms > 0 && ms % 1000 == 0);
	if (oci_label_key_valid(s))
		assert(s.n > 0 && s.n <= 255);
	oci_label_is_json(s);
	oci_media_valid(s);
	oci_media_find(oci_media_strip(s));
	check_references(s);
	arena_free(c.mem);
	return 0;
}
