/* What is particular to the local driver: permissions, links, locks, a full disk, damaged and half-written files. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "store/key.h"

/* The linker puts these before the system's: a disk that fails to sync cannot be had otherwise. fail_sync: how many syncs
 * from now one fails; 0 none. */
static int fail_sync;
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

static bool
is_failing(void)
{
	if (fail_sync == 0 || --fail_sync > 0)
		return false;
	errno = EIO;
	return true;
}

int
__wrap_fsync(int fd)
{
	return is_failing() ? -1 : __real_fsync(fd);
}

int
__wrap_fdatasync(int fd)
{
	return is_failing() ? -1 : __real_fdatasync(fd);
}

static struct store_upload *
begin(struct fixture *f, struct store *s, struct store_upload_row *row)
{
	char id[37];
	struct store_upload *u;

	random_uuid(id);
	assert_ok(store_upload_new(f->c, s, id, row));
	assert_ok(store_upload_resume(f->c, s, row, &u));
	return u;
}

static void
put_file(const char *path, const void *p, size_t n)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(p, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void
files_are_for_owner_and_group(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row;
	struct stat st;
	char key[STORE_KEY_MAX];

	umask(0);
	struct store_upload *u = begin(f, f->s, &row);
	assert_int_equal(stat(fixture_path(f, str_fmt(f->c->mem, "one/uploads/%s", row.id)), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_ok(store_upload_cancel(f->c, u));
	fixture_push(f, f->s, 5, 1, key);
	const char *const folders[] = { "one", "one/uploads", "one/sha256" };
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(stat(fixture_path(f, folders[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0750);
	}
	umask(022);
}

static void
links_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];
	struct store_info info;
	struct str text;

	put_file(fixture_path(f, "secret"), "top", 3);
	assert_int_equal(symlink("../secret", fixture_path(f, "one/link")), 0);
	assert_int_equal(symlink("..", fixture_path(f, "one/up")), 0);
	assert_err(ERR_STORE, store_stat(f->c, f->s, "link", &info));
	assert_non_null(strstr(f->c->err.text, "symbolic link"));
	assert_err(ERR_STORE, store_get_small(f->c, f->s, "up/secret", 100, &text));
	assert_int_equal(store_remove(f->c, f->s, "up/secret"), STORE_UNKNOWN);
	assert_int_equal(access(fixture_path(f, "secret"), F_OK), 0);
	assert_int_equal(fixture_count(f, f->s, ""), 0);
	/* a link in the place of a blob is replaced, not written through */
	fixture_key(9, 2, key);
	assert_int_equal(mkdir(fixture_path(f, "one/sha256"), 0750), 0);
	assert_int_equal(mkdir(fixture_path(f, str_fmt(f->c->mem, "one/%.9s", key)), 0750), 0);
	assert_int_equal(
	    symlink(fixture_path(f, "secret"), fixture_path(f, str_fmt(f->c->mem, "one/%s", key))), 0);
	fixture_push(f, f->s, 9, 2, key);
	fixture_check(f, f->s, key, 9, 2);
	FILE *file = fopen(fixture_path(f, "secret"), "re");
	char back[8] = "";
	assert_int_equal(fread(back, 1, 7, file), 3);
	fclose(file);
	assert_string_equal(back, "top");
	/* a folder sha256 that is a link is refused */
	assert_int_equal(symlink("one", fixture_path(f, "two/sha256")), 0);
	struct store_upload_row row;
	struct store_upload *u = begin(f, f->other, &row);
	assert_err(ERR_STORE, store_upload_finish(f->c, u, key));
	assert_ok(store_upload_cancel(f->c, u));
}

static void
a_pipe_in_the_way_does_not_hang(void **state)
{
	struct fixture *f = *state;
	struct store_info info;

	assert_int_equal(mkfifo(fixture_path(f, "one/pipe"), 0600), 0);
	assert_err(ERR_STORE, store_stat(f->c, f->s, "pipe", &info));
	assert_int_equal(mkdir(fixture_path(f, "one/folder"), 0700), 0);
	assert_err(ERR_STORE, store_stat(f->c, f->s, "folder", &info));
	assert_int_equal(store_remove(f->c, f->s, "folder"), STORE_STILL_THERE);
}

static void
one_writer_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row;
	struct store_upload *u = begin(f, f->s, &row), *second;

	assert_err(ERR_BUSY, store_upload_resume(f->c, f->s, &row, &second));
	assert_err(ERR_BUSY, store_upload_abort(f->c, f->s, &row));
	fixture_next_request(f); /* the end of a request lets go, whatever became of it */
	row.id = NULL;
	assert_int_equal(fixture_count(f, f->s, "uploads/"), 1);
	(void)u;
}

/* A writer that sleeps through its upload's completion cannot touch the object. */
static void
a_late_writer_finds_no_file(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row;
	struct store_upload *u = begin(f, f->s, &row), *late;
	char key[STORE_KEY_MAX], bytes[100];

	fixture_key(100, 3, key);
	fixture_bytes(bytes, 100, 3, 0);
	assert_ok(store_upload_append(f->c, u, bytes, 100));
	assert_ok(store_upload_finish(f->c, u, key));
	assert_ok(store_upload_resume(f->c, f->s, &row, &late));
	assert_err(ERR_NOT_FOUND, store_upload_part(f->c, late, &(struct store_part){ .length = -1 }));
	fixture_check(f, f->s, key, 100, 3);
}

static void
a_file_shorter_than_its_row_is_lost(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row;
	struct store_upload *u = begin(f, f->s, &row);
	char bytes[1000];

	fixture_bytes(bytes, sizeof bytes, 4, 0);
	assert_ok(store_upload_append(f->c, u, bytes, sizeof bytes));
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	u->store->driver->put_close(f->c, u->put);
	const char *path = fixture_path(f, str_fmt(f->c->mem, "one/uploads/%s", row.id));
	assert_int_equal(truncate(path, 999), 0);
	assert_err(ERR_NOT_FOUND, store_upload_resume(f->c, f->s, &row, &u));
}

/* Quay's writes were never synced: a blob of the wrong size after a crash heals with the next push. */
static void
a_damaged_blob_is_replaced(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	fixture_push(f, f->s, 5000, 5, key);
	assert_int_equal(truncate(fixture_path(f, str_fmt(f->c->mem, "one/%s", key)), 100), 0);
	fixture_push(f, f->s, 5000, 5, key);
	fixture_check(f, f->s, key, 5000, 5);
}

static void
an_existing_blob_is_kept(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];
	struct stat before, after;

	fixture_push(f, f->s, 5000, 6, key);
	assert_int_equal(stat(fixture_path(f, str_fmt(f->c->mem, "one/%s", key)), &before), 0);
	fixture_push(f, f->s, 5000, 6, key);
	assert_int_equal(stat(fixture_path(f, str_fmt(f->c->mem, "one/%s", key)), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
descriptors_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row;
	char key[STORE_KEY_MAX];
	struct buf warnings = BUF(f->c->mem);
	struct store_info info;
	const int before = open_descriptors();

	struct store_upload *u = begin(f, f->s, &row);
	assert_int_equal(open_descriptors(), before + 1);
	assert_ok(store_upload_cancel(f->c, u));
	fixture_push(f, f->s, 100, 7, key);
	fixture_push(f, f->s, 100, 7, key);
	fixture_check(f, f->s, key, 100, 7);
	assert_ok(store_copy(f->c, f->other, &(struct store_copy){ f->s, key, key, -1 }));
	assert_ok(store_validate(f->c, f->s, &warnings));
	assert_ok(store_stat(f->c, f->s, "none", &info));
	fixture_count(f, f->s, "");
	assert_int_equal(store_remove(f->c, f->s, key), STORE_GONE);
	assert_int_equal(open_descriptors(), before);
	begin(f, f->s, &row);
	fixture_next_request(f);
	assert_int_equal(open_descriptors(), before);
}

static void
operators_are_warned(void **state)
{
	struct fixture *f = *state;
	struct buf warnings = BUF(f->c->mem);

	assert_int_equal(chmod(fixture_path(f, "one"), 0777), 0);
	assert_ok(store_validate(f->c, f->s, &warnings));
	const char *text = buf_cstr(&warnings);
	assert_non_null(strstr(text, "can be read by every user"));
	assert_non_null(strstr(text, "can be written by other users"));
	assert_non_null(strstr(f->s->driver->warning, "production"));
	assert_int_equal(chmod(fixture_path(f, "one"), 0750), 0);
	warnings = BUF(f->c->mem);
	assert_ok(store_validate(f->c, f->s, &warnings));
	assert_null(strstr(buf_cstr(&warnings), "users"));
}

/* Writes until the store refuses; what was checkpointed before stays good, and the upload goes on when there is room. */
static void
fill_and_go_on(struct fixture *f, struct store *s, const char *words, void (*make_room)(struct fixture *))
{
	struct store_upload_row row, saved;
	struct store_upload *u = begin(f, s, &row);
	static char bytes[MIB];
	const size_t total = 3 * MIB;
	enum err_kind k = ERR_NONE;
	char key[STORE_KEY_MAX], hex[65];
	int64_t at = 0;

	fixture_bytes(bytes, 100000, 8, 0);
	assert_ok(store_upload_append(f->c, u, bytes, 100000));
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	for (at = 100000; k == ERR_NONE && at < 64 * MIB; at += 150000) {
		fixture_bytes(bytes, 150000, 8, at);
		k = store_upload_append(f->c, u, bytes, 150000);
	}
	assert_err(ERR_STORE, k);
	assert_non_null(strstr(f->c->err.text, words));
	if (store_upload_checkpoint(f->c, u, &saved) == ERR_NONE) { /* what fitted is kept */
		assert_true(saved.offset_bytes >= row.offset_bytes);
		row = saved;
	}
	u->store->driver->put_close(f->c, u->put);
	make_room(f);
	assert_ok(store_upload_resume(f->c, s, &row, &u));
	for (at = row.offset_bytes; at < (int64_t)total; at += MIB / 2) {
		const size_t n = (int64_t)total - at < MIB / 2 ? (size_t)((int64_t)total - at) : MIB / 2;
		fixture_bytes(bytes, n, 8, at);
		assert_ok(store_upload_append(f->c, u, bytes, n));
	}
	fixture_key(total, 8, key);
	assert_ok(store_upload_digest(f->c, u, hex));
	assert_string_equal(hex, key + 10);
	assert_ok(store_upload_finish(f->c, u, key));
	fixture_check(f, s, key, total, 8);
}

static void
no_limit(struct fixture *f)
{
	struct rlimit lim;

	(void)f;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = lim.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
}

static void
a_size_limit_is_told(void **state)
{
	struct fixture *f = *state;
	struct rlimit lim;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = MIB;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	fill_and_go_on(f, f->s, "size limit", no_limit);
}

static void
remount_larger(struct fixture *f)
{
	assert_int_equal(mount("none", fixture_path(f, "two"), "tmpfs", MS_REMOUNT, "size=16m"), 0);
}

static void
a_full_disk_is_told(void **state)
{
	struct fixture *f = *state;

	/* the descriptor that the store holds is of the folder below the mount: a set of its own is opened on top */
	if (mount("none", fixture_path(f, "two"), "tmpfs", 0, "size=2m,mode=0750") != 0) {
		print_message("skipped: mounting a tmpfs is not permitted: %s\n", strerror(errno));
		skip();
	}
	json_t *params = json_pack("{s:s}", "storage_path", fixture_path(f, "two"));
	const struct store_location_conf l = { "full", f->driver, params };
	struct store_set *set;
	assert_ok(store_set_open(f->c, &(struct store_set_conf){ .locations = &l, .n = 1 }, &set));
	json_decref(params);
	struct buf warnings = BUF(f->c->mem);
	assert_ok(store_validate(f->c, store_at(set, 0), &warnings));
	assert_null(strstr(buf_cstr(&warnings), "mounted volume")); /* it is one */
	fill_and_go_on(f, store_at(set, 0), "no space left", remount_larger);
	store_set_close(set);
	assert_int_equal(umount(fixture_path(f, "two")), 0);
}

static void
a_small_object_that_does_not_fit_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct rlimit lim;
	static char big[MIB];
	struct str text;

	assert_ok(store_put_small(f->c, f->s, &(struct store_small){ .key = "x", .bytes = STR("old") }));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = 4096;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_err(ERR_STORE, store_put_small(f->c, f->s,
	                                      &(struct store_small){
	                                          .key = "x", .bytes = {big, MIB}
        }));
	no_limit(f);
	assert_ok(store_get_small(f->c, f->s, "x", 100, &text));
	assert_true(str_eq(text, STR("old")));
	assert_int_equal(fixture_count(f, f->s, "uploads/"), 0);
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

/* The kernel forgets a failed write once it told of it: a second sync would "succeed". Nothing may be believed after it. */
static void
a_failed_checkpoint_is_never_believed(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row, after;
	struct store_upload *u = begin(f, f->s, &row);
	char key[STORE_KEY_MAX];

	fixture_key(2000, 9, key);
	feed(f, u, 9, 0, 1000);
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	feed(f, u, 9, 1000, 1000);
	fail_sync = 1;
	assert_err(ERR_STORE, store_upload_checkpoint(f->c, u, &after));
	assert_non_null(strstr(f->c->err.text, "disk is failing"));
	assert_err(ERR_STORE, store_upload_checkpoint(f->c, u, &after));
	assert_err(ERR_STORE, store_upload_finish(f->c, u, key));
	assert_false(fixture_exists(f, f->s, key));
	fixture_next_request(f);
	assert_int_equal(fixture_count(f, f->s, "uploads/"), 1);
}

static void
a_failed_finish_drops_the_upload(void **state)
{
	struct fixture *f = *state;
	struct store_upload_row row;
	struct store_upload *u = begin(f, f->s, &row);
	char key[STORE_KEY_MAX];

	fixture_key(2000, 10, key);
	feed(f, u, 10, 0, 2000);
	assert_ok(store_upload_checkpoint(f->c, u, &row));
	fail_sync = 1;
	assert_err(ERR_STORE, store_upload_finish(f->c, u, key));
	assert_false(fixture_exists(f, f->s, key));
	u->store->driver->put_close(f->c, u->put);
	assert_ok(store_upload_resume(f->c, f->s, &row, &u));
	assert_err(ERR_NOT_FOUND, store_upload_finish(f->c, u, key));
	assert_false(fixture_exists(f, f->s, key));
}

/* Each sync after the rename may fail: the push is not answered for, and the next try makes it good. */
static void
a_folder_that_fails_to_sync_is_synced_again(void **state)
{
	struct fixture *f = *state;

	for (int nth = 2; nth <= 4; nth++) {
		struct store_upload_row row;
		struct store_upload *u = begin(f, f->s, &row);
		char key[STORE_KEY_MAX];
		fixture_key(2000, 20 + (unsigned)nth, key);
		feed(f, u, 20 + (unsigned)nth, 0, 2000);
		assert_ok(store_upload_checkpoint(f->c, u, &row));
		fail_sync = nth;
		assert_err(ERR_STORE, store_upload_finish(f->c, u, key));
		assert_int_equal(fail_sync, 0);
		u->store->driver->put_close(f->c, u->put);
		assert_ok(store_upload_resume(f->c, f->s, &row, &u));
		fail_sync = nth; /* the very sync that failed is done again */
		assert_err(ERR_STORE, store_upload_finish(f->c, u, key));
		u->store->driver->put_close(f->c, u->put);
		assert_ok(store_upload_resume(f->c, f->s, &row, &u));
		assert_ok(store_upload_finish(f->c, u, key));
		fixture_check(f, f->s, key, 2000, 20 + (unsigned)nth);
	}
}

static void
an_unsynced_removal_is_unknown(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];

	fixture_push(f, f->s, 100, 30, key);
	fail_sync = 1;
	assert_int_equal(store_remove(f->c, f->s, key), STORE_UNKNOWN);
	fail_sync = 1;
	assert_int_equal(store_remove(f->c, f->s, key), STORE_UNKNOWN);
	assert_int_equal(store_remove(f->c, f->s, key), STORE_GONE);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	fail_sync = 0;
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
		CASE(files_are_for_owner_and_group),
		CASE(links_are_not_followed),
		CASE(a_pipe_in_the_way_does_not_hang),
		CASE(one_writer_at_a_time),
		CASE(a_late_writer_finds_no_file),
		CASE(a_file_shorter_than_its_row_is_lost),
		CASE(a_damaged_blob_is_replaced),
		CASE(an_existing_blob_is_kept),
		CASE(descriptors_are_bounded),
		CASE(operators_are_warned),
		CASE(a_failed_checkpoint_is_never_believed),
		CASE(a_failed_finish_drops_the_upload),
		CASE(a_folder_that_fails_to_sync_is_synced_again),
		CASE(an_unsynced_removal_is_unknown),
		CASE(a_size_limit_is_told),
		CASE(a_full_disk_is_told),
		CASE(a_small_object_that_does_not_fit_changes_nothing),
	};

	return cmocka_run_group_tests_name("store/local", tests, NULL, NULL);
}
