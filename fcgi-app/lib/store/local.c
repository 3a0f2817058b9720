/* LocalStorage: blobs in a folder of this host (or of a network file system that several hosts mount), in Quay's layout:
 * sha256/ab/<hex>, uploads/<uuid>. This file: opening, reading, removing; local-upload.c: uploads; local-place.c: how a file
 * gets its key; local-list.c: listing; local-validate.c: health.
 *
 * Only descriptors below the root are used (beneath.h). A store keeps one descriptor, an upload one more, every other call
 * closes what it opens. Folders, once made, stay: removing an empty one would race with an upload that is about to use it. */
#include "store/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "store/key.h"

#define LOCAL_WARNING                                                                                        \
	"LocalStorage is for tests and small installations on one host: no replication between locations, "  \
	"and the "                                                                                           \
	"registry is lost with the disk. Use an object store in production."

static const char *
error_words(int error, char *buf, size_t cap)
{
	switch (error) {
	case ENOSPC:
		return "no space left on the device";
	case EDQUOT:
		return "the disk quota is used up";
	case EFBIG:
		return "the file would pass the size limit of the process or file system";
	case EROFS:
		return "the file system is read-only";
	case EIO:
		return "input/output error: the disk is failing";
	case ELOOP:
		return "a symbolic link is in the way";
	case EXDEV:
		return "uploads/ and the blobs must be on one file system";
	default:
		return strerror_r(error, buf, cap);
	}
}

enum err_kind
local_error(struct ctx *c, const struct store *s, const char *what, const char *key, int error)
{
	char buf[128];

	return err_set(c, ERR_STORE, "storage %s: %s %s: %s", s->name, what, key,
	               error_words(error, buf, sizeof buf));
}

int
local_sync(int fd)
{
	int r;

	do
		r = fsync(fd);
	while (r < 0 && errno == EINTR);
	return r;
}

/* A new root is as durable as what will be put into it. */
static int
make_root(const char *path)
{
	if (mkdir(path, LOCAL_FOLDER_MODE) < 0)
		return errno == EEXIST ? 0 : -1;
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	const int up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int r = up < 0 ? -1 : local_sync(up);
	const int e = errno;
	if (up >= 0)
		close(up);
	close(fd);
	errno = e;
	return r;
}

static void
local_close(struct store *s)
{
	struct local *l = local_of(s);

	beneath_close(&l->dir);
	free(l->path);
	free((char *)(uintptr_t)l->base.name);
	free(l);
}

static enum err_kind
local_open(struct ctx *c, const struct store_location_conf *conf, const struct store_env *env,
           struct store **out)
{
	const char *path;

	TRY(store_param_str(c, conf, "storage_path", NULL, &path));
	if (path[0] != '/')
		return err_set(c, ERR_BAD_INPUT, "storage %s: storage_path %s must be an absolute path",
		               conf->name, path);
	struct local *l = calloc(1, sizeof *l);
	char *name = strdup(conf->name);
	if (l == NULL || name == NULL) {
		free(l);
		free(name);
		return err_set(c, ERR_BUSY, "storage %s: out of memory", conf->name);
	}
	l->dir.root = -1;
	l->base =
	    (struct store){ .driver = &STORE_LOCAL, .name = name, .caps = STORE_LOCAL.caps, .env = env };
	int r = beneath_init(&l->dir, path);
	if (r < 0 && errno == ENOENT && !env->is_read_only && make_root(path) == 0)
		r = beneath_init(&l->dir, path);
	if (r == 0)
		l->path = realpath(path, NULL);
	if (r < 0 || l->path == NULL) {
		const enum err_kind k = local_error(c, &l->base, "storage_path", path, errno);
		local_close(&l->base);
		return k;
	}
	*out = &l->base;
	return ERR_NONE;
}

enum err_kind
local_open_object(struct ctx *c, struct local *l, const char *key, int *out, struct stat *st)
{
	/* O_NONBLOCK: a pipe that somebody put there must not hang the request */
	const int fd = beneath_open(&l->dir, key, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(c, ERR_NOT_FOUND, "storage %s: there is no object %s", l->base.name, key);
	if (fd < 0)
		return local_error(c, &l->base, "opening", key, errno);
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		close(fd);
		return err_set(c, ERR_STORE, "storage %s: %s is not a regular file", l->base.name, key);
	}
	*out = fd;
	return ERR_NONE;
}

