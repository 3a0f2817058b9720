/* One push into a local store, for order.sh (which traces it) and for measuring by hand:
 *   t-push FOLDER BYTES SLICE [checkpoint]
 * prints the key of the object. With "checkpoint" the bytes come in one request and are finished in another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "store/key.h"
#include "store/store.h"
#include "store/upload.h"

static enum err_kind
push(struct ctx *c, struct store *s, int64_t n, size_t slice, bool is_in_two)
{
	char id[37], digest[80] = "sha256:", key[STORE_KEY_MAX];
	char *bytes = calloc(1, slice);
	struct store_upload_row row;
	struct store_upload *u;

	if (bytes == NULL)
		return err_set(c, ERR_BUSY, "out of memory");
	random_bytes(bytes, slice < 4096 ? slice : 4096);
	random_uuid(id);
	TRY(store_upload_new(c, s, id, &row));
	TRY(store_upload_resume(c, s, &row, &u));
	for (int64_t left = n; left > 0; left -= (int64_t)slice)
		TRY(store_upload_append(c, u, bytes, left < (int64_t)slice ? (size_t)left : slice));
	free(bytes);
	if (is_in_two) {
		TRY(store_upload_checkpoint(c, u, &row));
		s->driver->put_close(c, u->put);
		TRY(store_upload_resume(c, s, &row, &u));
	}
	TRY(store_upload_digest(c, u, digest + 7));
	if (!store_key_blob(str_of(digest), key))
		return err_set(c, ERR_BUG, "no key for %s", digest);
	TRY(store_upload_finish(c, u, key));
	puts(key);
	return ERR_NONE;
}

int
main(int argc, char **argv)
{
	struct ctx c = { .mem = arena_new(0) };
	struct store_set *set;
	int64_t n, slice;

	if (argc < 4 || !str_to_i64(str_of(argv[2]), 0, INT64_MAX, &n) ||
	    !str_to_i64(str_of(argv[3]), 1, 1 << 30, &slice)) {
		fprintf(stderr, "usage: t-push FOLDER BYTES SLICE [checkpoint]\n");
		return 2;
	}
	json_t *params = json_pack("{s:s}", "storage_path", argv[1]);
	const struct store_location_conf l = { "local", "LocalStorage", params };
	enum err_kind k = store_set_open(&c, &(struct store_set_conf){ .locations = &l, .n = 1 }, &set);
	if (k == ERR_NONE) {
		k = push(&c, store_at(set, 0), n, (size_t)slice,
		         argc > 4 && strcmp(argv[4], "checkpoint") == 0);
		arena_reset(c.mem, 0);
		store_set_close(set);
	}
	if (k != ERR_NONE)
		fprintf(stderr, "t-push: %s\n", c.err.text);
	json_decref(params);
	arena_free(c.mem);
	return k == ERR_NONE ? 0 : 1;
}
