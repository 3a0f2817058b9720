/* Did a file change? For the configuration. */
#ifndef KADE_WATCH_H
#define KADE_WATCH_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	int64_t mtime_ns;
};
struct watch {
	const char *path;
	struct stamp used; /* of the file as it was loaded */
	struct stamp seen; /* at the last look */
};

/* Remembers the file as it is now. Before it is read: a change in between is then noticed. */
void watch_begin(struct watch *w, const char *path);
/* True when the file differs from what was remembered and did not change since the look before, so that a file which is
 * being written is left to settle; it is then remembered. A file that is missing just now has not changed. */
bool watch_changed(struct watch *w);
#endif
