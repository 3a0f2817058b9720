/* The object kade-instance: {"uuid": "…", "epoch": 1}. See instance.h. */
#include "store/instance.h"

#include <string.h>

#include "base/ctx.h"
#include "base/js.h"
#include "store/key.h"
#include "store/store.h"

#define INSTANCE_MAX 4096

static const struct js_limits LIMITS = { .bytes = INSTANCE_MAX, .depth = 4, .values = 64 };

static enum err_kind
put(struct ctx *c, struct store *s, const struct store_instance *mine, bool only_if_absent)
{
	json_t *o = js_object(c);

	if (!store_uuid_ok(str_of(mine->uuid)) || mine->epoch < 1)
		return err_set(c, ERR_BUG, "an instance without uuid or epoch");
	jo_str(o, "uuid", mine->uuid);
	jo_i64(o, "epoch", mine->epoch);
	return store_put_small(c, s,
	                       &(struct store_small){ .key = STORE_KEY_INSTANCE,
	                                              .bytes = js_dump(c, o),
	                                              .content_type = "application/json",
	                                              .only_if_absent = only_if_absent });
}

/* False for anything that put() could not have written. */
static bool
parse(struct ctx *c, struct str text, struct store_instance *out)
{
	json_t *o;

	if (js_parse(c, text, &LIMITS, &o) != ERR_NONE) {
		err_clear(c);
		return false;
	}
	const struct str uuid = js_str(o, "uuid");
	out->epoch = js_i64(o, "epoch", 0);
	if (!store_uuid_ok(uuid) || out->epoch < 1)
		return false;
	memcpy(out->uuid, uuid.p, 36);
	out->uuid[36] = '\0';
	return true;
}

enum err_kind
store_instance_compare(struct ctx *c, struct store *s, const struct store_instance *want,
                       enum store_owner *out, struct store_instance *found)
{
	struct store_instance there;
	struct str text;
	const enum err_kind k = store_get_small(c, s, STORE_KEY_INSTANCE, INSTANCE_MAX, &text);

	if (k != ERR_TOO_LARGE)
		TRY(k);
	if (k == ERR_TOO_LARGE) {
		err_clear(c);
		*out = STORE_OWNER_DAMAGED;
	} else if (text.p == NULL) {
		*out = STORE_OWNER_NONE;
	} else if (!parse(c, text, &there)) {
		*out = STORE_OWNER_DAMAGED;
	} else {
		*found = there;
		*out = strcmp(there.uuid, want->uuid) != 0 ? STORE_OWNER_FOREIGN
		       : there.epoch != want->epoch        ? STORE_OWNER_EPOCH
		                                           : STORE_OWNER_SAME;
	}
	return ERR_NONE;
}

enum err_kind
store_instance_claim(struct ctx *c, struct store *s, const struct store_instance *mine)
{
	struct store_instance found;
	enum store_owner owner;

	TRY(store_instance_compare(c, s, mine, &owner, &found));
	if (owner != STORE_OWNER_NONE)
		return err_set(c, ERR_CONFLICT, "storage %s has an owner: %s", s->name,
		               store_owner_name(owner));
	TRY(put(c, s, mine, true));
	/* a store that cannot create atomically may have let a second claim through: the one that reads itself back won */
	TRY(store_instance_compare(c, s, mine, &owner, &found));
	if (owner != STORE_OWNER_SAME)
		return err_set(c, ERR_CONFLICT, "storage %s was claimed by another database meanwhile",
		               s->name);
	return ERR_NONE;
}

enum err_kind
store_instance_adopt(struct ctx *c, struct store *s, const struct store_instance *mine)
{
	return put(c, s, mine, false);
}

const char *
store_owner_name(enum store_owner o)
{
	switch (o) {
	case STORE_OWNER_SAME:
		return "same";
	case STORE_OWNER_NONE:
		return "none";
	case STORE_OWNER_EPOCH:
		return "another epoch";
	case STORE_OWNER_FOREIGN:
		return "another database";
	case STORE_OWNER_DAMAGED:
		break;
	}
	return "damaged";
}
