/* Conformance of storage drivers, the part about uploads: see t-driver.c. */
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

static void
feed(struct fixture *f, struct store_upload *u, unsigned seed, int64_t from, size_t n)
{
	char *p = malloc(n + 1);

	assert_non_null(p);
	fixture_bytes(p, n, seed, from);
	assert_ok(store_upload_append(f->c, u, p, n));
	free(p);
}

static void
sizes_around_every_boundary(void **state)
{
	struct fixture *f = *state;
	const size_t sizes[] = { 0,
		                 1,
		                 65535,
		                 65536,
		                 65537,
		                 STORE_UPLOAD_BUF - 1,
		                 STORE_UPLOAD_BUF,
		                 STORE_UPLOAD_BUF + 1,
		                 5 * MIB,
		                 5 * MIB + 1,
		                 17 * MIB + 3 };

	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char key[STORE_KEY_MAX];
		struct store_info info;
		fixture_next_request(f);
		fixture_push(f, f->s, sizes[i], 100 + i, key);
		assert_ok(store_stat(f->c, f->s, key, &info));
		assert_true(info.exists);
		assert_int_equal(info.size_bytes, sizes[i]);
		fixture_check(f, f->s, key, sizes[i], 100 + i);
		assert_int_equal(fixture_count(f, f->s, "uploads/"), 0);
	}
}

/* Slices of every odd size, through append and through space/filled, end up as the same bytes. */
static void
any_slicing_gives_the_same_object(void **state)
{
	struct fixture *f = *state;
	const size_t slices[] = { 1, 7, 4096, 65536, 100000, 300000, 13 };
	const size_t total = 3 * MIB + 17;
	size_t at = 0;

	struct store_upload_row row = begin(f);
	struct store_upload *u = resume(f, &row);
	for (unsigned i = 0; at < total; i++) {
		size_t n = slices[i % 7] < total - at ? slices[i % 7] : total - at;
		if (i % 3 == 1) {
			char *p;
			size_t room;
			assert_ok(store_upload_space(f->c, u, &p, &room));
			assert_true(room >= 1);
			n = n < room ? n : room;
			fixture_bytes(p, n, 7, (int64_t)at);
			assert_ok(store_upload_filled(f->c, u, n));
		} else {
			feed(f, u, 7, (int64_t)at, n);
		}
		at += n;
		assert_int_equal(store_upload_received(u), at);
	}
	char key[STORE_KEY_MAX], hex[65];
	fixture_key(total, 7, key);
	assert_ok(store_upload_digest(f->c, u, hex));
	assert_string_equal(hex, key + 10);
	assert_ok(store_upload_finish(f->c, u, key));
	fixture_check(f, f->s, key, total, 7);
}

