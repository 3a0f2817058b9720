/* The configuration: config.yaml as one immutable snapshot, `const struct conf`, that requests and jobs read.
 * The keys come from one table (keys.def); the loader, the checks, the documentation and the JSON schema are
 * made of it. */
#ifndef KADE_CONF_CONF_H
#define KADE_CONF_CONF_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct conf_source;
struct ctx;

/* Values of the keys that are a choice; the order is that of the words in keys.def. */
enum conf_sendfile { CONF_SENDFILE_NONE, CONF_SENDFILE_X_SENDFILE, CONF_SENDFILE_X_ACCEL };
enum conf_schema1 { CONF_SCHEMA1_NEVER, CONF_SCHEMA1_LEGACY_ACCEPT, CONF_SCHEMA1_ALWAYS };
enum conf_token_algorithm { CONF_TOKEN_ES256, CONF_TOKEN_RS256 };
enum conf_pooler { CONF_POOLER_NONE, CONF_POOLER_SESSION, CONF_POOLER_TRANSACTION };  /* as enum db_pooler */
enum conf_log_level { CONF_LOG_ERROR, CONF_LOG_WARN, CONF_LOG_INFO, CONF_LOG_DEBUG }; /* as enum log_level */
enum conf_access_log { CONF_ACCESS_OFF, CONF_ACCESS_ERRORS, CONF_ACCESS_SAMPLED, CONF_ACCESS_ALL };

/* One Redis server, from BUILDLOGS_REDIS, USER_EVENTS_REDIS, PULL_METRICS_REDIS. Strings are NULL when not
 * given. */
enum conf_redis_verify { CONF_REDIS_VERIFY_NONE, CONF_REDIS_VERIFY_OPTIONAL, CONF_REDIS_VERIFY_REQUIRED };
struct conf_redis {
	const char *host;
	int port, db;
	const char *unix_socket_path; /* wins over host and port */
	const char *username, *password, *client_name;
	bool ssl, ssl_check_hostname;
	enum conf_redis_verify ssl_cert_reqs;
	const char *ssl_ca_certs, *ssl_ca_path, *ssl_certfile, *ssl_keyfile;
	const char *ssl_min_version; /* "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"; NULL: the library's */
	const char *ssl_ciphers;
	/* KADE.REDIS_SENTINELS and so on: the servers ("host:port") that name the current primary. n = 0:
	 * none. */
	struct str_list sentinels;
	const char *sentinel_primary, *sentinel_username, *sentinel_password;
};

/* How PostgreSQL is reached: libpq's keywords and values, NULL-terminated, for PQconnectdbParams(). Holds the
 * password: never logged. application_name, and time-outs other than connect_timeout, are the pool's. */
struct conf_db {
	const char *host, *port, *user, *dbname; /* for messages */
	const char *const *keywords, *const *values;
	size_t n; /* pairs, without the NULL at the end */
};

/* One storage location of DISTRIBUTED_STORAGE_CONFIG. */
struct conf_location {
	const char *name;   /* the location id: also in the database */
	const char *driver; /* "LocalStorage" … */
	json_t *params;     /* object; values as in YAML, but see conf_param_*() */
	int line;           /* in config.yaml; 0 = not from the file */
};
struct conf_locations {
	const struct conf_location *v;
	size_t n;
};
struct conf_index { /* positions in conf_locations */
	const size_t *v;
	size_t n;
};

/* C types of the table's types. */
#define CONF_CTYPE_BOOL   bool
#define CONF_CTYPE_INT    int64_t
#define CONF_CTYPE_DUR    int64_t
#define CONF_CTYPE_SIZE   int64_t
#define CONF_CTYPE_REAL   double
#define CONF_CTYPE_STR    const char *
#define CONF_CTYPE_WORD   const char *
#define CONF_CTYPE_CHOICE int
#define CONF_CTYPE_LIST   struct str_list
#define CONF_CTYPE_JSON   json_t *

/* The snapshot. One field per key, named by the key in lower case: bool; int64_t for numbers, with _s for
 * durations and _bytes for sizes (-1 where null is a value of its own: "none", "never"); strings NULL when
 * unset; json_t for blocks (NULL when unset; read only: never incref'd or changed, requests share it). */
struct conf {
	struct arena *mem;
	const char *path; /* config.yaml as opened; NULL when there is no file */
	const char *dir;  /* the config directory: what conf/stack/ stands for */
	const struct conf_source *source;

#define CONF_AREA(title)
#define K(name, field, type, def, support, flags, check, doc) CONF_CTYPE_##type field;
#include "conf/keys.def"
#undef K
#undef CONF_AREA

