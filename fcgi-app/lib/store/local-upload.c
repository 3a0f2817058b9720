/* Uploads of the local driver: one file uploads/<uuid>, written at the offset that the row records, renamed to its key.
 *
 * What must be durable when a PATCH is answered 202? Only this: the offset in the row never exceeds what the file holds after
 * a crash, for the row's hash state already covers those bytes. Two ways were weighed. (1) Record the boot's id, sync nothing,
 * and read the file again after a reboot: quick, but a write that fails in the background between two requests is lost
 * with the inode's error mark once the inode leaves memory, and every change of host on a shared file system would read
 * everything again. (2) fdatasync at the end of the part, once, before the row is written: the bytes have to go to the disk
 * anyway, the final fsync then finds nothing left, and an error meets the very request whose bytes it hit. (2) is used.
 * While bytes flow, each finished stretch of 8 MiB is handed to the disk (sync_file_range, which does not wait for it), so
 * that the end of a part waits for one stretch and not for a gigabyte.
 *
 * The name uploads/<uuid> itself is not synced: a file that is missing, or shorter than the row says, is a lost upload and
 * the client starts anew; it is never taken for a whole one. Nothing is preallocated: a client's Content-Length is a claim,
 * and reserving by it would let idle requests fill the disk.
 *
 * A writer holds flock on the file. A request that was thought dead and wakes up cannot write under its successor, nor into
 * the finished object: the lock is taken before the first byte and the name is compared with the file after it. */
#include "store/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "store/key.h"

#define WRITEBACK_STEP (8 << 20)
#define STATE_DRIVER   "LocalStorage"

static const struct js_limits STATE_LIMITS = { .bytes = 4096, .depth = 2, .values = 16 };

struct local_put {
	struct store_put base;
	int fd;          /* -1: there is no such file (any more) */
	int64_t started; /* bytes handed to the disk so far */
	bool is_cut;     /* what a former attempt left beyond the offset is gone */
	bool is_broken;  /* a sync failed: what the file holds is not known */
	char key[64];    /* uploads/<uuid> */
};

static struct local_put *
put_of(struct store_put *p)
{
	return (struct local_put *)(void *)p;
}

static struct str
state_text(struct ctx *c, int64_t offset)
{
	return str_of(
	    str_fmt(c->mem, "{\"driver\":\"" STATE_DRIVER "\",\"offset\":%lld}", (long long)offset));
}

enum err_kind
local_upload_new(struct ctx *c, struct store *s, const char *id, struct str *state)
{
	struct local *l = local_of(s);
	char key[STORE_KEY_MAX];
	const char *leaf;

	if (!store_key_upload(str_of(id), key))
		return err_set(c, ERR_BUG, "upload id %s is not a uuid", id);
	const int dir = beneath_parent(&l->dir, key, LOCAL_FOLDER_MODE, &leaf);
	if (dir < 0)
		return local_error(c, s, "making folder", STORE_UPLOADS_PREFIX, errno);
	const int fd = openat(dir, leaf, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, LOCAL_FILE_MODE);
	const int e = errno;
	close(dir);
	if (fd < 0)
		return local_error(c, s, "making", key, e);
	close(fd);
	*state = state_text(c, 0);
	return ERR_NONE;
}

/* The state must be this driver's and of this offset: a row that says otherwise was mixed up, and no byte is trusted. */
static enum err_kind
check_state(struct ctx *c, const char *id, struct str state, int64_t offset)
{
	json_t *o;

	TRY(js_parse(c, state, &STATE_LIMITS, &o));
	if (!str_eq(js_str(o, "driver"), STR(STATE_DRIVER)))
		return err_set(c, ERR_NOT_FOUND, "upload %s was begun by another storage driver", id);
	if (offset < 0 || js_i64(o, "offset", -1) != offset)
		return err_set(c, ERR_BUG, "upload %s: offset %lld is not its state's", id,
		               (long long)offset);
	return ERR_NONE;
}

static void
close_put(void *p)
{
	struct local_put *u = p;

	if (u->fd >= 0)
		close(u->fd); /* and the lock with it */
	u->fd = -1;
}

