/* kade-logexport: writes what was asked for by …/exportlogs into a file of the preferred storage location, page by page, and posts
 * a report to the callback URL that was given with the request: one for each export, success or not. Files go when twice the life
 * of their link is over. A request is an item of the queue; its lease is renewed while it is worked on, so a crash hands it to
 * the next run. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/js.h"
#include "base/log.h"
#include "conf/conf.h"
#include "job.h"
#include "model/avatar.h"
#include "net/ca.h"
#include "net/http-client.h"
#include "net/ssrf.h"
#include "store/key.h"
#include "store/store.h"
#include "store/upload.h"

#define QUEUE       "exportactionlogs"
#define FILES       "exportedlogs"
#define LEASE_MS    INT64_C(300000)
#define PAGE        1000
#define ROBOT       3
#define CALLBACK_MS 30000
enum { R_AT_MS, R_ID, R_KIND, R_IP, R_METADATA, R_PERFORMER, R_PERFORMER_EMAIL, R_PERFORMER_KIND };

static const struct js_limits BODY = { .bytes = 65536, .depth = 4, .values = 64 }, METADATA = { .bytes = 8 << 20, .depth = 64, .values = 50000 };

struct export {
	int64_t     item_id, namespace_id, repository_id, from_ms, to_ms, started_us, rows;
	struct str  export_id, ns, repo, url;
	const char *key, *status, *link; /* key NULL: no file */
};

static bool
is_exporting(const struct conf *cf, const char **switch_off)
{
	*switch_off = "FEATURE_LOG_EXPORT";
	return cf->feature_log_export;
}

static json_t *
entry(struct ctx *c, const struct db_result *r, int i)
{
	const char *name = db_get_str(r, i, R_PERFORMER);
	json_t     *o = js_object(c), *m;

	jo_str(o, "kind", db_get_str(r, i, R_KIND));
	if (js_parse(c, db_get_strn(r, i, R_METADATA), &METADATA, &m) == ERR_NONE && json_is_object(m)) {
		jo_take(o, "metadata", json_incref(m));
	} else {
		err_clear(c);
		jo_object(o, "metadata");
	}
	jo_str(o, "ip", db_get_str(r, i, R_IP));
	jo_str(o, "datetime", clock_rfc2822(c->mem, db_get_i64(r, i, R_AT_MS)));
	if (name != NULL) {
		const bool robot = db_get_i64(r, i, R_PERFORMER_KIND) == ROBOT;
		json_t    *p = jo_object(o, "performer");
		jo_str(p, "kind", "user");
		jo_str(p, "name", name);
		jo_bool(p, "is_robot", robot);
		jo_take(p, "avatar", avatar_to_json(robot ? AVATAR_ROBOT : AVATAR_USER, name, robot ? NULL : db_get_str(r, i, R_PERFORMER_EMAIL)));
	}
	return o;
}

static enum err_kind
put(struct ctx *c, struct store_upload *u, struct str text)
{
	return store_upload_append(c, u, text.p, text.n);
}

static enum err_kind
put_head(struct ctx *c, struct store_upload *u, const struct export *x)
{
	json_t    *o = js_object(c), *d = jo_object(o, "details");
	struct str text;

	jo_strn(o, "export_id", x->export_id);
	jo_str(d, "start_time", clock_rfc2822(c->mem, x->from_ms));
	jo_str(d, "end_time", clock_rfc2822(c->mem, x->to_ms));
	jo_strn(d, "namespace", x->ns);
	if (x->repo.n > 0)
		jo_strn(d, "repository", x->repo);
	else
		jo_null(d, "repository");
	text = js_dump(c, o);
	TRY(put(c, u, str_sub(text, 0, text.n - 1)));
	return put(c, u, STR(", \"logs\": [\n"));
}

/* One page; *more: whether there is another. */
static enum err_kind
put_page(struct job *j, struct store_upload *u, struct export *x, int64_t place[2], bool *more)
{
	const struct arena_mark m = arena_mark(j->c->mem);
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_LOG_EXPORT_PAGE,
	            DB_ARGS(db_i64(x->namespace_id), db_i64_or_null(x->repository_id), db_i64(x->from_ms), db_i64(place[0]), db_i64(place[1]), db_i32(PAGE)), &r));
	for (int i = 0; i < r->rows; i++) {
		const struct arena_mark one = arena_mark(j->c->mem);
		TRY(put(j->c, u, js_dump(j->c, entry(j->c, r, i))));
		TRY(put(j->c, u, STR(",\n")));
		arena_rewind(j->c->mem, one);
	}
	x->rows += r->rows;
	*more = r->rows == PAGE;
	if (r->rows > 0) {
		place[0] = db_get_i64(r, r->rows - 1, R_AT_MS);
		place[1] = db_get_i64(r, r->rows - 1, R_ID);
	}
	arena_rewind(j->c->mem, m);
	return db_exec(j->c, STMT_LOG_EXPORT_RENEW, DB_ARGS(db_i64(x->item_id), db_i64(LEASE_MS)), NULL);
}