/* Writes one part in a child process, which hands the row back through a pipe as text: nothing else is shared. */
static void
part_in_another_process(struct fixture *f, struct store_upload_row *row, unsigned seed, size_t n)
{
	int fds[2];
	static char text[8192];

	assert_int_equal(pipe(fds), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store_upload *u;
		struct store_upload_row after;
		char *p = malloc(n + 1);
		close(fds[0]);
		fixture_bytes(p, n, seed, row->offset_bytes);
		if (store_upload_resume(f->c, f->s, row, &u) != ERR_NONE ||
		    store_upload_append(f->c, u, p, n) != ERR_NONE ||
		    store_upload_checkpoint(f->c, u, &after) != ERR_NONE)
			_exit(1);
		dprintf(fds[1], "%lld\n%.*s\n%.*s\n", (long long)after.offset_bytes, STRF(after.hash_state),
		        STRF(after.store_state));
		_exit(0);
	}
	close(fds[1]);
	size_t got = 0;
	ssize_t r;
	while ((r = read(fds[0], text + got, sizeof text - 1 - got)) > 0)
		got += (size_t)r;
	close(fds[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	struct str all = { text, got }, offset, hash, store;
	assert_true(str_cut(all, '\n', &offset, &all));
	assert_true(str_cut(all, '\n', &hash, &all));
	assert_true(str_cut(all, '\n', &store, &all));
	assert_true(str_to_i64(offset, 0, INT64_MAX, &row->offset_bytes));
	row->hash_state = str_of(str_dup(f->c->mem, hash));
	row->store_state = str_of(str_dup(f->c->mem, store));
}

static void
parts_of_any_size_in_other_processes(void **state)
{
	struct fixture *f = *state;
	const size_t parts[] = { 3, 6 * MIB, 1, 0, 5 * MIB, 100 };
	size_t total = 0;

	struct store_upload_row row = begin(f);
	for (unsigned i = 0; i < 6; i++) {
		part_in_another_process(f, &row, 11, parts[i]);
		total += parts[i];
		assert_int_equal(row.offset_bytes, total);
	}
	char key[STORE_KEY_MAX], hex[65];
	struct store_upload *u = resume(f, &row);
	fixture_key(total, 11, key);
	assert_ok(store_upload_digest(f->c, u, hex));
	assert_string_equal(hex, key + 10);
	assert_false(fixture_exists(f, f->s, key));
	assert_ok(store_upload_finish(f->c, u, key));
	fixture_check(f, f->s, key, total, 11);
}

/* A request dies after storing bytes that its row never learned of: the next one starts at the row's offset. */
static void
an_unrecorded_attempt_is_overwritten(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row = begin(f), skipped;
	struct store_upload *u = resume(f, &row);

	feed(f, u, 21, 0, 700000);
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	feed(f, u, 99, 700000, 2 * MIB); /* other bytes, durable even, but the row is not written */
	assert_ok(store_upload_checkpoint(f->c, u, &skipped));
	u->store->driver->put_close(f->c, u->put);

	u = resume(f, &row);
	feed(f, u, 21, 700000, 5000);
	char key[STORE_KEY_MAX], hex[65];
	fixture_key(705000, 21, key);
	assert_ok(store_upload_digest(f->c, u, hex));
	assert_string_equal(hex, key + 10);
	assert_ok(store_upload_finish(f->c, u, key));
	fixture_check(f, f->s, key, 705000, 21);
}

static void
a_cancelled_upload_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row = begin(f);
	struct store_upload *u = resume(f, &row);

	feed(f, u, 31, 0, 6 * MIB);
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	feed(f, u, 31, 6 * MIB, 1000);
	assert_ok(store_upload_cancel(f->c, u));
	assert_ok(store_upload_cancel(f->c, u)); /* a second time does no harm */
	assert_int_equal(fixture_count(f, f->s, "uploads/"), 0);
	assert_ok(store_upload_abort(f->c, f->s, &row));

	row = begin(f);
	assert_ok(store_upload_abort(f->c, f->s, &row));
	assert_ok(store_upload_abort(f->c, f->s, &row));
	assert_int_equal(fixture_count(f, f->s, ""), 0);
}

static void
a_lost_upload_is_told(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row = begin(f);
	struct store_upload *u = resume(f, &row);
	char key[STORE_KEY_MAX], byte = 'x';

	feed(f, u, 41, 0, 1000);
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	assert_ok(store_upload_cancel(f->c, u));
	fixture_key(1000, 41, key);
	enum err_kind k = store_upload_resume(f->c, f->s, &row, &u);
	if (k == ERR_NONE) {
		assert_ok(store_upload_append(f->c, u, &byte, 1));
		struct store_upload_row after;
		k = store_upload_checkpoint(f->c, u, &after);
		assert_err(ERR_NOT_FOUND, k);
		fixture_next_request(f);
	}
	assert_err(ERR_NOT_FOUND, k);
	row = (struct store_upload_row){ .id = "00000000-0000-4000-8000-000000000000" };
	row.store_state = STR("{\"driver\":\"LocalStorage\",\"offset\":0}");
	if (strcmp(f->driver, "LocalStorage") == 0) {
		assert_ok(store_upload_resume(f->c, f->s, &row, &u));
		assert_err(ERR_NOT_FOUND, store_upload_finish(f->c, u, key));
	}
	assert_false(fixture_exists(f, f->s, key));
}

static void
a_mixed_up_row_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row = begin(f), good, bad;
	struct store_upload *u = resume(f, &row);

	feed(f, u, 51, 0, 5000);
	assert_ok(store_upload_checkpoint(f->c, u, &good));
	u->store->driver->put_close(f->c, u->put);
	bad = good;
	bad.offset_bytes = 4999;
	assert_err(ERR_BUG, store_upload_resume(f->c, f->s, &bad, &u));
	bad = good;
	bad.hash_state = row.hash_state;
	assert_err(ERR_BUG, store_upload_resume(f->c, f->s, &bad, &u));
	bad = good;
	bad.hash_state = STR("gASVrAAAAAAAAACMD3Jlc3VtYWJsZWhhc2hsaWI="); /* what Quay keeps there */
	assert_err(ERR_BUG, store_upload_resume(f->c, f->s, &bad, &u));
	bad = good;
	bad.store_state = row.store_state;
	assert_int_not_equal(ERR_NONE, store_upload_resume(f->c, f->s, &bad, &u));
	bad = good;
	bad.store_state = STR("{\"driver\":\"NoSuchStorage\",\"offset\":5000}");
	assert_err(ERR_NOT_FOUND, store_upload_resume(f->c, f->s, &bad, &u));
	bad = good;
	bad.id = "../../../../etc/passwd";
	assert_err(ERR_BUG, store_upload_resume(f->c, f->s, &bad, &u));
	u = resume(f, &good);
	assert_ok(store_upload_cancel(f->c, u));
}

