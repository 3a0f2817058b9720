/* Events and methods of notifications. */
#include "model/notification.h"

#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "db/db.h"
#include "net/ssrf.h"

#define TEXT_MAX     4096 /* bytes of one member of a configuration */
#define TEMPLATE_MAX 65536
#define LEVELS       6    /* Critical, High, Medium, Low, Negligible, Unknown */
#define DAYS_MAX     36500

static const struct say SAY = { 400, "invalid_request", "Request error." };

struct event {
	const char          *name;
	enum notification_of of;
};
static const struct event EVENTS[] = {
	{ "repo_push", NOTIFICATION_REPOSITORY },          { "build_queued", NOTIFICATION_REPOSITORY },
	{ "build_start", NOTIFICATION_REPOSITORY },        { "build_success", NOTIFICATION_REPOSITORY },
	{ "build_failure", NOTIFICATION_REPOSITORY },      { "build_cancelled", NOTIFICATION_REPOSITORY },
	{ "vulnerability_found", NOTIFICATION_REPOSITORY }, { "repo_mirror_sync_started", NOTIFICATION_REPOSITORY },
	{ "repo_mirror_sync_success", NOTIFICATION_REPOSITORY }, { "repo_mirror_sync_failed", NOTIFICATION_REPOSITORY },
	{ "repo_image_expiry", NOTIFICATION_REPOSITORY },  { "quota_warning", NOTIFICATION_NAMESPACE },
	{ "quota_error", NOTIFICATION_NAMESPACE },
};

static enum err_kind
check_event(struct ctx *c, const struct notification_new *n)
{
	for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++)
		if (EVENTS[i].of == n->of && str_eq_c(n->event, EVENTS[i].name))
			return ERR_NONE;
	return n->of == NOTIFICATION_REPOSITORY
	           ? err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Invalid event '%.*s'", STRF(n->event))
	           : err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Invalid event '%.*s'. Must be one of: quota_error, quota_warning", STRF(n->event));
}

/* A number, or a text that is one, within bounds. */
static bool
is_number(const json_t *v, int64_t min, int64_t max)
{
	int64_t n;

	if (json_is_integer(v))
		return json_integer_value(v) >= min && json_integer_value(v) <= max;
	return json_is_string(v) && str_to_i64((struct str){ json_string_value(v), json_string_length(v) }, min, max, &n);
}

static enum err_kind
check_event_config(struct ctx *c, const struct notification_new *n)
{
	const json_t *level = json_object_get(n->event_config, "level"), *days = json_object_get(n->event_config, "days");
	const json_t *ref = json_object_get(n->event_config, "ref-regex");

	if (js_dump(c, n->event_config).n > TEXT_MAX)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "The event's configuration is too long");
	if (str_eq(n->event, STR("vulnerability_found")) && level != NULL && !json_is_null(level) && !is_number(level, 0, LEVELS - 1))
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Invalid vulnerability level");
	if (str_eq(n->event, STR("repo_image_expiry")) && days != NULL && !is_number(days, 1, DAYS_MAX))
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Invalid number of days");
	if (ref != NULL && !json_is_null(ref) && !json_is_string(ref))
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "ref-regex must be a string");
	return ERR_NONE;
}

/* A text of the configuration that must be there. */
static enum err_kind
take_text(struct ctx *c, const json_t *config, const char *member, const char *missing, json_t *out)
{
	const struct str v = js_str(config, member);

	if (v.n == 0 || v.n > TEXT_MAX)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "%s", missing);
	jo_strn(out, member, v);
	return ERR_NONE;
}

static enum err_kind
take_target(struct ctx *c, const struct notification_new *n, json_t *out)
{
	const json_t           *target = json_object_get(n->config, "target");
	const struct str        kind = js_str(target, "kind"), name = js_str(target, "name");
	const struct db_result *r;
	json_t                 *o;

	if (!json_is_object(target) || name.n == 0)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Missing target");
	TRY(db_exec(c, STMT_NOTIFICATION_TARGET, DB_ARGS(db_i64(n->namespace_id), db_strn(kind.p == NULL ? STR("") : kind), db_strn(name)), &r));
	if (!db_get_bool(r, 0, NOTIFICATION_TARGET_FOUND))
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Unknown %s %.*s",
		                   str_eq(kind, STR("org")) ? "organization" : str_eq(kind, STR("team")) ? "team" : "user", STRF(name));
	o = jo_object(out, "target");
	jo_strn(o, "kind", kind);
	jo_strn(o, "name", name);
	return ERR_NONE;
}

/* The host between "//" and what ends it; user names are refused by the guard. */
static struct str
host_of(struct str url)
{
	size_t from = 0, to;

	while (from + 1 < url.n && !(url.p[from] == '/' && url.p[from + 1] == '/'))
		from++;
	from = from + 2 < url.n ? from + 2 : url.n;
	for (to = from; to < url.n && url.p[to] != '/' && url.p[to] != ':' && url.p[to] != '?' && url.p[to] != '#'; to++)
		;
	return str_sub(url, from, to);
}

static enum err_kind
check_url(struct ctx *c, struct str url, const char *refusal)
{
	const struct ssrf_rules *rules;
	const struct str_list   *off = &c->conf->webhook_hostname_blacklist;
	const char              *text = str_dup(c->mem, url);
	bool                     ok;

	TRY(ssrf_rules_new(c, &c->conf->ssrf_allowed_hosts, &rules));
	ok = text != NULL && ssrf_check_url(c, rules, text) == ERR_NONE;
	for (size_t i = 0; ok && i < off->n; i++)
		ok = !str_eq_nocase(host_of(url), str_of(off->v[i]));
	return ok ? ERR_NONE : err_say_fmt(c, ERR_BAD_INPUT, &SAY, "%s", refusal);
}

