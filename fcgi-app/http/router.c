/* The tree: one node per distinct segment pattern under its parent. A node that ends a path holds the rows of that path, one
 * per method. The children of a node are sorted by preference, so the first full match in the walk is the best one. A repo
 * segment may itself be called blobs, manifests or tags: <repo:> is tried at every length, longest first, but a tail that a row
 * names goes before a longer name: repository/a/b/tag is the tags of a/b. */
#include "http/router.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/counters.h"
#include "base/ctx.h"
#include "http/request.h"
#include "http/route.h"
#include "http/uri.h"

enum kind {
	KIND_LITERAL,
	KIND_INT,
	KIND_REF,
	KIND_NAME,
	KIND_REPOPATH,
	KIND_REPO
}; /* in order of preference */
static const char *const CONVERTER[] = { [KIND_INT] = "int",
	                                 [KIND_REF] = "ref",
	                                 [KIND_NAME] = "name",
	                                 [KIND_REPOPATH] = "repopath",
	                                 [KIND_REPO] = "repo" };
#define KINDS 6

struct row {
	const struct route *route;
	const char *names[ROUTE_CAPTURES];
	int n_names;
	unsigned index;   /* of its counters */
	struct row *next; /* other methods of the path */
};
struct node {
	enum kind kind;
	struct str text; /* of a literal */
	struct node *child, *next;
	struct row *rows, **rows_end;
};
struct router {
	struct arena *mem;
	struct node *root;
	struct row **all;
	size_t n;
};
struct build {
	struct router *r;
	char *why;
	size_t why_bytes;
};
/* One walk. */
struct walk {
	const struct uri *uri;
	struct req *rq;
	struct {
		int from, to; /* segments */
	} cap[ROUTE_CAPTURES];
	int n;
	const struct row *found;
	unsigned allowed;
};

static bool __attribute__((format(printf, 2, 3))) refuse(const struct build *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->why, b->why_bytes, fmt, ap);
	va_end(ap);
	return false;
}

static struct node *
child_for(const struct build *b, struct node *parent, enum kind kind, struct str text)
{
	struct node **at = &parent->child;

	for (; *at != NULL && (*at)->kind <= kind; at = &(*at)->next) {
		if ((*at)->kind == kind && (kind != KIND_LITERAL || str_eq((*at)->text, text)))
			return *at;
	}
	struct node *nd = ARENA_NEW(b->r->mem, struct node);
	nd->kind = kind;
	nd->text = text;
	nd->next = *at;
	nd->rows_end = &nd->rows;
	*at = nd;
	return nd;
}

/* "<int:id>" → kind and name. */
static bool
converter(const struct build *b, const struct route *rt, struct str seg, enum kind *kind, const char **name)
{
	struct str head, tail;

	if (seg.p[seg.n - 1] != '>' || !str_cut(str_sub(seg, 1, seg.n - 1), ':', &head, &tail) || tail.n == 0)
		return refuse(b, "route %s: <converter:name> expected in %s", rt->id, rt->path);
	for (int k = KIND_INT; k < KINDS; k++) {
		if (str_eq_c(head, CONVERTER[k])) {
			*kind = (enum kind)k;
			*name = str_dup(b->r->mem, tail);
			return true;
		}
	}
	return refuse(b, "route %s: unknown converter %.*s in %s", rt->id, STRF(head), rt->path);
}

static bool
take_pattern(const struct build *b, struct row *row, struct node **at)
{
	const struct route *rt = row->route;
	struct str rest = str_of(rt->path), seg;

	if (rest.n == 0 || rest.p[0] != '/')
		return refuse(b, "route %s: path %s does not begin with a slash", rt->id, rt->path);
	rest = str_sub(rest, 1, rest.n);
	while (rest.n > 0) {
		enum kind kind = KIND_LITERAL;
		str_cut(rest, '/', &seg, &rest);
		if (seg.n == 0)
			return refuse(b, "route %s: empty segment in %s", rt->id, rt->path);
		if (seg.p[0] == '<') {
			if (row->n_names == ROUTE_CAPTURES)
				return refuse(b, "route %s: more than %d captures", rt->id, ROUTE_CAPTURES);
			if (!converter(b, rt, seg, &kind, &row->names[row->n_names]))
				return false;
			row->n_names++;
		}
		*at = child_for(b, *at, kind, seg);
	}
	return true;
}

static bool
add_row(const struct build *b, const struct route *rt)
{
	struct node *at = b->r->root;
	struct row *row = ARENA_NEW(b->r->mem, struct row);

	row->route = rt;
	if (rt->methods == 0 || rt->run == NULL)
		return refuse(b, "route %s: no method or no handler", rt->id);
	if (!take_pattern(b, row, &at))
		return false;
	for (const struct row *o = at->rows; o != NULL; o = o->next) {
		if ((o->route->methods & rt->methods) != 0)
			return refuse(b, "routes %s and %s: one path and method, %s", o->route->id, rt->id,
			              rt->path);
	}
	*at->rows_end = row;
	at->rows_end = &row->next;
	b->r->all[b->r->n++] = row;
	return true;
}

struct router *
router_build(const struct route *const *tables, char *why, size_t why_bytes)
{
	struct arena *mem = arena_new(0);
	struct router *r = ARENA_NEW(mem, struct router);
	struct build b = { .r = r, .why = why, .why_bytes = why_bytes };
	size_t n = 0;

	r->mem = mem;
	r->root = ARENA_NEW(mem, struct node);
	r->root->rows_end = &r->root->rows;
	for (const struct route *const *t = tables; *t != NULL; t++) {
		for (const struct route *rt = *t; rt->id != NULL; rt++)
			n++;
	}
	r->all = ARENA_ARRAY(mem, struct row *, n);
	for (const struct route *const *t = tables; *t != NULL; t++) {
		for (const struct route *rt = *t; rt->id != NULL; rt++) {
			if (!add_row(&b, rt)) {
				router_free(r);
				return NULL;
			}
		}
	}
	return r;
}

