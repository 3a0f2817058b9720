/* The set of locations, keys, parameters and the instance object. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/instance.h"
#include "store/key.h"

#define HEX64 "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
#define UUID  "0b5d8a3c-57c1-4f0e-9a86-5f3c2f3d9a10"

static void
blob_keys(void **state)
{
	char out[STORE_KEY_MAX] = "untouched";
	const struct {
		const char *digest, *key;
	} good[] = {
		{"sha256:" HEX64,          "sha256/ab/" HEX64        },
		{ "sha512:" HEX64 HEX64,   "sha512/ab/" HEX64 HEX64  },
		{ "tarsum.v1+sha256:cafe", "tarsum/v1/sha256/ca/cafe"},
		{ "tarsum.+v1:cafe",       "tarsum/v1/ca/cafe"       },
		{ ".x:cafe",               "x/ca/cafe"               },
		{ "md5:7",                 "md5/07/7"                },
		{ "md5:CAFE",              "md5/CA/CAFE"             }
	};
	const char *const bad[] = { "",
		                    "sha256",
		                    "sha256:",
		                    "sha256:ab",
		                    ("sha256:" HEX64 "0"),
		                    ("sha512:" HEX64),
		                    "sha/256:ab",
		                    "sha256:../../x",
		                    "x:ab/cd",
		                    ":abcd",
		                    "+.:abcd",
		                    "x y:abcd" };

	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(store_key_blob(str_of(bad[i]), out));
	assert_string_equal(out, "untouched");
	for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(store_key_blob(str_of(good[i].digest), out));
		assert_string_equal(out, good[i].key);
	}
	assert_true(store_key_own(STR("sha256:" HEX64), STR(UUID), out));
	assert_string_equal(out, "sha256/ab/" HEX64 "." UUID);
	assert_false(store_key_own(STR("sha256:" HEX64), STR("../x"), out));
	assert_true(store_key_digest("sha256/ab/" HEX64, out));
	assert_string_equal(out, "sha256:" HEX64);
	assert_false(store_key_digest("sha256/ab/" HEX64 "." UUID, out));
	assert_false(store_key_digest("sha256/ac/" HEX64, out));
	assert_false(store_key_digest("uploads/" UUID, out));
	assert_false(store_key_digest("sha256", out));
	assert_true(store_key_upload(STR(UUID), out));
	assert_string_equal(out, "uploads/" UUID);
	assert_false(store_key_upload(STR("0B5D8A3C-57c1-4f0e-9a86-5f3c2f3d9a10"), out));
	assert_false(store_key_upload(STR("0b5d8a3c-57c1-4f0e-9a86-5f3c2f3d9a1"), out));
	assert_true(store_key_v1_layer(STR(UUID), out));
	assert_string_equal(out, "sharedimages/" UUID "/layer");
}

static void
key_limits(void **state)
{
	char key[STORE_KEY_MAX + 8];

	(void)state;
	memset(key, 'a', sizeof key);
	assert_true(store_key_ok((struct str){ key, 255 }));
	assert_false(store_key_ok((struct str){ key, 256 }));
	key[200] = key[400] = '/';
	assert_true(store_key_ok((struct str){ key, STORE_KEY_MAX - 1 }));
	assert_false(store_key_ok((struct str){ key, STORE_KEY_MAX }));
	assert_false(store_key_ok((struct str){ "a\0b", 3 }));
	assert_true(store_key_ok(STR("...")));
	assert_true(store_key_ok(STR("..a/.b")));
}

struct opened {
	struct store_set *set;
	json_t *params[4];
	struct store_location_conf l[4];
};

static enum err_kind
open_set(struct fixture *f, struct opened *o, const char *const *names, size_t n,
         const char *const *preference, size_t n_preference)
{
	for (size_t i = 0; i < n; i++) {
		o->params[i] = json_pack("{s:o}", "storage_path", json_sprintf("%s/%s", f->folder, names[i]));
		o->l[i] = (struct store_location_conf){ names[i], "LocalStorage", o->params[i] };
	}
	const enum err_kind k = store_set_open(
	    f->c,
	    &(struct store_set_conf){
	        .locations = o->l, .n = n, .preference = preference, .n_preference = n_preference },
	    &o->set);
	for (size_t i = 0; i < n; i++)
		json_decref(o->params[i]);
	return k;
}

static void
preference_decides(void **state)
{
	struct fixture *f = *state;
	const char *const names[] = { "eu", "us", "asia" }, *const preference[] = { "us", "asia" };
	const struct str all[] = { STR("eu"), STR("asia"), STR("gone"), STR("us") };
	struct store *out[4];
	struct opened o;

	assert_ok(open_set(f, &o, names, 3, preference, 2));
	assert_string_equal(store_preferred(o.set)->name, "us");
	assert_int_equal(store_count(o.set), 3);
	assert_string_equal(store_at(o.set, 0)->name, "eu");
	assert_null(store_find(o.set, STR("gone")));
	assert_int_equal(store_order(o.set, all, 4, out), 3);
	assert_string_equal(out[0]->name, "us");
	assert_string_equal(out[1]->name, "asia");
	assert_string_equal(out[2]->name, "eu");
	assert_int_equal(store_order(o.set, all, 1, out), 1);
	assert_string_equal(out[0]->name, "eu");
	assert_int_equal(store_order(o.set, &all[2], 1, out), 0);
	/* one that failed lately goes last, and comes back when it works again */
	assert_err(ERR_STORE, store_note(store_find(o.set, STR("us")), ERR_STORE));
	assert_int_equal(store_order(o.set, all, 4, out), 3);
	assert_string_equal(out[0]->name, "asia");
	assert_string_equal(out[1]->name, "eu");
	assert_string_equal(out[2]->name, "us");
	struct store_info info;
	assert_ok(store_stat(f->c, store_find(o.set, STR("us")), "x", &info));
	assert_int_equal(store_order(o.set, all, 4, out), 3);
	assert_string_equal(out[0]->name, "us");
	store_set_close(o.set);

	assert_ok(open_set(f, &o, names, 3, NULL, 0));
	assert_string_equal(store_preferred(o.set)->name, "eu");
	store_set_close(o.set);
}

