/* What the processes and the HTTP side need of config.yaml before anything else: names, places, proxies, logs. Read from the
 * YAML document as it stands; a value of the wrong kind is an error that names its key. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "app.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "http/access-log.h"
#include "http/client-addr.h"

#define STRINGS_MAX 64

struct reader {
	yaml_document_t doc;
	struct arena *mem;
	struct app_settings *s;
	const char *path;
	char *why;
	size_t why_bytes;
};

static bool __attribute__((format(printf, 2, 3))) fail(const struct reader *r, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	snprintf(r->why, r->why_bytes, "%s: %s", r->path, text);
	return false;
}

static yaml_node_t *
member(struct reader *r, const yaml_node_t *map, const char *key)
{
	if (map == NULL || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = yaml_document_get_node(&r->doc, p->key);
		if (k->type == YAML_SCALAR_NODE && strcmp((const char *)k->data.scalar.value, key) == 0)
			return yaml_document_get_node(&r->doc, p->value);
	}
	return NULL;
}

static bool
text(struct reader *r, const yaml_node_t *map, const char *key, const char *def, const char **out)
{
	const yaml_node_t *n = member(r, map, key);

	*out = def;
	if (n == NULL)
		return true;
	if (n->type != YAML_SCALAR_NODE)
		return fail(r, "%s: a text expected", key);
	*out = str_dup(r->mem, (struct str){ (const char *)n->data.scalar.value, n->data.scalar.length });
	return *out != NULL || fail(r, "%s: a NUL byte", key);
}

static bool
number(struct reader *r, const yaml_node_t *map, const char *key, int max, int *out)
{
	const char *s;
	int64_t v = 0;

	if (!text(r, map, key, NULL, &s))
		return false;
	if (s != NULL && !str_to_i64(str_of(s), 0, max, &v))
		return fail(r, "%s: a number from 0 to %d expected", key, max);
	*out = (int)v;
	return true;
}

/* A list of texts, or one text as a list of one. */
static bool
texts(struct reader *r, const yaml_node_t *map, const char *key, struct str_list *out)
{
	const yaml_node_t *n = member(r, map, key);
	const char **v = ARENA_ARRAY(r->mem, const char *, STRINGS_MAX);

	*out = (struct str_list){ .v = v };
	if (n == NULL)
		return true;
	if (n->type == YAML_SCALAR_NODE) {
		out->n = 1;
		return text(r, map, key, NULL, &v[0]);
	}
	if (n->type != YAML_SEQUENCE_NODE)
		return fail(r, "%s: a list of texts expected", key);
	for (const yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
		const yaml_node_t *e = yaml_document_get_node(&r->doc, *i);
		if (e->type != YAML_SCALAR_NODE || out->n == STRINGS_MAX)
			return fail(r, "%s: a list of at most %d texts expected", key, STRINGS_MAX);
		v[out->n++] = str_dup_c(r->mem, (const char *)e->data.scalar.value);
	}
	return true;
}

static bool
take_proxies(struct reader *r, const yaml_node_t *root)
{
	struct str_list l;
	struct cidr *c;

	if (!texts(r, root, "TRUSTED_PROXY_CIDR", &l))
		return false;
	c = ARENA_ARRAY(r->mem, struct cidr, l.n);
	for (size_t i = 0; i < l.n; i++) {
		if (!cidr_parse(str_of(l.v[i]), &c[i]))
			return fail(r, "TRUSTED_PROXY_CIDR: %s is no address range", l.v[i]);
	}
	r->s->http.trusted = c;
	r->s->http.n_trusted = l.n;
	return true;
}

static bool
is_host(const char *s)
{
	for (const char *p = s; *p != '\0'; p++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]", *p) == NULL)
			return false;
	}
	return *s != '\0';
}

