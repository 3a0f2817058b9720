/* Policies that make tags immutable. */
#include "model/tag-policy.h"

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/tag-pattern.h"

#define GROW 16

struct tag_policy {
	struct tag_pattern *pattern; /* NULL: wants nothing */
	bool matches;
	int64_t pending_ms;
};

static void
free_pattern(void *p)
{
	tag_pattern_free(p);
}

void
tag_policies_add(struct ctx *c, struct tag_policies *p, struct str pattern, bool matches, int64_t pending_ms)
{
	struct tag_pattern *compiled = tag_pattern_compile(pattern);

	if (compiled == NULL)
		return;
	arena_defer(c->mem, free_pattern, compiled);
	if (p->n % GROW == 0) {
		struct tag_policy *v = ARENA_ARRAY(c->mem, struct tag_policy, p->n + GROW);
		for (size_t i = 0; i < p->n; i++)
			v[i] = p->v[i];
		p->v = v;
	}
	p->v[p->n++] = (struct tag_policy){ compiled, matches, pending_ms };
	p->has_pending |= pending_ms != 0;
}

void
tag_policies_from_rows(struct ctx *c, const struct db_result *r, struct tag_policies *out)
{
	*out = (struct tag_policies){ 0 };
	for (int i = 0; i < r->rows; i++)
		tag_policies_add(c, out, db_get_strn(r, i, TAG_POLICIES_TAG_PATTERN),
		                 db_get_bool(r, i, TAG_POLICIES_TAG_PATTERN_MATCHES),
		                 db_get_i64(r, i, TAG_POLICIES_PENDING_MS));
}

enum err_kind
tag_policies_load(struct ctx *c, int64_t repository_id, struct tag_policies *out)
{
	const struct db_result *r;

	*out = (struct tag_policies){ 0 };
	if (!c->conf->feature_immutable_tags)
		return ERR_NONE;
	TRY(db_exec(c, STMT_TAG_POLICIES, DB_ARGS(db_i64(repository_id)), &r));
	tag_policies_from_rows(c, r, out);
	return ERR_NONE;
}

bool
tag_policies_want(const struct tag_policies *p, struct str name)
{
	for (size_t i = 0; i < p->n; i++)
		if (tag_pattern_fits(p->v[i].pattern, name) == p->v[i].matches)
			return true;
	return false;
}

bool
tag_policies_hold(const struct tag_policies *p, struct str name, int64_t released_ms)
{
	for (size_t i = 0; i < p->n && p->has_pending; i++)
		if (p->v[i].pending_ms > released_ms &&
		    tag_pattern_fits(p->v[i].pattern, name) == p->v[i].matches)
			return true;
	return false;
}

enum err_kind
tag_policies_hold_of_manifest(struct ctx *c, const struct tag_policies *p, int64_t manifest_id,
                              struct str **names, size_t *n)
{
	const struct db_result *r;

	*names = NULL;
	*n = 0;
	if (!p->has_pending)
		return ERR_NONE;
	TRY(db_exec(c, STMT_TAG_NAMES_OF_MANIFEST, DB_ARGS(db_i64(manifest_id)), &r));
	*names = ARENA_ARRAY(c->mem, struct str, (size_t)r->rows + 1);
	for (int i = 0; i < r->rows; i++) {
		const struct str name = db_get_strn(r, i, TAG_NAMES_OF_MANIFEST_NAME);
		if (tag_policies_hold(p, name, db_get_i64(r, i, TAG_NAMES_OF_MANIFEST_RELEASED_MS)))
			(*names)[(*n)++] = name;
	}
	return ERR_NONE;
}