static void
wrong_configurations_are_named(void **state)
{
	struct fixture *f = *state;
	struct opened o;
	const char *const twice[] = { "eu", "eu" }, *const one[] = { "eu" }, *const nowhere[] = { "mars" };

	assert_err(ERR_BAD_INPUT, open_set(f, &o, twice, 2, NULL, 0));
	assert_non_null(strstr(f->c->err.text, "twice"));
	assert_err(ERR_BAD_INPUT, open_set(f, &o, one, 1, nowhere, 1));
	assert_non_null(strstr(f->c->err.text, "mars"));
	assert_err(ERR_BAD_INPUT, open_set(f, &o, one, 0, NULL, 0));
	assert_true(store_driver_known("LocalStorage"));
	assert_false(store_driver_known("FakeStorage"));
	const struct {
		const char *driver, *params, *words;
		int kind;
	} bad[] = {
		{"FakeStorage",   "{}",		                       "FakeStorage is not a valid storage type.", ERR_BAD_INPUT},
		{ "LocalStorage", "{}",                                       "storage_path is missing",                  ERR_BAD_INPUT},
		{ "LocalStorage", "{\"storage_path\": null}",                 "storage_path is missing",                  ERR_BAD_INPUT},
		{ "LocalStorage", "{\"storage_path\": \"\"}",                 "storage_path is empty",                    ERR_BAD_INPUT},
		{ "LocalStorage", "{\"storage_path\": [1]}",                  "must be a string",                         ERR_BAD_INPUT},
		{ "LocalStorage", "{\"storage_path\": \"relative/path\"}",    "absolute",                                 ERR_BAD_INPUT},
		{ "LocalStorage", "{\"storage_path\": \"/dev/null\"}",        "/dev/null",                                ERR_STORE    },
		{ "LocalStorage", "{\"storage_path\": \"/nonexistent/a/b\"}", "/nonexistent/a/b",                         ERR_STORE    }
	};
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		json_t *p = json_loads(bad[i].params, 0, NULL);
		struct store_location_conf l = { "eu", bad[i].driver, p };
		assert_err(bad[i].kind,
		           store_set_open(f->c, &(struct store_set_conf){ .locations = &l, .n = 1 }, &o.set));
		assert_non_null(strstr(f->c->err.text, bad[i].words));
		assert_non_null(strstr(f->c->err.text, "eu"));
		json_decref(p);
	}
}