void
router_free(struct router *r)
{
	if (r != NULL)
		arena_free(r->mem);
}

void
router_count(struct router *r, struct counters *cs)
{
	for (size_t i = 0; i < r->n; i++)
		r->all[i]->index = counters_route(cs, r->all[i]->route->id);
}

const struct route *
router_row(const struct router *r, size_t i)
{
	return i < r->n ? r->all[i]->route : NULL;
}

static bool
flag_is_on(const struct conf *cf, size_t flag)
{
	return flag == 0 || (cf != NULL && *((const bool *)cf + flag - 1));
}

bool
route_is_on(const struct conf *cf, const struct route *rt)
{
	return flag_is_on(cf, rt->feature) && flag_is_on(cf, rt->feature_too) && flag_is_on(cf, rt->feature_third);
}

/* The walk is at the end of a path: its rows count. True ends the walk: one is for the request's method, or all of them are
 * switched off: then the path does not exist, and is not taken for a longer name of a repository either. */
static bool
take_rows(struct walk *w, const struct node *nd)
{
	bool any_on = nd->rows == NULL;

	for (const struct row *row = nd->rows; row != NULL; row = row->next) {
		if (!route_is_on(w->rq->c->conf, row->route))
			continue;
		any_on = true;
		w->allowed |= row->route->methods;
		if ((row->route->methods & w->rq->method) != 0) {
			w->found = row;
			return true;
		}
	}
	if (!any_on)
		w->allowed = 0;
	return !any_on;
}

static bool
is_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return s.n > 0;
}

static bool
takes_segment(const struct node *nd, const struct uri_segment *sg)
{
	switch (nd->kind) {
	case KIND_LITERAL:
		return str_eq(nd->text, sg->text);
	case KIND_INT:
		return is_digits(sg->text) && sg->text.n <= 18;
	case KIND_REF:
		return !sg->has_slash;
	case KIND_NAME:
		return true;
	case KIND_REPOPATH:
	case KIND_REPO:
		break;
	}
	return false;
}

static bool walk_from(struct walk *w, const struct node *nd,
                      int i); /* trees are walked by recursion: depth ≤ 64 */

static bool
walk_repo(struct walk *w, const struct node *nd, int i)
{
	const int at = w->n;

	if (at == ROUTE_CAPTURES)
		return false;
	const int least = nd->kind == KIND_REPOPATH && !w->uri->seg[i].has_slash ? 2 : 1;
	/* Tails first, behind the longest name that leaves one; the whole rest as a name last. */
	for (int tail = 1; tail <= w->uri->n - i; tail++) {
		const int to = tail < w->uri->n - i ? w->uri->n - tail : w->uri->n;
		if (to - i < least)
			continue;
		w->cap[at].from = i;
		w->cap[at].to = to;
		w->n = at + 1;
		if (walk_from(w, nd, to))
			return true;
	}
	w->n = at;
	return false;
}

static bool
walk_from(struct walk *w, const struct node *nd, int i)
{
	if (i == w->uri->n)
		return take_rows(w, nd);
	for (const struct node *ch = nd->child; ch != NULL; ch = ch->next) {
		const int at = w->n;
		if (ch->kind >= KIND_REPOPATH) {
			if (walk_repo(w, ch, i))
				return true;
			continue;
		}
		if (!takes_segment(ch, &w->uri->seg[i]) || (ch->kind != KIND_LITERAL && at == ROUTE_CAPTURES))
			continue;
		if (ch->kind != KIND_LITERAL) {
			w->cap[at].from = i;
			w->cap[at].to = i + 1;
			w->n = at + 1;
		}
		if (walk_from(w, ch, i + 1))
			return true;
		w->n = at;
	}
	return false;
}

static struct str
capture_text(const struct walk *w, int k)
{
	struct buf b = BUF(w->rq->c->mem);

	if (w->cap[k].to - w->cap[k].from == 1)
		return w->uri->seg[w->cap[k].from].text;
	for (int i = w->cap[k].from; i < w->cap[k].to; i++) {
		if (i > w->cap[k].from)
			buf_putc(&b, '/');
		buf_put(&b, w->uri->seg[i].text);
	}
	return buf_str(&b);
}

void
router_match(const struct router *r, struct req *rq, const struct uri *uri)
{
	struct walk w = { .uri = uri, .rq = rq };

	rq->route = NULL;
	rq->route_index = 0;
	rq->n_captures = 0;
	rq->allowed = 0;
	if (uri->n < 0)
		return;
	const bool ended = walk_from(&w, r->root, 0);
	rq->allowed = w.allowed;
	if (!ended || w.found == NULL)
		return;
	rq->route = w.found->route;
	rq->route_index = w.found->index;
	rq->proto = w.found->route->proto;
	rq->n_captures = w.found->n_names;
	for (int k = 0; k < w.found->n_names; k++) {
		rq->captures[k].name = w.found->names[k];
		rq->captures[k].value = capture_text(&w, k);
	}
}

void
router_put_methods(struct buf *b, unsigned methods)
{
	static const char *const NAME[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
	const char *sep = "";

	for (unsigned i = 0; i < sizeof NAME / sizeof *NAME; i++) {
		if ((methods >> i & 1) != 0) {
			buf_putf(b, "%s%s", sep, NAME[i]);
			sep = ", ";
		}
	}
}
