/* How a file of the local driver takes its key: written under uploads/, synced, renamed, its folder synced. So a key shows
 * a whole object or none, and what was answered for is there after a power cut. Serves uploads, small objects, copies.
 *
 * Order: fsync(file) → rename → fsync(folder) → where the folder may be new, fsync of its parents. A folder that another
 * process has just made is found by us without its entry being durable yet; so "it was there" is not enough, and each process
 * syncs the parents of a folder once before it relies on them (local.kept remembers the 256 blob folders). */
#include "store/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "store/key.h"

#define COPY_BUF  65536
#define COPY_STEP (64 << 20)

/* The number of the folder sha256/xx of a key, or -1. */
static int
blob_folder(const char *key)
{
	uint8_t byte;

	if (strncmp(key, "sha256/", 7) != 0 || strlen(key) < 10 || key[9] != '/' ||
	    strchr(key + 10, '/') != NULL || !hex_get((struct str){ key + 7, 2 }, &byte, 1))
		return -1;
	for (int i = 7; i < 9; i++) /* upper case is another folder */
		if (key[i] >= 'A' && key[i] <= 'F')
			return -1;
	return byte;
}

enum err_kind
local_sync_name(struct ctx *c, struct local *l, const char *key, int dirfd)
{
	const int n = blob_folder(key);
	char path[STORE_KEY_MAX];
	char *slash;

	if (local_sync(dirfd) < 0)
		return local_error(c, &l->base, "syncing the folder of", key, errno);
	if (n >= 0 && (atomic_load(&l->kept[n / 64]) >> (n % 64) & 1) != 0)
		return ERR_NONE;
	snprintf(path, sizeof path, "%s", key);
	slash = strrchr(path, '/');
	if (slash == NULL)
		return ERR_NONE; /* the root itself: done */
	*slash = '\0';
	while ((slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		const int fd = beneath_open(&l->dir, path, O_RDONLY | O_DIRECTORY, 0);
		const int r = fd < 0 ? -1 : local_sync(fd);
		const int e = errno;
		if (fd >= 0)
			close(fd);
		if (r < 0)
			return local_error(c, &l->base, "syncing folder", path, e);
	}
	if (local_sync(l->dir.root) < 0)
		return local_error(c, &l->base, "syncing folder", l->path, errno);
	if (n >= 0)
		atomic_fetch_or(&l->kept[n / 64], (uint64_t)1 << (n % 64));
	return ERR_NONE;
}

struct two_names { /* the temporary one and the final one */
	int temp_dir, dir;
	const char *temp, *leaf;
};

/* 0, or -1 with EEXIST and everything else rename may say. File systems without RENAME_NOREPLACE: a hard link does the
 * same; those without links: look first. */
static int
rename_if_absent(const struct two_names *t)
{
	struct stat st;

	if (renameat2(t->temp_dir, t->temp, t->dir, t->leaf, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(t->temp_dir, t->temp, t->dir, t->leaf, 0) == 0) {
		unlinkat(t->temp_dir, t->temp, 0);
		return 0;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
		return -1;
	if (fstatat(t->dir, t->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(t->temp_dir, t->temp, t->dir, t->leaf);
}

/* An object of this size is there and durable: whoever wrote it may not have synced it (Quay does not). */
static bool
same_is_there(const struct two_names *t, int64_t size_bytes)
{
	struct stat st;
	const int fd = openat(t->dir, t->leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return false;
	const bool same =
	    fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == size_bytes && local_sync(fd) == 0;
	close(fd);
	return same;
}

static enum err_kind
take_name(struct ctx *c, struct local *l, const struct local_placing *p, const struct two_names *t)
{
	int r;

	if (p->how == LOCAL_REPLACE) {
		r = renameat(t->temp_dir, t->temp, t->dir, t->leaf);
	} else {
		r = rename_if_absent(t);
		if (r < 0 && errno == EEXIST && p->how == LOCAL_IF_ABSENT) {
			unlinkat(t->temp_dir, t->temp, 0);
			return err_set(c, ERR_CONFLICT, "storage %s: %s exists", l->base.name, p->key);
		}
		if (r < 0 && errno == EEXIST)
			r = same_is_there(t, p->size_bytes) ? unlinkat(t->temp_dir, t->temp, 0)
			                                    : renameat(t->temp_dir, t->temp, t->dir, t->leaf);
	}
	if (r < 0)
		return local_error(c, &l->base, "renaming to", p->key, errno);
	return local_sync_name(c, l, p->key, t->dir);
}

/* The key's folder, made where it is missing; what was known of it is forgotten then. */
static int
open_folder(struct local *l, const char *key, const char **leaf)
{
	const int n = blob_folder(key);
	const int dir = beneath_parent(&l->dir, key, 0, leaf);

	if (dir >= 0 || errno != ENOENT)
		return dir;
	if (n >= 0)
		atomic_fetch_and(&l->kept[n / 64], ~((uint64_t)1 << (n % 64)));
	return beneath_parent(&l->dir, key, LOCAL_FOLDER_MODE, leaf);
}

enum err_kind
local_place(struct ctx *c, struct local *l, const struct local_placing *p)
{
	struct two_names t;
	enum err_kind k;

	/* after a failure a second fsync would succeed without the lost bytes: this copy is worth nothing then */
	if (local_sync(p->fd) < 0) {
		const int e = errno;
		t.temp_dir = beneath_parent(&l->dir, p->temp_key, 0, &t.temp);
		if (t.temp_dir >= 0) {
			unlinkat(t.temp_dir, t.temp, 0);
			close(t.temp_dir);
		}
		return local_error(c, &l->base, "syncing", p->temp_key, e);
	}
	t.temp_dir = beneath_parent(&l->dir, p->temp_key, 0, &t.temp);
	if (t.temp_dir < 0)
		return local_error(c, &l->base, "opening the folder of", p->temp_key, errno);
	t.dir = open_folder(l, p->key, &t.leaf);
	if (t.dir < 0) {
		k = local_error(c, &l->base, "making the folder of", p->key, errno);
	} else {
		k = take_name(c, l, p, &t);
		close(t.dir);
	}
	close(t.temp_dir);
	return k;
}

/* A new file under uploads/, where the sweep of old uploads finds it if we die. */
static enum err_kind
temp_new(struct ctx *c, struct local *l, char temp_key[64], int *out)
{
	char uuid[37];
	const char *leaf;

	random_uuid(uuid);
	snprintf(temp_key, 64, STORE_UPLOADS_PREFIX "%s.tmp", uuid);
	const int dir = beneath_parent(&l->dir, temp_key, LOCAL_FOLDER_MODE, &leaf);
	if (dir < 0)
		return local_error(c, &l->base, "making folder", STORE_UPLOADS_PREFIX, errno);
	const int fd = openat(dir, leaf, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, LOCAL_FILE_MODE);
	const int e = errno;
	close(dir);
	if (fd < 0)
		return local_error(c, &l->base, "making", temp_key, e);
	*out = fd;
	return ERR_NONE;
}

static void
temp_drop(struct local *l, const char *temp_key)
{
	const char *leaf;
	const int dir = beneath_parent(&l->dir, temp_key, 0, &leaf);

	if (dir >= 0) {
		unlinkat(dir, leaf, 0);
		close(dir);
	}
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		const ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

enum err_kind
local_put_small(struct ctx *c, struct store *s, const struct store_small *o)
{
	struct local *l = local_of(s);
	char temp_key[64];
	int fd;
	enum err_kind k;

	TRY(temp_new(c, l, temp_key, &fd));
	if (write_all(fd, o->bytes.p, o->bytes.n) < 0)
		k = local_error(c, s, "writing", o->key, errno);
	else
		k = local_place(
		    c, l,
		    &(struct local_placing){ .fd = fd,
		                             .temp_key = temp_key,
		                             .key = o->key,
		                             .size_bytes = (int64_t)o->bytes.n,
		                             .how = o->only_if_absent ? LOCAL_IF_ABSENT : LOCAL_REPLACE });
	close(fd);
	if (k != ERR_NONE)
		temp_drop(l, temp_key);
	return k;
}

/* 0, or -1 with errno; the kernel copies (or shares the blocks) where it can. ESTALE: the source changed its size. */
static int
copy_bytes(int from, int to, int64_t n, char *buf)
{
	bool in_kernel = true;

	while (n > 0) {
		ssize_t got;
		if (in_kernel) {
			got =
			    copy_file_range(from, NULL, to, NULL, (size_t)(n < COPY_STEP ? n : COPY_STEP), 0);
			if (got < 0 &&
			    (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
				in_kernel = false;
				continue;
			}
		} else {
			got = read(from, buf, n < COPY_BUF ? (size_t)n : COPY_BUF);
			if (got > 0 && write_all(to, buf, (size_t)got) < 0)
				return -1;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0) {
			errno = ESTALE;
			return -1;
		}
		n -= got;
	}
	return 0;
}

enum err_kind
local_copy(struct ctx *c, struct store *s, const struct store_copy *cp)
{
	struct local *l = local_of(s);
	struct stat st;
	char temp_key[64];
	char *buf;
	int from, to;
	enum err_kind k;

	if (cp->from->driver != s->driver)
		return store_unsupported_copy(c, s, cp);
	buf = arena_alloc(c->mem, COPY_BUF);
	TRY(local_open_object(c, local_of(cp->from), cp->from_key, &from, &st));
	k = temp_new(c, l, temp_key, &to);
	if (k != ERR_NONE) {
		close(from);
		return k;
	}
	if (copy_bytes(from, to, st.st_size, buf) < 0)
		k = local_error(c, s, "copying to", cp->to_key, errno);
	else
		k = local_place(c, l,
		                &(struct local_placing){ .fd = to,
		                                         .temp_key = temp_key,
		                                         .key = cp->to_key,
		                                         .size_bytes = st.st_size,
		                                         .how = LOCAL_KEEP_SAME });
	close(to);
	close(from);
	if (k != ERR_NONE)
		temp_drop(l, temp_key);
	return k;
}