static void
parameters_as_people_write_them(void **state)
{
	struct fixture *f = *state;
	json_t *p = json_loads("{\"port\":\"443\",\"n\":443,\"yes\":\"True\",\"no\":\"false\",\"real\":true,"
	                       "\"odd\":\"maybe\",\"f\":1.5}",
	                       0, NULL);
	const struct store_location_conf l = { "eu", "LocalStorage", p };
	int64_t n = -7;
	bool b = false;
	const char *s;

	assert_ok(store_param_i64(f->c, &l, "absent", &n));
	assert_int_equal(n, -7);
	assert_ok(store_param_i64(f->c, &l, "port", &n));
	assert_int_equal(n, 443);
	n = 0;
	assert_ok(store_param_i64(f->c, &l, "n", &n));
	assert_int_equal(n, 443);
	assert_err(ERR_BAD_INPUT, store_param_i64(f->c, &l, "odd", &n));
	assert_err(ERR_BAD_INPUT, store_param_i64(f->c, &l, "f", &n));
	assert_ok(store_param_bool(f->c, &l, "yes", &b));
	assert_true(b);
	assert_ok(store_param_bool(f->c, &l, "no", &b));
	assert_false(b);
	assert_ok(store_param_bool(f->c, &l, "real", &b));
	assert_true(b);
	assert_err(ERR_BAD_INPUT, store_param_bool(f->c, &l, "odd", &b));
	assert_ok(store_param_str(f->c, &l, "n", NULL, &s));
	assert_string_equal(s, "443");
	assert_ok(store_param_str(f->c, &l, "absent", "dflt", &s));
	assert_string_equal(s, "dflt");
	json_decref(p);
}

static void
read_only_refuses_writes(void **state)
{
	struct fixture *f = *state;
	json_t *p = json_pack("{s:o}", "storage_path", json_sprintf("%s/one", f->folder));
	struct store_location_conf l = { "one", "LocalStorage", p };
	struct store_set *set;
	struct store_upload_row row;
	struct store_info info;
	char key[STORE_KEY_MAX];

	fixture_push(f, f->s, 10, 1, key);
	assert_ok(store_set_open(
	    f->c, &(struct store_set_conf){ .locations = &l, .n = 1, .env = { .is_read_only = true } },
	    &set));
	json_decref(p);
	struct store *s = store_at(set, 0);
	assert_ok(store_stat(f->c, s, key, &info));
	assert_true(info.exists);
	fixture_check(f, s, key, 10, 1);
	assert_err(ERR_READ_ONLY, store_upload_new(f->c, s, UUID, &row));
	assert_err(ERR_READ_ONLY,
	           store_put_small(f->c, s, &(struct store_small){ .key = "x", .bytes = STR("y") }));
	assert_err(ERR_READ_ONLY, store_copy(f->c, s, &(struct store_copy){ s, key, "x", -1 }));
	assert_int_equal(store_remove(f->c, s, key), STORE_STILL_THERE);
	assert_ok(store_validate(f->c, s, NULL));
	assert_true(fixture_exists(f, f->s, key));
	store_set_close(set);
}

