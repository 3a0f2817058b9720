/* The locations of a process, and the guard before every driver call: see store.h. */
#include "store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "store/key.h"

#define DOWN_US 30000000

/* A new driver is one line here, one file, and its name in the conformance test. */
static const struct store_driver *const DRIVERS[] = { &STORE_LOCAL };
#define N_DRIVERS (sizeof DRIVERS / sizeof DRIVERS[0])

struct store_set {
	struct store_env env;
	char *spool_dir;
	size_t n, n_preferred;
	struct store **v;         /* in the configuration's order */
	struct store **preferred; /* best first; never empty */
};

static const struct store_driver *
driver_find(const char *name)
{
	for (size_t i = 0; i < N_DRIVERS; i++)
		if (strcmp(DRIVERS[i]->name, name) == 0)
			return DRIVERS[i];
	return NULL;
}

bool
store_driver_known(const char *name)
{
	return driver_find(name) != NULL;
}

struct store *
store_find(const struct store_set *set, struct str name)
{
	for (size_t i = 0; i < set->n; i++)
		if (str_eq_c(name, set->v[i]->name))
			return set->v[i];
	return NULL;
}

static enum err_kind
open_one(struct ctx *c, struct store_set *set, const struct store_location_conf *l)
{
	const struct store_driver *d = driver_find(l->driver);

	if (d == NULL)
		return err_set(c, ERR_BAD_INPUT, "storage %s: %s is not a valid storage type.", l->name,
		               l->driver);
	if (store_find(set, str_of(l->name)) != NULL)
		return err_set(c, ERR_BAD_INPUT, "storage %s is configured twice", l->name);
	TRY(d->open(c, l, &set->env, &set->v[set->n]));
	set->n++;
	return ERR_NONE;
}

static enum err_kind
fill(struct ctx *c, struct store_set *set, const struct store_set_conf *conf)
{
	for (size_t i = 0; i < conf->n; i++)
		TRY(open_one(c, set, &conf->locations[i]));
	for (size_t i = 0; i < conf->n_preference; i++) {
		struct store *s = store_find(set, str_of(conf->preference[i]));
		if (s == NULL)
			return err_set(c, ERR_BAD_INPUT,
			               "the storage preference names %s, which is not configured",
			               conf->preference[i]);
		set->preferred[set->n_preferred++] = s;
	}
	for (size_t i = 0; conf->n_preference == 0 && i < set->n; i++)
		set->preferred[set->n_preferred++] = set->v[i];
	return ERR_NONE;
}

enum err_kind
store_set_open(struct ctx *c, const struct store_set_conf *conf, struct store_set **out)
{
	struct store_set *set;

	if (conf->n == 0)
		return err_set(c, ERR_BAD_INPUT,
		               "DISTRIBUTED_STORAGE_CONFIG must contain at least one storage location.");
	set = calloc(1, sizeof *set);
	if (set != NULL) {
		set->env = conf->env;
		set->v = calloc(conf->n, sizeof(struct store *));
		set->preferred = calloc(conf->n + conf->n_preference, sizeof(struct store *));
		if (conf->env.spool_dir != NULL)
			set->env.spool_dir = set->spool_dir = strdup(conf->env.spool_dir);
	}
	if (set == NULL || set->v == NULL || set->preferred == NULL ||
	    (conf->env.spool_dir != NULL && set->spool_dir == NULL)) {
		store_set_close(set);
		return err_set(c, ERR_BUSY, "out of memory");
	}
	const enum err_kind k = fill(c, set, conf);
	if (k != ERR_NONE) {
		store_set_close(set);
		return k;
	}
	*out = set;
	return ERR_NONE;
}

void
store_set_close(struct store_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->n; i++)
		set->v[i]->driver->close(set->v[i]);
	free(set->v);
	free(set->preferred);
	free(set->spool_dir);
	free(set);
}

struct store *
store_preferred(const struct store_set *set)
{
	return set->preferred[0];
}

size_t
store_count(const struct store_set *set)
{
	return set->n;
}

struct store *
store_at(const struct store_set *set, size_t i)
{
	return set->v[i];
}

static bool
is_named(const struct store *s, const struct str *names, size_t n_names)
{
	for (size_t i = 0; i < n_names; i++)
		if (str_eq_c(names[i], s->name))
			return true;
	return false;
}

static bool
is_among(const struct store *s, struct store *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == s)
			return true;
	return false;
}

/* Stable: those that failed lately go behind the others. */
static void
down_last(struct store **v, size_t n)
{
	const int64_t now_us = clock_mono_us();
	size_t good = 0;

	for (size_t i = 0; i < n; i++) {
		struct store *s = v[i];
		if (atomic_load(&s->down_until_us) > now_us)
			continue;
		memmove(v + good + 1, v + good, (i - good) * sizeof(struct store *));
		v[good++] = s;
	}
}