static bool
take_names(struct reader *r, const yaml_node_t *root, const yaml_node_t *own)
{
	struct http_conf *h = &r->s->http;

	if (!text(r, root, "SERVER_HOSTNAME", "localhost:5000", &h->host) ||
	    !text(r, root, "PREFERRED_URL_SCHEME", "http", &h->scheme) ||
	    !text(r, own, "URL_PREFIX", "", &h->mount) || !texts(r, root, "CORS_ORIGIN", &h->cors_origins))
		return false;
	if (!is_host(h->host))
		return fail(r, "SERVER_HOSTNAME: host or host:port expected");
	if (strcmp(h->scheme, "http") != 0 && strcmp(h->scheme, "https") != 0)
		return fail(r, "PREFERRED_URL_SCHEME: http or https expected");
	if (h->mount[0] != '\0' && (h->mount[0] != '/' || str_ends(str_of(h->mount), STR("/"))))
		return fail(
		    r, "KADE.URL_PREFIX: a path that begins with a slash and does not end with one expected");
	return true;
}

static bool
take_logs(struct reader *r, const yaml_node_t *own)
{
	static const char *const LEVEL[] = { "error", "warn", "info", "debug" };
	struct app_settings *s = r->s;
	const char *access, *level;

	if (!text(r, own, "STATE_DIR", KADE_LOCALSTATEDIR, &s->state_dir) ||
	    !text(r, own, "LOG", "-", &s->log) || !text(r, own, "ACCESS_LOG_FILE", NULL, &s->access_log) ||
	    !text(r, own, "ACCESS_LOG", "errors", &access) || !text(r, own, "LOG_LEVEL", "info", &level) ||
	    !number(r, own, "SLOW_REQUEST_MS", 3600000, &s->http.slow_ms) ||
	    !number(r, own, "IO_TIMEOUT_S", 86400, &s->http.io_timeout_s))
		return false;
	if (!access_parse(str_of(access), &s->http))
		return fail(r, "KADE.ACCESS_LOG: off, errors, sampled:N or all expected");
	for (s->log_level = 0; s->log_level < 4; s->log_level++) {
		if (strcmp(level, LEVEL[s->log_level]) == 0)
			return true;
	}
	return fail(r, "KADE.LOG_LEVEL: error, warn, info or debug expected");
}

static bool
take_document(struct reader *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(&r->doc);

	if (root == NULL || root->type != YAML_MAPPING_NODE)
		return fail(r, "a mapping of keys expected");
	const yaml_node_t *own = member(r, root, "KADE");
	if (own != NULL && own->type != YAML_MAPPING_NODE)
		return fail(r, "KADE: a mapping expected");
	return take_names(r, root, own) && take_proxies(r, root) && take_logs(r, own);
}

bool
app_load(const char *path, struct app_settings **out, char *why, size_t why_bytes)
{
	struct arena *mem = arena_new(0);
	struct reader r = { .mem = mem,
		            .s = ARENA_NEW(mem, struct app_settings),
		            .path = path,
		            .why = why,
		            .why_bytes = why_bytes };
	yaml_parser_t parser;
	FILE *f = fopen(path, "re");
	bool ok = false;

	r.s->mem = mem;
	if (f == NULL) {
		fail(&r, "cannot be read");
	} else if (!yaml_parser_initialize(&parser)) {
		fail(&r, "out of memory");
		fclose(f);
	} else {
		yaml_parser_set_input_file(&parser, f);
		if (!yaml_parser_load(&parser, &r.doc)) {
			fail(&r, "line %zu: %s", parser.problem_mark.line + 1,
			     parser.problem == NULL ? "no YAML" : parser.problem);
		} else {
			ok = take_document(&r);
			yaml_document_delete(&r.doc);
		}
		yaml_parser_delete(&parser);
		fclose(f);
	}
	if (!ok)
		arena_free(mem);
	else
		*out = r.s;
	return ok;
}

void
app_unload(struct app_settings *s)
{
	if (s != NULL)
		arena_free(s->mem);
}
