/* For the tests of lib/net: a context with an arena of its own. */
#ifndef KADE_TESTS_NET_CONTEXT_H
#define KADE_TESTS_NET_CONTEXT_H
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"

static inline void
t_ok(struct ctx *c, enum err_kind k, const char *file, int line)
{
	if (k == ERR_NONE)
		return;
	print_message("# %s:%d: %s: %s\n", file, line, err_info(k)->name, c->err.text);
	fail();
}
#define assert_ok(c, x) t_ok((c), (x), __FILE__, __LINE__)

static inline void
t_has(const char *text, const char *part, const char *file, int line)
{
	if (strstr(text, part) != NULL)
		return;
	print_message("# %s:%d: \"%s\" is not in \"%s\"\n", file, line, part, text);
	fail();
}
#define assert_has(text, part) t_has((text), (part), __FILE__, __LINE__)

static inline struct ctx
t_ctx(void)
{
	return (struct ctx){ .mem = arena_new(64u << 20) };
}
#endif
