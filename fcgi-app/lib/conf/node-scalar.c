/* Scalars of YAML 1.1: which type a plain word has, and values read leniently, as operators' files need it.
 * Rules: the YAML 1.1 type repository as common parsers apply it (yes, no, on, off; underscores; octal; base
 * 60). */
#include "conf/node.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The word in one of the three spellings that YAML 1.1 knows: lower, Title, UPPER. */
static bool
is_word(const char *text, const char *lower)
{
	const size_t n = strlen(lower);
	bool all_lower = true, title = true, upper = true;

	if (strlen(text) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char up = (char)toupper((unsigned char)lower[i]);
		all_lower &= text[i] == lower[i];
		upper &= text[i] == up;
		title &= text[i] == (i == 0 ? up : lower[i]);
	}
	return all_lower || title || upper;
}

static int
digit_of(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return 99;
}

/* Digits of one base with underscores between them: 1 = yes, 0 = no such number, -1 = beyond 64 bits. */
static int
read_digits(const char *p, int base, bool neg, int64_t *out)
{
	int64_t v = 0;
	bool any = false, huge = false;

	for (; *p != '\0'; p++) {
		if (*p == '_')
			continue;
		const int d = digit_of(*p);
		if (d >= base)
			return 0;
		any = true;
		if (!huge && (__builtin_mul_overflow(v, (int64_t)base, &v) ||
		              (neg ? __builtin_sub_overflow(v, (int64_t)d, &v)
		                   : __builtin_add_overflow(v, (int64_t)d, &v))))
			huge = true;
	}
	if (!any)
		return 0;
	*out = v;
	return huge ? -1 : 1;
}

/* 1:30, 190:20:30: base 60; every part but the first is below 60. */
static int
read_sexagesimal(const char *p, bool neg, int64_t *out)
{
	int64_t v = 0, part = 0;
	int digits = 0, parts = 0;

	if (*p < '1' || *p > '9')
		return 0;
	for (;; p++) {
		if (*p >= '0' && *p <= '9') {
			digits++;
			if ((parts > 0 && digits > 2) || part > 1000000000000)
				return parts > 0 ? 0 : -1;
			part = part * 10 + (*p - '0');
		} else if (*p == '_' && parts == 0) {
			continue;
		} else if (*p == ':' || *p == '\0') {
			if (digits == 0 || (parts > 0 && part > 59))
				return 0;
			if (__builtin_mul_overflow(v, (int64_t)60, &v) || __builtin_add_overflow(v, part, &v))
				return -1;
			parts++;
			part = digits = 0;
			if (*p == '\0')
				break;
		} else {
			return 0;
		}
	}
	*out = neg ? -v : v;
	return parts > 1 ? 1 : 0;
}

static bool
resolve_int(struct node *nd)
{
	const char *p = nd->text;
	const bool neg = *p == '-';
	int r;

	if (*p == '-' || *p == '+')
		p++;
	if (p[0] == '0' && p[1] == 'x')
		r = read_digits(p + 2, 16, neg, &nd->i);
	else if (p[0] == '0' && p[1] == 'b')
		r = read_digits(p + 2, 2, neg, &nd->i);
	else if (p[0] == '0' && p[1] != '\0')
		r = read_digits(p + 1, 8, neg, &nd->i);
	else if (p[0] >= '0' && p[0] <= '9' && strchr(p, ':') != NULL)
		r = read_sexagesimal(p, neg, &nd->i);
	else
		r = p[0] >= '0' && p[0] <= '9' ? read_digits(p, 10, neg, &nd->i) : 0;
	if (r == 0)
		return false;
	nd->type = NODE_INT;
	nd->is_huge = r < 0;
	return true;
}

/* [-+]?([0-9][0-9_]*)\.[0-9_]*([eE][-+][0-9]+)? | \.[0-9][0-9_]*(…)? : a dot is needed. */
static bool
resolve_real(struct node *nd)
{
	char digits[64];
	size_t n = 0;
	const char *p = nd->text;
	bool dot = false, any = false;

	if (strlen(p) >= sizeof digits)
		return false;
	if (*p == '-' || *p == '+')
		digits[n++] = *p++;
	if (is_word(p, ".inf")) {
		nd->f = nd->text[0] == '-' ? -INFINITY : INFINITY;
		nd->type = NODE_REAL;
		return true;
	}
	for (; *p != '\0' && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.' && !dot)
			dot = true;
		else if (*p >= '0' && *p <= '9')
			any = true;
		else if (*p != '_' || !any)
			return false;
		if (*p != '_')
			digits[n++] = *p;
	}
	if (!dot || !any)
		return false;
	if (*p != '\0') {
		if ((p[1] != '-' && p[1] != '+') || p[2] == '\0' ||
		    p[2 + strspn(p + 2, "0123456789")] != '\0')
			return false;
		while (*p != '\0')
			digits[n++] = *p++;
	}
	digits[n] = '\0';
	nd->f =
	    strtod(digits, NULL); /* the process never sets a locale of its own, so the point is a point */
	nd->type = NODE_REAL;
	return true;
}

