/* YAML documents into nodes, over libyaml's events. Bounded in bytes, depth and nodes: an alias costs what it
 * stands for, so that a small file cannot unfold into a large one. */
#include "conf/node.h"

#include <string.h>
#include <unistr.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/vec.h"
#include "conf/conf.h"

#define MAX_KEYS      2000 /* of one map */
#define TEXT_PER_NODE 32   /* so many bytes of text weigh as much as one node */

struct anchor {
	const char *name;
	struct node *node; /* NULL while it is being read: an alias to it would be a loop */
};
struct reader {
	struct ctx *c;
	struct conf_report *rep;
	yaml_parser_t parser;
	yaml_event_t ev;
	bool has_event;
	size_t nodes; /* with aliases counted out */
	VEC(struct anchor) anchors;
};

static void
reader_close(void *p)
{
	struct reader *r = p;

	if (r->has_event)
		yaml_event_delete(&r->ev);
	r->has_event = false;
	yaml_parser_delete(&r->parser);
}

static enum err_kind
fail(struct reader *r, enum err_kind k, size_t line, const char *text)
{
	conf_note(r->rep, CONF_ERROR, "", (int)line, "%s", text);
	return err_set(r->c, k, "line %zu: %s", line, text);
}

static enum err_kind
next_event(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->ev);
	r->has_event = false;
	if (!yaml_parser_parse(&r->parser, &r->ev)) {
		const char *problem = r->parser.problem == NULL ? "not YAML" : r->parser.problem;
		return fail(r, ERR_BAD_INPUT, r->parser.problem_mark.line + 1, problem);
	}
	r->has_event = true;
	return ERR_NONE;
}

static enum err_kind
count(struct reader *r, size_t more, size_t line)
{
	r->nodes += more;
	if (r->nodes > NODE_MAX_NODES)
		return fail(r, ERR_TOO_LARGE, line, "more than 50,000 values, aliases counted out");
	return ERR_NONE;
}

static struct node *
new_node(struct reader *r, enum node_type type)
{
	struct node *nd = ARENA_NEW(r->c->mem, struct node);

	nd->type = type;
	nd->line = (int)r->ev.start_mark.line + 1;
	nd->weight = 1;
	return nd;
}

/* Position in r->anchors + 1, or 0 when the event has no anchor. A name may be given again: the newest
 * counts. */
static size_t
note_anchor(struct reader *r, const yaml_char_t *name)
{
	if (name == NULL)
		return 0;
	vec_push(r->c->mem, &r->anchors, ((struct anchor){ str_dup_c(r->c->mem, (const char *)name), NULL }));
	return r->anchors.n;
}

static enum err_kind
read_alias(struct reader *r, struct node **out)
{
	const size_t line = r->ev.start_mark.line + 1;

	for (size_t i = r->anchors.n; i-- > 0;) {
		if (strcmp(r->anchors.v[i].name, (const char *)r->ev.data.alias.anchor) != 0)
			continue;
		if (r->anchors.v[i].node == NULL)
			return fail(r, ERR_BAD_INPUT, line,
			            "an alias inside the very value that it stands for");
		*out = r->anchors.v[i].node;
		return count(r, (*out)->weight, line);
	}
	return fail(r, ERR_BAD_INPUT, line, "an alias to an anchor that is not there");
}

static bool
tag_is(const yaml_char_t *tag, const char *name)
{
	return tag != NULL && strncmp((const char *)tag, "tag:yaml.org,2002:", 18) == 0 &&
	       strcmp((const char *)tag + 18, name) == 0;
}

