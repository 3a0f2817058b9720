/* Loading a configuration: built-in values, config.yaml, the environment; then what is made of several keys.
 * Rules: docs/configuration.md. A later source replaces a whole key; only KADE's members are keys of their
 * own. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "base/vec.h"
#include "conf/load.h"

static bool
is_upper_key(const char *key)
{
	bool any = false;

	for (const char *p = key; *p != '\0'; p++) {
		if (islower((unsigned char)*p))
			return false;
		any |= isupper((unsigned char)*p) != 0;
	}
	return any;
}

static void
unknown_key(struct load *l, const char *name, const struct node *nd)
{
	const struct conf_key *near = conf_key_suggest(name);

	if (near != NULL)
		conf_note(l->rep, CONF_WARNING, name, nd->line, "unknown key, ignored; did you mean %s?",
		          near->name);
	else
		conf_note(l->rep, CONF_WARNING, name, nd->line, "unknown key, ignored");
	json_object_set_new(l->conf->unknown, name, node_to_json(nd));
}

/* LDAP_, JWT_ and KEYSTONE_ would take the names of the internal engines. */
static void
provider(struct load *l, const char *key, const struct node *nd)
{
	if (str_starts(str_of(key), STR("LDAP_")) || str_starts(str_of(key), STR("JWT_")) ||
	    str_starts(str_of(key), STR("KEYSTONE_"))) {
		conf_note(l->rep, CONF_ERROR, key, nd->line, "a login provider cannot have this name");
		return;
	}
	if (nd->type == NODE_NULL || ((nd->type == NODE_MAP || nd->type == NODE_LIST) && nd->n == 0))
		return;
	if (nd->type != NODE_MAP) {
		conf_note(l->rep, CONF_ERROR, key, nd->line, "a map is wanted, this is %s",
		          node_type_name(nd));
		return;
	}
	if (strcmp(key, "GITHUB_LOGIN_CONFIG") != 0 && strcmp(key, "GOOGLE_LOGIN_CONFIG") != 0)
		conf_note(l->rep, CONF_WARNING, key, nd->line,
		          "login with OpenID Connect is not yet supported: ignored");
	json_object_set_new(l->conf->login_providers, key, node_to_json(nd));
}

static void
take_key(struct load *l, const char *name, const struct node *nd)
{
	const struct conf_key *k = conf_key_find(name);

	if (str_ends(str_of(name), STR("_LOGIN_CONFIG")) && strchr(name, '.') == NULL)
		provider(l, name, nd);
	if (k != NULL)
		l->given[k - CONF_KEYS] = nd;
	else if (!str_ends(str_of(name), STR("_LOGIN_CONFIG")))
		unknown_key(l, name, nd);
}

/* One source's top-level map. */
static void
take_map(struct load *l, const struct node *root)
{
	for (size_t i = 0; i < root->n; i++) {
		const char *key = root->keys[i];
		const struct node *nd = root->items[i];
		if (!is_upper_key(key)) {
			conf_note(l->rep, CONF_WARNING, key, nd->line, "keys are in upper case: ignored");
			continue;
		}
		if (strcmp(key, "KADE") != 0) {
			take_key(l, key, nd);
			continue;
		}
		if (nd->type != NODE_MAP && nd->type != NODE_NULL)
			conf_note(l->rep, CONF_ERROR, key, nd->line, "a map is wanted, this is %s",
			          node_type_name(nd));
		for (size_t j = 0; nd->type == NODE_MAP && j < nd->n; j++)
			take_key(l, str_fmt(l->c->mem, "KADE.%s", nd->keys[j]), nd->items[j]);
	}
}

static void
close_fd(void *p)
{
	close((int)(intptr_t)p);
}

