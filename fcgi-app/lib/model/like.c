/* Patterns for LIKE and ILIKE. */
#include "model/like.h"

#include "base/buf.h"

struct str
like_pattern(struct arena *mem, struct str text, enum like_kind kind)
{
	struct buf b = BUF(mem);

	if (kind == LIKE_ANYWHERE)
		buf_putc(&b, '%');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '%' || text.p[i] == '_' || text.p[i] == '\\')
			buf_putc(&b, '\\');
		buf_putc(&b, text.p[i]);
	}
	buf_putc(&b, '%');
	return buf_str(&b);
}
