/* Sessions in a cookie: AES-256-GCM under a key derived from SECRET_KEY. Name, path and attributes are Quay's. */
#include "http/session.h"

#include <string.h>

#include "app.h"
#include "auth/login.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/request.h"
#include "http/response.h"

#define PURPOSE "session"
#define COOKIE_BYTES 4096
static const struct say SAY_CSRF = { 403, "error", "CSRF token was invalid or missing." };
static const struct js_limits LIMITS = { .bytes = COOKIE_BYTES, .depth = 2, .values = 32 };

/* The value of a cookie: the first of that name. */
static struct str
cookie(const struct req *rq, const char *name)
{
	struct str rest = req_header(rq, "cookie"), one, key, value;

	while (rest.n > 0) {
		str_cut(rest, ';', &one, &rest);
		if (str_cut(str_trim(one), '=', &key, &value) && str_eq_c(key, name))
			return value;
	}
	return STR0;
}

static void
take_text(char *out, size_t cap, struct str s)
{
	if (s.n < cap) {
		memcpy(out, s.n > 0 ? s.p : "", s.n);
		out[s.n] = '\0';
	}
}

void
session_load(struct req *rq)
{
	struct session  *s = &rq->session;
	const struct str box = cookie(rq, rq->c->conf->session_cookie_name);
	struct str       plain;
	json_t          *o;

	if (s->is_loaded)
		return;
	*s = (struct session){ .is_loaded = true };
	if (box.n == 0 || box.n > COOKIE_BYTES || !secret_unbox(rq->c, &rq->app->login->secrets.cookie, PURPOSE, box, &plain))
		return;
	if (js_parse(rq->c, plain, &LIMITS, &o) != ERR_NONE) {
		err_clear(rq->c);
		return;
	}
	if (rq->c->now_ms - js_i64(o, "at", 0) > rq->c->conf->session_timeout_s * 1000)
		return;
	take_text(s->csrf, sizeof s->csrf, js_str(o, "csrf"));
	take_text(s->oauth_csrf, sizeof s->oauth_csrf, js_str(o, "oauth"));
	if (js_str(o, "user").n > 0) {
		s->user_uuid = str_dup(rq->c->mem, js_str(o, "user"));
		s->user_name = str_dup(rq->c->mem, js_str(o, "name"));
		s->login_ms = js_i64(o, "login", 0);
	}
}

static void
make_token(struct req *rq, char out[CSRF_TEXT])
{
	uint8_t raw[48];

	random_bytes(raw, sizeof raw);
	take_text(out, CSRF_TEXT, str_of(base64url_put(rq->c->mem, (struct str){ (const char *)raw, sizeof raw })));
}

const char *
session_csrf(struct req *rq)
{
	session_load(rq);
	if (rq->session.csrf[0] == '\0') {
		make_token(rq, rq->session.csrf);
		rq->session.is_dirty = true;
	}
	return rq->session.csrf;
}

void
session_login(struct req *rq, const char *user_uuid, const char *user_name)
{
	struct session *s = &rq->session;

	session_load(rq);
	s->user_uuid = user_uuid;
	s->user_name = user_name;
	s->login_ms = rq->c->now_ms;
	make_token(rq, s->csrf);
	s->is_dirty = true;
	res_header_set(rq, "X-Next-CSRF-Token", str_of(s->csrf));
}

void
session_logout(struct req *rq)
{
	rq->session = (struct session){ .is_loaded = true, .is_dirty = true };
	make_token(rq, rq->session.csrf);
}

void
session_save(struct req *rq)
{
	const struct conf    *cf = rq->c->conf;
	const struct session *s = &rq->session;
	struct buf            b = BUF(rq->c->mem);
	json_t               *o;
	struct str            box;

	if (!s->is_loaded || !s->is_dirty)
		return;
	o = js_object(rq->c);
	jo_i64(o, "at", rq->c->now_ms);
	jo_str(o, "csrf", s->csrf);
	if (s->oauth_csrf[0] != '\0')
		jo_str(o, "oauth", s->oauth_csrf);
	if (s->user_uuid != NULL) {
		jo_str(o, "user", s->user_uuid);
		jo_str(o, "name", s->user_name);
		jo_i64(o, "login", s->login_ms);
	}
	if (secret_box(rq->c, &rq->app->login->secrets.cookie, PURPOSE, js_dump(rq->c, o), &box) != ERR_NONE)
		return;
	buf_putf(&b, "%s=%.*s; Path=/; SameSite=%s", cf->session_cookie_name, STRF(box),
	         cf->session_cookie_samesite != NULL ? cf->session_cookie_samesite : "Lax");
	if (cf->feature_permanent_sessions)
		buf_putf(&b, "; Max-Age=%lld", (long long)cf->session_timeout_s);
	if (cf->session_cookie_httponly)
		buf_puts(&b, "; HttpOnly");
	if ((cf->is_https || cf->session_cookie_secure) && !cf->force_nonsecure_session_cookie)
		buf_puts(&b, "; Secure");
	res_header_set(rq, "Set-Cookie", buf_str(&b));
}

bool
session_is_fresh(struct req *rq)
{
	return rq->session.is_loaded && rq->session.login_ms > 0 &&
	       rq->c->now_ms - rq->session.login_ms <= rq->c->conf->fresh_login_timeout_s * 1000;
}

enum err_kind
session_check_csrf(struct req *rq)
{
	return session_check_form(rq, req_query(rq, "_csrf_token"));
}

enum err_kind
session_check_form(struct req *rq, struct str shown)
{
	session_load(rq);
	if (shown.n == 0)
		shown = req_header(rq, "x-csrf-token");
	if (rq->session.csrf[0] != '\0' && mem_eq_ct(shown, str_of(rq->session.csrf)))
		return ERR_NONE;
	return err_say(rq->c, ERR_DENIED, &SAY_CSRF);
}