static enum err_kind
read_file(struct load *l, int fd, struct str *out)
{
	char *p = arena_alloc(l->c->mem, NODE_MAX_BYTES + 2);
	size_t n = 0;
	ssize_t got;

	while (n < NODE_MAX_BYTES + 1) {
		got = read(fd, p + n, NODE_MAX_BYTES + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(l->c, ERR_BAD_INPUT, "%s: %s", l->conf->path, strerrordesc_np(errno));
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*out = (struct str){ p, n };
	return ERR_NONE;
}

/* The file's identity is taken from the open descriptor, so a file that is replaced meanwhile counts as
 * changed. */
static enum err_kind
open_file(struct load *l, struct conf_source *src, struct str *out)
{
	struct stat st;
	const int fd = open(l->conf->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		conf_note(l->rep, CONF_ERROR, "", 0, "%s: %s", l->conf->path, strerrordesc_np(errno));
		return err_set(l->c, ERR_BAD_INPUT, "%s: %s", l->conf->path, strerrordesc_np(errno));
	}
	arena_defer(l->c->mem, close_fd, (void *)(intptr_t)fd);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		conf_note(l->rep, CONF_ERROR, "", 0, "%s is not a file", l->conf->path);
		return err_set(l->c, ERR_BAD_INPUT, "%s is not a file", l->conf->path);
	}
	src->has_file = true;
	src->dev = st.st_dev;
	src->ino = st.st_ino;
	src->size = st.st_size;
	src->mtime = st.st_mtim;
	if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		conf_note(l->rep, CONF_WARNING, "", 0,
		          "%s holds secrets and everybody on this machine can read or change it",
		          l->conf->path);
	TRY(read_file(l, fd, out));
	arena_undefer(l->c->mem, close_fd, (void *)(intptr_t)fd);
	close(fd);
	return ERR_NONE;
}

static enum err_kind
load_file(struct load *l, struct conf_source *src)
{
	struct str text;
	struct node *root;

	TRY(open_file(l, src, &text));
	TRY(node_parse(l->c, text, l->rep, &root));
	if (root == NULL || root->type == NODE_NULL)
		return ERR_NONE;
	if (root->type != NODE_MAP) {
		conf_note(l->rep, CONF_ERROR, "", root->line, "the file has to be a map of keys, this is %s",
		          node_type_name(root));
		return err_set(l->c, ERR_BAD_INPUT, "%s is not a map of keys", l->conf->path);
	}
	take_map(l, root);
	return ERR_NONE;
}

/* Their JSON is counted before it is parsed, as any. */
static enum err_kind
load_environment(struct load *l)
{
	const char *override = getenv("QUAY_OVERRIDE_CONFIG"),
	           *pref = getenv("QUAY_DISTRIBUTED_STORAGE_PREFERENCE");
	json_t *root;

	if (override != NULL && override[0] != '\0') {
		if (js_parse(l->c, str_of(override), &JS_API, &root) != ERR_NONE || !json_is_object(root)) {
			conf_note(l->rep, CONF_ERROR, "", 0, "QUAY_OVERRIDE_CONFIG has to be a JSON object");
			return err_set(l->c, ERR_BAD_INPUT, "QUAY_OVERRIDE_CONFIG has to be a JSON object");
		}
		take_map(l, node_from_json(l->c->mem, root));
	}
	if (pref != NULL && pref[strspn(pref, " \t\r\n")] != '\0') {
		struct node *nd = ARENA_NEW(l->c->mem, struct node);
		struct str rest = str_trim(str_of(pref)), one;
		VEC(struct node *) items = { 0 };
		while (rest.n > 0) {
			const size_t n =
			    strcspn(rest.p, " \t\r\n") < rest.n ? strcspn(rest.p, " \t\r\n") : rest.n;
			one = str_sub(rest, 0, n);
			rest = str_trim(str_sub(rest, n, rest.n));
			struct node *item = ARENA_NEW(l->c->mem, struct node);
			item->type = NODE_STR;
			item->text = str_dup(l->c->mem, one);
			vec_push(l->c->mem, &items, item);
		}
		nd->type = NODE_LIST;
		nd->items = items.v;
		nd->n = items.n;
		take_key(l, "DISTRIBUTED_STORAGE_PREFERENCE", nd);
	}
	return ERR_NONE;
}

static enum err_kind
set_default(struct load *l, const struct conf_key *k)
{
	struct node nd = { .text = k->def }, *tree = &nd;

	if (k->def == NULL) {
		if ((k->flags & CONF_NULL) != 0 &&
		    (k->type == CONF_INT || k->type == CONF_DUR || k->type == CONF_SIZE))
			*(int64_t *)field_at(l->conf, k) = -1;
		return ERR_NONE;
	}
	if (k->type == CONF_LIST || k->type == CONF_JSON)
		TRY(node_parse(l->c, str_of(k->def), l->rep, &tree));
	else
		node_resolve(&nd);
	if (k->type == CONF_STR && k->def[0] == '\0')
		nd.type = NODE_STR;
	if (!field_set(l, k, tree))
		return err_set(l->c, ERR_BUG, "the built-in value of %s does not pass its own check",
		               k->name);
	return ERR_NONE;
}

static enum err_kind
set_fields(struct load *l)
{
	for (size_t i = 0; i < CONF_N_KEYS; i++)
		TRY(set_default(l, &CONF_KEYS[i]));
	for (size_t i = 0; i < CONF_N_KEYS; i++) {
		const struct conf_key *k = &CONF_KEYS[i];
		if (l->given[i] != NULL && (l->given[i]->type != NODE_NULL || (k->flags & CONF_NULL) != 0)) {
			if (l->given[i]->type == NODE_NULL && k->type == CONF_STR)
				*(const char **)field_at(l->conf, k) = NULL;
			else if (l->given[i]->type == NODE_NULL && k->type == CONF_LIST)
				*(struct str_list *)field_at(l->conf, k) = (struct str_list){ NULL, 0 };
			else
				field_set(l, k, l->given[i]);
		}
		support_apply(l, k);
	}
	return ERR_NONE;
}

static void
derive(struct load *l)
{
	struct conf *conf = l->conf;

	conf->is_https = strcmp(conf->preferred_url_scheme, "https") == 0;
	conf->is_readonly = strcmp(conf->registry_state, "readonly") == 0;
	conf->base_url = str_fmt(l->c->mem, "%s://%s%s", conf->preferred_url_scheme, conf->server_hostname,
	                         conf->kade_mount_prefix);
	if (conf->is_https)
		conf->session_cookie_secure = true;
	if (conf->force_nonsecure_session_cookie)
		conf->session_cookie_secure = false;
	if (conf->kade_trusted_proxies.n > 0)
		conf->trusted_proxy_cidr = conf->kade_trusted_proxies;
	else
		conf->kade_trusted_proxies = conf->trusted_proxy_cidr;
	if (conf->kade_key_dir == NULL)
		conf->kade_key_dir = conf->dir;
	if (conf->kade_state_dir == NULL)
		conf->kade_state_dir = KADE_LOCALSTATEDIR;
	conf->access_log = CONF_ACCESS_ERRORS;
	conf->access_log_sample = 1;
	if (strcmp(conf->kade_access_log, "all") == 0)
		conf->access_log = CONF_ACCESS_ALL;
	else if (conf->kade_access_log[0] == 'o' || conf->kade_access_log[0] == 'f' ||
	         conf->kade_access_log[0] == 'n')
		conf->access_log = CONF_ACCESS_OFF;
	else if (strncmp(conf->kade_access_log, "sampled:", 8) == 0 &&
	         str_to_i64(str_of(conf->kade_access_log + 8), 1, 1000000, &conf->access_log_sample))
		conf->access_log = CONF_ACCESS_SAMPLED;
	redis_load(l, "BUILDLOGS_REDIS", 0, &conf->redis_buildlogs);
	redis_load(l, "USER_EVENTS_REDIS", 0, &conf->redis_userevents);
	redis_load(l, "PULL_METRICS_REDIS", 1, &conf->redis_pullmetrics);
	db_load(l, "DB_URI", conf->db_uri, &conf->db);
	conf->db_session = conf->db;
	if (conf->kade_db_session_uri != NULL)
		db_load(l, "KADE.DB_SESSION_URI", conf->kade_db_session_uri, &conf->db_session);
	locations_load(l);
}

/* FEATURE_ keys for the interface: effective values of the known, the given value of the others. */
static void
features(struct load *l)
{
	const char *key;
	json_t *v;

	for (size_t i = 0; i < CONF_N_KEYS; i++) {
		const struct conf_key *k = &CONF_KEYS[i];
		if (strncmp(k->name, "FEATURE_", 8) != 0)
			continue;
		if (k->type == CONF_BOOL)
			json_object_set_new(l->conf->features, k->name + 8,
			                    json_boolean(*(bool *)field_at(l->conf, k)));
		else
			json_object_set_new(l->conf->features, k->name + 8,
			                    json_string(*(const char **)field_at(l->conf, k)));
	}
	json_object_foreach(l->conf->unknown, key, v)
	{
		if (strncmp(key, "FEATURE_", 8) == 0)
			json_object_set(l->conf->features, key + 8, v);
	}
}

static void
place(struct load *l, const char *path)
{
	struct stat st;

	if (path == NULL) {
		l->conf->dir = KADE_SYSCONFDIR;
		return;
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		path = str_fmt(l->c->mem, "%s/config.yaml", path);
	l->conf->path = realpath(path, NULL);
	if (l->conf->path == NULL) {
		l->conf->path = str_dup_c(l->c->mem, path);
	} else {
		char *real = (char *)(uintptr_t)l->conf->path;
		l->conf->path = str_dup_c(l->c->mem, path[0] == '/' ? path : real);
		free(real);
	}
	const char *slash = strrchr(l->conf->path, '/');
	l->conf->dir =
	    slash == NULL ? "."
	    : slash == l->conf->path
	        ? "/"
	        : str_dup(l->c->mem, str_sub(str_of(l->conf->path), 0, (size_t)(slash - l->conf->path)));
}

static enum err_kind
load_all(struct load *l, const char *path)
{
	struct conf_source *src = ARENA_NEW(l->c->mem, struct conf_source);

	src->given = l->given = ARENA_ARRAY(l->c->mem, const struct node *, CONF_N_KEYS);
	l->conf->source = src;
	l->conf->features = js_object(l->c);
	l->conf->login_providers = js_object(l->c);
	l->conf->unknown = js_object(l->c);
	place(l, path);
	if (path != NULL)
		TRY(load_file(l, src));
	TRY(load_environment(l));
	TRY(set_fields(l));
	derive(l);
	features(l);
	rules_check(l);
	return ERR_NONE;
}

static enum err_kind
load_with(struct ctx *c, const char *path, const struct conf **out, struct conf_report *rep, bool anyway)
{
	struct arena *mem = arena_new(0);
	struct ctx own = *c;
	struct load l = { .c = &own, .rep = rep };
	enum err_kind k;

	own.mem = mem;
	l.conf = ARENA_NEW(mem, struct conf);
	l.conf->mem = mem;
	k = load_all(&l, path);
	if (k == ERR_NONE && rep->n_errors > 0 && !anyway) {
		conf_report_sort(rep);
		k = err_set(&own, ERR_BAD_INPUT, "%s%s%s", rep->v[0].key,
		            rep->v[0].key[0] == '\0' ? "" : ": ", rep->v[0].text);
	}
	conf_report_sort(rep);
	if (k != ERR_NONE) {
		c->err.kind = k;
		memcpy(c->err.text, own.err.text, sizeof c->err.text);
		arena_free(mem);
		return k;
	}
	*out = l.conf;
	return ERR_NONE;
}

enum err_kind
conf_load(struct ctx *c, const char *path, const struct conf **out, struct conf_report *rep)
{
	return load_with(c, path, out, rep, false);
}

enum err_kind
conf_load_anyway(struct ctx *c, const char *path, const struct conf **out, struct conf_report *rep)
{
	return load_with(c, path, out, rep, true);
}
