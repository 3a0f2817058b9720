/* Trees of nodes: members, and JSON in both directions. */
#include "conf/node.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

const struct node *
node_get(const struct node *map, const char *key)
{
	for (size_t i = 0; map != NULL && map->type == NODE_MAP && i < map->n; i++)
		if (strcmp(map->keys[i], key) == 0)
			return map->items[i]->type == NODE_NULL ? NULL : map->items[i];
	return NULL;
}

const char *
node_type_name(const struct node *nd)
{
	static const char *const names[] = { "nothing", "a truth value", "a number", "a number",
		                             "a text",  "a list",        "a map" };

	return names[nd->type];
}

static struct node *
scalar(struct arena *mem, enum node_type type, const char *text)
{
	struct node *nd = ARENA_NEW(mem, struct node);

	nd->type = type;
	nd->text = text;
	nd->weight = 1;
	return nd;
}

/* The caller has counted depth and values (js_parse), so the recursion is bounded. */
struct node *
node_from_json(struct arena *mem, const json_t *v)
{
	struct node *nd;
	const char *key;
	json_t *item;
	size_t i = 0;

	switch (json_typeof(v)) {
	case JSON_STRING:
		return scalar(mem, NODE_STR, str_dup_c(mem, json_string_value(v)));
	case JSON_INTEGER:
		nd = scalar(mem, NODE_INT, str_fmt(mem, "%lld", (long long)json_integer_value(v)));
		nd->i = json_integer_value(v);
		return nd;
	case JSON_REAL:
		nd = scalar(mem, NODE_REAL, str_fmt(mem, "%.17g", json_real_value(v)));
		nd->f = json_real_value(v);
		return nd;
	case JSON_TRUE:
	case JSON_FALSE:
		nd = scalar(mem, NODE_BOOL, json_is_true(v) ? "true" : "false");
		nd->b = json_is_true(v);
		return nd;
	case JSON_ARRAY:
		nd = scalar(mem, NODE_LIST, NULL);
		nd->n = json_array_size(v);
		nd->items = ARENA_ARRAY(mem, struct node *, nd->n);
		json_array_foreach(v, i, item) nd->items[i] = node_from_json(mem, item);
		break;
	case JSON_OBJECT:
		nd = scalar(mem, NODE_MAP, NULL);
		nd->n = json_object_size(v);
		nd->items = ARENA_ARRAY(mem, struct node *, nd->n);
		nd->keys = ARENA_ARRAY(mem, const char *, nd->n);
		json_object_foreach((json_t *)(uintptr_t)v, key, item)
		{
			nd->keys[i] = str_dup_c(mem, key);
			nd->items[i++] = node_from_json(mem, item);
		}
		break;
	default:
		return scalar(mem, NODE_NULL, "");
	}
	for (i = 0; i < nd->n; i++)
		nd->weight += nd->items[i]->weight;
	return nd;
}

json_t *
node_to_json(const struct node *nd)
{
	json_t *v;

	switch (nd->type) {
	case NODE_NULL:
		return json_null();
	case NODE_BOOL:
		return json_boolean(nd->b);
	case NODE_INT:
		return nd->is_huge ? json_string(nd->text) : json_integer(nd->i);
	case NODE_REAL:
		return isfinite(nd->f) ? json_real(nd->f) : json_string(nd->text);
	case NODE_LIST:
		v = json_array();
		for (size_t i = 0; i < nd->n; i++)
			json_array_append_new(v, node_to_json(nd->items[i]));
		return v;
	case NODE_MAP:
		v = json_object();
		for (size_t i = 0; i < nd->n; i++)
			json_object_set_new(v, nd->keys[i], node_to_json(nd->items[i]));
		return v;
	default:
		return json_string(nd->text);
	}
}
