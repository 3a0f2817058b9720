/* Signing keys of this and other instances. */
#include "auth/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"

#define KEYS_MAX 256
#define UNKNOWN_US 5000000
#define ANNOUNCE_US (20LL * 60 * 1000000)

struct slot {
	char             kid[JOSE_KID_MAX + 1];
	struct jose_key *key;       /* NULL: unknown when asked */
	int64_t          asked_us;
};
struct keyring {
	struct jose_key *own;
	const char      *service, *name;
	_Atomic int64_t  announced_us; /* 0 = never */
	pthread_mutex_t  lock;
	size_t           n;
	struct slot      slots[KEYS_MAX];
};

struct keyring *
keyring_new(struct jose_key *own, const char *service, const char *name)
{
	struct keyring *k = calloc(1, sizeof *k);

	if (k == NULL)
		abort();
	k->own = own;
	k->service = service;
	k->name = name;
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

void
keyring_free(void *keyring)
{
	struct keyring *k = keyring;

	for (size_t i = 0; i < k->n; i++)
		if (k->slots[i].key != NULL)
			jose_key_free(k->slots[i].key);
	jose_key_free(k->own);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

const struct jose_key *
keyring_own(const struct keyring *k)
{
	return k->own;
}

const char *
keyring_service(const struct keyring *k)
{
	return k->service;
}

/* Under the lock: the slot of a kid, or NULL. */
static struct slot *
slot_of(struct keyring *k, struct str kid)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq_c(kid, k->slots[i].kid))
			return &k->slots[i];
	return NULL;
}

/* True when the answer is known: *out is the key, or NULL for one that was unknown a moment ago. */
static bool
cached(struct keyring *k, struct str kid, int64_t now_us, const struct jose_key **out)
{
	bool known = false;

	pthread_mutex_lock(&k->lock);
	const struct slot *s = slot_of(k, kid);
	if (s != NULL && (s->key != NULL || now_us - s->asked_us < UNKNOWN_US)) {
		*out = s->key;
		known = true;
	}
	pthread_mutex_unlock(&k->lock);
	return known;
}

/* Keeps what was found. Known keys stay for good; the oldest unknown one makes room. False: no room, the key is not kept. */
static bool
remember(struct keyring *k, struct str kid, struct jose_key *key, int64_t now_us)
{
	struct slot *s;

	pthread_mutex_lock(&k->lock);
	s = slot_of(k, kid);
	if (s == NULL && k->n < KEYS_MAX)
		s = &k->slots[k->n++];
	for (size_t i = 0; s == NULL && i < k->n; i++)
		if (k->slots[i].key == NULL)
			s = &k->slots[i];
	if (s != NULL && s->key == NULL) {
		memcpy(s->kid, kid.p, kid.n);
		s->kid[kid.n] = '\0';
		s->key = key;
		s->asked_us = now_us;
	}
	const bool kept = s != NULL && s->key == key;
	pthread_mutex_unlock(&k->lock);
	return kept;
}

enum err_kind
keyring_find(struct ctx *c, void *arg, struct str kid, const struct jose_key **out)
{
	struct keyring         *k = arg;
	const int64_t           now_us = clock_mono_us();
	const struct db_result *r;
	struct jose_key        *key = NULL;
	json_t                 *jwk;

	if (kid.p == NULL || kid.n == 0 || kid.n > JOSE_KID_MAX)
		return ERR_NONE;
	if (k->own != NULL && str_eq_c(kid, jose_key_id(k->own))) {
		*out = k->own;
		return ERR_NONE;
	}
	if (cached(k, kid, now_us, out))
		return ERR_NONE;
	TRY(db_exec(c, STMT_SERVICE_KEY_BY_KID, DB_ARGS(db_strn(kid), db_str(k->service)), &r));
	if (r->rows > 0 && db_get_bool(r, 0, SERVICE_KEY_BY_KID_IS_ALIVE)) {
		TRY(js_parse(c, db_get_strn(r, 0, SERVICE_KEY_BY_KID_JWK), &JS_API, &jwk));
		TRY(jose_key_from_jwk(c, jwk, &key));
	}
	if (!remember(k, kid, key, now_us) && key != NULL) {
		/* Another thread was quicker, or there is no room: this request uses the one it parsed. */
		arena_defer(c->mem, jose_key_free, key);
	}
	*out = key;
	return ERR_NONE;
}

enum err_kind
keyring_announce(struct ctx *c, struct keyring *k)
{
	const int64_t           now_us = clock_mono_us(), last = atomic_load(&k->announced_us);
	const struct db_result *r;
	struct str              jwk;

	if (last != 0 && now_us - last < ANNOUNCE_US)
		return ERR_NONE;
	jwk = js_dump(c, jose_key_to_jwk(c, k->own));
	TRY(db_exec(c, STMT_SERVICE_KEY_ANNOUNCE,
	            DB_ARGS(db_str(jose_key_id(k->own)), db_str(k->service), db_str(k->name), db_strn(jwk), db_str("{\"created_by\": \"kade\"}"),
	                    db_i64((int64_t)KEYRING_LIFE_S * 1000)),
	            &r));
	const bool refused = r->rows == 0;
	/* Deleted just now, while the statement above waited for that: it did not see the revocation. */
	TRY(db_exec(c, STMT_SERVICE_KEY_UNANNOUNCE, DB_ARGS(db_str(jose_key_id(k->own))), &r));
	if (refused || r->rows > 0)
		return err_set(c, ERR_BUSY, "the signing key %s of this host was deleted and may not come back: remove its file and reload", jose_key_id(k->own));
	atomic_store(&k->announced_us, now_us);
	return ERR_NONE;
}

/* The key in a file, or NULL where there is none, or one of another algorithm. */
static enum err_kind
load_fitting(struct ctx *c, const char *path, enum jose_alg alg, struct jose_key **out)
{
	*out = NULL;
	if (access(path, F_OK) != 0)
		return ERR_NONE;
	TRY(jose_key_load(c, path, out));
	if (jose_key_alg(*out) != alg) {
		jose_key_free(*out);
		*out = NULL;
	}
	return ERR_NONE;
}

enum err_kind
instance_key_load(struct ctx *c, const char *dir, enum jose_alg alg, struct jose_key **out)
{
	const char   *lock_path = str_fmt(c->mem, "%s/.kade.pem.lock", dir);
	const char   *first = str_fmt(c->mem, "%s/kade.pem", dir), *further = str_fmt(c->mem, "%s/kade-%s.pem", dir, alg == JOSE_RS256 ? "rs256" : "es256");
	enum err_kind e = ERR_NONE;
	int           lock;

	TRY(load_fitting(c, first, alg, out));
	if (*out == NULL)
		TRY(load_fitting(c, further, alg, out));
	if (*out != NULL)
		return ERR_NONE;
	lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) != 0) {
		if (lock >= 0)
			close(lock);
		return err_set(c, ERR_STORE, "%s: %s", lock_path, strerrorname_np(errno));
	}
	e = load_fitting(c, first, alg, out);
	if (e == ERR_NONE && *out == NULL)
		e = load_fitting(c, further, alg, out);
	if (e == ERR_NONE && *out == NULL) {
		e = jose_key_make(c, alg, out);
		if (e == ERR_NONE)
			e = jose_key_store(c, *out, access(first, F_OK) == 0 ? further : first);
	}
	close(lock);
	return e;
}
