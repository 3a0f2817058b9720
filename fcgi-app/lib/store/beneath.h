/* Files below one folder and nowhere else: no "..", no symbolic link below it is followed, whatever somebody with a shell
 * put there. Serves the local driver. Results as the system's: a descriptor or 0, -1 with errno. */
#ifndef KADE_STORE_BENEATH_H
#define KADE_STORE_BENEATH_H
#include <stdbool.h>
#include <sys/types.h>

struct beneath {
	int root;         /* descriptor of the folder; -1 = not open */
	bool has_openat2; /* else every path is walked segment by segment */
};

/* Opens the folder itself (the way to it may have symbolic links) and finds out whether the kernel has openat2. */
int beneath_init(struct beneath *b, const char *folder);
void beneath_close(struct beneath *b);
/* path: a key (store_key_ok). Flags as open(2); close-on-exec is added. A symbolic link on the way or at the end: ELOOP. */
int beneath_open(const struct beneath *b, const char *path, int flags, mode_t mode);
/* The folder that holds path's last segment; *leaf points into path. make_mode 0: ENOENT when it is not there, else missing
 * folders are made with that mode. */
int beneath_parent(const struct beneath *b, const char *path, mode_t make_mode, const char **leaf);
#endif
