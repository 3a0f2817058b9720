/* kade-gc: deleted namespaces and repositories, slice after slice. */
#include "base/log.h"
#include "gc.h"
#include "model/purge.h"
#include "store/store.h"
#include "store/upload.h"

/* The row is gone; what the store holds is removed now, or by the daily sweep of kade-uploads. */
static void
abort_upload(struct job *j, struct job_slice *s, const struct purge_upload *u)
{
	const struct store_upload_row row = { .id = u->uuid,
		                              .offset_bytes = u->offset_bytes,
		                              .hash_state = u->hash_state,
		                              .store_state = u->store_state };
	struct store *store = store_find(j->setup.stores, str_of(u->location));

	if (store == NULL)
		log_line(j->c, LOG_LEVEL_WARN, "upload %s: storage %s is not in the configuration any more",
		         u->uuid, u->location);
	else if (store_upload_abort(j->c, store, &row) != ERR_NONE)
		job_item_failed(j, s, u->uuid);
}

/* One slice of the first repository of which something can be removed. */
enum err_kind
gc_repositories(struct job *j, struct job_slice *s)
{
	int64_t id = 0;

	for (;;) {
		struct purge_slice p = { 0 };

		TRY(purge_next_repository(j->c, id, &id));
		if (id == 0)
			break;
		TRY(purge_repository(j->c, id, s->max_items, &p));
		for (int i = 0; i < p.n_uploads; i++)
			abort_upload(j, s, &p.uploads[i]);
		if (p.is_gone) {
			p.n.changed = 1;
			gc_metric(j, "quay_gc_repos_purged_total", 1);
			log_line(j->c, LOG_LEVEL_DEBUG, "repository %lld is gone", (long long)id);
		}
		p.n.selected = p.n.changed;
		if (p.n.changed > 0) {
			gc_count(j, s, &p.n);
			return ERR_NONE;
		}
		if (!job_go_on(j))
			break;
	}
	s->is_last = true;
	return ERR_NONE;
}

enum err_kind
gc_namespaces(struct job *j, struct job_slice *s)
{
	int64_t id = 0;

	for (;;) {
		int64_t changed;
		bool is_gone;

		TRY(purge_next_namespace(j->c, id, &id));
		if (id == 0)
			break;
		TRY(purge_namespace(j->c, id, s->max_items, &changed, &is_gone));
		if (is_gone) {
			changed = 1;
			gc_metric(j, "quay_gc_namespaces_purged_total", 1);
			log_line(j->c, LOG_LEVEL_DEBUG, "namespace %lld is gone", (long long)id);
		}
		s->n.selected = s->n.done = changed;
		if (changed > 0)
			return ERR_NONE;
		if (!job_go_on(j))
			break;
	}
	s->is_last = true;
	return ERR_NONE;
}
