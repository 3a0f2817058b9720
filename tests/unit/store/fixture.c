/* See fixture.h. */
#include "fixture.h"

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/str.h"
#include "store/key.h"

/* One line a driver: parameters of location `n`, whose server the environment names (LocalStorage needs none). */
static json_t *
params_of(const struct fixture *f, const char *driver, const char *n)
{
	if (strcmp(driver, "LocalStorage") == 0)
		return json_pack("{s:o}", "storage_path", json_sprintf("%s/%s", f->folder, n));
	fail_msg("no parameters for driver %s", driver);
	return NULL;
}

void
fixture_begin(struct fixture *f, const char *driver)
{
	const char *tmp = getenv("TMPDIR");

	memset(f, 0, sizeof *f);
	f->c = &f->ctx;
	f->driver = driver;
	f->ctx.mem = arena_new(0);
	snprintf(f->folder, sizeof f->folder, "%s/kade-store-XXXXXX",
	         tmp == NULL || strlen(tmp) > 40 ? "/tmp" : tmp);
	assert_non_null(mkdtemp(f->folder));
	json_t *one = params_of(f, driver, "one"), *two = params_of(f, driver, "two");
	const struct store_location_conf locations[] = {
		{"one",  driver, one},
                { "two", driver, two}
	};
	const struct store_set_conf conf = { .locations = locations,
		                             .n = 2,
		                             .env = { .spool_dir = f->folder } };
	assert_ok(store_set_open(f->c, &conf, &f->set));
	json_decref(one);
	json_decref(two);
	f->s = store_find(f->set, STR("one"));
	f->other = store_find(f->set, STR("two"));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st;
	(void)type;
	(void)w;
	return remove(path);
}

void
fixture_end(struct fixture *f)
{
	arena_free(f->ctx.mem);
	store_set_close(f->set);
	nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void
fixture_next_request(struct fixture *f)
{
	arena_reset(f->ctx.mem, 0);
	err_clear(f->c);
}

void
fixture_bytes(char *p, size_t n, unsigned seed, int64_t at)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t x = ((uint64_t)at + i) * 0x9e3779b97f4a7c15u + seed * 0xc2b2ae3d27d4eb4fu;
		x ^= x >> 29;
		p[i] = (char)(x * 0xbf58476d1ce4e5b9u >> 56);
	}
}

void
fixture_key(size_t n, unsigned seed, char key[STORE_KEY_MAX])
{
	uint8_t sum[SHA256_BYTES];
	char digest[80] = "sha256:";
	char *p = malloc(n + 1);

	assert_non_null(p);
	fixture_bytes(p, n, seed, 0);
	digest_sha256((struct str){ p, n }, sum);
	free(p);
	hex_put(digest + 7, sum, sizeof sum);
	assert_true(store_key_blob(str_of(digest), key));
}

void
fixture_push(struct fixture *f, struct store *s, size_t n, unsigned seed, char key[STORE_KEY_MAX])
{
	char id[37], digest[80] = "sha256:";
	char *p = malloc(n + 1);
	struct store_upload_row row;
	struct store_upload *u;

	assert_non_null(p);
	fixture_bytes(p, n, seed, 0);
	random_uuid(id);
	assert_ok(store_upload_new(f->c, s, id, &row));
	assert_ok(store_upload_resume(f->c, s, &row, &u));
	assert_ok(store_upload_append(f->c, u, p, n));
	assert_ok(store_upload_digest(f->c, u, digest + 7));
	assert_true(store_key_blob(str_of(digest), key));
	assert_ok(store_upload_finish(f->c, u, key));
	free(p);
}

struct check {
	struct fixture *f;
	unsigned seed;
	int64_t at;
};

static enum err_kind
check_bytes(struct ctx *c, void *arg, const void *p, size_t n)
{
	struct check *k = arg;
	char *want = malloc(n);

	(void)c;
	assert_non_null(want);
	fixture_bytes(want, n, k->seed, k->at);
	assert_memory_equal(p, want, n);
	free(want);
	k->at += (int64_t)n;
	return ERR_NONE;
}

void
fixture_check(struct fixture *f, struct store *s, const char *key, size_t n, unsigned seed)
{
	static char buf[65536];
	struct check k = { f, seed, 0 };

	assert_ok(store_get(f->c, s,
	                    &(struct store_get){ .key = key,
	                                         .range = STORE_WHOLE,
	                                         .buf = buf,
	                                         .buf_bytes = sizeof buf,
	                                         .sink = check_bytes,
	                                         .arg = &k }));
	assert_int_equal(k.at, n);
}

bool
fixture_exists(struct fixture *f, struct store *s, const char *key)
{
	struct store_info info;

	assert_ok(store_stat(f->c, s, key, &info));
	return info.exists;
}

static enum err_kind
count(struct ctx *c, void *arg, const char *key, const struct store_info *info)
{
	(void)c;
	(void)key;
	(void)info;
	++*(int *)arg;
	return ERR_NONE;
}

int
fixture_count(struct fixture *f, struct store *s, const char *prefix)
{
	int n = 0;

	assert_ok(store_list(f->c, s, &(struct store_list){ .prefix = prefix, .seen = count, .arg = &n }));
	return n;
}

const char *
fixture_path(struct fixture *f, const char *below)
{
	return str_fmt(f->c->mem, "%s/%s", f->folder, below);
}
