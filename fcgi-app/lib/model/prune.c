/* Pruning of a repository's tags by policies. */
#include "model/prune.h"

#include <jansson.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "model/audit.h"
#include "model/tag.h"
#include "oci/digest-ref.h"
#include "oci/name.h"

#define PAGE_TAGS 1000
#define WALK_US   (60 * INT64_C(1000000))

enum err_kind
prune_pulls_known(struct ctx *c, bool *known)
{
	const struct db_result *r;

	*known = false;
	if (!c->conf->feature_image_pull_stats)
		return ERR_NONE;
	TRY(db_exec(c, STMT_PRUNE_PULLS_KNOWN, DB_NO_ARGS, &r));
	*known = db_get_bool(r, 0, PRUNE_PULLS_KNOWN_IS_KNOWN);
	return ERR_NONE;
}

enum err_kind
prune_rules_load(struct ctx *c, const struct prune_target *t, bool pulls_known, struct prune_rules *out)
{
	const struct db_result *r;

	*out = (struct prune_rules){ 0 };
	TRY(db_exec(c, STMT_PRUNE_RULES, DB_ARGS(db_i64(t->namespace_id), db_i64(t->repository_id)), &r));
	for (int i = 0; i < r->rows; i++) {
		const struct prune_rule base = {
			.uuid = db_get_strn(r, i, PRUNE_RULES_UUID),
			.method = prune_method_find(db_get_strn(r, i, PRUNE_RULES_METHOD)),
			.text = db_get_strn(r, i, PRUNE_RULES_VALUE),
			.matches = db_get_bool(r, i, PRUNE_RULES_TAG_PATTERN_MATCHES),
			.of_namespace = db_get_bool(r, i, PRUNE_RULES_OF_NAMESPACE),
			.since_ms = db_get_i64(r, i, PRUNE_RULES_CHANGED_MS),
		};
		if (base.method != PRUNE_NOT_PULLED || pulls_known)
			(void)prune_rules_add(c, out, &base, db_get_strn(r, i, PRUNE_RULES_TAG_PATTERN));
	}
	return ERR_NONE;
}

void
prune_rules_default(struct ctx *c, struct prune_rules *rules)
{
	const json_t *o = c->conf->default_namespace_autoprune_policy;
	const json_t *value = json_object_get(o, "value"),
	             *matches = json_object_get(o, "tag_pattern_matches");
	const char *pattern = json_string_value(json_object_get(o, "tag_pattern"));
	const char *method = json_string_value(json_object_get(o, "method"));
	struct prune_rule base = { .of_namespace = true };

	if (method == NULL || value == NULL)
		return;
	base.method = prune_method_find(str_of(method));
	base.matches = matches == NULL || json_is_true(matches);
	base.text = json_is_integer(value)
	                ? str_of(str_fmt(c->mem, "%lld", (long long)json_integer_value(value)))
	                : str_of(json_is_string(value) ? json_string_value(value) : "");
	/* Pulls before the first policy by pulls may not have been counted: such a rule needs the day it was written. */
	if (base.method != PRUNE_NOT_PULLED)
		(void)prune_rules_add(c, rules, &base, str_of(pattern));
}

static void
free_arena(void *p)
{
	arena_free(p);
}

void
prune_walk_end(struct ctx *c, struct prune_walk *w)
{
	if (w->mem == NULL)
		return;
	arena_undefer(c->mem, free_arena, w->mem);
	arena_free(w->mem);
	w->mem = NULL;
}

enum err_kind
prune_walk_begin(struct ctx *c, const struct prune_target *t, struct prune_rules *rules, struct prune_walk *w)
{
	const struct db_result *r;

	*w = (struct prune_walk){
		.target = t, .rules = rules, .mem = arena_new(0), .started_us = clock_mono_us()
	};
	arena_defer(c->mem, free_arena, w->mem);
	prune_rules_begin(rules, w->mem);
	TRY(db_exec(c, STMT_CLOCK, DB_NO_ARGS, &r));
	w->now_ms = db_get_i64(r, 0, 0);
	w->before_ms = prune_rules_before_ms(rules, w->now_ms);
	w->is_end = rules->n == 0;
	return tag_policies_load(c, t->repository_id, &w->policies);
}

/* Immutable tags and those of cosign are neither selected nor counted. */
static bool
is_out(struct ctx *c, const struct prune_walk *w, const struct db_result *r, int row)
{
	const struct str name = db_get_strn(r, row, PRUNE_TAGS_NAME);
	struct oci_digest subject;

	return (db_get_bool(r, row, PRUNE_TAGS_IS_IMMUTABLE) && c->conf->feature_immutable_tags) ||
	       oci_sibling_parse(name, &subject) ||
	       tag_policies_hold(&w->policies, name, db_get_i64(r, row, PRUNE_TAGS_RELEASED_MS));
}

