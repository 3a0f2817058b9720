/* Slices: borrowed bytes with a length, which may lack a NUL. What is parsed is a slice; `char *` means NUL-terminated
 * UTF-8 without embedded NUL. */
#ifndef KADE_BASE_STR_H
#define KADE_BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;
struct str {
	const char *p;
	size_t      n;
};
struct str_list {
	const char *const *v;
	size_t             n;
};

#define STR(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#define STR0 ((struct str){ NULL, 0 })
#define STRF(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct str
str_of(const char *s)
{
	return s == NULL ? STR0 : (struct str){ s, strlen(s) };
}
static inline struct str
str_sub(struct str s, size_t from, size_t to)
{
	return (struct str){ s.p + from, to - from };
}
bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
int  str_cmp(struct str a, struct str b); /* bytewise, as memcmp */
struct str str_trim(struct str s);        /* without leading and trailing blanks, tabs, CR, LF */
/* Splits s at the first sep: true and head, tail without sep; false (head = s, tail empty) when sep is absent.
 * head and tail may alias s's variable. */
bool str_cut(struct str s, char sep, struct str *head, struct str *tail);
/* As str_cut(), at the last sep. */
bool str_rcut(struct str s, char sep, struct str *head, struct str *tail);
/* Position of ch, or -1. */
ptrdiff_t str_find(struct str s, char ch);
/* A decimal number, optional leading '-', no blanks, within [min, max]: true and *out. */
bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out);
/* A NUL-terminated copy in mem, or NULL when s holds a NUL byte. */
char *str_dup(struct arena *mem, struct str s);
char *str_dup_c(struct arena *mem, const char *s);
/* printf into mem. */
char *str_fmt(struct arena *mem, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool  str_list_has(const struct str_list *l, struct str s);
/* Well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF). */
bool str_is_utf8(struct str s);
#endif