	/* made of several keys */
	bool is_https;        /* PREFERRED_URL_SCHEME is https */
	bool is_readonly;     /* REGISTRY_STATE is readonly */
	const char *base_url; /* scheme://SERVER_HOSTNAME, without a slash at the end */
	struct conf_redis redis_userevents, redis_buildlogs, redis_pullmetrics;
	struct conf_db db, db_session; /* DB_URI; KADE.DB_SESSION_URI (the same when unset) */
	struct conf_locations
	    locations; /* in the order of the file; a location id is found by conf_location_find() */
	struct conf_index storage_preference; /* [0] takes the writes; never empty when there are locations */
	struct conf_index storage_defaults;   /* every blob is replicated to these */
	size_t userfiles_at, log_archive_at, action_log_archive_at; /* positions in locations */
	enum conf_access_log access_log;
	int64_t access_log_sample; /* one of so many requests when sampled */
	json_t *features;          /* FEATURE_ keys without the prefix, unknown ones too: effective values */
	json_t *login_providers;   /* every *_LOGIN_CONFIG key with its block; {} when none */
	json_t *unknown;           /* upper-case keys that the table does not have */
};

/* What the loader and the checks have to say. */
enum conf_severity { CONF_ERROR, CONF_WARNING, CONF_INFO };
struct conf_note {
	enum conf_severity severity;
	const char
	    *key; /* "SERVER_HOSTNAME", "KADE.SPOOL_DIR", "BUILDLOGS_REDIS.host"; "" = the file as a whole */
	const char *text; /* one sentence; holds no secret */
	int line;         /* in config.yaml; 0 = unknown or from the environment */
};
struct conf_report {
	struct arena *mem;   /* where notes are kept: set by the caller */
	struct conf_note *v; /* after conf_load(): errors first, then by line, key and text; no doubles */
	size_t n, cap;
	size_t n_errors, n_warnings;
};

/* Loads built-in values, the file at path (NULL or missing name: only with environment), QUAY_OVERRIDE_CONFIG
 * and QUAY_DISTRIBUTED_STORAGE_PREFERENCE, in that order; checks all of it without any network. path may be a
 * directory, which then holds config.yaml. The snapshot has its own memory: conf_free() when nobody reads it
 * any more. Every problem goes to rep (required; rep->mem set). ERR_BAD_INPUT when there is any error: *out
 * untouched, c->err.text names the first. Keys: docs/configuration.md. */
enum err_kind conf_load(struct ctx *c, const char *path, const struct conf **out,
                        struct conf_report *rep) MUST_CHECK;
/* As conf_load(), but gives the snapshot also when there are errors, unless the file cannot be parsed at all:
 * for tools that show values and go on checking, and for IGNORE_VALIDATION. */
enum err_kind conf_load_anyway(struct ctx *c, const char *path, const struct conf **out,
                               struct conf_report *rep) MUST_CHECK;
void conf_free(const struct conf *conf);
/* True when the file at conf->path is another one than was read (time, size, inode), also when it is gone.
 * One stat(2). */
bool conf_changed(const struct conf *conf);

/* Where config.yaml is when nobody says: $QUAYCONF/stack/config.yaml if QUAYCONF is set, else the built-in
 * place. Given. */
const char *conf_default_path(struct arena *mem);
/* True when the file or the environment gave this key ("FEATURE_X", "KADE.Y") a value other than null. */
bool conf_is_set(const struct conf *conf, const char *name);
/* A file name from the configuration: conf/stack/x, /conf/stack/x and a relative x mean the config directory.
 * Given. */
const char *conf_file(struct arena *mem, const struct conf *conf, const char *name);

/* Position of a location id, or -1. */
long conf_location_find(const struct conf *conf, struct str name);
/* Parameters of a location, as people write them: numbers as strings and the other way round, booleans as
 * words. The default when absent, null or unusable (the loader has named it). Strings are borrowed. */
const char *conf_param_str(const struct conf_location *l, const char *name, const char *def);
int64_t conf_param_i64(const struct conf_location *l, const char *name, int64_t def);
bool conf_param_bool(const struct conf_location *l, const char *name, bool def);

void conf_note(struct conf_report *rep, enum conf_severity sev, const char *key, int line, const char *fmt,
               ...) __attribute__((format(printf, 5, 6)));
/* Sorts, drops doubles and counts. conf_load() has done it; again after more notes. */
void conf_report_sort(struct conf_report *rep);
#endif
