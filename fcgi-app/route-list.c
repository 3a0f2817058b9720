/* The route tables as Markdown and as OpenAPI. docs/api.md and docs/openapi.json are made by this; a test compares them. */
#include "route-list.h"

#include <string.h>

#include "api/openapi.h"
#include "api/subject.h"
#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/js.h"
#include "http/field.h"
#include "http/route-words.h"
#include "http/router.h"

/* Groups besides the subjects of the API, by the beginning of the path; the last takes the rest. */
static const struct {
	const char *begins, *title;
} OTHERS[] = {
	{ "/v2/", "registry (OCI distribution)" },
	{ "/oauth/", "OAuth" },
	{ "/keys/", "key server" },
	{ "/health", "health" },
	{ "/", "other documents" },
};
#define N_OTHERS (sizeof OTHERS / sizeof *OTHERS)

static bool
is_api(const struct route *rt)
{
	return strncmp(rt->path, SUBJECT_PREFIX, sizeof SUBJECT_PREFIX - 1) == 0;
}

static size_t
other_of(const struct route *rt)
{
	size_t i = 0;

	while (strncmp(rt->path, OTHERS[i].begins, strlen(OTHERS[i].begins)) != 0)
		i++;
	return i;
}

/* A text in a cell of a table or a line of a list. */
static void
put_text(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '|' || *s == '<')
			buf_putc(b, '\\');
		buf_putc(b, *s == '\n' ? ' ' : *s);
	}
}

static void
put_rights(struct buf *b, const struct route *rt)
{
	const char *features[ROUTE_FEATURES + 1];

	buf_puts(b, "Who: ");
	put_text(b, route_perm_words(rt->perm));
	if ((rt->flags & ROUTE_SU_READ) != 0)
		buf_puts(b, "; superusers with full access and global read-only superusers");
	else if ((rt->flags & ROUTE_SU_FULL) != 0)
		buf_puts(b, "; superusers with full access");
	if (rt->scope != 0 && rt->auth == AUTH_API) {
		buf_puts(b, ". Scope: ");
		for (size_t i = 0, n = 0; i < SCOPE_COUNT; i++)
			if ((rt->scope & SCOPES[i].bit) != 0)
				buf_putf(b, "%s`%s`", n++ == 0 ? "" : " or ", SCOPES[i].name);
	}
	route_features(rt, features);
	for (size_t i = 0; features[i] != NULL; i++)
		buf_putf(b, "%s`%s`", i == 0 ? ". Only with " : " and ", features[i]);
	if ((rt->flags & ROUTE_FRESH) != 0)
		buf_puts(b, ". Asks for a fresh login");
	if ((rt->flags & ROUTE_NO_CSRF) != 0 && rt->auth == AUTH_API && (rt->methods & HTTP_GET) == 0)
		buf_puts(b, ". No CSRF token is asked for");
	if ((rt->flags & ROUTE_STATE_NORMAL) != 0)
		buf_puts(b, ". 503 while the repository is read-only or a mirror");
	if ((rt->flags & ROUTE_UNSERVED) != 0)
		buf_puts(b, ". Not served: 404 to reads, 405 to the rest");
	buf_puts(b, ".\n");
}

static void
put_parameters(struct buf *b, const struct route *rt)
{
	if (rt->query == NULL || rt->query->name == NULL)
		return;
	buf_puts(b, "\n| query | type | |\n|---|---|---|\n");
	for (const struct param *p = rt->query; p->name != NULL; p++) {
		buf_putf(b, "| `%s` | %s | ", p->name, p->is_int ? "integer" : "text");
		put_text(b, p->doc != NULL ? p->doc : "");
		buf_puts(b, " |\n");
	}
}

