/* lib/store/beneath: nothing outside the folder is reached, with openat2 and with the walk that stands in for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/beneath.h"

static char folder[64];

static void
run(const char *fmt)
{
	char cmd[512];

	snprintf(cmd, sizeof cmd, "cd %s && %s", folder, fmt);
	assert_int_equal(system(cmd), 0);
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/kade-beneath-XXXXXX");
	assert_non_null(mkdtemp(folder));
	run("mkdir -p root/a/b outside && echo in >root/a/b/file && echo secret >outside/secret && ln -s "
	    "../outside root/out && "
	    "ln -s /etc/passwd root/a/leaf && ln -s b root/a/inner && ln -s root way");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	char cmd[128];
	snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
	return system(cmd);
}

static void
check_both(const struct beneath *b)
{
	const char *const denied[] = {
		"out/secret", "a/leaf", "a/inner/file", "../outside/secret", "a/../../outside/secret",
		"/etc/passwd"
	};
	const char *leaf;
	int fd;

	for (unsigned i = 0; i < sizeof denied / sizeof denied[0]; i++) {
		errno = 0;
		fd = beneath_open(b, denied[i], O_RDONLY, 0);
		assert_int_equal(fd, -1);
		assert_true(errno == ELOOP || errno == EXDEV || errno == EINVAL);
		assert_int_equal(beneath_open(b, denied[i], O_RDWR | O_CREAT | O_EXCL, 0600), -1);
	}
	assert_int_equal(beneath_parent(b, "out/x", 0750, &leaf), -1);
	assert_int_equal(beneath_parent(b, "../x/y", 0750, &leaf), -1);
	assert_int_equal(beneath_parent(b, "a/inner/deep/x", 0750, &leaf), -1);

	fd = beneath_open(b, "a/b/file", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	errno = 0;
	assert_int_equal(beneath_open(b, "a/none/file", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(beneath_parent(b, "new/er/x", 0, &leaf), -1);
	assert_int_equal(errno, ENOENT);
	fd = beneath_parent(b, "new/er/x", 0750, &leaf);
	assert_true(fd >= 0);
	assert_string_equal(leaf, "x");
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	close(fd);
	fd = beneath_parent(b, "top", 0, &leaf);
	assert_true(fd >= 0);
	assert_string_equal(leaf, "top");
	close(fd);
	run("test ! -e outside/x && test \"$(ls outside)\" = secret && rm -r root/new");
}

static void
links_and_dots_lead_nowhere(void **state)
{
	struct beneath b;
	char path[80];

	(void)state;
	umask(022);
	snprintf(path, sizeof path, "%s/way", folder); /* the way to the root may have links */
	assert_int_equal(beneath_init(&b, path), 0);
	const bool had = b.has_openat2;
	check_both(&b);
	b.has_openat2 = false;
	check_both(&b);
	beneath_close(&b);
	beneath_close(&b);
	if (!had)
		print_message("openat2 is not available here: the walk was tested twice\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(links_and_dots_lead_nowhere, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("store/beneath", tests, NULL, NULL);
}
