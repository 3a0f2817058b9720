/* The file behind the counters: made once per host and layout, mapped by every process. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/counters-layout.h"

static bool __attribute__((format(printf, 3, 4))) fail(char *why, size_t why_bytes, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_bytes, fmt, ap);
	va_end(ap);
	return false;
}

/* A file of the right size and heading, owned by nobody else: 1; absent or of another layout: 0; -1 with errno. */
static int
try_existing(const char *path, int *out)
{
	struct stat st;
	uint64_t head[2];
	const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	const struct counters_map *m = NULL;
	if (st.st_size != (off_t)sizeof *m || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
	    head[0] != COUNTERS_MAGIC || (uint32_t)head[1] != COUNTERS_VERSION ||
	    head[1] >> 32 != sizeof *m) {
		close(fd);
		return 0;
	}
	*out = fd;
	return 1;
}

/* A whole new file beside path, then renamed over it. */
static int
make_file(const char *path, int *out)
{
	char tmp[4096];
	const uint64_t head[2] = { COUNTERS_MAGIC, COUNTERS_VERSION | (uint64_t)sizeof(struct counters_map)
		                                                          << 32 };
	int fd, e;

	if (snprintf(tmp, sizeof tmp, "%s.%d", path, (int)getpid()) >= (int)sizeof tmp)
		return ENAMETOOLONG;
	unlink(tmp);
	fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	e = posix_fallocate(fd, 0, (off_t)sizeof(struct counters_map));
	if (e == 0 && pwrite(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
		e = errno == 0 ? EIO : errno;
	if (e == 0 && rename(tmp, path) != 0)
		e = errno;
	if (e != 0) {
		unlink(tmp);
		close(fd);
		return e;
	}
	*out = fd;
	return 0;
}

/* Two processes that start together agree on one file through the lock. */
static int
open_or_make(const char *path, int *out)
{
	char name[4096];
	int lock, e = 0;
	const int had = try_existing(path, out);

	if (had != 0)
		return had > 0 ? 0 : errno;
	if (snprintf(name, sizeof name, "%s.lock", path) >= (int)sizeof name)
		return ENAMETOOLONG;
	lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return errno;
	while (flock(lock, LOCK_EX) != 0 && errno == EINTR)
		;
	const int again = try_existing(path, out);
	if (again < 0)
		e = errno;
	else if (again == 0)
		e = make_file(path, out);
	close(lock);
	return e;
}

static struct counters *
wrap(void *p)
{
	struct counters *cs = p == MAP_FAILED ? NULL : calloc(1, sizeof *cs);

	if (cs != NULL)
		cs->m = p;
	else if (p != MAP_FAILED)
		munmap(p, sizeof(struct counters_map));
	return cs;
}

bool
counters_open(const char *path, struct counters **out, char *why, size_t why_bytes)
{
	int fd = -1;
	const int e = open_or_make(path, &fd);

	if (e != 0)
		return fail(why, why_bytes, "counters file %s: %s", path, strerrordesc_np(e));
	struct counters *cs =
	    wrap(mmap(NULL, sizeof(struct counters_map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	const int map_errno = errno;
	close(fd);
	if (cs == NULL)
		return fail(why, why_bytes, "counters file %s: cannot map: %s", path,
		            strerrordesc_np(map_errno));
	*out = cs;
	return true;
}

struct counters *
counters_anonymous(void)
{
	struct counters *cs = wrap(mmap(NULL, sizeof(struct counters_map), PROT_READ | PROT_WRITE,
	                                MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	if (cs == NULL)
		abort();
	return cs;
}

void
counters_close(struct counters *cs)
{
	if (cs == NULL)
		return;
	munmap(cs->m, sizeof *cs->m);
	free(cs);
}
