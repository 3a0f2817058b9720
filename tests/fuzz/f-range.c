/* Fuzz target: Range and Content-Range. A part lies inside its blob; a chunk that fits continues what is
 * there. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t sizes[] = { 0, 1, 2048, INT64_MAX - 1, INT64_MAX };
	const struct str s = { (const char *)data, size };
	int64_t first, last, skip;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		if (oci_range_parse(s, sizes[i], &first, &last) == OCI_RANGE_PART)
			assert(first >= 0 && first <= last && last < sizes[i]);
		if (!oci_content_range_parse(s, &first, &last))
			continue;
		assert(first >= 0 && first <= last);
		if (oci_chunk_fits(first, last, sizes[i], &skip))
			assert(skip >= 0 && first + skip == sizes[i] && (first > 0 || skip == 0));
	}
	return 0;
}