static bool
is_late(const struct job *j, const struct export *x)
{
	return clock_mono_us() - x->started_us > j->c->conf->export_action_logs_maximum_seconds * 1000000;
}

/* ERR_BUSY: the run is to end; the request waits for the next one. */
static enum err_kind
put_rows(struct job *j, struct store_upload *u, struct export *x)
{
	int64_t place[2] = { x->to_ms - 1, INT64_MAX };

	for (bool more = true; more;) {
		if (is_late(j, x)) {
			x->status = "timedout";
			return ERR_NONE;
		}
		if (!job_go_on(j))
			return err_set(j->c, ERR_BUSY, "the run ends");
		TRY(put_page(j, u, x, place, &more));
	}
	x->status = "success";
	return put(j->c, u, STR("{\"terminator\": true}]}\n"));
}

static enum err_kind
write_file(struct job *j, struct export *x)
{
	struct ctx             *c = j->c;
	struct store           *s = store_preferred(j->setup.stores);
	struct store_upload_row row;
	struct store_upload    *u;
	char                    id[37], secret[37];
	enum err_kind           e;

	random_uuid(id);
	random_uuid(secret);
	TRY(store_upload_new(c, s, id, &row));
	TRY(store_upload_resume(c, s, &row, &u));
	TRY(store_upload_part(c, u, &(struct store_part){ .length = -1, .is_last = true }));
	e = put_head(c, u, x);
	if (e == ERR_NONE)
		e = put_rows(j, u, x);
	if (e != ERR_NONE || strcmp(x->status, "success") != 0) {
		const struct err kept = c->err;
		(void)!store_upload_cancel(c, u);
		c->err = kept;
		return e;
	}
	x->key = str_fmt(c->mem, "%s/%.*s-%s", c->conf->export_action_logs_storage_path, STRF(x->export_id), secret);
	TRY(store_upload_finish(c, u, x->key));
	if ((s->caps & STORE_CAP_DIRECT_URL) != 0)
		return store_direct_url(c, s, &(struct store_url_want){ .key = x->key, .expires_s = (int)c->conf->export_action_logs_seconds }, &x->link);
	x->link = str_fmt(c->mem, "%s/exportedlogs/%.*s-%s", c->conf->base_url, STRF(x->export_id), secret);
	return ERR_NONE;
}

static struct str
report(struct ctx *c, const struct export *x)
{
	json_t *o = js_object(c);

	jo_strn(o, "export_id", x->export_id);
	jo_str(o, "start_time", clock_rfc2822(c->mem, x->from_ms));
	jo_str(o, "end_time", clock_rfc2822(c->mem, x->to_ms));
	jo_strn(o, "namespace", x->ns);
	if (x->repo.n > 0)
		jo_strn(o, "repository", x->repo);
	else
		jo_null(o, "repository");
	if (x->link != NULL)
		jo_str(o, "exported_data_url", x->link);
	else
		jo_null(o, "exported_data_url");
	jo_str(o, "status", x->status);
	return js_dump(c, o);
}

static void
end_client(void *arg)
{
	hc_client_free(arg);
}

static void
end_shared(void *arg)
{
	hc_shared_free(arg);
}

/* The address is a user's: every connection passes the guard, and no redirect is followed. */
static enum err_kind
call_back(struct job *j, const struct export *x)
{
	static const struct hc_header TYPE[] = { { .name = { "Content-Type", 12 }, .value = { "application/json", 16 } } };
	struct ctx                   *c = j->c;
	const char                   *ca = str_fmt(c->mem, "%s/logexport-ca.pem", j->setup.state_dir);
	const struct ssrf_rules      *rules;
	struct hc_shared             *shared;
	struct hc_client             *client;
	struct hc_result              result;
	struct ca_bundle              bundle;

	TRY(ca_bundle_load(c, &(struct ca_sources){ .conf_dir = c->conf->dir }, &bundle));
	TRY(ca_bundle_write(c, &bundle, ca));
	TRY(ssrf_rules_new(c, &c->conf->ssrf_allowed_hosts, &rules));
	TRY(hc_shared_new(c, &(struct hc_conf){ .ca_file = ca }, &shared));
	arena_defer(c->mem, end_shared, shared);
	client = hc_client_new(shared);
	if (client == NULL)
		return err_set(c, ERR_BUSY, "no memory for a client");
	arena_defer(c->mem, end_client, client);
	TRY(hc_perform(c, client, &(struct hc_request){ .method = "POST", .url = str_dup(c->mem, x->url), .headers = TYPE, .n_headers = 1, .body = report(c, x), .guard = rules,
	                                                .total_timeout_ms = CALLBACK_MS }, &result));
	return result.status == 200 ? ERR_NONE : err_set(c, ERR_UPSTREAM, "the callback answered %d", result.status);
}

