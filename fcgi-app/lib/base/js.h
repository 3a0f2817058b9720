/* JSON in and out, over jansson. Bytes from outside pass a counter before jansson sees them: a legal 5 MiB body can cost
 * hundreds of MiB otherwise. */
#ifndef KADE_BASE_JS_H
#define KADE_BASE_JS_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct buf;
struct ctx;
struct js_limits {
	size_t bytes;
	int    depth;  /* of arrays and objects */
	int    values; /* strings, numbers, literals, keys, arrays, objects */
};
extern const struct js_limits JS_MANIFEST; /* 5 MiB (raised by conf's limit before), depth 64, 50,000 values */
extern const struct js_limits JS_API;      /* 1 MiB, depth 64, 5,000 values */

/* True when text stays within the limits. Only counts; jansson finds syntax errors. */
bool js_count(struct str text, const struct js_limits *lim);
/* Parses one JSON text (UTF-8, no duplicate keys, nothing after it). *root is borrowed: freed with c->mem.
 * ERR_BAD_INPUT with jansson's words in c->err.text, ERR_TOO_LARGE over a limit. */
enum err_kind js_parse(struct ctx *c, struct str text, const struct js_limits *lim, json_t **root) MUST_CHECK;

/* Members by type: the value or the default when absent, null or of another type. Strings are borrowed from the object. */
struct str js_str(const json_t *o, const char *key);
int64_t    js_i64(const json_t *o, const char *key, int64_t def);
bool       js_bool(const json_t *o, const char *key, bool def);

/* Builders. js_object() makes a root that is freed with c->mem; the adders own what they add. Strings that are not UTF-8
 * become "". NULL strings become null. */
json_t *js_object(struct ctx *c);
json_t *js_array(struct ctx *c);
json_t *jo_object(json_t *o, const char *key);
json_t *jo_array(json_t *o, const char *key);
void    jo_str(json_t *o, const char *key, const char *v);
void    jo_strn(json_t *o, const char *key, struct str v);
void    jo_i64(json_t *o, const char *key, int64_t v);
void    jo_bool(json_t *o, const char *key, bool v);
void    jo_null(json_t *o, const char *key);
void    jo_take(json_t *o, const char *key, json_t *v); /* v taken */
json_t *ja_object(json_t *a);                           /* appends {} and returns it, borrowed */
void    ja_str(json_t *a, const char *v);
void    ja_take(json_t *a, json_t *v); /* v taken */
/* Compact text. Given. */
struct str js_dump(struct ctx *c, const json_t *v);
#endif
