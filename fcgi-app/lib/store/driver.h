/* The interface between Kade and one kind of blob store: a folder, S3, Google, Azure, Swift, Ceph. Serves store.c (which
 * opens locations and guards the calls), upload.c (uploads that go on across requests and hosts) and the jobs.
 * A driver is a const table of functions that fills every slot (store_unsupported_* where it cannot) and passes the shared
 * conformance test, tests/unit/store/t-driver.c, against a real server of its kind.
 *
 * Rules for every driver:
 *  - An opened store is used by several threads at once. What changes in it has its own lock, under which is no I/O.
 *  - Keys are relative paths as store_key_ok() allows them; the driver adds its storage_path. A key's bytes appear whole or
 *    not at all: never a partial object under a final key.
 *  - Success means durable: after an answer ERR_NONE the object survives a crash of the host and of the store's node as far
 *    as the store can promise it.
 *  - Errors: ERR_STORE (the store failed; c->err.text says how: "no space left", a status, a reset), ERR_NOT_FOUND (where
 *    said), ERR_RANGE, ERR_CONFLICT, ERR_BUSY, ERR_UNSUPPORTED. Texts name the location and the key, never a credential.
 *  - No call is made while a database connection is held (c->tx); store.c asserts it.
 *  - Memory: a driver takes small things from c->mem; blob bytes stay in the caller's buffer or in unlinked spool files.
 *    Callbacks given to a foreign library use arena_try(), since the arena's jump must not cross its frames. */
#ifndef KADE_STORE_DRIVER_H
#define KADE_STORE_DRIVER_H
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct buf;
struct ctx;
struct store_driver;

#define STORE_KEY_MAX   512     /* bytes of a key, its NUL included */
#define STORE_SMALL_MAX 1048576 /* bytes of an object for put_small and get_small */

enum store_caps {
	STORE_CAP_DIRECT_URL = 1,    /* direct_url for downloads */
	STORE_CAP_DIRECT_UPLOAD = 2, /* direct_url for uploads */
	STORE_CAP_LOCAL_PATH = 4,    /* objects are files of this host */
	STORE_CAP_COPY_BETWEEN =
	    8, /* copy from another location of the same driver may work without streaming */
	STORE_CAP_REPLICATED = 16, /* may take part in FEATURE_STORAGE_REPLICATION */
	STORE_CAP_UNFINISHED = 32, /* the server keeps unfinished uploads that list_unfinished shows */
	STORE_CAP_IF_ABSENT = 64 /* put_small's only_if_absent is atomic; else two writers may both succeed */
};

/* What a location is opened with: an element of DISTRIBUTED_STORAGE_CONFIG. Borrowed for the call. */
struct store_location_conf {
	const char *name;   /* location, as in the database */
	const char *driver; /* as in config.yaml: "LocalStorage", "S3Storage", … */
	const json_t
	    *params; /* the second element: an object; its values as YAML gave them (see store_param_*()) */
};
struct store_env { /* of the process, the same for all its locations. Borrowed for the life of the stores */
	const char *spool_dir; /* KADE.SPOOL_DIR: unlinked part files; NULL: the driver must not need one */
	bool is_read_only;     /* REGISTRY_STATE: readonly */
};

/* One opened location. A driver's own struct starts with it. Process lifetime. */
struct store {
	const struct store_driver *driver;
	const char *name; /* of the location; copied by the driver's open */
	unsigned caps;    /* enum store_caps, as this location's parameters allow */
	const struct store_env *env;
	_Atomic int64_t
	    down_until_us; /* monotonic clock; set by store.c after failures: reads prefer others */
};

/* An upload being worked on by this process: the driver's own struct starts with it. Lives in c->mem; closed with it. */
struct store_put {
	struct store *store;
	const char *id; /* uuid of the upload */
	int64_t offset; /* bytes stored or accepted so far; the driver keeps it right */
};

/* What is known when a part begins; a driver may choose a better way by it. */
struct store_part {
	int64_t length; /* bytes of this part; -1 unknown */
	bool is_last;   /* no further part will follow: complete or abort comes next */
	const char *
	    final_key; /* NULL unless the client named the digest and no tombstone forbids its key: the bytes may go
	                        * straight there, so long as nothing shows before complete() and abort() removes them */
};

struct store_range {
	int64_t from, length; /* length -1: to the end */
};
#define STORE_WHOLE ((struct store_range){ 0, -1 })

struct store_info {
	bool exists;
	int64_t size_bytes;
	int64_t changed_ms; /* by the store's clock; 0 unknown */
};