/* The rule that no database connection is held over a transfer is enforced, not only written down. */
static void
a_held_connection_stops_the_process(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	int status;

	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (freopen("/dev/null", "we", stderr) == NULL)
			_exit(3);
		signal(SIGABRT, SIG_DFL);
		f->ctx.tx = (struct db_conn *)(void *)f;
		_exit(store_stat(f->c, f->s, "x", &info) == ERR_NONE ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
a_location_knows_its_owner(void **state)
{
	struct fixture *f = *state;
	struct store_instance mine = { UUID, 1 }, other = { "11111111-2222-4333-8444-555555555555", 1 },
	                      found = { "", 0 };
	enum store_owner owner;

	assert_ok(store_instance_compare(f->c, f->s, &mine, &owner, &found));
	assert_int_equal(owner, STORE_OWNER_NONE);
	assert_ok(store_instance_claim(f->c, f->s, &mine));
	assert_ok(store_instance_compare(f->c, f->s, &mine, &owner, &found));
	assert_int_equal(owner, STORE_OWNER_SAME);
	assert_err(ERR_CONFLICT, store_instance_claim(f->c, f->s, &other));
	assert_err(ERR_CONFLICT, store_instance_claim(f->c, f->s, &mine));
	assert_ok(store_instance_compare(f->c, f->s, &other, &owner, &found));
	assert_int_equal(owner, STORE_OWNER_FOREIGN);
	assert_string_equal(found.uuid, UUID);
	mine.epoch = 2;
	assert_ok(store_instance_compare(f->c, f->s, &mine, &owner, &found));
	assert_int_equal(owner, STORE_OWNER_EPOCH);
	assert_int_equal(found.epoch, 1);
	assert_ok(store_instance_adopt(f->c, f->s, &mine));
	assert_ok(store_instance_compare(f->c, f->s, &mine, &owner, &found));
	assert_int_equal(owner, STORE_OWNER_SAME);
	const char *const damaged[] = { "",
		                        "{}",
		                        "[]",
		                        "{\"uuid\":\"x\",\"epoch\":1}",
		                        "{\"uuid\":\"" UUID "\"}",
		                        "{\"uuid\":\"" UUID "\",\"epoch\":0}",
		                        "\xff",
		                        "{\"uuid\":\"" UUID "\",\"epoch\":1}x" };
	for (unsigned i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		assert_ok(store_put_small(
		    f->c, f->s,
		    &(struct store_small){ .key = STORE_KEY_INSTANCE, .bytes = str_of(damaged[i]) }));
		assert_ok(store_instance_compare(f->c, f->s, &mine, &owner, &found));
		assert_int_equal(owner, STORE_OWNER_DAMAGED);
		assert_err(ERR_CONFLICT, store_instance_claim(f->c, f->s, &mine));
	}
	static char big[5000];
	assert_ok(store_put_small(f->c, f->s,
	                          &(struct store_small){
	                              .key = STORE_KEY_INSTANCE, .bytes = {big, sizeof big}
        }));
	assert_ok(store_instance_compare(f->c, f->s, &mine, &owner, &found));
	assert_int_equal(owner, STORE_OWNER_DAMAGED);
	mine.epoch = 0;
	assert_err(ERR_BUG, store_instance_adopt(f->c, f->s, &mine));
}

static void
one_of_many_claims_wins(void **state)
{
	struct fixture *f = *state;
	int won = 0, status;

	for (int i = 0; i < 8; i++) {
		const pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct store_instance me = { UUID, i + 1 };
			const enum err_kind k = store_instance_claim(f->c, f->s, &me);
			_exit(k == ERR_NONE ? 0 : k == ERR_CONFLICT ? 1 : 2);
		}
	}
	for (int i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		won += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(won, 1);
}

static enum err_kind
get_half(struct ctx *c, struct store *s, const struct store_get *g)
{
	struct store_get half = *g;

	half.range.length = g->range.length / 2;
	TRY(STORE_LOCAL.get(c, s, &half));
	return err_set(c, ERR_STORE, "connection reset");
}

/* Between stores that cannot copy by themselves the bytes pass through this process, in constant memory. */
static void
copies_are_streamed_where_they_must(void **state)
{
	struct fixture *f = *state;
	struct store_driver plain = STORE_LOCAL, broken = STORE_LOCAL;
	const struct store_driver *was = f->s->driver;
	const size_t sizes[] = { 0, 1, 262144, 3 * MIB + 5 };
	char key[STORE_KEY_MAX];

	plain.copy = store_unsupported_copy;
	broken.get = get_half;
	f->other->driver = &plain;
	for (unsigned i = 0; i < 4; i++) {
		fixture_push(f, f->s, sizes[i], i, key);
		const size_t before = arena_used(f->c->mem);
		assert_ok(store_copy(f->c, f->other, &(struct store_copy){ f->s, key, key, -1 }));
		assert_int_equal(arena_used(f->c->mem), before);
		fixture_check(f, f->other, key, sizes[i], i);
	}
	fixture_push(f, f->s, MIB, 77, key);
	f->s->driver = &broken;
	assert_err(ERR_STORE, store_copy(f->c, f->other, &(struct store_copy){ f->s, key, key, -1 }));
	f->s->driver = was;
	assert_string_equal(f->c->err.text, "connection reset");
	assert_false(fixture_exists(f, f->other, key));
	assert_int_equal(fixture_count(f, f->other, "uploads/"), 0);
	f->other->driver = was;
}

/* After a failed write later bytes would leave a gap: they are refused. */
static enum err_kind
write_fails(struct ctx *c, struct store_put *p, const void *bytes, size_t n)
{
	(void)p;
	(void)bytes;
	(void)n;
	return err_set(c, ERR_STORE, "connection reset");
}

static void
nothing_is_taken_after_a_failed_write(void **state)
{
	struct fixture *f = *state;
	struct store_driver failing = STORE_LOCAL;
	const struct store_driver *was = f->s->driver;
	struct store_upload_row row;
	struct store_upload *u;
	char hex[65], *p;
	size_t room;
	static char bytes[100000];

	assert_ok(store_upload_new(f->c, f->s, UUID, &row));
	assert_ok(store_upload_resume(f->c, f->s, &row, &u));
	assert_ok(store_upload_append(f->c, u, bytes, 100000));
	failing.write = write_fails;
	f->s->driver = &failing;
	assert_err(ERR_STORE, store_upload_append(f->c, u, bytes, 100000));
	f->s->driver = was;
	assert_err(ERR_STORE, store_upload_append(f->c, u, bytes, 1));
	assert_err(ERR_STORE, store_upload_space(f->c, u, &p, &room));
	assert_err(ERR_STORE, store_upload_digest(f->c, u, hex));
	assert_err(ERR_STORE, store_upload_finish(f->c, u, "sha256/aa/x"));
	assert_ok(store_upload_checkpoint(f->c, u, &row)); /* but what came before is kept */
	assert_int_equal(row.offset_bytes, 100000);
	assert_ok(store_upload_cancel(f->c, u));
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	fixture_begin(f, "LocalStorage");
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
		cmocka_unit_test(blob_keys),
		cmocka_unit_test(key_limits),
		CASE(preference_decides),
		CASE(wrong_configurations_are_named),
		CASE(parameters_as_people_write_them),
		CASE(read_only_refuses_writes),
		CASE(a_held_connection_stops_the_process),
		CASE(copies_are_streamed_where_they_must),
		CASE(nothing_is_taken_after_a_failed_write),
		CASE(a_location_knows_its_owner),
		CASE(one_of_many_claims_wins),
	};

	return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
