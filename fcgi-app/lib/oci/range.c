/* Ranges of bytes, in downloads and uploads. Numbers that do not fit are larger than any blob. */
#include "oci/range.h"

/* Digits only. False for anything else; a number beyond int64 becomes INT64_MAX. */
static bool
read_number(struct str s, int64_t *out)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	if (s.n == 0)
		return false;
	if (!str_to_i64(s, 0, INT64_MAX, out))
		*out = INT64_MAX;
	return true;
}

enum oci_range
oci_range_parse(struct str header, int64_t size_bytes, int64_t *first, int64_t *last)
{
	struct str unit, set, a, b;
	int64_t from = 0, to = INT64_MAX, suffix;

	if (!str_cut(str_trim(header), '=', &unit, &set) || !str_eq_nocase(str_trim(unit), STR("bytes")))
		return OCI_RANGE_WHOLE;
	set = str_trim(set);
	if (!str_cut(set, '-', &a, &b))
		return OCI_RANGE_WHOLE;
	if (a.n == 0) {
		if (!read_number(b, &suffix))
			return OCI_RANGE_WHOLE;
		if (suffix == 0)
			return OCI_RANGE_UNSATISFIABLE;
		if (size_bytes ==
		    0) /* satisfiable by the standard, but there is no way to say "no bytes" in a 206 */
			return OCI_RANGE_WHOLE;
		from = suffix >= size_bytes ? 0 : size_bytes - suffix;
	} else {
		if (!read_number(a, &from) || (b.n > 0 && !read_number(b, &to)))
			return OCI_RANGE_WHOLE;
		if (from >= size_bytes || to < from)
			return OCI_RANGE_UNSATISFIABLE;
	}
	*first = from;
	*last = to < size_bytes ? to : size_bytes - 1;
	return OCI_RANGE_PART;
}

bool
oci_content_range_parse(struct str header, int64_t *first, int64_t *last)
{
	struct str a, b, total;
	int64_t from, to, n;

	if (str_starts(header, STR("bytes "))) {
		header = str_sub(header, 6, header.n);
		if (!str_cut(header, '/', &header, &total))
			return false;
		if (!str_eq(total, STR("*")) &&
		    (str_find(total, '-') >= 0 || !str_to_i64(total, 0, INT64_MAX, &n)))
			return false;
	}
	if (!str_cut(header, '-', &a, &b) || a.n == 0 || b.n == 0 || b.p[0] == '-')
		return false;
	if (!str_to_i64(a, 0, INT64_MAX, &from) || !str_to_i64(b, from, INT64_MAX, &to))
		return false;
	*first = from;
	*last = to;
	return true;
}

bool
oci_chunk_fits(int64_t first, int64_t last, int64_t received, int64_t *skip)
{
	if (first > received || (first < received && (first == 0 || last < received - 1)))
		return false;
	*skip = received - first;
	return true;
}