static enum err_kind
local_stat(struct ctx *c, struct store *s, const char *key, struct store_info *out)
{
	struct stat st;
	int fd;
	const enum err_kind k = local_open_object(c, local_of(s), key, &fd, &st);

	if (k == ERR_NOT_FOUND) {
		err_clear(c);
		*out = (struct store_info){ .exists = false };
		return ERR_NONE;
	}
	TRY(k);
	close(fd);
	*out = (struct store_info){ .exists = true,
		                    .size_bytes = st.st_size,
		                    .changed_ms =
		                        (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 };
	return ERR_NONE;
}

enum err_kind
local_stream(struct ctx *c, struct local *l, const struct store_get *g, int fd, int64_t end)
{
	int64_t at = g->range.from, left = g->range.length;

	if (at < 0 || at > end || left > end - at)
		return err_set(c, ERR_RANGE, "storage %s: %s has %lld bytes", l->base.name, g->key,
		               (long long)end);
	if (left < 0)
		left = end - at;
	posix_fadvise(fd, at, left, POSIX_FADV_SEQUENTIAL);
	while (left > 0) {
		const size_t want = left < (int64_t)g->buf_bytes ? (size_t)left : g->buf_bytes;
		const ssize_t got = pread(fd, g->buf, want, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return local_error(c, &l->base, "reading", g->key, errno);
		if (got == 0)
			return err_set(c, ERR_STORE, "storage %s: %s ended %lld bytes early", l->base.name,
			               g->key, (long long)left);
		TRY(g->sink(c, g->arg, g->buf, (size_t)got));
		at += got;
		left -= got;
	}
	return ERR_NONE;
}

static void
close_fd(void *p)
{
	close(*(const int *)p);
}

static enum err_kind
local_get(struct ctx *c, struct store *s, const struct store_get *g)
{
	struct local *l = local_of(s);
	struct stat st;
	int *fd = ARENA_NEW(c->mem, int);

	TRY(local_open_object(c, l, g->key, fd, &st));
	arena_defer(c->mem, close_fd, fd); /* the sink may jump out of here */
	const enum err_kind k = local_stream(c, l, g, *fd, st.st_size);
	arena_undefer(c->mem, close_fd, fd);
	close(*fd);
	return k;
}

struct gathered {
	char *p;
	size_t n;
};

static enum err_kind
gather(struct ctx *c, void *arg, const void *p, size_t n)
{
	struct gathered *g = arg;

	(void)c;
	memcpy(g->p + g->n, p, n);
	g->n += n;
	return ERR_NONE;
}

static enum err_kind
local_get_small(struct ctx *c, struct store *s, const char *key, size_t max, struct str *out)
{
	struct local *l = local_of(s);
	struct stat st;
	int fd;
	enum err_kind k = local_open_object(c, l, key, &fd, &st);
	char buf[4096];
	struct gathered all = { NULL, 0 };

	if (k == ERR_NOT_FOUND) {
		err_clear(c);
		*out = STR0;
		return ERR_NONE;
	}
	TRY(k);
	if (st.st_size > (int64_t)max) {
		close(fd);
		return err_set(c, ERR_TOO_LARGE, "storage %s: %s has %lld bytes", s->name, key,
		               (long long)st.st_size);
	}
	all.p = arena_try(c->mem, (size_t)st.st_size + 1);
	if (all.p == NULL)
		k = err_set(c, ERR_BUSY, "no memory for %s", key);
	else
		k = local_stream(c, l,
		                 &(struct store_get){ .key = key,
		                                      .range = STORE_WHOLE,
		                                      .buf = buf,
		                                      .buf_bytes = sizeof buf,
		                                      .sink = gather,
		                                      .arg = &all },
		                 fd, st.st_size);
	close(fd);
	TRY(k);
	all.p[all.n] = '\0';
	*out = (struct str){ all.p, all.n };
	return ERR_NONE;
}

/* Gone only when the folder is synced after the unlink, ours or another process's. */
static enum store_removed
local_remove(struct ctx *c, struct store *s, const char *key)
{
	struct local *l = local_of(s);
	const char *leaf;
	enum store_removed answer = STORE_GONE;
	const int dir = beneath_parent(&l->dir, key, 0, &leaf);
	int e;

	if (dir < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return STORE_GONE;
		local_error(c, s, "removing", key, errno);
		return STORE_UNKNOWN;
	}
	if (unlinkat(dir, leaf, 0) < 0 && errno != ENOENT) {
		e = errno;
		local_error(c, s, "removing", key, e);
		answer = e == EACCES || e == EPERM || e == EROFS || e == EISDIR || e == EBUSY
		             ? STORE_STILL_THERE
		             : STORE_UNKNOWN;
	} else if (local_sync(dir) < 0) {
		local_error(c, s, "syncing the folder of", key, errno);
		answer = STORE_UNKNOWN;
	}
	close(dir);
	return answer;
}

static enum err_kind
local_file_path(struct ctx *c, struct store *s, const char *key, const char **out)
{
	const char *root = local_of(s)->path;

	*out = str_fmt(c->mem, "%s/%s", root[1] == '\0' ? "" : root, key);
	return ERR_NONE;
}

const struct store_driver STORE_LOCAL = {
	.name = "LocalStorage",
	.warning = LOCAL_WARNING,
	.caps = STORE_CAP_LOCAL_PATH | STORE_CAP_COPY_BETWEEN | STORE_CAP_IF_ABSENT,
	.open = local_open,
	.close = local_close,
	.upload_new = local_upload_new,
	.upload_open = local_upload_open,
	.begin_part = local_begin_part,
	.write = local_write,
	.end_part = local_end_part,
	.read_back = local_read_back,
	.complete = local_complete,
	.cancel = local_cancel,
	.upload_abort = local_upload_abort,
	.put_close = local_put_close,
	.stat = local_stat,
	.get = local_get,
	.put_small = local_put_small,
	.get_small = local_get_small,
	.copy = local_copy,
	.remove = local_remove,
	.list = local_list,
	.list_unfinished = store_no_unfinished,
	.abort_unfinished = store_unsupported_abort,
	.direct_url = store_unsupported_url,
	.local_path = local_file_path,
	.validate = local_validate,
};
