/* kade-gc --explain: why something is kept and what would go with it; and what --dry-run shows. Nothing is changed. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "conf/conf.h"
#include "db/db.h"
#include "gc.h"
#include "model/blob.h"

#define SHOWN 20

static const char *
when(struct job *j, int64_t ms)
{
	return clock_iso(j->c->mem, ms);
}

static void
print_holder(struct job *j, const struct db_result *r, int i)
{
	const char *kind = db_get_str(r, i, EXPLAIN_HOLDERS_KIND),
	           *name = db_get_str(r, i, EXPLAIN_HOLDERS_NAME);
	const int64_t ended = db_get_i64(r, i, EXPLAIN_HOLDERS_ENDED_MS),
	              collect = db_get_i64(r, i, EXPLAIN_HOLDERS_COLLECT_AFTER_MS);

	if (strcmp(kind, "tag") != 0)
		printf("  held by %s %s\n", strcmp(kind, "index") == 0 ? "the index" : "its subject", name);
	else if (ended == 0)
		printf("  held by the live tag %s\n", name);
	else if (collect == 0)
		printf("  held by the tag %s, ended %s, protected\n", name, when(j, ended));
	else
		printf("  held by the tag %s, ended %s, collected after %s\n", name, when(j, ended),
		       when(j, collect + push_window_ms(j->c)));
}

static enum err_kind
print_manifest(struct job *j, const struct db_result *m)
{
	const int64_t id = db_get_i64(m, 0, EXPLAIN_MANIFEST_ID),
	              idle = db_get_i64(m, 0, EXPLAIN_MANIFEST_IDLE_SINCE_MS);
	const struct db_result *r;

	printf("manifest %s: %s, %s\n", db_get_str(m, 0, EXPLAIN_MANIFEST_DIGEST),
	       db_get_bool(m, 0, EXPLAIN_MANIFEST_KEPT) ? "kept" : "to be collected",
	       db_get_bool(m, 0, EXPLAIN_MANIFEST_VISIBLE) ? "can be pulled" : "cannot be pulled");
	if (db_get_bool(m, 0, EXPLAIN_MANIFEST_IS_REMOVED))
		puts("  deleted by digest");
	if (idle != 0)
		printf("  idle since %s, looked at after %s\n", when(j, idle),
		       when(j, idle + push_window_ms(j->c)));
	TRY(db_exec(j->c, STMT_EXPLAIN_HOLDERS, DB_ARGS(db_i64(id), db_i64(SHOWN)), &r));
	for (int i = 0; i < r->rows; i++)
		print_holder(j, r, i);
	printf("  %lld tags, in %lld indexes, subject of %lld\n",
	       (long long)db_get_i64(m, 0, EXPLAIN_MANIFEST_TAGS),
	       (long long)db_get_i64(m, 0, EXPLAIN_MANIFEST_PARENTS),
	       (long long)db_get_i64(m, 0, EXPLAIN_MANIFEST_REFERRERS));
	TRY(db_exec(j->c, STMT_EXPLAIN_FREED, DB_ARGS(db_i64(id)), &r));
	printf("  with it would go: %lld manifests; %lld blobs of this repository, %lld bytes; of these %lld "
	       "from the storage, %lld bytes\n",
	       (long long)db_get_i64(r, 0, EXPLAIN_FREED_MANIFESTS),
	       (long long)db_get_i64(r, 0, EXPLAIN_FREED_LINKS),
	       (long long)db_get_i64(r, 0, EXPLAIN_FREED_LINK_BYTES),
	       (long long)db_get_i64(r, 0, EXPLAIN_FREED_BLOBS),
	       (long long)db_get_i64(r, 0, EXPLAIN_FREED_BLOB_BYTES));
	return ERR_NONE;
}

static enum err_kind
explain_blob(struct job *j, const char *digest)
{
	const struct db_result *b, *o, *u;

	TRY(db_exec(j->c, STMT_EXPLAIN_BLOB, DB_ARGS(db_str(digest)), &b));
	TRY(db_exec(j->c, STMT_EXPLAIN_OBJECTS, DB_ARGS(db_str(digest)), &o));
	if (b->rows == 0 && o->rows == 0)
		return err_set(j->c, ERR_NOT_FOUND,
		               "no blob and no object of %s; for a manifest say NAMESPACE/REPOSITORY@DIGEST",
		               digest);
	if (b->rows > 0)
		printf("blob %s: %lld bytes, linked by %lld repositories, %lld of these links idle%s%s\n",
		       digest, (long long)db_get_i64(b, 0, EXPLAIN_BLOB_SIZE_BYTES),
		       (long long)db_get_i64(b, 0, EXPLAIN_BLOB_LINKS),
		       (long long)db_get_i64(b, 0, EXPLAIN_BLOB_IDLE_LINKS),
		       db_is_null(b, 0, EXPLAIN_BLOB_OLDEST_IDLE_MS) ? "" : ", the oldest since ",
		       db_is_null(b, 0, EXPLAIN_BLOB_OLDEST_IDLE_MS)
		           ? ""
		           : when(j, db_get_i64(b, 0, EXPLAIN_BLOB_OLDEST_IDLE_MS)));
	for (int i = 0; i < o->rows; i++) {
		const char *key = db_get_str(o, i, EXPLAIN_OBJECTS_KEY);

		printf("  object in %s under %s%s%s\n", db_get_str(o, i, EXPLAIN_OBJECTS_LOCATION),
		       key == NULL ? "its standard key" : key,
		       db_is_null(o, i, EXPLAIN_OBJECTS_STATE)        ? ""
		       : db_get_i64(o, i, EXPLAIN_OBJECTS_STATE) == 0 ? ", to be deleted after "
		                                                      : ", being deleted, next try ",
		       db_is_null(o, i, EXPLAIN_OBJECTS_STATE)
		           ? ""
		           : when(j, db_get_i64(o, i, EXPLAIN_OBJECTS_NOT_BEFORE_MS)));
	}
	TRY(db_exec(j->c, STMT_BLOB_USERS, DB_ARGS(db_str(digest), db_i64(SHOWN)), &u));
	for (int i = 0; i < u->rows; i++) {
		const char *tag = db_get_str(u, i, BLOB_USERS_TAG);
		printf("  needed by %s/%s%s%s\n", db_get_str(u, i, BLOB_USERS_NAMESPACE),
		       db_get_str(u, i, BLOB_USERS_REPOSITORY), tag == NULL ? "@" : ":",
		       tag == NULL ? db_get_str(u, i, BLOB_USERS_MANIFEST) : tag);
	}
	return ERR_NONE;
}

static enum err_kind
explain_sums(struct job *j, int64_t id, const char *name)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_EXPLAIN_REPOSITORY_SUMS, DB_ARGS(db_i64(id), db_i64(push_window_ms(j->c))),
	            &r));
	printf("repository %s\n", name);
	printf("  tags: %lld live, %lld ended\n",
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_LIVE_TAGS),
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_ENDED_TAGS));
	printf("  manifests: %lld, %lld of them idle\n",
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_MANIFESTS),
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_IDLE_MANIFESTS));
	printf("  blobs: %lld, %lld bytes; idle: %lld, %lld bytes\n",
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_LINKS),
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_LINK_BYTES),
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_IDLE_LINKS),
	       (long long)db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_IDLE_BYTES));
	if (!db_is_null(r, 0, EXPLAIN_REPOSITORY_SUMS_NEXT_MS))
		printf("  the next ended tag is collected after %s\n",
		       when(j, db_get_i64(r, 0, EXPLAIN_REPOSITORY_SUMS_NEXT_MS)));
	return ERR_NONE;
}

/* NAMESPACE/REPOSITORY, with :TAG or @DIGEST. */
static enum err_kind
explain_name(struct job *j, const char *what)
{
	struct str ns, rest, repo, tag = STR0, digest = STR0;
	const struct db_result *r;

	if (!str_cut(str_of(what), '/', &ns, &rest))
		return err_set(j->c, ERR_UNSUPPORTED,
		               "%s: NAMESPACE/REPOSITORY[:TAG|@DIGEST] or a DIGEST is wanted", what);
	if (!str_cut(rest, '@', &repo, &digest) && !str_cut(rest, ':', &repo, &tag))
		repo = rest;
	TRY(db_exec(j->c, STMT_EXPLAIN_REPOSITORY, DB_ARGS(db_strn(ns), db_strn(repo)), &r));
	if (r->rows == 0)
		return err_set(j->c, ERR_NOT_FOUND, "there is no repository %.*s/%.*s", STRF(ns), STRF(repo));
	const int64_t id = db_get_i64(r, 0, EXPLAIN_REPOSITORY_ID);
	if (!db_get_bool(r, 0, EXPLAIN_REPOSITORY_IS_ENABLED))
		puts("the namespace is disabled: its tags are not collected");
	if (tag.n == 0 && digest.n == 0)
		return explain_sums(j, id, what);
	TRY(db_exec(j->c, STMT_EXPLAIN_MANIFEST,
	            DB_ARGS(db_i64(id), tag.n == 0 ? db_null() : db_strn(tag),
	                    digest.n == 0 ? db_null() : db_strn(digest), db_i64(push_window_ms(j->c))),
	            &r));
	if (r->rows == 0)
		return err_set(j->c, ERR_NOT_FOUND, "nothing is left of %s", what);
	return print_manifest(j, r);
}

