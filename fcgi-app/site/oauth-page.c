/* The OAuth pages: plain HTML of our own under a strict content policy: no script but the one file of the token page, no frame,
 * no foreign resource. Everything that comes from outside is escaped. */
#include <string.h>

#include "auth/scope.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "conf/conf.h"
#include "http/response.h"
#include "site/oauth-text.h"
#include "site/oauth.h"

static const char STYLE[] = "body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:3em auto;padding:0 1em;color:#151515;background:#fff}"
			    "h1{font-size:1.4em}dt{font-weight:600;margin-top:.8em}dd{margin:0}.warn{color:#a30000}"
			    "button{font:inherit;padding:.5em 1.2em;margin:1.5em .8em 0 0;border:1px solid #06c;border-radius:4px;background:#fff;color:#06c}"
			    "button.go{background:#06c;color:#fff}code{font-size:1.05em;overflow-wrap:anywhere;user-select:all}"
			    "@media(prefers-color-scheme:dark){body{color:#f0f0f0;background:#151515}.warn{color:#ff9f9f}button{background:#151515;color:#92c5f9}}";

/* Shows what stands behind access_token= in the fragment and takes it out of the address and the history. */
static const char SCRIPT[] = "\"use strict\";\n"
			     "(function () {\n"
			     "  var token = new URLSearchParams(location.hash.slice(1)).get(\"access_token\");\n"
			     "  if (!token) return;\n"
			     "  document.getElementById(\"token\").textContent = token;\n"
			     "  document.getElementById(\"hint\").hidden = true;\n"
			     "  history.replaceState(null, \"\", location.pathname + location.search);\n"
			     "})();\n";

/* The first language of Accept-Language that there is; its weights are not looked at. */
static enum oauth_lang
language(const struct req *rq)
{
	struct str rest = req_header(rq, "accept-language"), one, tag, tail;

	while (rest.n > 0) {
		str_cut(rest, ',', &one, &rest);
		str_cut(str_trim(one), ';', &tag, &tail);
		str_cut(tag, '-', &tag, &tail);
		if (str_eq_nocase(tag, STR("ko")))
			return OAUTH_LANG_KO;
		if (str_eq_nocase(tag, STR("en")))
			return OAUTH_LANG_EN;
	}
	return OAUTH_LANG_EN;
}

/* A text with its %s replaced, escaped. */
static void
put_text(struct buf *b, const char *text, const char *value)
{
	const char *at = strstr(text, "%s");

	if (at == NULL) {
		buf_put_html(b, str_of(text));
		return;
	}
	buf_put_html(b, (struct str){ text, (size_t)(at - text) });
	buf_put_html(b, str_of(value));
	buf_put_html(b, str_of(at + 2));
}

