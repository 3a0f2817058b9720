/* One value into one field of the snapshot, by the type in the key's row. Lenient where operators' files need
 * it: numbers in quotes, numbers where a text is wanted, one text where a list is wanted. */
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/vec.h"
#include "conf/load.h"

void *
field_at(struct conf *conf, const struct conf_key *k)
{
	return (char *)conf + k->offset;
}

static bool
refuse(struct load *l, const struct conf_key *k, const struct node *nd, const char *wanted)
{
	if ((k->flags & CONF_SECRET) != 0 || nd->text == NULL)
		conf_note(l->rep, CONF_ERROR, k->name, nd->line, "%s is wanted, this is %s", wanted,
		          node_type_name(nd));
	else
		conf_note(l->rep, CONF_ERROR, k->name, nd->line, "%s is wanted, not \"%.60s\"", wanted,
		          nd->text);
	return false;
}

static bool
is_empty(const struct node *nd)
{
	return (nd->type == NODE_LIST || nd->type == NODE_MAP) && nd->n == 0;
}

static bool
set_bool(struct load *l, const struct conf_key *k, const struct node *nd)
{
	static const char *const words[] = { "false", "no", "off", "0", "true", "yes", "on", "1" };
	bool *out = field_at(l->conf, k);

	if (nd->type == NODE_STR) {
		for (size_t i = 0; i < 8; i++) {
			if (!str_eq_nocase(str_trim(str_of(nd->text)), str_of(words[i])))
				continue;
			*out = i >= 4;
			return true;
		}
		if (nd->text[0] != '\0')
			return refuse(l, k, nd, "true or false");
		*out = false;
		return true;
	}
	if (is_empty(nd)) {
		*out = false;
		return true;
	}
	return node_bool(nd, out) || refuse(l, k, nd, "true or false");
}

/* "a..b", either side may be missing. */
static bool
in_range(const char *check, double v)
{
	struct node lo, hi;
	struct str a, b;
	double bound;

	if (check == NULL || strstr(check, "..") == NULL)
		return true;
	a = (struct str){ check, (size_t)(strstr(check, "..") - check) };
	b = str_of(strstr(check, "..") + 2);
	lo = (struct node){ .type = NODE_STR };
	hi = lo;
	char text[2][32] = { "", "" };
	memcpy(text[0], a.p, a.n < 31 ? a.n : 31);
	memcpy(text[1], b.p, b.n < 31 ? b.n : 31);
	lo.text = text[0];
	hi.text = text[1];
	return !(node_real(&lo, &bound) && v < bound) && !(node_real(&hi, &bound) && v > bound);
}

static bool
set_number(struct load *l, const struct conf_key *k, const struct node *nd)
{
	static const char *const wanted[] = {
		[CONF_INT] = "a whole number",
		[CONF_DUR] = "a duration like 30s, 5m, 12h, 3d or 2w",
		[CONF_SIZE] = "a size like 500M, 20G or 8Gi",
		[CONF_REAL] = "a number",
	};
	int64_t v = 0;
	double f = 0;
	bool ok;

	if (nd->type == NODE_NULL && (k->flags & CONF_NULL) != 0) {
		*(int64_t *)field_at(l->conf, k) = -1;
		return true;
	}
	if (k->type == CONF_REAL)
		ok = node_real(nd, &f);
	else if (k->type == CONF_DUR)
		ok = node_duration(nd, &v);
	else if (k->type == CONF_SIZE)
		ok = node_size(nd, &v);
	else
		ok = node_i64(nd, &v);
	if (!ok)
		return refuse(l, k, nd, wanted[k->type]);
	if (!in_range(k->check, k->type == CONF_REAL ? f : (double)v)) {
		conf_note(l->rep, CONF_ERROR, k->name, nd->line, "%.60s is outside %s", nd->text, k->check);
		return false;
	}
	if (k->type == CONF_REAL)
		*(double *)field_at(l->conf, k) = f;
	else
		*(int64_t *)field_at(l->conf, k) = v;
	return true;
}

static bool
set_word(struct load *l, const struct conf_key *k, const struct node *nd)
{
	struct str rest = str_of(k->check), word;
	int i = 0;

	if (nd->text == NULL)
		return refuse(l, k, nd, str_fmt(l->c->mem, "one of %s", k->check));
	for (bool more = true; more; i++) {
		more = str_cut(rest, '|', &word, &rest);
		if (!str_eq_nocase(word, str_trim(str_of(nd->text))))
			continue;
		if (k->type == CONF_CHOICE)
			*(int *)field_at(l->conf, k) = i;
		else
			*(const char **)field_at(l->conf, k) = str_dup(l->c->mem, word);
		return true;
	}
	return refuse(l, k, nd, str_fmt(l->c->mem, "one of %s", k->check));
}