enum err_kind
gc_explain(struct job *j, bool *answered)
{
	const char *what = j->opt.more[GC_EXPLAIN];

	*answered = what != NULL;
	if (what == NULL)
		return ERR_NONE;
	return strchr(what, '/') == NULL && strchr(what, ':') != NULL ? explain_blob(j, what)
	                                                              : explain_name(j, what);
}

enum err_kind
gc_show(struct job *j, struct buf *out)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_GC_SHOW, DB_ARGS(db_i64(push_window_ms(j->c)), db_i64(SHOWN)), &r));
	for (int i = 0; i < r->rows; i++)
		buf_putf(out, "%s %s, since %s\n", db_get_str(r, i, GC_SHOW_KIND),
		         db_get_str(r, i, GC_SHOW_NAME), when(j, db_get_i64(r, i, GC_SHOW_DUE_MS)));
	TRY(db_exec(j->c, STMT_SWEEP_SHOW, DB_ARGS(gc_locations(j), db_i64(SHOWN)), &r));
	for (int i = 0; i < r->rows; i++)
		buf_putf(out, "object %s in %s, %lld bytes, since %s\n", db_get_str(r, i, SWEEP_SHOW_DIGEST),
		         db_get_str(r, i, SWEEP_SHOW_LOCATION),
		         (long long)db_get_i64(r, i, SWEEP_SHOW_SIZE_BYTES),
		         when(j, db_get_i64(r, i, SWEEP_SHOW_NOT_BEFORE_MS)));
	return ERR_NONE;
}
