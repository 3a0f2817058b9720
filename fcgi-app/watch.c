/* stat(2), followed through symbolic links: a link that is moved to another file is a change. */
#include "watch.h"

#include <sys/stat.h>

static bool
take(const char *path, struct stamp *out)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	*out = (struct stamp){ .dev = st.st_dev,
		               .ino = st.st_ino,
		               .size = st.st_size,
		               .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec };
	return true;
}

static bool
same(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

void
watch_begin(struct watch *w, const char *path)
{
	*w = (struct watch){ .path = path };
	if (take(path, &w->used))
		w->seen = w->used;
}

bool
watch_changed(struct watch *w)
{
	struct stamp now;

	if (!take(w->path, &now) || same(&now, &w->used))
		return false;
	const bool settled = same(&now, &w->seen);
	w->seen = now;
	if (settled)
		w->used = now;
	return settled;
}