/* Takes n > 0 bytes, in order. A failure ends the transfer and is passed on. */
typedef enum err_kind store_sink(struct ctx *c, void *arg, const void *p, size_t n);
/* One listed object; key is borrowed for the call. A failure ends the listing and is passed on. */
typedef enum err_kind store_seen(struct ctx *c, void *arg, const char *key, const struct store_info *info);
/* One unfinished upload that the server keeps: its key, the server's id, when it began. */
typedef enum err_kind store_unfinished_seen(struct ctx *c, void *arg, const char *key, const char *server_id,
                                            int64_t started_ms);

struct store_get {
	const char *key;
	struct store_range range;
	void *buf; /* the caller's memory for the transfer: 64 KiB … 1 MiB */
	size_t buf_bytes;
	store_sink *sink;
	void *arg;
};
struct store_small {
	const char *key;
	struct str bytes;         /* ≤ STORE_SMALL_MAX */
	const char *content_type; /* NULL: application/octet-stream. Kept where the store keeps such things */
	const char *content_encoding; /* NULL: none */
	bool only_if_absent;          /* ERR_CONFLICT when the key exists (see STORE_CAP_IF_ABSENT) */
};
struct store_list {
	const char *prefix; /* "" = all; "sha256/" or "sha256/ab": any beginning of keys */
	const char *
	    after; /* only keys that sort after it; NULL = from the start. For jobs that go on where they stopped */
	store_seen *seen;
	void *arg;
};
struct store_copy {
	struct store *from; /* may be the destination itself */
	const char *from_key, *to_key;
	int64_t size_bytes; /* expected; -1 unknown */
};
struct store_url_want {
	const char *key;
	bool is_upload; /* a PUT; else GET */
	bool is_head;   /* the client sent HEAD: sign that method */
	int expires_s;
	const char *content_type; /* of an upload; NULL none */
	bool needs_cors;
	struct str client_ip, namespace_name, repository,
	    username; /* for CDNs and access logs; STR0 unknown */
};

enum store_removed {
	STORE_GONE,        /* the object does not exist, durably; also when it never did */
	STORE_STILL_THERE, /* refused: it exists and will go on to exist */
	STORE_UNKNOWN      /* time-out, reset, failed sync: it may go later. The caller keeps its row */
};

struct store_driver {
	const char *name;    /* as in DISTRIBUTED_STORAGE_CONFIG */
	const char *warning; /* what an operator must know before using it in production; NULL nothing */
	unsigned caps;       /* enum store_caps that a location of it may have; store->caps is what it has */

	/* Opens a location; no I/O over a network, so that a process starts while a store is down. *out: taken, ended by
	 * close. ERR_BAD_INPUT names a missing or wrong parameter, ERR_STORE a local folder that cannot be used. */
	enum err_kind (*open)(struct ctx *, const struct store_location_conf *, const struct store_env *,
	                      struct store **out);
	void (*close)(struct store *);

	/* -- Uploads: bytes come in parts (a part = one request's body), possibly each in another process or host.
	 * `state` is JSON text that the caller keeps in its row; with it and the offset any process can go on. A state stays
	 * good until the caller has stored a newer one: end_part destroys nothing that the former state needs.
	 *
	 * upload_new: begins the upload `id` (a uuid not used before). *state given. */
	enum err_kind (*upload_new)(struct ctx *, struct store *, const char *id, struct str *state);
	/* Makes ready to write at `offset`, which the row says; what an unfinished attempt stored beyond it is dropped or
	 * overwritten. ERR_BUSY when another request works on it, where the store can tell (elsewhere the row's lease has to
	 * do). ERR_NOT_FOUND when the upload or a byte before offset is gone (the client must start anew); that may also show
	 * later, in begin_part, read_back or complete, and must do so for an upload that was completed, since complete can be
	 * repeated. *out given, closed with c->mem. */
	enum err_kind (*upload_open)(struct ctx *, struct store *, const char *id, struct str state,
	                             int64_t offset, struct store_put **out);
	enum err_kind (*begin_part)(struct ctx *, struct store_put *, const struct store_part *);
	/* All n bytes or a failure, after which offset says what counts. Best with 256 KiB and more at once. */
	enum err_kind (*write)(struct ctx *, struct store_put *, const void *p, size_t n);
	/* Everything written is durable; *state (given) belongs to put->offset. Also after a client that went away, and after
	 * a failed write when put->offset still says what is stored. */
	enum err_kind (*end_part)(struct ctx *, struct store_put *, struct str *state);
	/* Reads the bytes 0 … offset again (for another digest). May change the state: *state given, equal to the caller's
	 * when nothing changed. */
	enum err_kind (*read_back)(struct ctx *, struct store_put *, const struct store_get *,
	                           struct str *state);
	/* The bytes 0 … offset become the object `key`, durably. An object of the same size that is there already is kept: keys
	 * are content addresses. Repeatable: when an earlier try did it and died, the answer is ERR_NONE. Leaves nothing of
	 * the upload. The handle is finished. */
	enum err_kind (*complete)(struct ctx *, struct store_put *, const char *key);
	/* Drops the upload by the handle that works on it, which is finished then, except for put_close. */
	enum err_kind (*cancel)(struct ctx *, struct store_put *);
	/* Drops the upload by its row; ERR_NONE also when it was gone, ERR_BUSY while some request has it open. A state that
	 * cannot be read must not keep the upload, as far as its id leads to it. */
	enum err_kind (*upload_abort)(struct ctx *, struct store *, const char *id, struct str state);
	/* Releases the handle's resources before c->mem does (which is always safe too). */
	void (*put_close)(struct ctx *, struct store_put *);

