/* What drivers share: answers for what a store cannot do, and parameters of config.yaml. Serves the drivers. */
#include "store/driver.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/ctx.h"

enum err_kind
store_unsupported(struct ctx *c, const struct store *s, const char *what)
{
	return err_set(c, ERR_UNSUPPORTED, "storage %s (%s) has no %s", s->name, s->driver->name, what);
}

enum err_kind
store_unsupported_copy(struct ctx *c, struct store *s, const struct store_copy *cp)
{
	(void)cp;
	return store_unsupported(c, s, "copy of its own");
}

enum err_kind
store_unsupported_url(struct ctx *c, struct store *s, const struct store_url_want *w, const char **out)
{
	(void)w;
	(void)out;
	return store_unsupported(c, s, "direct URL");
}

enum err_kind
store_unsupported_path(struct ctx *c, struct store *s, const char *key, const char **out)
{
	(void)key;
	(void)out;
	return store_unsupported(c, s, "file of this host");
}

enum err_kind
store_no_unfinished(struct ctx *c, struct store *s, store_unfinished_seen *seen, void *arg)
{
	(void)c;
	(void)s;
	(void)seen;
	(void)arg;
	return ERR_NONE;
}

enum err_kind
store_unsupported_abort(struct ctx *c, struct store *s, const char *key, const char *server_id)
{
	(void)key;
	(void)server_id;
	return store_unsupported(c, s, "unfinished uploads");
}

static enum err_kind
bad_param(struct ctx *c, const struct store_location_conf *l, const char *name, const char *problem)
{
	return err_set(c, ERR_BAD_INPUT, "storage %s (%s): parameter %s %s", l->name, l->driver, name,
	               problem);
}

enum err_kind
store_param_str(struct ctx *c, const struct store_location_conf *l, const char *name, const char *def,
                const char **out)
{
	const json_t *v = json_object_get(l->params, name);

	if (v == NULL || json_is_null(v)) {
		if (def == NULL)
			return bad_param(c, l, name, "is missing");
		*out = str_dup_c(c->mem, def);
		return ERR_NONE;
	}
	if (json_is_integer(v)) {
		*out = str_fmt(c->mem, "%lld", (long long)json_integer_value(v));
		return ERR_NONE;
	}
	if (!json_is_string(v))
		return bad_param(c, l, name, "must be a string");
	const char *text = str_dup(c->mem, (struct str){ json_string_value(v), json_string_length(v) });
	if (text == NULL)
		return bad_param(c, l, name, "holds a NUL byte");
	if (def == NULL && text[0] == '\0')
		return bad_param(c, l, name, "is empty");
	*out = text;
	return ERR_NONE;
}

enum err_kind
store_param_bool(struct ctx *c, const struct store_location_conf *l, const char *name, bool *inout)
{
	const json_t *v = json_object_get(l->params, name);

	if (v == NULL || json_is_null(v))
		return ERR_NONE;
	if (json_is_boolean(v)) {
		*inout = json_is_true(v);
		return ERR_NONE;
	}
	const struct str s = json_is_string(v) ? str_of(json_string_value(v)) : STR0;
	if (str_eq_nocase(s, STR("true")))
		*inout = true;
	else if (str_eq_nocase(s, STR("false")))
		*inout = false;
	else
		return bad_param(c, l, name, "must be true or false");
	return ERR_NONE;
}

enum err_kind
store_param_i64(struct ctx *c, const struct store_location_conf *l, const char *name, int64_t *inout)
{
	const json_t *v = json_object_get(l->params, name);

	if (v == NULL || json_is_null(v))
		return ERR_NONE;
	if (json_is_integer(v)) {
		*inout = json_integer_value(v);
		return ERR_NONE;
	}
	if (!json_is_string(v) || !str_to_i64(str_of(json_string_value(v)), INT64_MIN, INT64_MAX, inout))
		return bad_param(c, l, name, "must be a whole number");
	return ERR_NONE;
}
