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
#include "site/page.h"

/* Shows what stands behind access_token= in the fragment and takes it out of the address and the history. */
static const char SCRIPT[] = "\"use strict\";\n"
			     "(function () {\n"
			     "  var token = new URLSearchParams(location.hash.slice(1)).get(\"access_token\");\n"
			     "  if (!token) return;\n"
			     "  document.getElementById(\"token\").textContent = token;\n"
			     "  document.getElementById(\"hint\").hidden = true;\n"
			     "  history.replaceState(null, \"\", location.pathname + location.search);\n"
			     "})();\n";

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
put_scopes(struct buf *b, unsigned scopes, enum text_lang lang)
{
	buf_puts(b, "<dl>\n");
	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		const char *title = oauth_scope_title(lang, SCOPES[i].bit), *what = oauth_scope_description(lang, SCOPES[i].bit);
		if ((scopes & SCOPES[i].bit) == 0)
			continue;
		page_element(b, "dt", title != NULL ? title : SCOPES[i].title, "");
		page_element(b, "dd", what != NULL ? what : SCOPES[i].description, "");
		if (SCOPES[i].is_dangerous)
			page_element(b, "dd class=\"warn\"", OAUTH_TEXT[lang][OAUTH_TEXT_DANGEROUS], "");
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
	const enum text_lang    lang = page_language(rq);
	const char *const *const text = OAUTH_TEXT[lang];
	struct buf               b = BUF(rq->c->mem);
	const struct str         target = origin(rq, a->redirect_uri);

	page_begin(rq, &b, text[OAUTH_TEXT_CONSENT_TITLE], a->app.name);
	page_element(&b, "p", text[OAUTH_TEXT_CONSENT_BY], a->org_name);
	if (a->app.description[0] != '\0')
		page_element(&b, "p", "%s", a->app.description);
	page_element(&b, "p", text[OAUTH_TEXT_CONSENT_WANTS], "");
	put_scopes(&b, a->scopes, lang);
	page_element(&b, "p", text[OAUTH_TEXT_SIGNED_IN], rq->facts.caller_name);
	page_element(&b, "p", text[OAUTH_TEXT_GOES_TO], str_dup(rq->c->mem, target));
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
	page_text(&b, text[OAUTH_TEXT_AUTHORIZE], "");
	buf_puts(&b, "</button><button formaction=\"/oauth/denyapp\">");
	page_text(&b, text[OAUTH_TEXT_CANCEL], "");
	buf_puts(&b, "</button>\n</form>\n");
	page_answer(rq, &b, target);
}

void
oauth_page_local(struct req *rq, bool is_cancelled)
{
	const char *const *const text = OAUTH_TEXT[page_language(rq)];
	struct buf               b = BUF(rq->c->mem);

	if (is_cancelled) {
		page_begin(rq, &b, text[OAUTH_TEXT_CANCELLED], "");
		page_answer(rq, &b, STR0);
		return;
	}
	page_begin(rq, &b, text[OAUTH_TEXT_LOCAL_TITLE], "");
	buf_puts(&b, "<p><code id=\"token\"></code></p>\n<p id=\"hint\">");
	page_text(&b, text[OAUTH_TEXT_LOCAL_SCRIPT], "");
	buf_puts(&b, "</p>\n");
	page_element(&b, "p", text[OAUTH_TEXT_LOCAL_SECRET], "");
	buf_puts(&b, "<script src=\"" OAUTH_LOCAL_HANDLER ".js\"></script>\n");
	page_answer(rq, &b, STR0);
}

void
oauth_page_assigned(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);

	page_begin(rq, &b, OAUTH_TEXT[page_language(rq)][OAUTH_TEXT_ASSIGNED], "");
	page_answer(rq, &b, STR0);
}

enum err_kind
oauth_page_script(struct req *rq)
{
	res_body(rq, 200, "text/javascript; charset=utf-8", STR(SCRIPT));
	res_header_set(rq, "X-Content-Type-Options", STR("nosniff"));
	res_header_set(rq, "Cache-Control", STR("public, max-age=3600"));
	return ERR_NONE;
}
