/* Health of the local driver: a written object is found again; and what an operator should know about the folder: whether it
 * is a volume of its own, who else on this host can read it, whether renaming can work. */
#include "store/local.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "store/key.h"

#define VERIFY_TEXT "testing 123"

/* True when a mount point other than / holds the path; also when the table of mounts cannot be read. */
static bool
is_on_volume(const char *path)
{
	char buf[8192];
	struct mntent m;
	bool found = false;
	FILE *f = setmntent("/proc/self/mounts", "re");

	if (f == NULL)
		return true;
	while (!found && getmntent_r(f, &m, buf, sizeof buf) != NULL) {
		const size_t n = strlen(m.mnt_dir);
		found = n > 1 && strncmp(path, m.mnt_dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
	}
	endmntent(f);
	return found;
}

static void
warn_of_folder(struct local *l, struct buf *warnings)
{
	struct stat root, other;

	if (!is_on_volume(l->path))
		buf_putf(warnings,
		         "Storage path %s is not under a mounted volume. Registry data should be stored "
		         "under a mounted "
		         "volume to prevent data loss.\n",
		         l->path);
	if (fstat(l->dir.root, &root) < 0)
		return;
	if ((root.st_mode & 05) != 0)
		buf_putf(warnings, "Storage path %s can be read by every user of this host (mode %04o).\n",
		         l->path, (unsigned)root.st_mode & 07777);
	if ((root.st_mode & 022) != 0)
		buf_putf(warnings,
		         "Storage path %s can be written by other users of this host (mode %04o).\n", l->path,
		         (unsigned)root.st_mode & 07777);
	if (fstatat(l->dir.root, "sha256", &other, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(other.st_mode))
		buf_putf(warnings,
		         "%s/sha256 is a symbolic link: links below the storage path are not followed.\n",
		         l->path);
	else if (fstatat(l->dir.root, "sha256", &other, AT_SYMLINK_NOFOLLOW) == 0 &&
	         other.st_dev != root.st_dev)
		buf_putf(warnings, "%s/sha256 is on another file system than uploads: pushes will fail.\n",
		         l->path);
}

enum err_kind
local_validate(struct ctx *c, struct store *s, struct buf *warnings)
{
	struct str back;

	TRY(local_put_small(c, s,
	                    &(struct store_small){ .key = STORE_KEY_VERIFY, .bytes = STR(VERIFY_TEXT) }));
	TRY(s->driver->get_small(c, s, STORE_KEY_VERIFY, 64, &back));
	if (!str_eq(back, STR(VERIFY_TEXT)))
		return err_set(c, ERR_STORE, "storage %s: %s does not hold what was written", s->name,
		               STORE_KEY_VERIFY);
	warn_of_folder(local_of(s), warnings);
	return ERR_NONE;
}
