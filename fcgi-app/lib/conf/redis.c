/* The Redis blocks: keyword arguments of a client, of which we take those that say how to connect. */
#include <string.h>

#include "base/ctx.h"
#include "conf/load.h"

struct block {
	struct load *l;
	const char *name;
	const struct node *map;
};

static const char *
text(const struct block *b, const char *key)
{
	const struct node *nd = node_get(b->map, key);

	if (nd == NULL || (nd->text != NULL && nd->text[0] == '\0'))
		return NULL;
	if (nd->text == NULL)
		conf_note(b->l->rep, CONF_ERROR, str_fmt(b->l->c->mem, "%s.%s", b->name, key), nd->line,
		          "a text is wanted, this is %s", node_type_name(nd));
	return nd->text;
}

static const char *
file(const struct block *b, const char *key)
{
	const char *v = text(b, key);

	return v == NULL ? NULL : conf_file(b->l->c->mem, b->l->conf, v);
}

static int
number(const struct block *b, const char *key, int64_t min, int64_t max, int def)
{
	const struct node *nd = node_get(b->map, key);
	int64_t v;

	if (nd == NULL)
		return def;
	if (node_i64(nd, &v) && v >= min && v <= max)
		return (int)v;
	conf_note(b->l->rep, CONF_ERROR, str_fmt(b->l->c->mem, "%s.%s", b->name, key), nd->line,
	          "a number from %lld to %lld is wanted", (long long)min, (long long)max);
	return def;
}

static bool
truth(const struct block *b, const char *key, bool def)
{
	const struct node *nd = node_get(b->map, key);
	bool v;

	if (nd == NULL)
		return def;
	if (!node_bool(nd, &v)) {
		conf_note(b->l->rep, CONF_ERROR, str_fmt(b->l->c->mem, "%s.%s", b->name, key), nd->line,
		          "true or false is wanted");
		return def;
	}
	return v;
}

static enum conf_redis_verify
verify(const struct block *b)
{
	static const char *const words[] = { "none", "optional", "required" };
	const char *v = text(b, "ssl_cert_reqs");

	for (int i = 0; v != NULL && i < 3; i++)
		if (str_eq_nocase(str_of(v), str_of(words[i])))
			return (enum conf_redis_verify)i;
	if (v != NULL)
		conf_note(b->l->rep, CONF_ERROR, str_fmt(b->l->c->mem, "%s.ssl_cert_reqs", b->name),
		          node_get(b->map, "ssl_cert_reqs")->line, "required, optional or none is wanted");
	return CONF_REDIS_VERIFY_REQUIRED;
}

/* "TLSv1.2", "TLSv1_2", "TLSVersion.TLSv1_2" or the number that Python has for it. */
static const char *
min_version(const struct block *b)
{
	static const struct {
		const char *word, *name;
	} words[] = {
		{"769",      "TLSv1"  },
                { "770",     "TLSv1.1"},
                { "771",     "TLSv1.2"},
		{ "772",     "TLSv1.3"},
                { "TLSv1",   "TLSv1"  },
                { "TLSv1.1", "TLSv1.1"},
		{ "TLSv1.2", "TLSv1.2"},
                { "TLSv1.3", "TLSv1.3"},
                { "TLSv1_1", "TLSv1.1"},
		{ "TLSv1_2", "TLSv1.2"},
                { "TLSv1_3", "TLSv1.3"}
	};
	const char *v = text(b, "ssl_min_version");

	if (v == NULL)
		return NULL;
	if (strncmp(v, "TLSVersion.", 11) == 0)
		v += 11;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(v, words[i].word) == 0)
			return words[i].name;
	conf_note(b->l->rep, CONF_ERROR, str_fmt(b->l->c->mem, "%s.ssl_min_version", b->name),
	          node_get(b->map, "ssl_min_version")->line, "TLSv1.2 or TLSv1.3 is wanted");
	return NULL;
}

static void
name_others(const struct block *b)
{
	static const char *const known[] = { "host",
		                             "port",
		                             "password",
		                             "username",
		                             "db",
		                             "ssl",
		                             "ssl_cert_reqs",
		                             "ssl_ca_certs",
		                             "ssl_ca_path",
		                             "ssl_certfile",
		                             "ssl_keyfile",
		                             "ssl_check_hostname",
		                             "ssl_min_version",
		                             "ssl_ciphers",
		                             "unix_socket_path",
		                             "client_name" };
	const size_t n = sizeof known / sizeof known[0];

	for (size_t i = 0; i < b->map->n; i++) {
		size_t at = 0;
		while (at < n && strcmp(known[at], b->map->keys[i]) != 0)
			at++;
		if (at == n)
			conf_note(b->l->rep, CONF_INFO,
			          str_fmt(b->l->c->mem, "%s.%.60s", b->name, b->map->keys[i]),
			          b->map->items[i]->line, "has no effect here");
	}
}

void
redis_load(struct load *l, const char *name, int default_db, struct conf_redis *out)
{
	static const struct node empty = { .type = NODE_MAP };
	const struct node *given = load_given(l, name);
	const struct block b = { l, name, given != NULL && given->type == NODE_MAP ? given : &empty };

	out->host = text(&b, "host");
	out->port = number(&b, "port", 1, 65535, 6379);
	out->db = number(&b, "db", 0, 65535, default_db);
	out->unix_socket_path = text(&b, "unix_socket_path");
	out->username = text(&b, "username");
	out->password = text(&b, "password");
	out->client_name = text(&b, "client_name");
	out->ssl = truth(&b, "ssl", false);
	out->ssl_check_hostname = truth(&b, "ssl_check_hostname", true);
	out->ssl_cert_reqs = verify(&b);
	out->ssl_ca_certs = file(&b, "ssl_ca_certs");
	out->ssl_ca_path = file(&b, "ssl_ca_path");
	out->ssl_certfile = file(&b, "ssl_certfile");
	out->ssl_keyfile = file(&b, "ssl_keyfile");
	out->ssl_min_version = min_version(&b);
	out->ssl_ciphers = text(&b, "ssl_ciphers");
	out->sentinels = l->conf->kade_redis_sentinels;
	out->sentinel_primary = l->conf->kade_redis_sentinel_primary;
	out->sentinel_username = l->conf->kade_redis_sentinel_username;
	out->sentinel_password = l->conf->kade_redis_sentinel_password;
	if (out->host == NULL) {
		if (given != NULL && out->unix_socket_path == NULL && out->sentinels.n == 0)
			conf_note(l->rep, CONF_ERROR, name, given->line, "host is missing");
		out->host = "localhost";
	}
	name_others(&b);
}