static enum err_kind
read_scalar(struct reader *r, struct node **out)
{
	const struct str text = { (const char *)r->ev.data.scalar.value, r->ev.data.scalar.length };
	const yaml_char_t *tag = r->ev.data.scalar.tag;
	struct node *nd = new_node(r, NODE_STR);

	nd->text = str_dup(r->c->mem, text);
	if (nd->text == NULL)
		return fail(r, ERR_BAD_INPUT, (size_t)nd->line, "a NUL byte in a value");
	if (r->ev.data.scalar.plain_implicit)
		node_resolve(nd);
	else if (tag_is(tag, "int") || tag_is(tag, "bool") || tag_is(tag, "float") || tag_is(tag, "null"))
		node_resolve(nd);
	else if (tag != NULL && strcmp((const char *)tag, "!") != 0 && !tag_is(tag, "str") &&
	         !tag_is(tag, "timestamp"))
		return fail(r, ERR_BAD_INPUT, (size_t)nd->line,
		            "a tag that is not one of YAML's plain types");
	nd->weight += text.n / TEXT_PER_NODE;
	*out = nd;
	return count(r, nd->weight, (size_t)nd->line);
}

static enum err_kind read_node(struct reader *r, int depth, struct node **out);

static enum err_kind
read_list(struct reader *r, int depth, struct node *nd)
{
	VEC(struct node *) items = { 0 };

	for (;;) {
		struct node *item;
		TRY(next_event(r));
		if (r->ev.type == YAML_SEQUENCE_END_EVENT)
			break;
		TRY(read_node(r, depth + 1, &item));
		nd->weight += item->weight;
		vec_push(r->c->mem, &items, item);
	}
	nd->items = items.v;
	nd->n = items.n;
	return ERR_NONE;
}

struct members {
	VEC(const char *) keys;
	VEC(struct node *) items;
};

static ptrdiff_t
member_at(const struct members *m, const char *key)
{
	for (size_t i = 0; i < m->keys.n; i++)
		if (strcmp(m->keys.v[i], key) == 0)
			return (ptrdiff_t)i;
	return -1;
}

/* "<<": members of one map or of a list of maps, as far as the map itself does not have them. */
static enum err_kind
merge(struct reader *r, struct members *own, const struct node *from)
{
	for (size_t i = 0; from->type == NODE_LIST && i < from->n; i++) {
		if (from->items[i]->type != NODE_MAP)
			return fail(r, ERR_BAD_INPUT, (size_t)from->line, "a merge key takes maps");
		TRY(merge(r, own, from->items[i]));
	}
	if (from->type == NODE_LIST)
		return ERR_NONE;
	if (from->type != NODE_MAP)
		return fail(r, ERR_BAD_INPUT, (size_t)from->line, "a merge key takes maps");
	for (size_t i = 0; i < from->n; i++) {
		if (member_at(own, from->keys[i]) >= 0)
			continue;
		if (own->keys.n >= MAX_KEYS)
			return fail(r, ERR_TOO_LARGE, (size_t)from->line, "more than 2,000 keys in one map");
		vec_push(r->c->mem, &own->keys, from->keys[i]);
		vec_push(r->c->mem, &own->items, from->items[i]);
	}
	return ERR_NONE;
}

static enum err_kind
read_member(struct reader *r, int depth, struct members *m, const struct node **merged)
{
	struct node *key, *value;

	TRY(read_node(r, depth + 1, &key));
	TRY(next_event(r));
	TRY(read_node(r, depth + 1, &value));
	if (key->type == NODE_LIST || key->type == NODE_MAP)
		return fail(r, ERR_BAD_INPUT, (size_t)key->line, "a key that is not a word");
	if (key->is_plain && strcmp(key->text, "<<") == 0) {
		*merged = value;
		return ERR_NONE;
	}
	const ptrdiff_t at = member_at(m, key->text);
	if (at >= 0) {
		conf_note(r->rep, CONF_WARNING, depth == 0 ? key->text : "", key->line,
		          "the key %s is given twice: the later one counts", key->text);
		m->items.v[at] = value;
		return ERR_NONE;
	}
	vec_push(r->c->mem, &m->keys, key->text);
	vec_push(r->c->mem, &m->items, value);
	return ERR_NONE;
}

