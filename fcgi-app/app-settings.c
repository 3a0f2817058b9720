/* config.yaml as the processes need it: the snapshot, and what the HTTP side takes of it ready for use. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "http/access-log.h"
#include "http/client-addr.h"

/* The report's errors in one line for the operator; each is in `kade-config check` too. */
static void
say_errors(const struct conf_report *rep, const struct ctx *c, const char *path, char *why, size_t why_bytes)
{
	int at = snprintf(why, why_bytes, "%s: ", path);

	for (size_t i = 0; i < rep->n && at >= 0 && (size_t)at < why_bytes; i++) {
		const struct conf_note *n = &rep->v[i];
		if (n->severity == CONF_ERROR)
			at += snprintf(why + at, why_bytes - (size_t)at, "%s%s: %s", i > 0 ? "; " : "", n->key, n->text);
	}
	if (rep->n_errors == 0)
		snprintf(why, why_bytes, "%s: %s", path, c->err.text);
}

/* A list of address ranges. NULL with the reason in why. */
static const struct cidr *
take_ranges(struct app_settings *s, const char *key, const struct str_list *l, char *why, size_t why_bytes)
{
	struct cidr *v = ARENA_ARRAY(s->mem, struct cidr, l->n + 1);

	for (size_t i = 0; i < l->n; i++) {
		if (!cidr_parse(str_of(l->v[i]), &v[i])) {
			snprintf(why, why_bytes, "%s: %s is no address range", key, l->v[i]);
			return NULL;
		}
	}
	return v;
}

static bool
take_proxies(struct app_settings *s, char *why, size_t why_bytes)
{
	const struct str_list *l = s->conf->kade_trusted_proxies.n > 0 ? &s->conf->kade_trusted_proxies : &s->conf->trusted_proxy_cidr;
	const struct str_list *m = &s->conf->kade_metrics_from;

	s->http.trusted = take_ranges(s, "TRUSTED_PROXY_CIDR", l, why, why_bytes);
	s->http.n_trusted = l->n;
	s->http.metrics = take_ranges(s, "KADE.METRICS_FROM", m, why, why_bytes);
	s->http.n_metrics = m->n;
	return s->http.trusted != NULL && s->http.metrics != NULL;
}

static bool
take_http(struct app_settings *s, char *why, size_t why_bytes)
{
	const struct conf *cf = s->conf;

	s->http.scheme = cf->is_https ? "https" : "http";
	s->http.host = cf->server_hostname;
	s->http.mount = cf->kade_mount_prefix;
	s->http.cors_origins = cf->cors_origin;
	s->http.slow_ms = (int)cf->kade_slow_request_ms;
	s->http.io_timeout_s = (int)cf->kade_body_idle_timeout_s;
	if (!access_parse(str_of(cf->kade_access_log), &s->http)) {
		snprintf(why, why_bytes, "KADE.ACCESS_LOG: off, errors, sampled:N or all expected");
		return false;
	}
	return take_proxies(s, why, why_bytes);
}

bool
app_load(const char *path, struct app_settings **out, char *why, size_t why_bytes)
{
	struct arena        *mem = arena_new(0);
	struct app_settings *s = ARENA_NEW(mem, struct app_settings);
	struct ctx           c = { .mem = mem };
	struct conf_report   rep = { .mem = mem };

	s->mem = mem;
	if (conf_load(&c, path, &s->conf, &rep) != ERR_NONE) {
		say_errors(&rep, &c, path, why, why_bytes);
		arena_free(mem);
		return false;
	}
	s->state_dir = s->conf->kade_state_dir != NULL ? s->conf->kade_state_dir : KADE_LOCALSTATEDIR;
	s->log = s->conf->kade_log != NULL ? s->conf->kade_log : "-";
	s->log_level = s->conf->kade_log_level;
	if (!take_http(s, why, why_bytes)) {
		app_unload(s);
		return false;
	}
	*out = s;
	return true;
}

void
app_unload(struct app_settings *s)
{
	if (s == NULL)
		return;
	conf_free(s->conf);
	arena_free(s->mem);
}
