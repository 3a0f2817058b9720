/* Conformance of storage drivers: one list of cases for all of them. KADE_STORE_DRIVER names the driver (default
 * LocalStorage); a new one adds its parameters to fixture.c, and a script that starts its server and runs this program
 * (objects) and t-driver-upload (uploads). */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "store/key.h"

static struct store_upload *
resume(struct fixture *f, const struct store_upload_row *row)
{
	struct store_upload *u;

	assert_ok(store_upload_resume(f->c, f->s, row, &u));
	return u;
}

static struct store_upload_row
begin(struct fixture *f)
{
	char id[37];
	struct store_upload_row row;

	random_uuid(id);
	assert_ok(store_upload_new(f->c, f->s, id, &row));
	return row;
}

struct taken {
	char p[65536];
	size_t n, stop_after;
};

static enum err_kind
take(struct ctx *c, void *arg, const void *p, size_t n)
{
	struct taken *t = arg;

	if (t->stop_after != 0 && t->n + n > t->stop_after)
		return err_set(c, ERR_CLIENT_GONE, "the client went away");
	assert_true(t->n + n <= sizeof t->p);
	memcpy(t->p + t->n, p, n);
	t->n += n;
	return ERR_NONE;
}

static enum err_kind
get_range(struct fixture *f, const char *key, int64_t from, int64_t n, struct taken *t)
{
	char buf[1000];

	t->n = 0;
	return store_get(f->c, f->s,
	                 &(struct store_get){
	                     .key = key,
	                     .range = {from, n},
	                     .buf = buf,
	                     .buf_bytes = sizeof buf,
	                     .sink = take,
	                     .arg = t
        });
}

static void
ranges(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX], want[5000];
	struct taken t = { .n = 0 };
	const int64_t cases[][2] = {
		{0,     5000},
                { 0,    1   },
                { 4999, 1   },
                { 999,  1002},
		{ 4000, -1  },
                { 5000, -1  },
                { 5000, 0   },
                { 17,   0   }
	};

	fixture_push(f, f->s, 5000, 101, key);
	fixture_bytes(want, sizeof want, 101, 0);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const size_t n = (size_t)(cases[i][1] < 0 ? 5000 - cases[i][0] : cases[i][1]);
		assert_ok(get_range(f, key, cases[i][0], cases[i][1], &t));
		assert_int_equal(t.n, n);
		assert_memory_equal(t.p, want + cases[i][0], n);
	}
	assert_err(ERR_RANGE, get_range(f, key, 5001, -1, &t));
	assert_err(ERR_RANGE, get_range(f, key, 0, 5001, &t));
	assert_err(ERR_RANGE, get_range(f, key, 4999, 2, &t));
	assert_err(ERR_RANGE, get_range(f, key, 1, INT64_MAX, &t));
	assert_err(ERR_RANGE, get_range(f, key, -1, 1, &t));
	assert_int_equal(t.n, 0);
	t.stop_after = 1500;
	assert_err(ERR_CLIENT_GONE, get_range(f, key, 0, -1, &t));
	assert_true(t.n <= 1500);
	assert_true(f->s->down_until_us == 0); /* the client's fault is not the store's */
}

static void
absent_is_not_an_error_and_not_an_object(void **state)
{
	struct fixture *f = *state;
	struct taken t = { .n = 0 };
	char key[STORE_KEY_MAX];
	struct str text = STR("x");

	fixture_key(4242, 1, key);
	assert_false(fixture_exists(f, f->s, key));
	assert_err(ERR_NOT_FOUND, get_range(f, key, 0, -1, &t));
	assert_ok(store_get_small(f->c, f->s, key, 100, &text));
	assert_null(text.p);
	assert_int_equal(store_remove(f->c, f->s, key), STORE_GONE);
}

static void
removal(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	fixture_push(f, f->s, 10, 111, key);
	assert_int_equal(store_remove(f->c, f->s, key), STORE_GONE);
	assert_false(fixture_exists(f, f->s, key));
	assert_int_equal(store_remove(f->c, f->s, key), STORE_GONE);
	fixture_push(f, f->s, 10, 111, key); /* and comes back */
	fixture_check(f, f->s, key, 10, 111);
}

static void
small_objects(void **state)
{
	struct fixture *f = *state;
	struct str text;
	static char big[STORE_SMALL_MAX + 1];
	struct store_small o = { .key = "logs/1-5000-logentry3.txt.gz",
		                 .bytes = STR("first"),
		                 .content_type = "application/json",
		                 .content_encoding = "gzip" };

	assert_ok(store_put_small(f->c, f->s, &o));
	o.bytes = STR("second, longer");
	assert_ok(store_put_small(f->c, f->s, &o));
	assert_ok(store_get_small(f->c, f->s, o.key, 100, &text));
	assert_true(str_eq(text, o.bytes));
	o.bytes = STR("third");
	o.only_if_absent = true;
	assert_err(ERR_CONFLICT, store_put_small(f->c, f->s, &o));
	assert_ok(store_get_small(f->c, f->s, o.key, 100, &text));
	assert_true(str_eq(text, STR("second, longer")));
	assert_err(ERR_TOO_LARGE, store_get_small(f->c, f->s, o.key, 13, &text));
	o.key = "logs/empty";
	o.bytes = STR("");
	assert_ok(store_put_small(f->c, f->s, &o));
	assert_ok(store_get_small(f->c, f->s, o.key, 0, &text));
	assert_non_null(text.p);
	assert_int_equal(text.n, 0);
	o.bytes = (struct str){ big, sizeof big };
	assert_err(ERR_TOO_LARGE, store_put_small(f->c, f->s, &o));
	assert_int_equal(fixture_count(f, f->s, "uploads/"), 0);
}