static enum err_kind
take_webhook(struct ctx *c, const json_t *config, json_t *out)
{
	const json_t    *template = json_object_get(config, "template");
	const struct str text = js_str(config, "template");

	TRY(take_text(c, config, "url", "Missing webhook URL", out));
	TRY(check_url(c, js_str(config, "url"), "Invalid webhook URL"));
	if (template == NULL || json_is_null(template) || (json_is_string(template) && text.n == 0))
		return ERR_NONE;
	if (!json_is_string(template) || !notification_template_valid(c, text))
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Invalid template");
	jo_strn(out, "template", text);
	return ERR_NONE;
}

/* Mails about a repository need an address that somebody confirmed for it. */
static enum err_kind
take_email(struct ctx *c, const struct notification_new *n, json_t *out)
{
	const struct str address = js_str(n->config, "email");
	const struct db_result *r;

	if (n->of == NOTIFICATION_NAMESPACE)
		return c->conf->feature_mailing ? ERR_NONE : err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Unknown notification method 'email'");
	if (address.n == 0)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Missing e-mail address");
	TRY(db_exec(c, STMT_REPOSITORY_EMAIL_IS_CONFIRMED, DB_ARGS(db_i64(n->repository_id), db_strn(address)), &r));
	if (!db_get_bool(r, 0, 0) || !c->conf->feature_mailing)
		return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "The specified e-mail address is not authorized to receive notifications for this repository");
	jo_strn(out, "email", address);
	return ERR_NONE;
}

static enum err_kind
take_config(struct ctx *c, const struct notification_new *n, json_t *out)
{
	if (str_eq(n->method, STR("quay_notification")))
		return take_target(c, n, out);
	if (str_eq(n->method, STR("email")))
		return take_email(c, n, out);
	if (str_eq(n->method, STR("webhook")))
		return take_webhook(c, n->config, out);
	if (str_eq(n->method, STR("slack"))) {
		TRY(take_text(c, n->config, "url", "Missing Slack Callback URL", out));
		return check_url(c, js_str(n->config, "url"), "Invalid Slack Callback URL");
	}
	if (str_eq(n->method, STR("flowdock")))
		return take_text(c, n->config, "flow_api_token", "Missing Flowdock API Token", out);
	if (str_eq(n->method, STR("hipchat"))) {
		TRY(take_text(c, n->config, "notification_token", "Missing Hipchat Room Notification Token", out));
		return take_text(c, n->config, "room_id", "Missing Hipchat Room ID", out);
	}
	return err_say_fmt(c, ERR_BAD_INPUT, &SAY, "Unknown notification method '%.*s'", STRF(n->method));
}

enum err_kind
notification_check(struct ctx *c, const struct notification_new *n, struct str *config)
{
	json_t *out = js_object(c);

	TRY(check_event(c, n));
	TRY(take_config(c, n, out));
	TRY(check_event_config(c, n));
	*config = js_dump(c, out);
	return ERR_NONE;
}

/* $ | name ( .name | [n] | [*] )*; a leading "$." is allowed. */
static bool
is_path(struct str s)
{
	size_t i = 0;

	if (str_eq(s, STR("$")))
		return true;
	if (str_starts(s, STR("$.")))
		s = str_sub(s, 2, s.n);
	while (i < s.n) {
		const size_t from = i;
		while (i < s.n && (s.p[i] == '_' || s.p[i] == '-' || (s.p[i] >= '0' && s.p[i] <= '9') || ((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z')))
			i++;
		if (i == from)
			return false;
		while (i < s.n && s.p[i] == '[') {
			const char *close = memchr(s.p + i, ']', s.n - i);
			int64_t     n;
			if (close == NULL)
				return false;
			const struct str in = { s.p + i + 1, (size_t)(close - s.p) - i - 1 };
			if (!str_eq(in, STR("*")) && !str_to_i64(in, 0, INT32_MAX, &n))
				return false;
			i += in.n + 2;
		}
		if (i == s.n)
			return true;
		if (s.p[i++] != '.')
			return false;
	}
	return false;
}

static bool
is_good_text(struct str s)
{
	for (size_t i = 0; i + 1 < s.n; i++) {
		if (s.p[i] != '$' || s.p[i + 1] != '{')
			continue;
		const char *close = memchr(s.p + i, '}', s.n - i);
		if (close == NULL || !is_path(str_trim((struct str){ s.p + i + 2, (size_t)(close - s.p) - i - 2 })))
			return false;
		i = (size_t)(close - s.p);
	}
	return true;
}

/* Depth is bounded by the parser's limit. */
static bool
is_good_value(const json_t *v)
{
	json_t     *child;
	const char *key;
	size_t      i;

	if (json_is_string(v))
		return is_good_text((struct str){ json_string_value(v), json_string_length(v) });
	if (json_is_array(v)) {
		json_array_foreach(v, i, child) if (!is_good_value(child)) return false;
		return true;
	}
	json_object_foreach((json_t *)(uintptr_t)v, key, child) if (!is_good_text(str_of(key)) || !is_good_value(child)) return false;
	return true;
}

bool
notification_template_valid(struct ctx *c, struct str text)
{
	static const struct js_limits LIMITS = { .bytes = TEMPLATE_MAX, .depth = 32, .values = 2000 };
	json_t                       *v;

	return js_parse(c, text, &LIMITS, &v) == ERR_NONE && is_good_value(v);
}
