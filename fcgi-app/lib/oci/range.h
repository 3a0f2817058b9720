/* Byte ranges: Range of a blob download, Content-Range of an upload's chunk. */
#ifndef KADE_OCI_RANGE_H
#define KADE_OCI_RANGE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum oci_range {
	OCI_RANGE_WHOLE, /* no header, another unit, several ranges, or cannot be read: 200 with everything */
	OCI_RANGE_PART,  /* 206: *first to *last, both included */
	OCI_RANGE_UNSATISFIABLE /* 416 with "Content-Range: bytes * /size" (without the blank) */
};
/* One range of a blob of size_bytes ≥ 0: a-b, a-, -n; the end is clamped. An end before the start is
 * unsatisfiable, as the conformance suite wants it. *first, *last are set for OCI_RANGE_PART only. */
enum oci_range oci_range_parse(struct str header, int64_t size_bytes, int64_t *first, int64_t *last);

/* Content-Range of a chunk: "a-b" or "bytes a-b/N", where N may be "*". False: 400
 * OCI_SAY_CONTENT_RANGE_INVALID. */
bool oci_content_range_parse(struct str header, int64_t *first, int64_t *last);
/* Where a chunk that starts at first (last: its claimed end) goes when received bytes are there. True: take
 * it, dropping its first *skip bytes (0 unless it overlaps). False: 416, the session stays. A restart at 0 is
 * refused. */
bool oci_chunk_fits(int64_t first, int64_t last, int64_t received, int64_t *skip);
#endif