/* Locks the file; -1 in u->fd when its name is gone or became another file's. */
static enum err_kind
lock_file(struct ctx *c, struct local *l, struct local_put *u)
{
	struct stat st, named;

	if (flock(u->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(c, ERR_BUSY, "upload %s: another request is writing", u->base.id);
		if (errno != ENOLCK && errno != EOPNOTSUPP &&
		    errno != ENOSYS) /* no locks there: the row's lease has to do */
			return local_error(c, &l->base, "locking", u->key, errno);
	}
	const int again = beneath_open(&l->dir, u->key, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (again < 0 && errno != ENOENT)
		return local_error(c, &l->base, "opening", u->key, errno);
	if (fstat(u->fd, &st) < 0 || !S_ISREG(st.st_mode) || again < 0 || fstat(again, &named) < 0 ||
	    st.st_ino != named.st_ino || st.st_dev != named.st_dev)
		close_put(u);
	if (again >= 0)
		close(again);
	return ERR_NONE;
}

static enum err_kind
lost(struct ctx *c, const struct local_put *u)
{
	return err_set(c, ERR_NOT_FOUND, "storage %s: upload %s is gone", u->base.store->name, u->base.id);
}

/* Opens and locks; a missing file leaves fd -1 and is told by the next call that needs it. */
static enum err_kind
open_put(struct ctx *c, struct local *l, struct local_put *u)
{
	struct stat st;

	u->fd = beneath_open(&l->dir, u->key, O_RDWR | O_NONBLOCK | O_NOCTTY, 0);
	if (u->fd < 0)
		return errno == ENOENT ? ERR_NONE : local_error(c, &l->base, "opening", u->key, errno);
	const enum err_kind k = lock_file(c, l, u);
	if (k != ERR_NONE) {
		close_put(u);
		return k;
	}
	if (u->fd >= 0 && (fstat(u->fd, &st) < 0 || st.st_size < u->base.offset)) {
		close_put(u);
		return err_set(c, ERR_NOT_FOUND, "storage %s: upload %s lost bytes before offset %lld",
		               l->base.name, u->base.id, (long long)u->base.offset);
	}
	return ERR_NONE;
}

enum err_kind
local_upload_open(struct ctx *c, struct store *s, const char *id, struct str state, int64_t offset,
                  struct store_put **out)
{
	struct local_put *u = ARENA_NEW(c->mem, struct local_put);
	char key[STORE_KEY_MAX];

	if (!store_key_upload(str_of(id), key))
		return err_set(c, ERR_BUG, "upload id %s is not a uuid", id);
	TRY(check_state(c, id, state, offset));
	snprintf(u->key, sizeof u->key, "%.63s", key);
	u->base = (struct store_put){ .store = s, .id = str_dup_c(c->mem, id), .offset = offset };
	u->started = offset;
	u->fd = -1;
	arena_defer(c->mem, close_put, u);
	const enum err_kind k = open_put(c, local_of(s), u);
	if (k != ERR_NONE) {
		arena_undefer(c->mem, close_put, u);
		return k;
	}
	*out = &u->base;
	return ERR_NONE;
}

void
local_put_close(struct ctx *c, struct store_put *p)
{
	arena_undefer(c->mem, close_put, put_of(p));
	close_put(put_of(p));
}

/* Cuts what a half-written earlier attempt left beyond the offset. */
static enum err_kind
cut(struct ctx *c, struct local_put *u)
{
	int r;

	if (u->fd < 0)
		return lost(c, u);
	if (u->is_cut)
		return ERR_NONE;
	do
		r = ftruncate(u->fd, u->base.offset);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return local_error(c, u->base.store, "cutting", u->key, errno);
	u->is_cut = true;
	return ERR_NONE;
}

enum err_kind
local_begin_part(struct ctx *c, struct store_put *p, const struct store_part *part)
{
	(void)part;
	return cut(c, put_of(p));
}

enum err_kind
local_write(struct ctx *c, struct store_put *p, const void *bytes, size_t n)
{
	struct local_put *u = put_of(p);
	const char *from = bytes;
	size_t done = 0;

	if (u->fd < 0)
		return lost(c, u);
	while (done < n) {
		const ssize_t w = pwrite(u->fd, from + done, n - done, p->offset + (int64_t)done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			u->is_cut = false; /* bytes beyond the offset may be there */
			return local_error(c, p->store, "writing", u->key, errno);
		}
		done += (size_t)w;
	}
	p->offset += (int64_t)n;
	if (p->offset - u->started >= WRITEBACK_STEP) {
		(void)sync_file_range(u->fd, u->started, p->offset - u->started, SYNC_FILE_RANGE_WRITE);
		u->started = p->offset;
	}
	return ERR_NONE;
}

static enum err_kind
broken(struct ctx *c, const struct local_put *u)
{
	return err_set(c, ERR_STORE, "storage %s: upload %s could not be synced before", u->base.store->name,
	               u->base.id);
}

enum err_kind
local_end_part(struct ctx *c, struct store_put *p, struct str *state)
{
	struct local_put *u = put_of(p);
	int r;

	if (u->is_broken)
		return broken(c, u);
	TRY(cut(c, u));
	do
		r = fdatasync(u->fd);
	while (r < 0 && errno == EINTR);
	if (r <
	    0) { /* the row stays as it was: bytes before its offset were synced then, those after come again */
		u->is_broken = true;
		return local_error(c, p->store, "syncing", u->key, errno);
	}
	*state = state_text(c, p->offset);
	return ERR_NONE;
}

enum err_kind
local_read_back(struct ctx *c, struct store_put *p, const struct store_get *g, struct str *state)
{
	struct local_put *u = put_of(p);

	if (u->fd < 0)
		return lost(c, u);
	TRY(local_stream(c, local_of(p->store), g, u->fd, p->offset));
	*state = state_text(c, p->offset);
	return ERR_NONE;
}

/* The upload's file is gone: an earlier complete() may have renamed it and died before it was answered. */
static enum err_kind
complete_again(struct ctx *c, struct local_put *u, const char *key)
{
	struct local *l = local_of(u->base.store);
	struct stat st;
	const char *leaf;
	int fd;

	const enum err_kind k = local_open_object(c, l, key, &fd, &st);
	if (k == ERR_NOT_FOUND)
		return lost(c, u);
	TRY(k);
	const int r = local_sync(fd);
	const int e = errno;
	close(fd);
	if (st.st_size != u->base.offset)
		return lost(c, u);
	if (r < 0)
		return local_error(c, &l->base, "syncing", key, e);
	const int dir = beneath_parent(&l->dir, key, 0, &leaf);
	if (dir < 0)
		return local_error(c, &l->base, "opening the folder of", key, errno);
	const enum err_kind synced = local_sync_name(c, l, key, dir);
	close(dir);
	return synced;
}

enum err_kind
local_complete(struct ctx *c, struct store_put *p, const char *key)
{
	struct local_put *u = put_of(p);

	if (u->is_broken)
		return broken(c, u);
	if (u->fd < 0)
		return complete_again(c, u, key);
	TRY(cut(c, u));
	TRY(local_place(c, local_of(p->store),
	                &(struct local_placing){ .fd = u->fd,
	                                         .temp_key = u->key,
	                                         .key = key,
	                                         .size_bytes = p->offset,
	                                         .how = LOCAL_KEEP_SAME }));
	close_put(u);
	return ERR_NONE;
}

/* Removes uploads/<uuid>; the caller holds its lock or found no file. */
static enum err_kind
drop(struct ctx *c, struct local_put *u)
{
	struct store *s = u->base.store;
	const enum store_removed gone = s->driver->remove(c, s, u->key);

	close_put(u);
	return gone == STORE_GONE ? ERR_NONE : c->err.kind;
}

enum err_kind
local_cancel(struct ctx *c, struct store_put *p)
{
	struct local_put *u = put_of(p);

	return u->fd < 0 ? ERR_NONE : drop(c, u);
}

enum err_kind
local_upload_abort(struct ctx *c, struct store *s, const char *id, struct str state)
{
	struct local_put u = {
		.base = {.store = s, .id = id},
                  .fd = -1
	};
	char key[STORE_KEY_MAX];

	(void)state; /* the name says it all */
	if (!store_key_upload(str_of(id), key))
		return err_set(c, ERR_BUG, "upload id %s is not a uuid", id);
	snprintf(u.key, sizeof u.key, "%.63s", key);
	TRY(open_put(c, local_of(s), &u));
	return u.fd < 0 ? ERR_NONE : drop(c, &u);
}
