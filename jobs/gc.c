/* kade-gc: garbage collection. Expired tags end; ended tags that the time machine let go of, manifests, links and blobs that nothing
 * needs go, in this order, each one push window after the other; objects are deleted when their tombstones are due. Deleted
 * repositories and namespaces are emptied. One in the fleet. What is due comes through indexes by time, so a run costs what changed. */
#include "gc.h"

#include "base/arena.h"
#include "base/counters.h"
#include "base/str.h"
#include "conf/conf.h"
#include "store/store.h"

static bool
is_scrub(const struct job *j)
{
	return j->opt.more[GC_SCRUB] != NULL;
}

static bool
content_is_on(const struct job *j)
{
	return j->c->conf->feature_garbage_collection && !is_scrub(j);
}

static bool
repositories_are_on(const struct job *j)
{
	return j->c->conf->feature_repository_garbage_collection && !is_scrub(j);
}

static bool
namespaces_are_on(const struct job *j)
{
	return j->c->conf->feature_namespace_garbage_collection && !is_scrub(j);
}

struct db_arg
gc_locations(const struct job *j)
{
	const size_t n = j->c->conf->locations.n;
	struct str *v = ARENA_ARRAY(j->c->mem, struct str, n + 1);

	for (size_t i = 0; i < n; i++)
		v[i] = str_of(j->c->conf->locations.v[i].name);
	return db_str_array(v, n);
}

static void
due_args(const struct job *j, struct db_args *a)
{
	const struct conf *cf = j->c->conf;
	const struct str_list *names = &cf->namespace_gc_grace_period_allowlist;
	struct str *v = ARENA_ARRAY(j->c->mem, struct str, names->n + 1);

	for (size_t i = 0; i < names->n; i++)
		v[i] = str_of(names->v[i]);
	db_args_add(a, db_i64(cf->push_temp_tag_expiration_sec * 1000));
	db_args_add(a, gc_locations(j));
	db_args_add(a, db_bool(cf->feature_garbage_collection));
	db_args_add(a, db_bool(cf->feature_repository_garbage_collection));
	db_args_add(a, db_bool(cf->feature_namespace_garbage_collection));
	db_args_add(a, db_i64(cf->namespace_gc_grace_period_seconds * 1000));
	db_args_add(a, db_str_array(v, names->n));
}

void
gc_metric(struct job *j, const char *name, int64_t n)
{
	if (n > 0)
		counters_bump(j->c->counters, name, n);
}

void
gc_count(struct job *j, struct job_slice *s, const struct collected *n)
{
	s->n.selected += n->selected;
	s->n.done += n->changed;
	s->n.skipped += n->selected > n->changed ? n->selected - n->changed : 0;
	s->n.bytes += n->bytes;
	s->is_last = n->changed == 0; /* what is left is held by somebody else: the next run sees */
	gc_metric(j, "quay_gc_table_rows_deleted_total{table=\"Tag\"}", n->tags);
	gc_metric(j, "quay_gc_table_rows_deleted_total{table=\"Manifest\"}", n->manifests);
	gc_metric(j, "quay_gc_table_rows_deleted_total{table=\"ImageStorage\"}", n->blobs);
}

static enum err_kind
by_model(struct job *j, struct job_slice *s,
         enum err_kind (*collect)(struct ctx *, int64_t, struct collected *))
{
	struct collected n = { 0 };

	TRY(collect(j->c, s->max_items, &n));
	gc_count(j, s, &n);
	return ERR_NONE;
}

static enum err_kind
expired(struct job *j, struct job_slice *s)
{
	return by_model(j, s, collect_expired);
}

static enum err_kind
tags(struct job *j, struct job_slice *s)
{
	gc_metric(j, "quay_gc_iterations_total", 1);
	return by_model(j, s, collect_tags);
}

static enum err_kind
manifests(struct job *j, struct job_slice *s)
{
	return by_model(j, s, collect_manifests);
}

static enum err_kind
links(struct job *j, struct job_slice *s)
{
	return by_model(j, s, collect_links);
}

static bool
is_on(const struct conf *cf, const char **off)
{
	*off = "FEATURE_GARBAGE_COLLECTION, FEATURE_REPOSITORY_GARBAGE_COLLECTION and "
	       "FEATURE_NAMESPACE_GARBAGE_COLLECTION are off";
	return cf->feature_garbage_collection || cf->feature_repository_garbage_collection ||
	       cf->feature_namespace_garbage_collection;
}

/* Slices are small: a push that needs a row of one waits for its end. */
static const struct job_step STEPS[] = {
	{ .name = "expired tags", .is_on = content_is_on, .slice = expired, .slice_items = 100 },
	{ .name = "tags", .is_on = content_is_on, .slice = tags, .slice_items = 100 },
	{ .name = "namespaces", .is_on = namespaces_are_on, .slice = gc_namespaces, .slice_items = 100 },
	{ .name = "repositories",
	  .is_on = repositories_are_on,
	  .slice = gc_repositories,
	  .slice_items = 100 },
	{ .name = "namespaces that are empty now",
	  .is_on = namespaces_are_on,
	  .slice = gc_namespaces,
	  .slice_items = 100 },
	{ .name = "manifests", .is_on = content_is_on, .slice = manifests, .slice_items = 50 },
	{ .name = "links", .is_on = content_is_on, .slice = links, .slice_items = 100 },
	{ .name = "objects", .is_on = content_is_on, .slice = gc_sweep, .slice_items = 100 },
	{ .name = "own keys", .is_on = content_is_on, .slice = gc_move_own_keys, .slice_items = 20 },
	{ .name = "scrub", .is_on = is_scrub, .slice = gc_scrub, .slice_items = 1000 },
	{ .name = NULL },
};
static const struct job_option OPTIONS[] = {
	[GC_SCRUB] = { "scrub", NULL, "compares a slice of the storage with the database; reports only" },
	[GC_PREFIX] = { "prefix", "XX", "of --scrub: the slice, two hex digits; unset: each day another" },
	[GC_REMOVE_UNKNOWN] = { "remove-unknown", NULL,
	                        "of --scrub: old objects that no row knows are removed by the next runs" },
	[GC_EXPLAIN] = { "explain", "WHAT",
	                 "why NAMESPACE/REPOSITORY[:TAG|@DIGEST] or DIGEST is kept, and what would go with "
	                 "it" },
	{ 0 },
};
static const struct job_def GC = {
	.name = "gc",
	.doc = "Removes what nothing refers to any more: tags past their time, manifests, blobs, objects; "
	       "deleted repositories and namespaces.",
	.id = JOB_ID_GC,
	.lock = JOB_LOCK_FLEET,
	.flags = JOB_STORES | JOB_DELETES_OBJECTS | JOB_NOT_WITHOUT_PUSHES,
	.is_on = is_on,
	.due = STMT_GC_DUE,
	.due_args = due_args,
	.show = gc_show,
	.interval_s = 60,
	.steps = STEPS,
	.options = OPTIONS,
	.answer = gc_explain,
	.is_asked = is_scrub,
};

int
main(int argc, char **argv)
{
	return job_main(&GC, argc, argv);
}
