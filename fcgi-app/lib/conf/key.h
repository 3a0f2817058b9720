/* The table of keys as data: for the loader, the checks, the documentation and kade-config. */
#ifndef KADE_CONF_KEY_H
#define KADE_CONF_KEY_H
#include <stddef.h>

enum conf_type {
	CONF_BOOL,
	CONF_INT,
	CONF_DUR,  /* 30s 5m 12h 3d 2w 1y, or a number of seconds; stored in seconds */
	CONF_SIZE, /* 20G 500M (powers of ten), 8Gi (of two), or bytes; stored in bytes */
	CONF_REAL,
	CONF_STR,
	CONF_WORD,   /* one of the words in .check; stored as that word */
	CONF_CHOICE, /* the same, stored as its position: an enum of conf.h */
	CONF_LIST,   /* strings; one string counts as a list, split at commas */
	CONF_JSON    /* a block: object, list, or what the key says */
};
enum conf_support {
	CONF_NOW,      /* works */
	CONF_NOEFFECT, /* accepted; nothing follows from it */
	CONF_LATER,    /* not built yet: named when a value asks for it; a flag counts as false */
	CONF_REFUSED /* not built yet, and going on without it would be unsafe or silently different: an error
	              */
};
enum conf_key_flags {
	CONF_SECRET = 1, /* never printed */
	CONF_NULL = 2,   /* null is a value: -1, NULL or an empty list, not the default */
	CONF_WHOLE = 4,  /* a list whose single string is not split at commas */
	CONF_PATH = 8,   /* a file name: conf/stack/ is the config directory */
	CONF_UNIQUE = 16 /* entries of the list differ */
};
struct conf_key {
	const char *name;  /* "SERVER_HOSTNAME"; ours "KADE.SPOOL_DIR" */
	const char *field; /* of struct conf */
	size_t offset;
	enum conf_type type;
	const char *def; /* YAML text; NULL = unset */
	enum conf_support support;
	unsigned flags;
	const char *check; /* "1..65535", "a|b|c", "@name" of check.c; NULL = none */
	const char *doc;   /* Markdown, one paragraph */
};
extern const struct conf_key CONF_KEYS[];
extern const size_t CONF_N_KEYS;

/* The row of a key, or NULL. */
const struct conf_key *conf_key_find(const char *name);
/* The known key that the writer may have meant, or NULL. Small edit distance, also with and without FEATURE_
 * and KADE. */
const struct conf_key *conf_key_suggest(const char *name);
#endif