	/* -- Objects */
	/* Absent: out->exists = false and ERR_NONE. A store that does not answer is an error, never "absent". */
	enum err_kind (*stat)(struct ctx *, struct store *, const char *key, struct store_info *out);
	/* Streams a range. ERR_NOT_FOUND; ERR_RANGE when it goes beyond the end (nothing was sent to the sink then);
	 * ERR_STORE when fewer bytes came than asked for. */
	enum err_kind (*get)(struct ctx *, struct store *, const struct store_get *);
	/* Writes, replaces atomically. */
	enum err_kind (*put_small)(struct ctx *, struct store *, const struct store_small *);
	/* Reads a whole small object into c->mem; absent: *out = STR0 and ERR_NONE; more than max: ERR_TOO_LARGE. */
	enum err_kind (*get_small)(struct ctx *, struct store *, const char *key, size_t max,
	                           struct str *out);
	/* ERR_UNSUPPORTED when the store cannot do it by itself (then store_copy() streams); ERR_NOT_FOUND. The store passed is
	 * the destination. */
	enum err_kind (*copy)(struct ctx *, struct store *, const struct store_copy *);
	/* c->err.text says why it is not gone. */
	enum store_removed (*remove)(struct ctx *, struct store *, const char *key);
	/* Every object under a prefix in bytewise order of its key. Objects that come or go meanwhile may or may not be seen. */
	enum err_kind (*list)(struct ctx *, struct store *, const struct store_list *);
	/* Unfinished uploads that the server keeps beside objects (S3's multipart uploads), in no order. */
	enum err_kind (*list_unfinished)(struct ctx *, struct store *, store_unfinished_seen *, void *arg);
	enum err_kind (*abort_unfinished)(struct ctx *, struct store *, const char *key,
	                                  const char *server_id);

	/* A URL with which the client goes to the store itself. ERR_UNSUPPORTED. Given. */
	enum err_kind (*direct_url)(struct ctx *, struct store *, const struct store_url_want *,
	                            const char **out);
	/* The absolute path of a file that holds the object, for a web server's send-file header. Not checked for existence.
	 * ERR_UNSUPPORTED. Given. */
	enum err_kind (*local_path)(struct ctx *, struct store *, const char *key, const char **out);
	/* Writes `_verify` and finds it again. Warnings that do not fail are appended to `warnings`, one a line. */
	enum err_kind (*validate)(struct ctx *, struct store *, struct buf *warnings);
};

extern const struct store_driver STORE_LOCAL;

/* What fills the slots that a driver cannot serve: ERR_UNSUPPORTED naming the location. */
enum err_kind store_unsupported(struct ctx *c, const struct store *s, const char *what) MUST_CHECK;
enum err_kind store_unsupported_copy(struct ctx *c, struct store *s, const struct store_copy *cp);
enum err_kind store_unsupported_url(struct ctx *c, struct store *s, const struct store_url_want *w,
                                    const char **out);
enum err_kind store_unsupported_path(struct ctx *c, struct store *s, const char *key, const char **out);
enum err_kind store_no_unfinished(struct ctx *c, struct store *s, store_unfinished_seen *seen,
                                  void *arg); /* none there */
enum err_kind store_unsupported_abort(struct ctx *c, struct store *s, const char *key, const char *server_id);

/* Parameters. YAML written by people has numbers and booleans as strings: both forms are taken; "false" is false.
 * Absent or null: the default (NULL default = required: ERR_BAD_INPUT naming location and parameter). Strings are given. */
enum err_kind store_param_str(struct ctx *c, const struct store_location_conf *l, const char *name,
                              const char *def, const char **out) MUST_CHECK;
enum err_kind store_param_bool(struct ctx *c, const struct store_location_conf *l, const char *name,
                               bool *inout) MUST_CHECK;
enum err_kind store_param_i64(struct ctx *c, const struct store_location_conf *l, const char *name,
                              int64_t *inout) MUST_CHECK;
#endif
