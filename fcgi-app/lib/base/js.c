/* JSON over jansson. */
#include "base/js.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"

const struct js_limits JS_MANIFEST = { .bytes = 5 << 20, .depth = 64, .values = 50000 };
const struct js_limits JS_API = { .bytes = 1 << 20, .depth = 64, .values = 5000 };

bool
js_count(struct str text, const struct js_limits *lim)
{
	int  depth = 0, values = 0;
	bool in_string = false, in_word = false;

	if (text.n > lim->bytes)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		const char ch = text.p[i];
		if (in_string) {
			if (ch == '\\')
				i++;
			else if (ch == '"')
				in_string = false;
			continue;
		}
		switch (ch) {
		case '"':
			in_string = true;
			in_word = false;
			values++;
			break;
		case '{':
		case '[':
			in_word = false;
			values++;
			if (++depth > lim->depth)
				return false;
			break;
		case '}':
		case ']':
			depth--;
			in_word = false;
			break;
		case ',':
		case ':':
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			in_word = false;
			break;
		default:
			if (!in_word)
				values++;
			in_word = true;
		}
		if (values > lim->values)
			return false;
	}
	return true;
}

static void
free_json(void *p)
{
	json_decref(p);
}

enum err_kind
js_parse(struct ctx *c, struct str text, const struct js_limits *lim, json_t **root)
{
	json_error_t e;
	json_t      *v;

	if (!js_count(text, lim))
		return err_set(c, ERR_TOO_LARGE, "JSON over its limits: %zu bytes", text.n);
	v = json_loadb(text.p == NULL ? "" : text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (v == NULL)
		return err_set(c, ERR_BAD_INPUT, "%s at byte %d", e.text, e.position);
	arena_defer(c->mem, free_json, v);
	*root = v;
	return ERR_NONE;
}

struct str
js_str(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_string(v) ? (struct str){ json_string_value(v), json_string_length(v) } : STR0;
}

int64_t
js_i64(const json_t *o, const char *key, int64_t def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) : def;
}

bool
js_bool(const json_t *o, const char *key, bool def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

static json_t *
must(json_t *v)
{
	if (v == NULL)
		abort(); /* jansson fails only when memory is gone */
	return v;
}

json_t *
js_object(struct ctx *c)
{
	json_t *o = must(json_object());

	arena_defer(c->mem, free_json, o);
	return o;
}

json_t *
js_array(struct ctx *c)
{
	json_t *a = must(json_array());

	arena_defer(c->mem, free_json, a);
	return a;
}

void
jo_take(json_t *o, const char *key, json_t *v)
{
	json_object_set_new_nocheck(o, key, must(v));
}

json_t *
jo_object(json_t *o, const char *key)
{
	json_t *v = must(json_object());

	jo_take(o, key, v);
	return v;
}

json_t *
jo_array(json_t *o, const char *key)
{
	json_t *v = must(json_array());

	jo_take(o, key, v);
	return v;
}

static json_t *
text(struct str s)
{
	json_t *v = json_stringn(s.p == NULL ? "" : s.p, s.n);

	return v != NULL ? v : must(json_string(""));
}

void
jo_strn(json_t *o, const char *key, struct str v)
{
	jo_take(o, key, text(v));
}

void
jo_str(json_t *o, const char *key, const char *v)
{
	if (v == NULL)
		jo_null(o, key);
	else
		jo_strn(o, key, str_of(v));
}

void
jo_i64(json_t *o, const char *key, int64_t v)
{
	jo_take(o, key, json_integer(v));
}

void
jo_bool(json_t *o, const char *key, bool v)
{
	jo_take(o, key, json_boolean(v));
}

void
jo_null(json_t *o, const char *key)
{
	jo_take(o, key, json_null());
}

json_t *
ja_object(json_t *a)
{
	json_t *v = must(json_object());

	json_array_append_new(a, v);
	return v;
}

void
ja_str(json_t *a, const char *v)
{
	json_array_append_new(a, text(str_of(v)));
}

void
ja_take(json_t *a, json_t *v)
{
	json_array_append_new(a, must(v));
}

#define DUMP_SMALL 4096 /* most answers and all tokens fit: written once instead of counted first */

struct str
js_dump(struct ctx *c, const json_t *v)
{
	char         small[DUMP_SMALL];
	const size_t n = json_dumpb(v, small, sizeof small, JSON_COMPACT | JSON_ENCODE_ANY); /* what it needs, also when more */
	char        *p = arena_alloc(c->mem, n + 1);

	if (n <= sizeof small)
		memcpy(p, small, n);
	else
		json_dumpb(v, p, n, JSON_COMPACT | JSON_ENCODE_ANY);
	p[n] = '\0';
	return (struct str){ p, n };
}
