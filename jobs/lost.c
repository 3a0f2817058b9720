/* Placements whose object is lost, by digest, one page after the other. */
#include "lost.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/str.h"
#include "db/db.h"
#include "store/key.h"
#include "store/store.h"

#define PAGE  500
#define USERS 20

static enum err_kind
print_users(struct ctx *c, const char *digest)
{
	const struct db_result *r;

	TRY(db_exec(c, STMT_BLOB_USERS, DB_ARGS(db_str(digest), db_i64(USERS)), &r));
	for (int i = 0; i < r->rows; i++) {
		const char *tag = db_get_str(r, i, BLOB_USERS_TAG);

		printf("  needed by %s/%s%s%s%s\n", db_get_str(r, i, BLOB_USERS_NAMESPACE),
		       db_get_str(r, i, BLOB_USERS_REPOSITORY), tag == NULL ? "@" : ":",
		       tag == NULL ? db_get_str(r, i, BLOB_USERS_MANIFEST) : tag,
		       db_is_null(r, i, BLOB_USERS_ENDED_MS) ? "" : " (ended)");
	}
	return ERR_NONE;
}

static enum err_kind
look(struct ctx *c, const struct lost_range *range, const struct db_result *r, int i, struct lost_counts *n)
{
	const char *digest = db_get_str(r, i, SCRUB_PLACEMENTS_DIGEST),
	           *own = db_get_str(r, i, SCRUB_PLACEMENTS_KEY);
	const int64_t size = db_get_i64(r, i, SCRUB_PLACEMENTS_SIZE_BYTES);
	struct store_info info;
	char key[STORE_KEY_MAX];

	if (own == NULL && !store_key_blob(str_of(digest), key))
		return err_set(c, ERR_BUG, "a blob's digest that is none: %.200s", digest);
	TRY(store_stat(c, range->store, own == NULL ? key : own, &info));
	n->looked_at++;
	if (info.exists && info.size_bytes == size)
		return ERR_NONE;
	n->lost++;
	n->bytes += size;
	if (info.exists)
		printf("damaged %s %s: %lld bytes, %lld are wanted\n", range->store->name, digest,
		       (long long)info.size_bytes, (long long)size);
	else
		printf("missing %s %s: %lld bytes\n", range->store->name, digest, (long long)size);
	return print_users(c, digest);
}

enum err_kind
lost_find(struct ctx *c, const struct lost_range *range, struct lost_counts *n)
{
	char after[STORE_KEY_MAX] = "";
	int rows = PAGE;

	while (rows == PAGE && (range->go_on == NULL || range->go_on(range->arg))) {
		const struct arena_mark mark = arena_mark(c->mem);
		const struct db_result *r;

		TRY(db_exec(c, STMT_SCRUB_PLACEMENTS,
		            DB_ARGS(db_str(range->store->name), db_str(range->from), db_str(range->upto),
		                    db_str(after), db_i64(PAGE)),
		            &r));
		rows = r->rows;
		for (int i = 0; i < rows; i++)
			TRY(look(c, range, r, i, n));
		if (rows > 0)
			snprintf(after, sizeof after, "%s", db_get_str(r, rows - 1, SCRUB_PLACEMENTS_DIGEST));
		arena_rewind(c->mem, mark);
	}
	return ERR_NONE;
}
