/* The frame of the pages that the registry draws itself. */
#include "site/page.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "conf/conf.h"
#include "http/response.h"

static const char STYLE[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:3em auto;padding:0 "
    "1em;color:#151515;background:#fff}"
    "h1{font-size:1.4em}dt{font-weight:600;margin-top:.8em}dd{margin:0}.warn{color:#a30000}"
    "button{font:inherit;padding:.5em 1.2em;margin:1.5em .8em 0 0;border:1px solid "
    "#06c;border-radius:4px;background:#fff;color:#06c}"
    "button.go{background:#06c;color:#fff}code{font-size:1.05em;overflow-wrap:anywhere;user-select:all}"
    "@media(prefers-color-scheme:dark){body{color:#f0f0f0;background:#151515}.warn{color:#ff9f9f}button{"
    "background:#151515;color:#92c5f9}}";

enum text_lang
page_language(struct req *rq)
{
	return text_lang_accepted(req_header(rq, "accept-language"),
	                          (enum text_lang)rq->c->conf->kade_language);
}

/* A text with its %s replaced, escaped. */
void
page_text(struct buf *b, const char *text, const char *value)
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

void
page_element(struct buf *b, const char *tag, const char *text, const char *value)
{
	buf_putf(b, "<%s>", tag);
	page_text(b, text, value);
	buf_putf(b, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

void
page_begin(struct req *rq, struct buf *b, const char *title, const char *value)
{
	buf_putf(b,
	         "<!DOCTYPE html>\n<html lang=\"%s\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
	         "content=\"width=device-width\">\n",
	         text_lang_tag(page_language(rq)));
	page_element(b, "title", title, value);
	buf_putf(b, "<style>%s</style>\n", STYLE);
	page_element(b, "h1", title, value);
}

/* form_target: where the form's answer may lead besides this registry; "" = nowhere. Browsers hold redirects of forms to it. */
void
page_answer(struct req *rq, struct buf *b, struct str form_target)
{
	uint8_t hash[SHA256_BYTES];

	digest_sha256(STR(STYLE), hash);
	res_body(rq, 200, "text/html; charset=utf-8", buf_str(b));
	res_headerf(rq, "Content-Security-Policy",
	            "default-src 'none'; script-src 'self'; style-src 'sha256-%s'; base-uri 'none'; "
	            "frame-ancestors 'none'; form-action 'self'%s%.*s",
	            base64_put(rq->c->mem, (struct str){ (const char *)hash, sizeof hash }),
	            form_target.n > 0 ? " " : "", STRF(form_target));
	res_header_set(rq, "X-Frame-Options", STR("DENY"));
	res_header_set(rq, "X-Content-Type-Options", STR("nosniff"));
	res_header_set(rq, "Referrer-Policy", STR("no-referrer"));
	res_header_set(rq, "Cache-Control", STR("no-store"));
}
