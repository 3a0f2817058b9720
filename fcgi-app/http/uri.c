/* Splitting and decoding of what the client wrote. Rules: REQUEST_URI is the only form of the path that every web server
 * passes alike; the others merge slashes and decode %2F. */
#include "http/uri.h"

#include <strings.h>
#include <unistr.h>

#include "base/arena.h"
#include "base/buf.h"

static int
hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* The byte that %XX at s[i] stands for, or -1. */
static int
escape_at(struct str s, size_t i)
{
	if (i + 2 >= s.n || s.p[i] != '%')
		return -1;
	const int hi = hex_digit(s.p[i + 1]), lo = hex_digit(s.p[i + 2]);
	return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

bool
uri_decode(struct arena *mem, struct str s, struct str *out)
{
	char *p;
	size_t n = 0;

	if (str_find(s, '%') < 0) {
		*out = s;
		return true;
	}
	p = arena_alloc(mem, s.n);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			p[n++] = s.p[i];
			continue;
		}
		const int v = escape_at(s, i);
		if (v < 0)
			return false;
		p[n++] = (char)v;
		i += 2;
	}
	*out = (struct str){ p, n };
	return true;
}

/* "http://host/path" → "/path"; anything else stays. */
static struct str
strip_authority(struct str uri)
{
	size_t skip = 0;

	if (uri.n >= 7 && strncasecmp(uri.p, "http://", 7) == 0)
		skip = 7;
	else if (uri.n >= 8 && strncasecmp(uri.p, "https://", 8) == 0)
		skip = 8;
	if (skip == 0)
		return uri;
	while (skip < uri.n && uri.p[skip] != '/' && uri.p[skip] != '?')
		skip++;
	if (skip == uri.n || uri.p[skip] != '/')
		return STR("/");
	return str_sub(uri, skip, uri.n);
}

/* One piece between encoded slashes: not empty, not a dot segment. */
static bool
is_plain_piece(struct str s)
{
	return s.n > 0 && !str_eq_c(s, ".") && !str_eq_c(s, "..");
}

static enum uri_result
take_segment(struct arena *mem, struct str raw, struct uri *out)
{
	struct uri_segment *sg = &out->seg[out->n];
	struct str head, tail;

	if (out->n == URI_SEGMENTS)
		return URI_ABSENT;
	if (!uri_decode(mem, raw, &sg->text) || memchr(sg->text.p, '\0', sg->text.n) != NULL)
		return URI_BAD;
	if (!str_is_utf8(sg->text))
		return URI_ABSENT;
	sg->has_slash = str_find(sg->text, '/') >= 0;
	tail = sg->text;
	for (bool more = true; more;) {
		more = str_cut(tail, '/', &head, &tail);
		if (!is_plain_piece(head))
			return URI_ABSENT;
	}
	out->n++;
	return URI_OK;
}

enum uri_result
uri_parse(struct arena *mem, struct str uri, const char *mount, struct uri *out)
{
	const struct str prefix = str_of(mount);
	struct str seg;

	out->n = 0;
	if (uri.n > URI_BYTES) {
		out->path = str_sub(uri, 0, URI_BYTES);
		out->query = STR("");
		return URI_TOO_LONG;
	}
	str_cut(uri, '?', &out->path, &out->query);
	out->path = strip_authority(out->path);
	if (out->query.n > 0 && str_find(out->query, '#') >= 0)
		str_cut(out->query, '#', &out->query, &seg);
	if (out->path.n == 0 || out->path.p[0] != '/' || memchr(out->path.p, '\0', out->path.n) != NULL)
		return URI_BAD;
	if (prefix.n > 0) {
		if (!str_starts(out->path, prefix) ||
		    (out->path.n > prefix.n && out->path.p[prefix.n] != '/'))
			return URI_ABSENT;
		out->path = out->path.n == prefix.n ? STR("/") : str_sub(out->path, prefix.n, out->path.n);
	}
	for (struct str rest = str_sub(out->path, 1, out->path.n); rest.n > 0;) {
		str_cut(rest, '/', &seg, &rest);
		const enum uri_result r =
		    take_segment(mem, seg, out); /* an empty one is refused; at the end none is left */
		if (r != URI_OK)
			return r;
	}
	return URI_OK;
}

bool
form_next(struct str *rest, int *seen, struct str *name, struct str *value)
{
	struct str pair;

	while (rest->n > 0 && *seen < FORM_PAIRS) {
		str_cut(*rest, '&', &pair, rest);
		if (pair.n == 0)
			continue;
		++*seen;
		str_cut(pair, '=', name, value);
		return true;
	}
	return false;
}

/* The next decoded byte of form text, *i advanced past it. */
static unsigned char
form_byte(struct str s, size_t *i)
{
	const int v = escape_at(s, *i);

	if (v >= 0) {
		*i += 3;
		return (unsigned char)v;
	}
	const char ch = s.p[(*i)++];
	return ch == '+' ? ' ' : (unsigned char)ch;
}

bool
form_name_is(struct str raw, const char *name)
{
	size_t i = 0;

	while (i < raw.n && *name != '\0') {
		if (form_byte(raw, &i) != (unsigned char)*name++)
			return false;
	}
	return i == raw.n && *name == '\0';
}

struct str
form_decode(struct arena *mem, struct str s)
{
	struct buf out = BUF(mem);
	char *p;
	size_t n = 0;

	if (s.n == 0)
		return STR("");
	if (str_find(s, '%') < 0 && str_find(s, '+') < 0 && str_is_utf8(s) && memchr(s.p, '\0', s.n) == NULL)
		return s;
	p = arena_alloc(mem, s.n);
	for (size_t i = 0; i < s.n;)
		p[n++] = (char)form_byte(s, &i);
	if (str_is_utf8((struct str){ p, n }) && memchr(p, '\0', n) == NULL)
		return (struct str){ p, n };
	buf_reserve(&out, n * 3);
	for (size_t i = 0; i < n;) {
		ucs4_t u;
		const int len = u8_mbtoucr(&u, (const uint8_t *)p + i, n - i);
		if (len <= 0 || p[i] == '\0') {
			buf_puts(&out, "\xef\xbf\xbd");
			i++;
		} else {
			buf_put(&out, (struct str){ p + i, (size_t)len });
			i += (size_t)len;
		}
	}
	return buf_str(&out);
}
