/* Text under construction. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistr.h>

#include "base/arena.h"

void
buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap == 0 ? 256 : b->cap;

	if (b->cap - b->n >= more)
		return;
	while (cap - b->n < more) {
		if (__builtin_mul_overflow(cap, (size_t)2, &cap))
			cap = b->n + more;
	}
	char *p = arena_alloc(b->mem, cap);
	if (b->n > 0)
		memcpy(p, b->p, b->n);
	b->p = p;
	b->cap = cap;
}

void
buf_put(struct buf *b, struct str s)
{
	if (s.n == 0)
		return;
	buf_reserve(b, s.n);
	memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

void
buf_putc(struct buf *b, char ch)
{
	buf_reserve(b, 1);
	b->p[b->n++] = ch;
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, str_of(s));
}

void
buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int     n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0) {
		buf_reserve(b, (size_t)n + 1);
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void
buf_put_json(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789abcdef";

	buf_reserve(b, s.n + 2);
	buf_putc(b, '"');
	for (size_t i = 0; i < s.n;) {
		const unsigned char ch = (unsigned char)s.p[i];
		if (ch >= 0x80) {
			ucs4_t    u;
			const int n = u8_mbtoucr(&u, (const uint8_t *)s.p + i, s.n - i);
			if (n < 0) {
				buf_puts(b, "\xef\xbf\xbd");
				i++;
			} else {
				buf_put(b, (struct str){ s.p + i, (size_t)n });
				i += (size_t)n;
			}
			continue;
		}
		i++;
		if (ch == '"' || ch == '\\') {
			buf_putc(b, '\\');
			buf_putc(b, (char)ch);
		} else if (ch == '\n') {
			buf_puts(b, "\\n");
		} else if (ch < 0x20 || ch == 0x7f) {
			buf_puts(b, "\\u00");
			buf_putc(b, hex[ch >> 4]);
			buf_putc(b, hex[ch & 15]);
		} else {
			buf_putc(b, (char)ch);
		}
	}
	buf_putc(b, '"');
}

void
buf_put_url(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		const unsigned char ch = (unsigned char)s.p[i];
		if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
		    ch == '.' || ch == '_' || ch == '~') {
			buf_putc(b, (char)ch);
		} else {
			buf_putc(b, '%');
			buf_putc(b, hex[ch >> 4]);
			buf_putc(b, hex[ch & 15]);
		}
	}
}

void
buf_put_header(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		const unsigned char ch = (unsigned char)s.p[i];
		if (ch >= 0x20 && ch != 0x7f)
			buf_putc(b, (char)ch);
	}
}

void
buf_put_html(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '&':
			buf_puts(b, "&amp;");
			break;
		case '<':
			buf_puts(b, "&lt;");
			break;
		case '>':
			buf_puts(b, "&gt;");
			break;
		case '"':
			buf_puts(b, "&quot;");
			break;
		case '\'':
			buf_puts(b, "&#39;");
			break;
		default:
			buf_putc(b, s.p[i]);
		}
	}
}

char *
buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->p[b->n] = '\0';
	return b->p;
}
