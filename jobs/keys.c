/* kade-keys: keeps this instance's signing key alive in the table of service keys (made when it is missing), and removes keys
 * of others that expired, or that nobody approved, a while ago. The pool prolongs its key too; this job does it where nothing
 * is asked for a while. */
#include <stdlib.h>

#include "auth/jose.h"
#include "auth/keyring.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "job.h"

static enum err_kind
own_key(struct job *j, struct job_slice *s)
{
	const struct conf *cf = j->c->conf;
	struct keyring *ring;
	struct jose_key *key;

	s->is_last = true;
	s->n.selected = 1;
	TRY(instance_key_load(j->c, cf->kade_key_dir != NULL ? cf->kade_key_dir : cf->dir,
	                      cf->kade_token_algorithm == CONF_TOKEN_RS256 ? JOSE_RS256 : JOSE_ES256, &key));
	ring = keyring_new(key, KEYRING_SERVICE, cf->base_url);
	arena_defer(j->c->mem, keyring_free, ring);
	TRY(keyring_announce(j->c, ring));
	s->n.done = 1;
	return ERR_NONE;
}

static enum err_kind
stale_keys(struct job *j, struct job_slice *s)
{
	const struct conf *cf = j->c->conf;
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_SERVICE_KEY_REMOVE_STALE,
	            DB_ARGS(db_i64(cf->expired_service_key_ttl_sec * 1000),
	                    db_i64(cf->unapproved_service_key_ttl_sec * 1000)),
	            &r));
	s->n.selected = s->n.done = r->affected;
	s->is_last = true;
	return ERR_NONE;
}

static const struct job_step STEPS[] = {
	{.name = "own key",     .slice = own_key, .slice_items = 1 },
	{ .name = "stale keys",     .slice = stale_keys, .slice_items = 1000 },
	{ .name = NULL},
};
static const struct job_def KEYS = {
	.name = "keys",
	.doc = "Prolongs the life of this host's signing key, and removes service keys that ended long ago.",
	.id = JOB_ID_KEYS,
	.lock = JOB_LOCK_HOST, /* each host has a key of its own */
	.flags = JOB_IN_RECOVERY,
	.interval_s = 1200,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&KEYS, argc, argv);
}
