/* REQUEST_URI and application/x-www-form-urlencoded text, from outside. Split first, decode afterwards; what comes out is
 * UTF-8 without NUL, or refused. */
#ifndef KADE_HTTP_URI_H
#define KADE_HTTP_URI_H
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
#define URI_BYTES    16384 /* of a REQUEST_URI; longer: 414 */
#define URI_SEGMENTS 64    /* of a path; more: no such path */
#define FORM_PAIRS   256   /* that are looked at in a query or form */

enum uri_result {
	URI_OK,
	URI_BAD, /* not a path at all: 400 */
	URI_ABSENT, /* a path that no row can name: empty inner segment, ".", "..", not UTF-8, too many segments */
	URI_TOO_LONG
};
struct uri_segment {
	struct str text; /* decoded */
	bool has_slash;  /* an encoded slash was in it: only converters that say so take it */
};
struct uri {
	struct str path, query; /* raw; the path without mount prefix, with its leading slash */
	struct uri_segment seg[URI_SEGMENTS];
	int n; /* segments; a trailing slash adds none */
};

/* Splits REQUEST_URI. An absolute form (http://host/path) is reduced to its path. Decoded text lies in mem where it differs
 * from uri's. out->path and ->query are set whatever the result. */
enum uri_result uri_parse(struct arena *mem, struct str uri, const char *mount, struct uri *out);
/* Percent-decodes; false at a broken escape. `+` stays. Borrowed from s when nothing was encoded, else given. */
bool uri_decode(struct arena *mem, struct str s, struct str *out);

/* Walks name=value pairs: false at the end or after FORM_PAIRS pairs. Raw slices; *rest advances, *seen counts from 0. */
bool form_next(struct str *rest, int *seen, struct str *name, struct str *value);
/* Decodes a name or value: `+` is a blank, a broken escape stays as it is, bytes that are not UTF-8 and NUL become U+FFFD.
 * Given, or borrowed when nothing changes. */
struct str form_decode(struct arena *mem, struct str s);
/* Raw name equals name after decoding. Allocates nothing. */
bool form_name_is(struct str raw, const char *name);
#endif
