/* Listing of the local driver, in bytewise order of whole keys, as object stores do: so a job can walk the listing and the
 * database's digests side by side. One folder at a time is in memory, and no descriptor is open while the caller looks at a
 * key. Files that cannot be keys (control characters, not UTF-8), links and devices are passed over. */
#include "store/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/vec.h"
#include "store/key.h"

#define DEPTH_MAX 16
#define NAMES_MAX ((size_t)512 << 20) /* memory for the names of the folders on the way: some million */

struct entry {
	const char *name; /* a folder's ends in '/' */
	struct store_info info;
};
struct walk {
	struct local *l;
	const struct store_list *want;
	struct arena *mem; /* names; apart from c->mem, whose limit is for requests */
};
struct entries {
	VEC(struct entry) list;
};

static int
entry_cmp(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool
starts(const char *s, const char *beginning)
{
	return strncmp(s, beginning, strlen(beginning)) == 0;
}

/* The key is wanted, or something under the folder can be. */
static bool
is_wanted(const struct store_list *want, const char *key, bool is_folder)
{
	const bool is_later = want->after == NULL || strcmp(key, want->after) > 0;

	if (is_folder)
		return (starts(key, want->prefix) || starts(want->prefix, key)) &&
		       (is_later || starts(want->after, key));
	return starts(key, want->prefix) && is_later;
}

static enum err_kind
add_entry(struct ctx *c, struct walk *w, const char *folder, int dirfd, const char *name, struct entries *out)
{
	char key[STORE_KEY_MAX + 1];
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return ERR_NONE;
	const int n = snprintf(key, STORE_KEY_MAX, "%s%s", folder, name);
	if (n < 0 || n >= STORE_KEY_MAX || !store_key_ok(str_of(key)))
		return ERR_NONE;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? ERR_NONE : local_error(c, &w->l->base, "listing", key, errno);
	const bool is_folder = S_ISDIR(st.st_mode);
	if (!is_folder && !S_ISREG(st.st_mode))
		return ERR_NONE;
	if (is_folder) {
		key[n] = '/';
		key[n + 1] = '\0';
	}
	if (!is_wanted(w->want, key, is_folder))
		return ERR_NONE;
	const struct entry e = {
		.name = str_fmt(w->mem, "%s%s", name, is_folder ? "/" : ""),
		.info = {.exists = true,
                         .size_bytes = st.st_size,
                         .changed_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000},
	};
	vec_push(w->mem, &out->list, e);
	return ERR_NONE;
}

static void
close_dir(void *p)
{
	closedir(p);
}

/* All wanted entries of a folder ("" or "a/b/"), sorted. A folder that is gone has none. */
static enum err_kind
read_folder(struct ctx *c, struct walk *w, const char *folder, struct entries *out)
{
	char path[STORE_KEY_MAX];
	enum err_kind k = ERR_NONE;
	struct dirent *d;

	snprintf(path, sizeof path, "%s", folder[0] == '\0' ? "." : folder);
	if (folder[0] != '\0')
		path[strlen(path) - 1] = '\0';
	const int fd = folder[0] == '\0' ? openat(w->l->dir.root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
	                                 : beneath_open(&w->l->dir, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
		           ? ERR_NONE
		           : local_error(c, &w->l->base, "listing", path, errno);
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return local_error(c, &w->l->base, "listing", path, errno);
	}
	arena_defer(w->mem, close_dir, dir);
	errno = 0;
	while (k == ERR_NONE && (d = readdir(dir)) != NULL) {
		k = add_entry(c, w, folder, fd, d->d_name, out);
		errno = 0;
	}
	if (k == ERR_NONE && errno != 0)
		k = local_error(c, &w->l->base, "listing", path, errno);
	arena_undefer(w->mem, close_dir, dir);
	closedir(dir);
	if (out->list.n > 1)
		qsort(out->list.v, out->list.n, sizeof out->list.v[0], entry_cmp);
	return k;
}

static enum err_kind
walk_folder(struct ctx *c, struct walk *w, const char *folder, int depth)
{
	const struct arena_mark mark = arena_mark(w->mem);
	struct entries e = { 0 };

	if (depth > DEPTH_MAX)
		return ERR_NONE;
	TRY(read_folder(c, w, folder, &e));
	for (size_t i = 0; i < e.list.n; i++) {
		char key[STORE_KEY_MAX + 1];
		const size_t n = strlen(e.list.v[i].name);
		snprintf(key, sizeof key, "%s%s", folder, e.list.v[i].name);
		if (e.list.v[i].name[n - 1] == '/')
			TRY(walk_folder(c, w, key, depth + 1));
		else
			TRY(w->want->seen(c, w->want->arg, key, &e.list.v[i].info));
	}
	arena_rewind(w->mem, mark);
	return ERR_NONE;
}

static void
free_names(void *p)
{
	arena_free(p);
}

enum err_kind
local_list(struct ctx *c, struct store *s, const struct store_list *want)
{
	struct walk w = { .l = local_of(s), .want = want, .mem = arena_new(NAMES_MAX) };
	char folder[STORE_KEY_MAX] = "";
	jmp_buf full;
	enum err_kind k;

	arena_defer(c->mem, free_names, w.mem);
	arena_on_full(w.mem, &full);
	const char *slash = strrchr(want->prefix, '/');
	if (slash != NULL)
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - want->prefix) + 1, want->prefix);
	if (setjmp(full) != 0)
		k = err_set(c, ERR_BUSY, "storage %s: a folder has too many files to list", s->name);
	else
		k = walk_folder(c, &w, folder, 0);
	arena_undefer(c->mem, free_names, w.mem);
	arena_free(w.mem);
	return k;
}
