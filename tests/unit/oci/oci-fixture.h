/* What the tests of lib/oci share: one context with an arena per test. */
#ifndef KADE_TEST_OCI_FIXTURE_H
#define KADE_TEST_OCI_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/str.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define TEST(f)  cmocka_unit_test_setup_teardown(f, t_begin, t_end)

static inline int
t_begin(void **state)
{
	struct ctx *c = calloc(1, sizeof *c);

	c->mem = arena_new(0);
	*state = c;
	return 0;
}
static inline int
t_end(void **state)
{
	struct ctx *c = *state;

	arena_free(c->mem);
	free(c);
	return 0;
}
static inline void
assert_str(struct str got, const char *expected)
{
	if (!str_eq_c(got, expected))
		fail_msg("got \"%.*s\", expected \"%s\"", STRF(got), expected);
}
/* n times ch, NUL-terminated. */
static inline struct str
t_repeat(struct ctx *c, char ch, size_t n)
{
	char *p = arena_alloc(c->mem, n + 1);

	memset(p, ch, n);
	p[n] = '\0';
	return (struct str){ p, n };
}
#endif