static void
keys_of_any_writing(void **state)
{
	struct fixture *f = *state;
	const char *const keys[] = { "a+b:c%20d e",   "userfiles/\xed\x95\x9c\xea\xb8\x80",
		                     "x/y/z/.hidden", "q?a=b&c#d",
		                     "back\\slash",   "quote\"'<>" };

	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct str text;
		assert_ok(store_put_small(f->c, f->s,
		                          &(struct store_small){ .key = keys[i], .bytes = str_of(keys[i]) }));
		assert_ok(store_get_small(f->c, f->s, keys[i], 100, &text));
		assert_true(str_eq_c(text, keys[i]));
	}
	assert_int_equal(fixture_count(f, f->s, ""), sizeof keys / sizeof keys[0]);
}

static void
bad_keys_are_refused_everywhere(void **state)
{
	struct fixture *f = *state;
	const char *const keys[] = { "",      "/",    "/etc/passwd", "..",   "../x",  "a/../../x", "a/..",
		                     "a/./b", "a//b", "a/",          "a\nb", "a\x7f", "\xff\xfe" };

	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct store_info info;
		struct str text;
		const char *path;
		struct taken t = { .n = 0 };
		struct store_upload_row row = begin(f);
		struct store_upload *u = resume(f, &row);
		assert_err(ERR_BUG, store_stat(f->c, f->s, keys[i], &info));
		assert_err(ERR_BUG, get_range(f, keys[i], 0, -1, &t));
		assert_err(ERR_BUG, store_get_small(f->c, f->s, keys[i], 10, &text));
		assert_err(
		    ERR_BUG,
		    store_put_small(f->c, f->s, &(struct store_small){ .key = keys[i], .bytes = STR("x") }));
		assert_int_equal(store_remove(f->c, f->s, keys[i]), STORE_STILL_THERE);
		assert_err(ERR_BUG, store_upload_finish(f->c, u, keys[i]));
		assert_err(ERR_BUG, store_local_path(f->c, f->s, keys[i], &path));
		assert_ok(store_upload_cancel(f->c, u));
	}
}

struct listed {
	char keys[64][128];
	int n, stop_at;
};

static enum err_kind
note_key(struct ctx *c, void *arg, const char *key, const struct store_info *info)
{
	struct listed *l = arg;

	assert_true(info->exists);
	assert_int_equal(info->size_bytes, strlen(key));
	if (l->stop_at != 0 && l->n == l->stop_at)
		return err_set(c, ERR_BUSY, "enough");
	snprintf(l->keys[l->n++], 128, "%s", key);
	return ERR_NONE;
}