/* The first try completed the object and died before its transaction: the same PUT again succeeds. */
static void
finish_can_be_repeated(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row = begin(f);
	struct store_upload *u = resume(f, &row);
	char key[STORE_KEY_MAX];

	feed(f, u, 61, 0, 123456);
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	fixture_key(123456, 61, key);
	assert_ok(store_upload_finish(f->c, u, key));
	u = resume(f, &row);
	assert_ok(store_upload_finish(f->c, u, key));
	fixture_check(f, f->s, key, 123456, 61);
}

static void
same_digest_twice_keeps_one(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	fixture_push(f, f->s, 100000, 71, key);
	fixture_push(f, f->s, 100000, 71, key);
	fixture_check(f, f->s, key, 100000, 71);
	assert_int_equal(fixture_count(f, f->s, ""), 1);
}

static void
same_digest_in_parallel_processes(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];
	pid_t pids[8];

	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			fixture_push(f, f->s, 300001, 81, key);
			_exit(fixture_exists(f, f->s, key) ? 0 : 1);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	fixture_key(300001, 81, key);
	fixture_check(f, f->s, key, 300001, 81);
	assert_int_equal(fixture_count(f, f->s, ""), 1);
}

static enum err_kind
count_down(struct ctx *c, void *arg)
{
	int *left = arg;

	return --*left < 0 ? err_set(c, ERR_CONFLICT, "no more") : ERR_NONE;
}

static void
sha512_reads_the_upload_again(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row = begin(f);
	struct store_upload *u = resume(f, &row);
	static char all[2 * MIB + 5];
	uint8_t sum[SHA512_BYTES];
	char want[129], got[129], key[STORE_KEY_MAX];

	fixture_bytes(all, sizeof all, 91, 0);
	digest_sha512((struct str){ all, sizeof all }, sum);
	hex_put(want, sum, sizeof sum);
	feed(f, u, 91, 0, MIB);
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	u->store->driver->put_close(f->c, u->put);
	u = resume(f, &row);
	feed(f, u, 91, MIB, MIB + 5);
	int left = 0;
	const struct store_each each = { count_down, &left };
	assert_int_equal(store_upload_digest512(f->c, u, &each, got), ERR_CONFLICT); /* what it calls can end the reading */
	err_clear(f->c);
	left = 1000;
	assert_ok(store_upload_digest512(f->c, u, &each, got));
	assert_true(left < 1000 - 2 * MIB / STORE_UPLOAD_BUF + 1); /* after every piece */
	assert_string_equal(want, got);
	assert_true(store_key_blob(str_of(str_fmt(f->c->mem, "sha512:%s", got)), key));
	assert_ok(store_upload_finish(f->c, u, key));
	fixture_check(f, f->s, key, sizeof all, 91);
}

/* kill -9 at any moment of a push leaves nothing or the whole object under the key, never a part of it. */
static void
a_kill_in_the_middle_shows_nothing(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];
	int whole = 0;

	fixture_key(9 * MIB, 131, key);
	for (int i = 0; i < 12; i++) {
		int fds[2];
		assert_int_equal(pipe(fds), 0);
		const pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) { /* tells of each step; is killed when it has told i of them */
			struct store_upload_row row = begin(f);
			struct store_upload *u = resume(f, &row);
			close(fds[0]);
			for (int k = 0; k < 9; k++) {
				feed(f, u, 131, k * MIB, MIB);
				if (write(fds[1], "x", 1) != 1)
					_exit(1);
			}
			assert_ok(store_upload_checkpoint(f->c, u, &row));
			if (write(fds[1], "x", 1) != 1)
				_exit(1);
			assert_ok(store_upload_finish(f->c, u, key));
			if (write(fds[1], "x", 1) != 1)
				_exit(1);
			pause();
			_exit(0);
		}
		close(fds[1]);
		char ch;
		for (int k = 0; k < i && k < 11; k++)
			assert_int_equal(read(fds[0], &ch, 1), 1);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(fds[0]);
		fixture_next_request(f);
		if (i < 9)
			assert_false(fixture_exists(f, f->s, key));
		if (fixture_exists(f, f->s, key)) {
			whole++;
			fixture_check(f, f->s, key, 9 * MIB, 131);
			assert_int_equal(store_remove(f->c, f->s, key), STORE_GONE);
		}
	}
	assert_true(whole >= 1);
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
		CASE(sizes_around_every_boundary),
		CASE(any_slicing_gives_the_same_object),
		CASE(parts_of_any_size_in_other_processes),
		CASE(an_unrecorded_attempt_is_overwritten),
		CASE(a_cancelled_upload_leaves_nothing),
		CASE(a_lost_upload_is_told),
		CASE(a_mixed_up_row_is_refused),
		CASE(finish_can_be_repeated),
		CASE(same_digest_twice_keeps_one),
		CASE(same_digest_in_parallel_processes),
		CASE(sha512_reads_the_upload_again),
		CASE(a_kill_in_the_middle_shows_nothing),
	};

	return cmocka_run_group_tests_name("store/driver-upload", tests, NULL, NULL);
}
