/* Inside of the local driver: what local.c, local-upload.c, local-place.c and local-list.c share. Nobody else includes it. */
#ifndef KADE_STORE_LOCAL_H
#define KADE_STORE_LOCAL_H
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/beneath.h"
#include "store/driver.h"

#define LOCAL_FOLDER_MODE 0750
#define LOCAL_FILE_MODE   0640 /* the group: a web server that sends files by itself */

struct local {
	struct store base;
	struct beneath dir;
	char *path; /* absolute, without symbolic links */
	_Atomic uint64_t
	    kept[4]; /* one bit for each folder sha256/xx whose own entry this process knows to be durable */
};
static inline struct local *
local_of(struct store *s)
{
	return (struct local *)(void *)s;
}

/* ERR_STORE with the text of a system error. ENOSPC, EDQUOT, EFBIG, EROFS, EIO in words that an operator understands. */
enum err_kind local_error(struct ctx *c, const struct store *s, const char *what, const char *key, int error);
/* fsync(2) through interruptions. */
int local_sync(int fd);
/* Opens an object for reading. ERR_NOT_FOUND; ERR_STORE also for what is not a regular file. *out: descriptor, taken. */
enum err_kind local_open_object(struct ctx *c, struct local *l, const char *key, int *out,
                                struct stat *st) MUST_CHECK;
/* Streams a range of an open file; `end` = how many bytes of it count. */
enum err_kind local_stream(struct ctx *c, struct local *l, const struct store_get *g, int fd,
                           int64_t end) MUST_CHECK;

/* How a finished temporary file takes its key. */
enum local_place {
	LOCAL_KEEP_SAME, /* one of the same size is there: keep it, drop ours; of another size: replace it (it is damaged) */
	LOCAL_REPLACE,
	LOCAL_IF_ABSENT /* ERR_CONFLICT when there is one */
};
struct local_placing {
	int fd;               /* of the temporary file, complete */
	const char *temp_key; /* below uploads/ */
	const char *key;
	int64_t size_bytes;
	enum local_place how;
};
/* fsync(file), rename, fsync(folder and, where it may be new, its parents). The temporary file is gone after success. */
enum err_kind local_place(struct ctx *c, struct local *l, const struct local_placing *p) MUST_CHECK;
/* Makes the name `key` durable: its folder and the entries of its folders. dirfd: the key's folder. */
enum err_kind local_sync_name(struct ctx *c, struct local *l, const char *key, int dirfd) MUST_CHECK;

enum err_kind local_put_small(struct ctx *c, struct store *s, const struct store_small *o);
enum err_kind local_copy(struct ctx *c, struct store *s, const struct store_copy *cp);
enum err_kind local_list(struct ctx *c, struct store *s, const struct store_list *l);
enum err_kind local_validate(struct ctx *c, struct store *s, struct buf *warnings);

enum err_kind local_upload_new(struct ctx *c, struct store *s, const char *id, struct str *state);
enum err_kind local_upload_open(struct ctx *c, struct store *s, const char *id, struct str state,
                                int64_t offset, struct store_put **out);
enum err_kind local_begin_part(struct ctx *c, struct store_put *p, const struct store_part *part);
enum err_kind local_write(struct ctx *c, struct store_put *p, const void *bytes, size_t n);
enum err_kind local_end_part(struct ctx *c, struct store_put *p, struct str *state);
enum err_kind local_read_back(struct ctx *c, struct store_put *p, const struct store_get *g,
                              struct str *state);
enum err_kind local_complete(struct ctx *c, struct store_put *p, const char *key);
enum err_kind local_cancel(struct ctx *c, struct store_put *p);
enum err_kind local_upload_abort(struct ctx *c, struct store *s, const char *id, struct str state);
void local_put_close(struct ctx *c, struct store_put *p);
#endif