static enum err_kind
read_map(struct reader *r, int depth, struct node *nd)
{
	struct members m = { 0 };
	const struct node *merged = NULL;

	for (;;) {
		TRY(next_event(r));
		if (r->ev.type == YAML_MAPPING_END_EVENT)
			break;
		if (m.keys.n >= MAX_KEYS)
			return fail(r, ERR_TOO_LARGE, r->ev.start_mark.line + 1,
			            "more than 2,000 keys in one map");
		TRY(read_member(r, depth, &m, &merged));
	}
	if (merged != NULL)
		TRY(merge(r, &m, merged));
	for (size_t i = 0; i < m.items.n; i++)
		nd->weight += m.items.v[i]->weight + strlen(m.keys.v[i]) / TEXT_PER_NODE;
	nd->keys = m.keys.v;
	nd->items = m.items.v;
	nd->n = m.keys.n;
	return ERR_NONE;
}

static enum err_kind
check_tag(struct reader *r, const yaml_char_t *tag, const char *plain)
{
	if (tag == NULL || strcmp((const char *)tag, "!") == 0 || tag_is(tag, plain))
		return ERR_NONE;
	return fail(r, ERR_BAD_INPUT, r->ev.start_mark.line + 1,
	            "a tag that is not one of YAML's plain types");
}

/* The value whose first event is in r->ev. */
static enum err_kind
read_node(struct reader *r, int depth, struct node **out)
{
	const size_t line = r->ev.start_mark.line + 1;
	size_t anchor;

	if (depth > NODE_MAX_DEPTH)
		return fail(r, ERR_TOO_LARGE, line, "nested deeper than 32 levels");
	switch (r->ev.type) {
	case YAML_ALIAS_EVENT:
		return read_alias(r, out);
	case YAML_SCALAR_EVENT:
		anchor = note_anchor(r, r->ev.data.scalar.anchor);
		TRY(read_scalar(r, out));
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = note_anchor(r, r->ev.data.sequence_start.anchor);
		TRY(check_tag(r, r->ev.data.sequence_start.tag, "seq"));
		*out = new_node(r, NODE_LIST);
		TRY(count(r, 1, line));
		TRY(read_list(r, depth, *out));
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = note_anchor(r, r->ev.data.mapping_start.anchor);
		TRY(check_tag(r, r->ev.data.mapping_start.tag, "map"));
		*out = new_node(r, NODE_MAP);
		TRY(count(r, 1, line));
		TRY(read_map(r, depth, *out));
		break;
	default:
		return fail(r, ERR_BAD_INPUT, line, "not a value");
	}
	if (anchor > 0)
		r->anchors.v[anchor - 1].node = *out;
	return ERR_NONE;
}

static enum err_kind
read_document(struct reader *r, struct node **out)
{
	struct node *root = NULL;

	TRY(next_event(r)); /* the stream */
	TRY(next_event(r));
	if (r->ev.type == YAML_DOCUMENT_START_EVENT) {
		TRY(next_event(r));
		TRY(read_node(r, 0, &root));
		TRY(next_event(r)); /* the document's end */
		TRY(next_event(r));
		if (r->ev.type != YAML_STREAM_END_EVENT)
			return fail(r, ERR_BAD_INPUT, r->ev.start_mark.line + 1, "a second document");
	}
	*out = root;
	return ERR_NONE;
}

static size_t
line_of(struct str text, const uint8_t *at)
{
	size_t line = 1;

	for (const char *p = text.p; p < (const char *)at; p++)
		line += *p == '\n';
	return line;
}

enum err_kind
node_parse(struct ctx *c, struct str text, struct conf_report *rep, struct node **out)
{
	struct reader *r = ARENA_NEW(c->mem, struct reader);
	enum err_kind k;

	r->c = c;
	r->rep = rep;
	if (text.n > NODE_MAX_BYTES)
		return fail(r, ERR_TOO_LARGE, 0, "larger than 1 MiB");
	const uint8_t *bad = text.n == 0 ? NULL : u8_check((const uint8_t *)text.p, text.n);
	if (bad != NULL)
		return fail(r, ERR_BAD_INPUT, line_of(text, bad), "not UTF-8 text");
	if (!yaml_parser_initialize(&r->parser))
		return fail(r, ERR_BUSY, 0, "no memory for the parser");
	arena_defer(c->mem, reader_close, r);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)(text.p == NULL ? "" : text.p),
	                             text.n);
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	k = read_document(r, out);
	arena_undefer(c->mem, reader_close, r);
	reader_close(r);
	return k;
}
