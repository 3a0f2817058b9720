/* Parsed YAML or JSON as a tree of nodes that remember their line and their text, for the loader. Nodes are
 * never changed once made; an alias is the same node again. */
#ifndef KADE_CONF_NODE_H
#define KADE_CONF_NODE_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct conf_report;
struct ctx;

enum node_type { NODE_NULL, NODE_BOOL, NODE_INT, NODE_REAL, NODE_STR, NODE_LIST, NODE_MAP };
struct node {
	enum node_type type;
	int line;          /* 1 = first; 0 = not from a file */
	size_t weight;     /* nodes in here, aliases counted each time */
	const char *text;  /* scalars: as written, without quotes; NUL-terminated, no NUL inside */
	bool b;            /* NODE_BOOL */
	int64_t i;         /* NODE_INT; meaningless when is_huge */
	bool is_huge;      /* an integer beyond 64 bits: only its text counts */
	bool is_plain;     /* a scalar without quotes */
	double f;          /* NODE_REAL */
	size_t n;          /* members or items */
	const char **keys; /* NODE_MAP */
	struct node **items;
};

#define NODE_MAX_BYTES (1 << 20)
#define NODE_MAX_DEPTH 32
#define NODE_MAX_NODES 50000 /* after aliases are counted out */

/* Parses one YAML 1.1 document (UTF-8). *out = NULL for an empty one. Duplicate keys: the last wins, named as
 * a warning. Given, in c->mem. ERR_BAD_INPUT, ERR_TOO_LARGE: what is wrong, with its line, is an error in rep
 * and in c->err.text. */
enum err_kind node_parse(struct ctx *c, struct str text, struct conf_report *rep,
                         struct node **out) MUST_CHECK;
/* The same tree from JSON. Given. */
struct node *node_from_json(struct arena *mem, const json_t *v);
/* JSON of a tree; integers beyond 64 bits and dates become strings. Taken by the caller. */
json_t *node_to_json(const struct node *nd);
/* The type and value that YAML 1.1 gives a plain scalar. */
void node_resolve(struct node *nd);
/* Member of a map, or NULL (also for null and for what is no map). */
const struct node *node_get(const struct node *map, const char *key);
/* "a list", "a number" … for messages. */
const char *node_type_name(const struct node *nd);

/* Values as people write them, also in the wrong type. False: not usable. */
bool node_bool(const struct node *nd, bool *out);   /* truth as of feature flags */
bool node_i64(const struct node *nd, int64_t *out); /* also a decimal number in quotes */
bool node_real(const struct node *nd, double *out);
bool node_duration(const struct node *nd, int64_t *out_s); /* "2w", "30m", a number = seconds */
bool node_size(const struct node *nd, int64_t *out_bytes); /* "20G", "8Gi", "5MiB", a number = bytes */
bool duration_parse(struct str s, int64_t *out_s);
#endif
