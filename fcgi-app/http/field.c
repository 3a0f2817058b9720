/* Declared bodies and parameters. The words of a refusal are those that JSON Schema validators use and clients know. */
#include "http/field.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "base/text-clean.h"
#include "http/request.h"

static const struct say SAY_NOT_JSON = { 415, "message", "Did not attempt to load JSON data because the request Content-Type was not 'application/json'." };
static const struct say SAY_MALFORMED = { 400, "message", "The browser (or proxy) sent a request that this server could not understand." };
static const struct say SAY_INVALID = { 400, "invalid_request", "Request error." };
static const struct say SAY_PARAM = { 400, "message-of", "invalid parameter" };

const struct field FIELDS_ANY[] = { F_END };

static const char *
type_name(enum field_type t)
{
	static const char *const NAME[] = { "", "string", "integer", "number", "boolean", "object", "array", "" };

	return NAME[t];
}

static bool
has_type(const json_t *v, enum field_type t)
{
	switch (t) {
	case FIELD_STR:
		return json_is_string(v);
	case FIELD_INT:
		return json_is_integer(v);
	case FIELD_NUM:
		return json_is_number(v);
	case FIELD_BOOL:
		return json_is_boolean(v);
	case FIELD_OBJECT:
		return json_is_object(v);
	case FIELD_ARRAY:
		return json_is_array(v);
	default:
		return true;
	}
}

/* The value as a validator writes it, cut to a readable length. */
static const char *
shown(struct req *rq, const json_t *v)
{
	const struct str text = js_dump(rq->c, v);

	if (json_is_string(v))
		return str_fmt(rq->c->mem, "'%.*s'", json_string_length(v) > 80 ? 80 : (int)json_string_length(v), json_string_value(v));
	return str_fmt(rq->c->mem, "%.*s", text.n > 80 ? 80 : (int)text.n, text.p);
}

static enum err_kind
check_bounds(struct req *rq, const json_t *v, const struct field *f)
{
	const int64_t n = f->type == FIELD_STR ? (int64_t)json_string_length(v) : (int64_t)json_integer_value(v);

	if ((f->type != FIELD_STR && f->type != FIELD_INT) || (f->min == 0 && f->max == 0))
		return ERR_NONE;
	if (n < f->min)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_INVALID, f->type == FIELD_STR ? "%s is too short" : "%s is less than the minimum of %lld",
		                   shown(rq, v), (long long)f->min);
	if (f->max != 0 && n > f->max)
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_INVALID, f->type == FIELD_STR ? "%s is too long" : "%s is greater than the maximum of %lld",
		                   shown(rq, v), (long long)f->max);
	return ERR_NONE;
}

static enum err_kind
check_choice(struct req *rq, const json_t *v, const struct field *f)
{
	struct buf b = BUF(rq->c->mem);

	if (f->one_of == NULL)
		return ERR_NONE;
	for (size_t i = 0; f->one_of[i] != NULL; i++) {
		if (str_eq_c((struct str){ json_string_value(v), json_string_length(v) }, f->one_of[i]))
			return ERR_NONE;
		buf_putf(&b, "%s'%s'", i == 0 ? "" : ", ", f->one_of[i]);
	}
	return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_INVALID, "%s is not one of [%s]", shown(rq, v), buf_cstr(&b));
}

static void
clean(struct req *rq, json_t *object, const struct field *fields)
{
	for (const struct field *f = fields; f->name != NULL; f++) {
		const json_t *v = f->is_text ? json_object_get(object, f->name) : NULL;
		if (!json_is_string(v))
			continue;
		const struct str was = { json_string_value(v), json_string_length(v) }, is = text_clean(rq->c->mem, was);
		if (!str_eq(was, is))
			json_object_set_new(object, f->name, json_stringn(is.p, is.n));
	}
}

enum err_kind
field_check(struct req *rq, json_t *object, const struct field *fields)
{
	if (!json_is_object(object))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_INVALID, "%s is not of type 'object'", shown(rq, object));
	clean(rq, object, fields); /* first: the bounds are those of what is kept */
	for (const struct field *f = fields; f->name != NULL; f++) {
		const json_t *v = json_object_get(object, f->name);
		if (v == NULL) {
			if (f->is_required)
				return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_INVALID, "'%s' is a required property", f->name);
			continue;
		}
		if (json_is_null(v) && f->may_be_null)
			continue;
		if (!has_type(v, f->type))
			return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_INVALID, "%s is not of type '%s'", json_is_null(v) ? "None" : shown(rq, v),
			                   type_name(f->type));
		TRY(check_bounds(rq, v, f));
		TRY(check_choice(rq, v, f));
	}
	return ERR_NONE;
}

enum err_kind
field_read_json(struct req *rq, size_t max_bytes, json_t **out)
{
	const struct js_limits limits = { .bytes = max_bytes, .depth = JS_API.depth, .values = JS_API.values };
	const struct str       type = req_header(rq, "content-type");
	struct str             bytes, media, params;
	json_t                *root;
	enum err_kind          e;

	str_cut(type, ';', &media, &params);
	if (!str_eq_nocase(str_trim(media), STR("application/json")))
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_NOT_JSON);
	TRY(req_body_all(rq, max_bytes, &bytes));
	e = js_parse(rq->c, bytes, &limits, &root);
	if (e == ERR_BAD_INPUT)
		return err_say(rq->c, ERR_BAD_INPUT, &SAY_MALFORMED);
	TRY(e);
	if (json_is_null(root))
		return err_say_fmt(rq->c, ERR_BAD_INPUT, &SAY_INVALID, "Missing JSON body");
	*out = root;
	return ERR_NONE;
}

enum err_kind
field_read_body(struct req *rq, const struct field *fields, size_t max_bytes)
{
	json_t *root;

	TRY(field_read_json(rq, max_bytes, &root));
	TRY(field_check(rq, root, fields));
	rq->body = root;
	return ERR_NONE;
}

enum err_kind
param_check(struct req *rq, const struct param *params)
{
	int64_t n;

	for (const struct param *p = params; p != NULL && p->name != NULL; p++) {
		const struct str v = req_query(rq, p->name);
		if (!p->is_int || v.p == NULL || str_to_i64(v, INT64_MIN, INT64_MAX, &n))
			continue;
		struct buf b = BUF(rq->c->mem);
		buf_puts(&b, "{");
		buf_put_json(&b, str_of(p->name));
		buf_puts(&b, ":");
		buf_put_json(&b, str_of(p->doc != NULL ? p->doc : "an integer is expected"));
		buf_puts(&b, "}");
		err_say(rq->c, ERR_BAD_INPUT, &SAY_PARAM);
		return err_detail(rq->c, buf_cstr(&b));
	}
	return ERR_NONE;
}

bool
param_bool(struct req *rq, const char *name, bool def)
{
	static const char *const NO[] = { "false", "False", "FALSE", "0", "null", "" };
	const struct str v = req_query(rq, name);

	if (v.p == NULL)
		return def;
	for (size_t i = 0; i < sizeof NO / sizeof *NO; i++)
		if (str_eq_c(v, NO[i]))
			return false;
	return true;
}
