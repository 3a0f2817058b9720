/* A text under construction, growing in an arena. The writer's name is the escape: never build JSON, URLs, headers or
 * HTML with a bare %s. */
#ifndef KADE_BASE_BUF_H
#define KADE_BASE_BUF_H
#include <stddef.h>

#include "base/str.h"

struct arena;
struct buf {
	char         *p; /* not NUL-terminated; buf_cstr() does that */
	size_t        n, cap;
	struct arena *mem;
};

#define BUF(m) ((struct buf){ .mem = (m) })
static inline struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}
void  buf_reserve(struct buf *b, size_t more); /* room for `more` bytes at p + n */
void  buf_put(struct buf *b, struct str s);
void  buf_putc(struct buf *b, char ch);
void  buf_puts(struct buf *b, const char *s);
void  buf_putf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void  buf_put_json(struct buf *b, struct str s);
/* Percent-encoded as one path segment or query value: only A-Z a-z 0-9 - . _ ~ stay. */
void  buf_put_url(struct buf *b, struct str s);
/* A header value: CR, LF, NUL and other controls are dropped. */
void  buf_put_header(struct buf *b, struct str s);
/* Text in HTML, in attributes too: & < > " ' escaped. */
void  buf_put_html(struct buf *b, struct str s);
char *buf_cstr(struct buf *b); /* NUL-terminated; valid until the next write */
#endif