static void
listing_in_order(void **state)
{
	struct fixture *f = *state;
	const char *const keys[] = { "a",           "a-b",         "a.b/1", "a/1",         "a/2/3",
		                     "a/20",        "a0",          "b/x",   "sha256/aa/1", "sha256/ab/1",
		                     "sha256/ab/2", "sha256/b0/1", "z" };
	const int n = sizeof keys / sizeof keys[0];
	struct listed l = { .n = 0 };
	const int first =
	    (f->s->caps & STORE_CAP_LOCAL_PATH) != 0 ? 1 : 0; /* "a" and "a/1": not on a file system */

	for (int i = n - 1; i >= first; i--) {
		const char *k = keys[i];
		assert_ok(store_put_small(f->c, f->s, &(struct store_small){ .key = k, .bytes = str_of(k) }));
	}
	assert_ok(store_list(f->c, f->s, &(struct store_list){ .prefix = "", .seen = note_key, .arg = &l }));
	assert_int_equal(l.n, n - first);
	for (int i = 0; i < l.n; i++)
		assert_string_equal(l.keys[i], keys[i + first]);
	for (int from = first; from < n; from++) { /* going on after any key */
		l.n = 0;
		assert_ok(store_list(
		    f->c, f->s,
		    &(struct store_list){ .prefix = "", .after = keys[from], .seen = note_key, .arg = &l }));
		assert_int_equal(l.n, n - from - 1);
		for (int i = 0; i < l.n; i++)
			assert_string_equal(l.keys[i], keys[from + 1 + i]);
	}
	const struct {
		const char *prefix;
		int n;
	} prefixes[] = {
		{"sha256/",       4},
                { "sha256/a",     3},
                { "sha256/ab/",   2},
                { "sha256/ab/2",  1},
		{ "a/2",          2},
                { "nothing/",     0},
                { "sha256/aa/1x", 0}
	};
	for (unsigned i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		assert_int_equal(fixture_count(f, f->s, prefixes[i].prefix), prefixes[i].n);
	l = (struct listed){ .stop_at = 3 };
	assert_err(ERR_BUSY,
	           store_list(f->c, f->s, &(struct store_list){ .prefix = "", .seen = note_key, .arg = &l }));
	assert_int_equal(l.n, 3);
	assert_err(ERR_BUG, store_list(f->c, f->s,
	                               &(struct store_list){ .prefix = "../", .seen = note_key, .arg = &l }));
	assert_err(ERR_BUG, store_list(f->c, f->s,
	                               &(struct store_list){ .prefix = "/", .seen = note_key, .arg = &l }));
}

static void
copies(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX], own[STORE_KEY_MAX];

	fixture_push(f, f->s, 3 * MIB + 1, 121, key);
	assert_true(store_key_own(str_of(str_fmt(f->c->mem, "sha256:%s", key + 10)),
	                          STR("00000000-0000-4000-8000-000000000000"), own));
	assert_ok(store_copy(f->c, f->s, &(struct store_copy){ f->s, key, own, 3 * MIB + 1 }));
	fixture_check(f, f->s, own, 3 * MIB + 1, 121);
	assert_int_equal(store_remove(f->c, f->s, key), STORE_GONE);
	fixture_check(f, f->s, own, 3 * MIB + 1, 121);
	assert_ok(store_copy(f->c, f->s,
	                     &(struct store_copy){ f->s, own, key, -1 })); /* back to the standard key */
	fixture_check(f, f->s, key, 3 * MIB + 1, 121);
	assert_ok(store_copy(f->c, f->other, &(struct store_copy){ f->s, key, key, -1 }));
	assert_ok(store_copy(f->c, f->other, &(struct store_copy){ f->s, key, key, -1 }));
	fixture_check(f, f->other, key, 3 * MIB + 1, 121);
	assert_err(ERR_STORE, store_copy(f->c, f->other, &(struct store_copy){ f->s, key, "elsewhere", 5 }));
	assert_err(
	    ERR_NOT_FOUND,
	    store_copy(f->c, f->other, &(struct store_copy){ f->s, "sha256/zz/none", "elsewhere", -1 }));
	assert_false(fixture_exists(f, f->other, "elsewhere"));
	fixture_push(f, f->s, 0, 122, key);
	assert_ok(store_copy(f->c, f->other, &(struct store_copy){ f->s, key, key, 0 }));
	fixture_check(f, f->other, key, 0, 122);
	assert_int_equal(fixture_count(f, f->s, "uploads/") + fixture_count(f, f->other, "uploads/"), 0);
}

static void
validates(void **state)
{
	struct fixture *f = *state;
	struct buf warnings = BUF(f->c->mem);

	assert_ok(store_validate(f->c, f->s, &warnings));
	assert_true(fixture_exists(f, f->s, STORE_KEY_VERIFY));
}

static void
direct_ways(void **state)
{
	struct fixture *f = *state;
	const char *out = NULL;
	char key[STORE_KEY_MAX];

	fixture_push(f, f->s, 77, 141, key);
	const enum err_kind url =
	    store_direct_url(f->c, f->s, &(struct store_url_want){ .key = key, .expires_s = 60 }, &out);
	assert_err((f->s->caps & STORE_CAP_DIRECT_URL) != 0 ? ERR_NONE : ERR_UNSUPPORTED, url);
	const enum err_kind path = store_local_path(f->c, f->s, key, &out);
	assert_err((f->s->caps & STORE_CAP_LOCAL_PATH) != 0 ? ERR_NONE : ERR_UNSUPPORTED, path);
	if (path == ERR_NONE) {
		assert_int_equal(out[0], '/');
		assert_int_equal(access(out, R_OK), 0);
	}
	assert_ok(store_list_unfinished(f->c, f->s, NULL, NULL));
}

static void
every_slot_is_filled(void **state)
{
	struct fixture *f = *state;
	void *const *slot = (void *const *)(const void *)&f->s->driver->open;
	const size_t n = (sizeof(struct store_driver) - offsetof(struct store_driver, open)) / sizeof(void *);

	for (size_t i = 0; i < n; i++)
		assert_non_null(slot[i]);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	const char *driver = getenv("KADE_STORE_DRIVER");

	fixture_begin(f, driver != NULL ? driver : "LocalStorage");
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	fixture_end(*state);
	free(*state);
	return 0;
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_slot_is_filled),
		CASE(ranges),
		CASE(absent_is_not_an_error_and_not_an_object),
		CASE(removal),
		CASE(small_objects),
		CASE(keys_of_any_writing),
		CASE(bad_keys_are_refused_everywhere),
		CASE(listing_in_order),
		CASE(copies),
		CASE(validates),
		CASE(direct_ways),
	};

	return cmocka_run_group_tests_name("store/driver", tests, NULL, NULL);
}