enum err_kind
prune_walk_page(struct ctx *c, struct prune_walk *w)
{
	const struct db_result *r;

	w->n = 0;
	if (w->is_end)
		return ERR_NONE;
	TRY(db_exec(c, STMT_PRUNE_TAGS,
	            DB_ARGS(db_i64(w->target->repository_id), db_i64(w->before_ms), db_str(w->after),
	                    db_i32(PAGE_TAGS), db_bool(w->rules->wants_pulls)),
	            &r));
	w->victims = ARENA_ARRAY(c->mem, struct prune_victim, (size_t)r->rows + 1);
	for (int i = 0; i < r->rows; i++) {
		const struct prune_tag t = { .id = db_get_i64(r, i, PRUNE_TAGS_ID),
			                     .name = db_get_strn(r, i, PRUNE_TAGS_NAME),
			                     .start_ms = db_get_i64(r, i, PRUNE_TAGS_START_MS),
			                     .pulled_ms = db_get_i64(r, i, PRUNE_TAGS_PULLED_MS) };
		const struct prune_rule *rule =
		    is_out(c, w, r, i) ? NULL : prune_rules_select(w->rules, &t, w->now_ms);

		if (clock_mono_us() - w->started_us > WALK_US)
			return err_set(c, ERR_TOO_LARGE, "the patterns of its policies take too long");
		if (rule != NULL)
			w->victims[w->n++] = (struct prune_victim){ t, rule };
		w->before_ms = t.start_ms;
		snprintf(w->after, sizeof w->after, "%.*s", STRF(t.name));
	}
	w->is_end = r->rows < PAGE_TAGS;
	return ERR_NONE;
}

static struct str
audit_text(struct ctx *c, const struct prune_target *t, struct str tag)
{
	struct buf b = BUF(c->mem);

	buf_puts(&b, "{\"performer\":\"autoprune worker\",\"namespace\":");
	buf_put_json(&b, t->ns);
	buf_puts(&b, ",\"repo\":");
	buf_put_json(&b, t->repo);
	buf_puts(&b, ",\"tag\":");
	buf_put_json(&b, tag);
	buf_puts(&b, "}");
	return buf_str(&b);
}

static enum err_kind
remove_once(struct ctx *c, const struct prune_walk *w, int64_t *removed)
{
	const struct prune_target *t = w->target;
	int64_t *ids = ARENA_ARRAY(c->mem, int64_t, w->n);
	const struct db_result *ended;
	struct str *rows;

	for (size_t i = 0; i < w->n; i++)
		ids[i] = w->victims[i].tag.id;
	TRY(db_begin(c, DB_TX_DEFAULT));
	TRY(tag_remove_rows(c,
	                    &(struct tag_remove){ .repository_id = t->repository_id,
	                                          .ids = ids,
	                                          .n = w->n,
	                                          .window_ms = t->window_ms,
	                                          .policies = &w->policies },
	                    &ended));
	rows = ARENA_ARRAY(c->mem, struct str, (size_t)ended->rows + 1);
	for (int i = 0; i < ended->rows; i++)
		rows[i] = audit_text(c, t, db_get_strn(ended, i, TAG_DELETE_NAME));
	if (ended->rows > 0)
		TRY(audit_add_many(c,
		                   &(struct audit_row){ .kind = AUDIT_autoprune_tag_delete,
		                                        .namespace_id = t->namespace_id,
		                                        .repository_id = t->repository_id },
		                   rows, (size_t)ended->rows));
	TRY(db_commit(c));
	*removed = ended->rows;
	return ERR_NONE;
}

enum err_kind
prune_walk_remove(struct ctx *c, const struct prune_walk *w, int64_t *removed)
{
	enum err_kind e;

	*removed = 0;
	if (w->n == 0)
		return ERR_NONE;
	do {
		e = remove_once(c, w, removed);
		if (e != ERR_NONE && db_in_tx(c))
			db_rollback(c);
	} while (e != ERR_NONE && audit_was_overflow(c));
	return e;
}

char *
prune_reason(struct ctx *c, const struct prune_rule *rule)
{
	switch (rule->method) {
	case PRUNE_CREATION_DATE:
		return str_fmt(c->mem, "set more than %.*s ago", STRF(rule->text));
	case PRUNE_NOT_PULLED:
		return str_fmt(c->mem, "neither set nor pulled for %.*s", STRF(rule->text));
	case PRUNE_NUMBER_OF_TAGS:
		return str_fmt(c->mem, "not among the newest %.*s", STRF(rule->text));
	default:
		return str_fmt(c->mem, "not among the newest %.*s of its group", STRF(rule->text));
	}
}
