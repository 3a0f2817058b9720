/* Inside of conf/: the state of one load, shared by the files that make a snapshot. */
#ifndef KADE_CONF_LOAD_H
#define KADE_CONF_LOAD_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "base/str.h"
#include "conf/conf.h"
#include "conf/key.h"
#include "conf/node.h"

struct conf_source { /* which file was read, and what it and the environment gave */
	bool has_file;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	const struct node **given; /* per key of the table; NULL = built-in value */
};
struct load {
	struct ctx *c; /* its mem is the snapshot's */
	struct conf *conf;
	struct conf_report *rep;
	const struct node **given; /* as in conf_source */
};

static inline const struct node *
load_given(const struct load *l, const char *name)
{
	const struct conf_key *k = conf_key_find(name);
	return k == NULL ? NULL : l->given[k - CONF_KEYS];
}
static inline int
load_line(const struct load *l, const char *name)
{
	const struct node *nd = load_given(l, name);
	return nd == NULL ? 0 : nd->line;
}

/* Stores a value in the key's field. False: not usable; the reason is an error in the report and the field is
 * untouched. */
bool field_set(struct load *l, const struct conf_key *k, const struct node *nd);
void *field_at(struct conf *conf, const struct conf_key *k);
/* Runs the check of the key's row on one text; NULL: fine, else what is wrong. */
const char *value_check(const struct load *l, const char *check, const char *text);
/* A row of the table against what is built: names what is not, and turns off flags that nothing stands
 * behind. */
void support_apply(struct load *l, const struct conf_key *k);

void redis_load(struct load *l, const char *name, int default_db, struct conf_redis *out);
void db_load(struct load *l, const char *name, const char *uri, struct conf_db *out);
/* postgresql://… into keywords and values. False: *why says what is wrong. */
bool db_uri_parse(struct arena *mem, const char *uri, struct str_list *keywords, struct str_list *values,
                  const char **why);
void locations_load(struct load *l);
/* Rules that look at several keys. */
void rules_check(struct load *l);
#endif
