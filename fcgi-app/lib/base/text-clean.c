/* Normal form C by libunistring. Plain ASCII, which is most text, is only looked at. */
#include "base/text-clean.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/arena.h"

static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || (unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* U+202A–U+202E are E2 80 AA–AE, U+2066–U+2069 are E2 81 A6–A9. */
static bool
is_direction(const unsigned char *p, size_t n)
{
	return n >= 3 && p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

struct str
text_clean(struct arena *mem, struct str text)
{
	const unsigned char *from = (const unsigned char *)text.p;
	size_t               n = 0, made = 0;
	char                *kept;
	uint8_t             *normal;

	if (text.n == 0 || is_plain(text) || u8_check((const uint8_t *)text.p, text.n) != NULL)
		return text;
	kept = arena_alloc(mem, text.n);
	for (size_t i = 0; i < text.n;) {
		if (is_direction(from + i, text.n - i)) {
			i += 3;
			continue;
		}
		if (from[i] != 0)
			kept[n++] = (char)from[i];
		i++;
	}
	normal = u8_normalize(UNINORM_NFC, (const uint8_t *)kept, n, NULL, &made);
	if (normal == NULL)
		return (struct str){ kept, n };
	char *out = arena_alloc(mem, made + 1);
	memcpy(out, normal, made);
	free(normal); /* the library's own */
	return (struct str){ out, made };
}