static bool
read_item(struct ctx *c, const struct db_result *r, struct export *x)
{
	json_t *o;

	*x = (struct export){ .item_id = db_get_i64(r, 0, LOG_EXPORT_TAKE_ID), .started_us = clock_mono_us(), .status = "failed" };
	if (js_parse(c, db_get_strn(r, 0, LOG_EXPORT_TAKE_BODY), &BODY, &o) != ERR_NONE) {
		err_clear(c);
		return false;
	}
	x->export_id = js_str(o, "export_id");
	x->namespace_id = js_i64(o, "namespace_id", 0);
	x->repository_id = js_i64(o, "repository_id", 0);
	x->ns = js_str(o, "namespace_name");
	x->repo = js_str(o, "repository_name");
	x->url = js_str(o, "callback_url");
	x->from_ms = js_i64(o, "from_ms", 0);
	x->to_ms = js_i64(o, "to_ms", 0);
	return store_uuid_ok(x->export_id) && x->namespace_id != 0;
}

static enum err_kind
finish(struct job *j, const struct export *x)
{
	return db_exec(j->c, STMT_LOG_EXPORT_DONE, DB_ARGS(db_i64(x->item_id), db_str(x->key), db_i64(j->c->conf->export_action_logs_seconds * 2000)), NULL);
}

/* A file that could not be written is tried again; when no try is left that is the report. A report that could not be delivered
 * does not write the file again. */
static enum err_kind
export_one(struct job *j, struct job_slice *s)
{
	const struct db_result *r;
	struct export           x;
	enum err_kind           e;

	TRY(db_exec(j->c, STMT_LOG_EXPORT_TAKE, DB_ARGS(db_str(QUEUE), db_i64(LEASE_MS)), &r));
	if (r->rows == 0)
		return ERR_NONE;
	s->n.selected = 1;
	if (!read_item(j->c, r, &x)) {
		err_set(j->c, ERR_BAD_INPUT, "not a request for an export");
		job_item_failed(j, s, "queue item");
		return finish(j, &x);
	}
	e = write_file(j, &x);
	if (e != ERR_NONE && (db_get_i64(r, 0, LOG_EXPORT_TAKE_RETRIES) > 0 || j->stopped != NULL)) {
		job_item_failed(j, s, str_dup(j->c->mem, x.export_id));
		return ERR_NONE;
	}
	if (x.url.n > 0 && call_back(j, &x) != ERR_NONE)
		log_line(j->c, LOG_LEVEL_WARN, "export %.*s: %s", STRF(x.export_id), j->c->err.text);
	s->n.done = 1;
	return finish(j, &x);
}

static enum err_kind
remove_one(struct job *j, struct job_slice *s)
{
	const struct db_result *r;

	TRY(db_exec(j->c, STMT_LOG_EXPORT_TAKE, DB_ARGS(db_str(FILES), db_i64(3600000)), &r));
	if (r->rows == 0)
		return ERR_NONE;
	s->n.selected = 1;
	const char *key = db_get_str(r, 0, LOG_EXPORT_TAKE_BODY);
	if (store_remove(j->c, store_preferred(j->setup.stores), key) != STORE_GONE) {
		job_item_failed(j, s, key);
		return ERR_NONE;
	}
	s->n.done = 1;
	return db_exec(j->c, STMT_LOG_EXPORT_DONE, DB_ARGS(db_i64(db_get_i64(r, 0, LOG_EXPORT_TAKE_ID)), db_null(), db_i64(0)), NULL);
}

static const struct job_step STEPS[] = {
	{ .name = "exports", .slice = export_one, .slice_items = 1 },
	{ .name = "old files", .slice = remove_one, .slice_items = 1 },
	{ .name = NULL },
};
static const struct job_def LOGEXPORT = {
	.name = "logexport",
	.doc = "Writes exports of the audit log that were asked for, reports them, removes old ones.",
	.id = JOB_ID_LOGEXPORT,
	.lock = JOB_LOCK_FLEET,
	.flags = JOB_STORES,
	.is_on = is_exporting,
	.due = STMT_LOG_EXPORT_DUE,
	.interval_s = 10,
	.steps = STEPS,
};

int
main(int argc, char **argv)
{
	return job_main(&LOGEXPORT, argc, argv);
}
