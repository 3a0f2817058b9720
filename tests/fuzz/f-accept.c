/* Fuzz target: Accept and User-Agent. A listed type is always served as stored; a child is chosen for lists
 * only. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/media-type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str s = { (const char *)data, size };
	struct oci_accept a;

	oci_accept_parse(s, &a);
	assert(!a.is_empty || (a.types == 0 && !a.has_any && !a.is_json));
	a.is_old_docker = oci_is_old_docker(s);
	for (int m = OCI_MEDIA_SCHEMA1; m <= OCI_MEDIA_OCI_INDEX; m++)
		for (int f = OCI_SCHEMA1_NEVER; f <= OCI_SCHEMA1_ALWAYS; f++) {
			const enum oci_serve r =
			    oci_accept_choose(&a, (enum oci_media)m, (enum oci_schema1_fallback)f);
			if ((a.types & 1U << m) != 0)
				assert(r == OCI_SERVE_STORED);
			if (r == OCI_SERVE_CHILD)
				assert(oci_media_is((enum oci_media)m, OCI_IS_LIST));
			if (r == OCI_SERVE_SCHEMA1)
				assert(f != OCI_SCHEMA1_NEVER &&
				       !oci_media_is((enum oci_media)m, OCI_IS_LIST));
		}
	return 0;
}
