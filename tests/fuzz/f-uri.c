/* REQUEST_URI: whatever comes in, what comes out are segments that are UTF-8, hold no NUL and are no dot segments. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *mem = arena_new(0);
	struct uri u;

	if (n > 0) {
		const struct str text = { (const char *)data + 1, n - 1 };
		if (uri_parse(mem, text, data[0] % 2 == 0 ? "" : "/m", &u) == URI_OK) {
			must(u.n >= 0 && u.n <= URI_SEGMENTS && u.path.n > 0 && u.path.p[0] == '/');
			for (int i = 0; i < u.n; i++) {
				const struct str s = u.seg[i].text;
				must(s.n > 0 && str_is_utf8(s) && memchr(s.p, '\0', s.n) == NULL);
				must(!str_eq_c(s, ".") && !str_eq_c(s, ".."));
				must(u.seg[i].has_slash == (str_find(s, '/') >= 0));
			}
		}
	}
	arena_free(mem);
	return 0;
}
