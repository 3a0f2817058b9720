/* What the tests of lib/store share: a context, private folders, a location per driver, deterministic bytes. */
#ifndef KADE_TESTS_STORE_FIXTURE_H
#define KADE_TESTS_STORE_FIXTURE_H
/* cmocka wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "store/driver.h"
#include "store/store.h"
#include "store/upload.h"

#define MIB (1 << 20)
#define assert_ok(x)                                                                                         \
	do {                                                                                                 \
		if ((x) != ERR_NONE)                                                                         \
			fail_msg("%s: %s", #x, f->c->err.text);                                              \
	} while (0)
#define assert_err(kind, x) assert_int_equal((kind), (x))

struct fixture {
	struct ctx ctx, *c;
	char folder[64]; /* private, removed at the end */
	struct store_set *set;
	struct store *s;     /* location "one" */
	struct store *other; /* location "two" of the same driver */
	const char *driver;
};

/* Opens both locations of f->driver in a new folder; group set-up functions call it. */
void fixture_begin(struct fixture *f, const char *driver);
void fixture_end(struct fixture *f);
/* Empties the arena: what a new request begins with. Handles that were open are closed. */
void fixture_next_request(struct fixture *f);
/* n bytes that depend on seed and on their place. */
void fixture_bytes(char *p, size_t n, unsigned seed, int64_t at);
/* "sha256:…" and the blob key of n such bytes. */
void fixture_key(size_t n, unsigned seed, char key[STORE_KEY_MAX]);
/* A whole upload of n bytes in one request; returns nothing: it must work. Key: of these bytes. */
void fixture_push(struct fixture *f, struct store *s, size_t n, unsigned seed, char key[STORE_KEY_MAX]);
/* The object holds exactly these n bytes. */
void fixture_check(struct fixture *f, struct store *s, const char *key, size_t n, unsigned seed);
bool fixture_exists(struct fixture *f, struct store *s, const char *key);
/* How many objects a prefix has. */
int fixture_count(struct fixture *f, struct store *s, const char *prefix);
/* A path below the fixture's folder; valid until the next request. */
const char *fixture_path(struct fixture *f, const char *below);
#endif