static void
put_element(struct buf *b, const char *tag, const char *text, const char *value)
{
	buf_putf(b, "<%s>", tag);
	put_text(b, text, value);
	buf_putf(b, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

static void
begin(struct req *rq, struct buf *b, const char *title, const char *value)
{
	buf_putf(b, "<!DOCTYPE html>\n<html lang=\"%s\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n",
	         OAUTH_TEXT[language(rq)][OAUTH_TEXT_LANG]);
	put_element(b, "title", title, value);
	buf_putf(b, "<style>%s</style>\n", STYLE);
	put_element(b, "h1", title, value);
}

/* form_target: where the form's answer may lead besides this registry; "" = nowhere. Browsers hold redirects of forms to it. */
static void
answer(struct req *rq, struct buf *b, struct str form_target)
{
	uint8_t hash[SHA256_BYTES];

	digest_sha256(STR(STYLE), hash);
	res_body(rq, 200, "text/html; charset=utf-8", buf_str(b));
	res_headerf(rq, "Content-Security-Policy",
	            "default-src 'none'; script-src 'self'; style-src 'sha256-%s'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'%s%.*s",
	            base64_put(rq->c->mem, (struct str){ (const char *)hash, sizeof hash }), form_target.n > 0 ? " " : "", STRF(form_target));
	res_header_set(rq, "X-Frame-Options", STR("DENY"));
	res_header_set(rq, "X-Content-Type-Options", STR("nosniff"));
	res_header_set(rq, "Referrer-Policy", STR("no-referrer"));
	res_header_set(rq, "Cache-Control", STR("no-store"));
}

static void
put_hidden(struct buf *b, const char *name, struct str value)
{
	if (value.n == 0)
		return;
	buf_putf(b, "<input type=\"hidden\" name=\"%s\" value=\"", name);
	buf_put_html(b, value);
	buf_puts(b, "\">\n");
}

static void
put_scopes(struct buf *b, unsigned scopes, enum oauth_lang lang)
{
	buf_puts(b, "<dl>\n");
	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		const char *title = oauth_scope_title(lang, SCOPES[i].bit), *what = oauth_scope_description(lang, SCOPES[i].bit);
		if ((scopes & SCOPES[i].bit) == 0)
			continue;
		put_element(b, "dt", title != NULL ? title : SCOPES[i].title, "");
		put_element(b, "dd", what != NULL ? what : SCOPES[i].description, "");
		if (SCOPES[i].is_dangerous)
			put_element(b, "dd class=\"warn\"", OAUTH_TEXT[lang][OAUTH_TEXT_DANGEROUS], "");
	}
	buf_puts(b, "</dl>\n");
}

/* scheme://authority of the redirect, which was checked: no blank, quote or control character is in it. A scheme without an
 * origin in browsers (an application's own) is named alone. Semicolons and commas end a directive: such a host is left out. */
static struct str
origin(struct req *rq, struct str uri)
{
	size_t n = 0, i;

	while (n < uri.n && uri.p[n] != ':')
		n++;
	for (i = n + 3; i < uri.n && uri.p[i] != '/' && uri.p[i] != '?' && uri.p[i] != '#'; i++)
		if (uri.p[i] == ';' || uri.p[i] == ',' || uri.p[i] == '\'')
			return STR0;
	if (str_eq_nocase(str_sub(uri, 0, n), STR("http")) || str_eq_nocase(str_sub(uri, 0, n), STR("https")))
		return str_sub(uri, 0, i);
	return str_of(str_fmt(rq->c->mem, "%.*s:", (int)n, uri.p));
}

void
oauth_page_consent(struct req *rq, const struct oauth_ask *a)
{
	const enum oauth_lang    lang = language(rq);
	const char *const *const text = OAUTH_TEXT[lang];
	struct buf               b = BUF(rq->c->mem);
	const struct str         target = origin(rq, a->redirect_uri);

	begin(rq, &b, text[OAUTH_TEXT_CONSENT_TITLE], a->app.name);
	put_element(&b, "p", text[OAUTH_TEXT_CONSENT_BY], a->org_name);
	if (a->app.description[0] != '\0')
		put_element(&b, "p", "%s", a->app.description);
	put_element(&b, "p", text[OAUTH_TEXT_CONSENT_WANTS], "");
	put_scopes(&b, a->scopes, lang);
	put_element(&b, "p", text[OAUTH_TEXT_SIGNED_IN], rq->facts.caller_name);
	put_element(&b, "p", text[OAUTH_TEXT_GOES_TO], str_dup(rq->c->mem, target));
	buf_puts(&b, "<form method=\"post\" action=\"/oauth/authorizeapp\">\n");
	put_hidden(&b, "client_id", a->client_id);
	put_hidden(&b, "redirect_uri", a->redirect_uri);
	put_hidden(&b, "response_type", a->response_type);
	put_hidden(&b, "scope", a->scope);
	put_hidden(&b, "state", a->state);
	put_hidden(&b, "assignment_uuid", a->assignment_uuid);
	put_hidden(&b, "code_challenge", a->challenge);
	put_hidden(&b, "code_challenge_method", a->challenge_method);
	put_hidden(&b, "_csrf_token", str_of(session_csrf(rq)));
	buf_puts(&b, "<button class=\"go\">");
	put_text(&b, text[OAUTH_TEXT_AUTHORIZE], "");
	buf_puts(&b, "</button><button formaction=\"/oauth/denyapp\">");
	put_text(&b, text[OAUTH_TEXT_CANCEL], "");
	buf_puts(&b, "</button>\n</form>\n");
	answer(rq, &b, target);
}

void
oauth_page_local(struct req *rq, bool is_cancelled)
{
	const char *const *const text = OAUTH_TEXT[language(rq)];
	struct buf               b = BUF(rq->c->mem);

	if (is_cancelled) {
		begin(rq, &b, text[OAUTH_TEXT_CANCELLED], "");
		answer(rq, &b, STR0);
		return;
	}
	begin(rq, &b, text[OAUTH_TEXT_LOCAL_TITLE], "");
	buf_puts(&b, "<p><code id=\"token\"></code></p>\n<p id=\"hint\">");
	put_text(&b, text[OAUTH_TEXT_LOCAL_SCRIPT], "");
	buf_puts(&b, "</p>\n");
	put_element(&b, "p", text[OAUTH_TEXT_LOCAL_SECRET], "");
	buf_puts(&b, "<script src=\"" OAUTH_LOCAL_HANDLER ".js\"></script>\n");
	answer(rq, &b, STR0);
}

void
oauth_page_assigned(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);

	begin(rq, &b, OAUTH_TEXT[language(rq)][OAUTH_TEXT_ASSIGNED], "");
	answer(rq, &b, STR0);
}

enum err_kind
oauth_page_script(struct req *rq)
{
	res_body(rq, 200, "text/javascript; charset=utf-8", STR(SCRIPT));
	res_header_set(rq, "X-Content-Type-Options", STR("nosniff"));
	res_header_set(rq, "Cache-Control", STR("public, max-age=3600"));
	return ERR_NONE;
}