void
node_resolve(struct node *nd)
{
	static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false", "off" };
	const char *t = nd->text;

	nd->type = NODE_STR;
	nd->is_plain = true;
	if (t[0] == '\0' || strcmp(t, "~") == 0 || is_word(t, "null")) {
		nd->type = NODE_NULL;
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		if (!is_word(t, yes[i]) && !is_word(t, no[i]))
			continue;
		nd->type = NODE_BOOL;
		nd->b = is_word(t, yes[i]);
		return;
	}
	if (!resolve_int(nd))
		resolve_real(nd);
}

bool
node_bool(const struct node *nd, bool *out)
{
	switch (nd->type) {
	case NODE_BOOL:
		*out = nd->b;
		return true;
	case NODE_INT:
		*out = nd->is_huge || nd->i != 0;
		return true;
	case NODE_REAL:
		*out = nd->f != 0;
		return true;
	case NODE_STR:
		*out = str_eq_nocase(str_of(nd->text), STR("true"));
		return true;
	default:
		return false;
	}
}

bool
node_i64(const struct node *nd, int64_t *out)
{
	if (nd->type == NODE_INT && !nd->is_huge) {
		*out = nd->i;
		return true;
	}
	if (nd->type == NODE_REAL && nd->f == floor(nd->f) && fabs(nd->f) < 9e15) {
		*out = (int64_t)nd->f;
		return true;
	}
	return nd->type == NODE_STR && str_to_i64(str_trim(str_of(nd->text)), INT64_MIN, INT64_MAX, out);
}

bool
node_real(const struct node *nd, double *out)
{
	struct node again = { .text = nd->text };

	if (nd->type == NODE_STR && nd->text[0] != '\0') {
		node_resolve(&again);
		nd = &again;
	}
	if (nd->type == NODE_INT && !nd->is_huge)
		*out = (double)nd->i;
	else if (nd->type == NODE_REAL && isfinite(nd->f))
		*out = nd->f;
	else
		return false;
	return true;
}

bool
duration_parse(struct str s, int64_t *out_s)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {
		{'s',  1       },
                { 'm', 60      },
                { 'h', 3600    },
                { 'd', 86400   },
                { 'w', 604800  },
                { 'y', 31536000}
	};
	int64_t v;

	s = str_trim(s);
	if (s.n < 2 || !str_to_i64(str_sub(s, 0, s.n - 1), 0, INT64_MAX, &v))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (s.p[s.n - 1] == units[i].unit)
			return !__builtin_mul_overflow(v, units[i].s, out_s) &&
			       *out_s <= INT64_C(100) * 31536000;
	return false;
}

bool
node_duration(const struct node *nd, int64_t *out_s)
{
	int64_t v;

	if (nd->type == NODE_STR && duration_parse(str_of(nd->text), out_s))
		return true;
	if (!node_i64(nd, &v) || v < 0 || v > INT64_C(100) * 31536000)
		return false;
	*out_s = v;
	return true;
}

bool
node_size(const struct node *nd, int64_t *out_bytes)
{
	static const struct {
		const char *suffix;
		int64_t bytes;
	} units[] = {
		{"KIB",  1 << 10               },
                { "MIB", 1 << 20               },
		{ "GIB", 1 << 30               },
                { "TIB", INT64_C(1) << 40      },
		{ "KI",  1 << 10               },
                { "MI",  1 << 20               },
		{ "GI",  1 << 30               },
                { "TI",  INT64_C(1) << 40      },
		{ "KB",  1000                  },
                { "MB",  1000000               },
		{ "GB",  1000000000            },
                { "TB",  INT64_C(1000000000000)},
		{ "K",   1000                  },
                { "M",   1000000               },
		{ "G",   1000000000            },
                { "T",   INT64_C(1000000000000)},
		{ "B",   1                     },
	};
	int64_t v;

	if (node_i64(nd, &v)) {
		*out_bytes = v;
		return v >= 0;
	}
	if (nd->type != NODE_STR)
		return false;
	const struct str s = str_trim(str_of(nd->text));
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		const size_t n = strlen(units[i].suffix);
		if (s.n > n && str_eq_nocase(str_sub(s, s.n - n, s.n), str_of(units[i].suffix)))
			return str_to_i64(str_trim(str_sub(s, 0, s.n - n)), 0, INT64_MAX, &v) &&
			       !__builtin_mul_overflow(v, units[i].bytes, out_bytes);
	}
	return false;
}