static bool
set_str(struct load *l, const struct conf_key *k, const struct node *nd)
{
	const char *wrong;

	if (nd->text == NULL) {
		if (!is_empty(nd))
			return refuse(l, k, nd, "a text");
		*(const char **)field_at(l->conf, k) = NULL;
		return true;
	}
	wrong = nd->text[0] == '\0' ? NULL : value_check(l, k->check, nd->text);
	if (wrong != NULL) {
		if ((k->flags & CONF_SECRET) != 0)
			conf_note(l->rep, CONF_ERROR, k->name, nd->line, "%s", wrong);
		else
			conf_note(l->rep, CONF_ERROR, k->name, nd->line, "%s: \"%.100s\"", wrong, nd->text);
		return false;
	}
	*(const char **)field_at(l->conf, k) = (k->flags & CONF_PATH) != 0 && nd->text[0] != '\0'
	                                           ? conf_file(l->c->mem, l->conf, nd->text)
	                                           : nd->text;
	return true;
}

struct items {
	VEC(const char *) v;
};

static bool
add_item(struct load *l, const struct conf_key *k, const struct node *nd, const char *text, struct items *out)
{
	const char *wrong = value_check(l, k->check, text);

	if (wrong != NULL) {
		conf_note(l->rep, CONF_ERROR, k->name, nd->line, "%s: \"%.100s\"", wrong, text);
		return false;
	}
	for (size_t i = 0; (k->flags & CONF_UNIQUE) != 0 && i < out->v.n; i++) {
		if (strcmp(out->v.v[i], text) != 0)
			continue;
		conf_note(l->rep, CONF_WARNING, k->name, nd->line, "\"%.100s\" is named twice", text);
		return true;
	}
	vec_push(l->c->mem, &out->v, text);
	return true;
}

static bool
add_scalar(struct load *l, const struct conf_key *k, const struct node *nd, struct items *out)
{
	struct str rest = str_of(nd->text), part;
	bool ok = true;

	if ((k->flags & CONF_WHOLE) != 0)
		return add_item(l, k, nd, nd->text, out);
	for (bool more = true; more;) {
		more = str_cut(rest, ',', &part, &rest);
		part = str_trim(part);
		if (part.n > 0)
			ok &= add_item(l, k, nd, str_dup(l->c->mem, part), out);
	}
	return ok;
}

static bool
set_list(struct load *l, const struct conf_key *k, const struct node *nd)
{
	struct items items = { 0 };
	bool ok = true;

	if (nd->type == NODE_MAP && nd->n > 0)
		return refuse(l, k, nd, "a list");
	if (nd->text != NULL && nd->type != NODE_NULL)
		ok = add_scalar(l, k, nd, &items);
	for (size_t i = 0; nd->type == NODE_LIST && i < nd->n; i++) {
		const struct node *item = nd->items[i];
		if (item->text == NULL || item->type == NODE_NULL)
			ok = refuse(l, k, item, "a list of texts");
		else
			ok &= add_item(l, k, item, item->text, &items);
	}
	if (ok)
		*(struct str_list *)field_at(l->conf, k) = (struct str_list){ items.v.v, items.v.n };
	return ok;
}

static void
free_json(void *p)
{
	json_decref(p);
}

static bool
set_json(struct load *l, const struct conf_key *k, const struct node *nd)
{
	const bool want_map = k->check != NULL && strcmp(k->check, "@list") != 0;
	const bool want_list = k->check != NULL && strcmp(k->check, "@list") == 0;
	json_t *v;

	if ((want_map && nd->type != NODE_MAP && !is_empty(nd)) ||
	    (want_list && nd->type != NODE_LIST && !is_empty(nd)))
		return refuse(l, k, nd, want_map ? "a map" : "a list");
	v = node_to_json(nd);
	arena_defer(l->c->mem, free_json, v);
	*(json_t **)field_at(l->conf, k) = v;
	return true;
}

bool
field_set(struct load *l, const struct conf_key *k, const struct node *nd)
{
	switch (k->type) {
	case CONF_BOOL:
		return set_bool(l, k, nd);
	case CONF_INT:
	case CONF_DUR:
	case CONF_SIZE:
	case CONF_REAL:
		return set_number(l, k, nd);
	case CONF_STR:
		return set_str(l, k, nd);
	case CONF_WORD:
	case CONF_CHOICE:
		return set_word(l, k, nd);
	case CONF_LIST:
		return set_list(l, k, nd);
	case CONF_JSON:
		return set_json(l, k, nd);
	}
	return false;
}
