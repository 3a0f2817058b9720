/* Queries and forms, and X-Forwarded-For: decoded values are UTF-8 without NUL; a name that is asked for is found where the
 * decoded name says so. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "http/client-addr.h"
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
	const struct str text = { (const char *)data, n };
	struct str rest = text, name, value;
	struct cidr c;
	int seen = 0;

	while (form_next(&rest, &seen, &name, &value)) {
		const struct str v = form_decode(mem, value), k = form_decode(mem, name);
		must(str_is_utf8(v) && (v.n == 0 || memchr(v.p, '\0', v.n) == NULL));
		if (form_name_is(name, "scope"))
			must(str_eq_c(k, "scope"));
	}
	must(seen <= FORM_PAIRS);
	must(cidr_parse(STR("0.0.0.0/0"), &c));
	client_addr(mem, STR("10.0.0.1"), text, &c, 1);
	cidr_parse(text, &c);
	arena_free(mem);
	return 0;
}