static void
put_bounds(struct buf *b, const struct field *f)
{
	if (f->type == FIELD_INT && (f->min != 0 || f->max != 0))
		buf_putf(b, ", %lld to %lld", (long long)f->min, (long long)f->max);
	if (f->type == FIELD_STR && f->max > 0)
		buf_putf(b, ", %lld to %lld bytes", (long long)f->min, (long long)f->max);
	for (size_t i = 0; f->one_of != NULL && f->one_of[i] != NULL; i++)
		buf_putf(b, "%s`%s`", i == 0 ? ": " : ", ", f->one_of[i]);
}

static void
put_fields(struct buf *b, const struct route *rt)
{
	if (rt->body == NULL)
		return;
	if (rt->body->name == NULL) {
		buf_puts(b, "\nBody: a JSON object; its members are read by the call itself.\n");
		return;
	}
	buf_puts(b, "\n| body | type | |\n|---|---|---|\n");
	for (const struct field *f = rt->body; f->name != NULL; f++) {
		buf_putf(b, "| `%s`%s | %s%s", f->name, f->is_required ? " (required)" : "",
		         f->type == FIELD_ANY ? "any" : field_type_words(f->type),
		         f->may_be_null ? " or null" : "");
		put_bounds(b, f);
		buf_puts(b, " | ");
		put_text(b, f->doc != NULL ? f->doc : "");
		buf_puts(b, " |\n");
	}
}

static void
put_row(struct buf *b, const struct route *rt)
{
	buf_puts(b, "\n#### `");
	router_put_methods(b,
	                   (rt->methods & HTTP_GET) != 0 ? rt->methods & ~(unsigned)HTTP_HEAD : rt->methods);
	buf_putf(b, " %s`\n\n`%s`: ", route_path_words(b->mem, rt), rt->id);
	put_text(b, rt->doc != NULL ? rt->doc : "");
	buf_puts(b, "\n\n");
	put_rights(b, rt);
	put_parameters(b, rt);
	put_fields(b, rt);
}

static void
put_api(struct buf *b, const struct route *const *tables)
{
	for (size_t s = 0; s < SUBJECT_COUNT; s++) {
		size_t first = 0;
		while (strcmp(SUBJECTS[first].tag, SUBJECTS[s].tag) != 0)
			first++;
		if (first != s) /* shown with the first of its name */
			continue;
		buf_putf(b, "\n### %s\n\n%s\n", SUBJECTS[s].tag, SUBJECTS[s].description);
		for (const struct route *const *t = tables; *t != NULL; t++)
			for (const struct route *rt = *t; rt->id != NULL; rt++)
				if (is_api(rt) && strcmp(SUBJECTS[subject_of(rt)].tag, SUBJECTS[s].tag) == 0)
					put_row(b, rt);
	}
}

static void
put_others(struct buf *b, const struct route *const *tables)
{
	for (size_t i = 0; i < N_OTHERS; i++) {
		buf_putf(b, "\n### %s\n", OTHERS[i].title);
		for (const struct route *const *t = tables; *t != NULL; t++)
			for (const struct route *rt = *t; rt->id != NULL; rt++)
				if (!is_api(rt) && other_of(rt) == i)
					put_row(b, rt);
	}
}

/* True when everything has reached the file. */
static bool
finish(FILE *f, const char *text, size_t n)
{
	return fwrite(text, 1, n, f) == n && fflush(f) == 0;
}

bool
route_list_write(const struct route *const *tables, FILE *f)
{
	struct arena *mem = arena_new(0);
	struct buf b = BUF(mem);
	bool ok;

	buf_puts(&b, "## Calls of the API\n");
	put_api(&b, tables);
	buf_puts(&b, "\n## Other paths\n");
	put_others(&b, tables);
	ok = finish(f, b.p, b.n);
	arena_free(mem);
	return ok;
}

bool
route_list_write_openapi(const struct route *const *tables, FILE *f)
{
	struct ctx c = { .mem = arena_new(0) };
	const json_t *o = openapi_document(&c, NULL, tables);
	bool ok = json_dumpf(o, f, JSON_INDENT(1)) == 0 && finish(f, "\n", 1);

	arena_free(c.mem);
	return ok;
}
