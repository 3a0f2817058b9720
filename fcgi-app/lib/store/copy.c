/* Copies of objects, within a location or between two: by the store itself where it can, else through this process. Serves
 * replication, the move of a blob from a key of its own to the standard one, and archives. */
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "store/key.h"
#include "store/store.h"
#include "store/upload.h"

#define COPY_BUF 262144

static enum err_kind
append(struct ctx *c, void *arg, const void *p, size_t n)
{
	return store_upload_append(c, arg, p, n);
}

static enum err_kind
stream(struct ctx *c, const struct store_copy *cp, int64_t size_bytes, struct store_upload *u)
{
	TRY(store_upload_part(
	    c, u, &(struct store_part){ .length = size_bytes, .is_last = true, .final_key = cp->to_key }));
	TRY(store_get(c, cp->from,
	              &(struct store_get){
	                  .key = cp->from_key,
	                  .range = {0, size_bytes},
	                  .buf = arena_alloc(c->mem, COPY_BUF),
	                  .buf_bytes = COPY_BUF,
	                  .sink = append,
	                  .arg = u
        }));
	return store_upload_finish(c, u, cp->to_key);
}

static enum err_kind
copy_streamed(struct ctx *c, struct store *to, const struct store_copy *cp, int64_t size_bytes)
{
	char id[37];
	struct store_upload_row row;
	struct store_upload *u;

	random_uuid(id);
	TRY(store_upload_new(c, to, id, &row));
	TRY(store_upload_resume(c, to, &row, &u));
	const enum err_kind k = stream(c, cp, size_bytes, u);
	if (k != ERR_NONE) {
		const struct err why = c->err;
		if (store_upload_cancel(c, u) != ERR_NONE) {
			/* the sweep of old uploads takes it; the first reason is the one to tell */
		}
		c->err = why;
	}
	return k;
}

static enum err_kind
copy_checked(struct ctx *c, struct store *to, const struct store_copy *cp)
{
	struct store_info from, there;

	TRY(store_may_write(c, to));
	if (!store_key_ok(str_of(cp->to_key)))
		return err_set(c, ERR_BUG, "storage %s: a key that cannot be", to->name);
	TRY(store_stat(c, cp->from, cp->from_key, &from));
	if (!from.exists)
		return err_set(c, ERR_NOT_FOUND, "storage %s: there is no object %s", cp->from->name,
		               cp->from_key);
	if (cp->size_bytes >= 0 && from.size_bytes != cp->size_bytes)
		return err_set(c, ERR_STORE, "storage %s: %s has %lld bytes, not %lld", cp->from->name,
		               cp->from_key, (long long)from.size_bytes, (long long)cp->size_bytes);
	TRY(store_stat(c, to, cp->to_key, &there));
	if (there.exists && there.size_bytes == from.size_bytes)
		return ERR_NONE;
	enum err_kind k = to->driver->copy(c, to, cp);
	if (k == ERR_UNSUPPORTED)
		k = copy_streamed(c, to, cp, from.size_bytes);
	TRY(store_note(to, k));
	TRY(store_stat(c, to, cp->to_key, &there));
	if (!there.exists || there.size_bytes != from.size_bytes)
		return err_set(c, ERR_STORE, "storage %s: the copy of %s has another size", to->name,
		               cp->to_key);
	return ERR_NONE;
}

enum err_kind
store_copy(struct ctx *c, struct store *to, const struct store_copy *cp)
{
	const struct arena_mark mark = arena_mark(c->mem); /* a job copies many in one slice */
	const enum err_kind k = copy_checked(c, to, cp);

	arena_rewind(c->mem, mark);
	return k;
}