size_t
store_order(const struct store_set *set, const struct str *names, size_t n_names, struct store **out)
{
	size_t n = 0;

	for (int pass = 0; pass < 2;
	     pass++) { /* the preferred ones, then the rest: each once, however often it is named */
		struct store *const *from = pass == 0 ? set->preferred : set->v;
		const size_t n_from = pass == 0 ? set->n_preferred : set->n;
		for (size_t i = 0; i < n_from && n < n_names; i++)
			if (is_named(from[i], names, n_names) && !is_among(from[i], out, n))
				out[n++] = from[i];
	}
	down_last(out, n);
	return n;
}

enum err_kind
store_note(struct store *s, enum err_kind k)
{
	if (k == ERR_STORE || k == ERR_UPSTREAM)
		atomic_store(&s->down_until_us, clock_mono_us() + DOWN_US);
	else if (k == ERR_NONE && atomic_load_explicit(&s->down_until_us, memory_order_relaxed) != 0)
		atomic_store(&s->down_until_us, 0);
	return k;
}

static enum err_kind
check_key(struct ctx *c, const struct store *s, const char *key)
{
	assert(c->tx == NULL); /* no connection is held over a transfer */
	if (!store_key_ok(str_of(key)))
		return err_set(c, ERR_BUG, "storage %s: a key that cannot be", s->name);
	return ERR_NONE;
}

enum err_kind
store_may_write(struct ctx *c, const struct store *s)
{
	assert(c->tx == NULL);
	if (s->env->is_read_only)
		return err_set(c, ERR_READ_ONLY, "storage %s: the registry is read-only", s->name);
	return ERR_NONE;
}

enum err_kind
store_stat(struct ctx *c, struct store *s, const char *key, struct store_info *out)
{
	TRY(check_key(c, s, key));
	return store_note(s, s->driver->stat(c, s, key, out));
}

enum err_kind
store_get(struct ctx *c, struct store *s, const struct store_get *g)
{
	TRY(check_key(c, s, g->key));
	assert(g->buf_bytes > 0);
	return store_note(s, s->driver->get(c, s, g));
}

enum err_kind
store_put_small(struct ctx *c, struct store *s, const struct store_small *o)
{
	TRY(store_may_write(c, s));
	TRY(check_key(c, s, o->key));
	if (o->bytes.n > STORE_SMALL_MAX)
		return err_set(c, ERR_TOO_LARGE, "storage %s: %s has %zu bytes", s->name, o->key, o->bytes.n);
	return store_note(s, s->driver->put_small(c, s, o));
}

enum err_kind
store_get_small(struct ctx *c, struct store *s, const char *key, size_t max, struct str *out)
{
	TRY(check_key(c, s, key));
	return store_note(s, s->driver->get_small(c, s, key, max, out));
}

enum store_removed
store_remove(struct ctx *c, struct store *s, const char *key)
{
	if (store_may_write(c, s) != ERR_NONE || check_key(c, s, key) != ERR_NONE)
		return STORE_STILL_THERE;
	const enum store_removed r = s->driver->remove(c, s, key);
	if (r == STORE_UNKNOWN)
		store_note(s, ERR_STORE);
	return r;
}

enum err_kind
store_list(struct ctx *c, struct store *s, const struct store_list *l)
{
	assert(c->tx == NULL);
	/* a prefix is the beginning of a key: with one more letter it must be one */
	if (l->prefix[0] != '\0' && !store_key_ok(str_of(str_fmt(c->mem, "%sx", l->prefix))))
		return err_set(c, ERR_BUG, "storage %s: a prefix that cannot be", s->name);
	return s->driver->list(c, s, l);
}

enum err_kind
store_list_unfinished(struct ctx *c, struct store *s, store_unfinished_seen *seen, void *arg)
{
	assert(c->tx == NULL);
	return s->driver->list_unfinished(c, s, seen, arg);
}

enum err_kind
store_abort_unfinished(struct ctx *c, struct store *s, const char *key, const char *server_id)
{
	TRY(store_may_write(c, s));
	TRY(check_key(c, s, key));
	return store_note(s, s->driver->abort_unfinished(c, s, key, server_id));
}

enum err_kind
store_direct_url(struct ctx *c, struct store *s, const struct store_url_want *w, const char **out)
{
	if (w->is_upload)
		TRY(store_may_write(c, s));
	TRY(check_key(c, s, w->key));
	return s->driver->direct_url(c, s, w, out);
}

enum err_kind
store_local_path(struct ctx *c, struct store *s, const char *key, const char **out)
{
	TRY(check_key(c, s, key));
	return s->driver->local_path(c, s, key, out);
}

enum err_kind
store_validate(struct ctx *c, struct store *s, struct buf *warnings)
{
	assert(c->tx == NULL);
	if (s->env->is_read_only)
		return ERR_NONE;
	return store_note(s, s->driver->validate(c, s, warnings));
}
