/* openat2(2) with RESOLVE_BENEATH, or a walk with O_NOFOLLOW where the kernel or a sandbox does not have it. See beneath.h. */
#include "store/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "store/driver.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int
open_how(int root, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)(flags | O_CLOEXEC),
		                .mode = (flags & O_CREAT) != 0 ? mode : 0,
		                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	int fd, tries = 0;

	do {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
	} while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 8)));
	return fd;
}

int
beneath_init(struct beneath *b, const char *folder)
{
	b->root = open(folder, FOLDER);
	if (b->root < 0)
		return -1;
	const int fd = open_how(b->root, ".", O_PATH | O_DIRECTORY, 0);
	b->has_openat2 = fd >= 0;
	if (fd >= 0)
		close(fd);
	return 0;
}

void
beneath_close(struct beneath *b)
{
	if (b->root >= 0)
		close(b->root);
	b->root = -1;
}

static void
close_keeping_errno(int fd)
{
	const int e = errno;

	close(fd);
	errno = e;
}

/* One step down. A symbolic link with O_DIRECTORY | O_NOFOLLOW gives ENOTDIR: ELOOP says what it is. */
static int
step_into(int dir, const char *name)
{
	struct stat st;
	const int fd = openat(dir, name, FOLDER | O_NOFOLLOW);

	if (fd < 0 && errno == ENOTDIR && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		errno = ELOOP;
	return fd;
}

/* The folder of path's last segment, segment by segment; missing ones are made when make_mode is not 0. */
static int
walk_parent(const struct beneath *b, const char *path, mode_t make_mode, const char **leaf)
{
	char name[STORE_KEY_MAX];
	const char *p = path, *slash;
	int dir = fcntl(b->root, F_DUPFD_CLOEXEC, 0);

	while (dir >= 0 && (slash = strchr(p, '/')) != NULL) {
		const size_t n = (size_t)(slash - p);
		if (n == 0 || n >= sizeof name || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.')) {
			close(dir);
			errno = EINVAL;
			return -1;
		}
		memcpy(name, p, n);
		name[n] = '\0';
		int next = step_into(dir, name);
		if (next < 0 && errno == ENOENT && make_mode != 0 &&
		    (mkdirat(dir, name, make_mode) == 0 || errno == EEXIST))
			next = step_into(dir, name);
		close_keeping_errno(dir);
		dir = next;
		p = slash + 1;
	}
	*leaf = p;
	return dir;
}

int
beneath_parent(const struct beneath *b, const char *path, mode_t make_mode, const char **leaf)
{
	const char *slash = strrchr(path, '/');

	if (b->has_openat2 && slash != NULL && (size_t)(slash - path) < STORE_KEY_MAX) {
		char dir[STORE_KEY_MAX];
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = '\0';
		const int fd = open_how(b->root, dir, FOLDER, 0);
		if (fd >= 0 || errno != ENOENT || make_mode == 0) {
			*leaf = slash + 1;
			return fd;
		}
	}
	return walk_parent(b, path, make_mode, leaf);
}

int
beneath_open(const struct beneath *b, const char *path, int flags, mode_t mode)
{
	const char *leaf;

	if (b->has_openat2)
		return open_how(b->root, path, flags, mode);
	const int dir = walk_parent(b, path, 0, &leaf);
	if (dir < 0)
		return -1;
	if (leaf[0] == '\0' || strcmp(leaf, "..") == 0) {
		close(dir);
		errno = EINVAL;
		return -1;
	}
	const int fd = openat(dir, leaf, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	close_keeping_errno(dir);
	return fd;
}
