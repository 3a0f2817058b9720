/* Slices. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <unistr.h>

#include "base/arena.h"

bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
str_eq_c(struct str a, const char *b)
{
	return str_eq(a, str_of(b));
}

bool
str_eq_nocase(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

int
str_cmp(struct str a, struct str b)
{
	const size_t n = a.n < b.n ? a.n : b.n;
	const int    r = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return r != 0 ? r : (a.n > b.n) - (a.n < b.n);
}

static bool
is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

ptrdiff_t
str_find(struct str s, char ch)
{
	const char *at = s.n == 0 ? NULL : memchr(s.p, ch, s.n);

	return at == NULL ? -1 : at - s.p;
}

static void
split_at(struct str s, size_t at, struct str *head, struct str *tail)
{
	*head = str_sub(s, 0, at);
	*tail = str_sub(s, at + 1, s.n);
}

bool
str_cut(struct str s, char sep, struct str *head, struct str *tail)
{
	const ptrdiff_t at = str_find(s, sep);

	if (at < 0) {
		*head = s;
		*tail = STR0;
		return false;
	}
	split_at(s, (size_t)at, head, tail);
	return true;
}

bool
str_rcut(struct str s, char sep, struct str *head, struct str *tail)
{
	const char *at = s.n == 0 ? NULL : memrchr(s.p, sep, s.n);

	if (at == NULL) {
		*head = s;
		*tail = STR0;
		return false;
	}
	split_at(s, (size_t)(at - s.p), head, tail);
	return true;
}

bool
str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out)
{
	const bool neg = s.n > 0 && s.p[0] == '-';
	int64_t    v = 0;

	if (s.n == (neg ? 1 : 0))
		return false;
	for (size_t i = neg ? 1 : 0; i < s.n; i++) {
		const int d = s.p[i] - '0';
		if (d < 0 || d > 9 || __builtin_mul_overflow(v, (int64_t)10, &v) ||
		    (neg ? __builtin_sub_overflow(v, (int64_t)d, &v) : __builtin_add_overflow(v, (int64_t)d, &v)))
			return false;
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

char *
str_dup(struct arena *mem, struct str s)
{
	char *p;

	if (str_find(s, '\0') >= 0)
		return NULL;
	p = arena_alloc(mem, s.n + 1);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

char *
str_dup_c(struct arena *mem, const char *s)
{
	return arena_copy(mem, s, strlen(s) + 1);
}

char *
str_fmt(struct arena *mem, const char *fmt, ...)
{
	va_list ap, again;
	int     n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = arena_alloc(mem, (size_t)(n < 0 ? 0 : n) + 1);
	vsnprintf(p, (size_t)(n < 0 ? 0 : n) + 1, fmt, again);
	va_end(again);
	return p;
}

bool
str_list_has(const struct str_list *l, struct str s)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq_c(s, l->v[i]))
			return true;
	return false;
}

bool
str_is_utf8(struct str s)
{
	return s.n == 0 || u8_check((const uint8_t *)s.p, s.n) == NULL;
}
