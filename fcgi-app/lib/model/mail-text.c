/* How mails read: subject, plain text and HTML from the message catalogue. Everything that somebody else wrote is escaped; links
 * are made of the configured address alone. */
#include <jansson.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/js.h"
#include "conf/conf.h"
#include "model/mail.h"

#define NONE TEXTS
/* clang-format off */
static const struct kind {
	enum text subject, body, link; /* link NONE: there is none */
	const char *path;
	bool may_ignore; /* somebody asked for it, perhaps another one */
} KINDS[MAIL_KINDS] = {
	[MAIL_CONFIRM] = { TEXT_MAIL_CONFIRM_SUBJECT, TEXT_MAIL_CONFIRM_BODY, TEXT_MAIL_CONFIRM_LINK, "/confirm", true },
	[MAIL_CHANGE_EMAIL] = { TEXT_MAIL_CHANGE_EMAIL_SUBJECT, TEXT_MAIL_CHANGE_EMAIL_BODY, TEXT_MAIL_CHANGE_EMAIL_LINK, "/confirm", true },
	[MAIL_EMAIL_CHANGED] = { TEXT_MAIL_EMAIL_CHANGED_SUBJECT, TEXT_MAIL_EMAIL_CHANGED_BODY, NONE, NULL, false },
	[MAIL_PASSWORD_CHANGED] = { TEXT_MAIL_PASSWORD_CHANGED_SUBJECT, TEXT_MAIL_PASSWORD_CHANGED_BODY, NONE, NULL, false },
	[MAIL_RECOVERY] = { TEXT_MAIL_RECOVERY_SUBJECT, TEXT_MAIL_RECOVERY_BODY, TEXT_MAIL_RECOVERY_LINK, "/recovery", true },
	[MAIL_TEAM_INVITE] = { TEXT_MAIL_TEAM_INVITE_SUBJECT, TEXT_MAIL_TEAM_INVITE_BODY, TEXT_MAIL_TEAM_INVITE_LINK, "/confirminvite", true },
	[MAIL_REPO_EMAIL] = { TEXT_MAIL_REPO_EMAIL_SUBJECT, TEXT_MAIL_REPO_EMAIL_BODY, TEXT_MAIL_REPO_EMAIL_LINK, "/authrepoemail", true },
};
/* clang-format on */

/* Both forms as they grow. */
struct out {
	struct ctx *c;
	enum text_lang lang;
	const struct text_value *values;
	struct buf text, html;
};

static void
paragraph(struct out *o, struct str s, const struct text_value *values)
{
	text_put(&o->text, s, values, buf_put);
	buf_puts(&o->text, "\n\n");
	buf_puts(&o->html, "<p style=\"margin:0 0 1em\">");
	text_put(&o->html, s, values, buf_put_html);
	buf_puts(&o->html, "</p>\n");
}

static void
paragraphs(struct out *o, enum text t)
{
	struct str rest = str_of(text_get(o->lang, t)), one;

	while (text_paragraph(&rest, &one))
		paragraph(o, one, o->values);
}

/* The address in full stands below the button, for readers without HTML and for those who look before they click. */
static void
link_to(struct out *o, const struct kind *k, struct str code)
{
	struct buf url = BUF(o->c->mem);

	buf_putf(&url, "%s%s?code=", o->c->conf->base_url, k->path);
	buf_put_url(&url, code);
	buf_puts(&o->html, "<p style=\"margin:1.5em 0\"><a href=\"");
	buf_put_html(&o->html, buf_str(&url));
	buf_puts(&o->html, "\" style=\"background:#0066cc;color:#ffffff;padding:.6em "
	                   "1.2em;text-decoration:none;border-radius:4px\">");
	text_put(&o->html, str_of(text_get(o->lang, k->link)), o->values, buf_put_html);
	buf_puts(&o->html, "</a></p>\n");
	paragraphs(o, TEXT_MAIL_UNTIL);
	buf_putf(&o->text, "%.*s\n\n", STRF(buf_str(&url)));
	buf_puts(&o->html, "<p style=\"margin:0 0 1em;word-break:break-all\">");
	buf_put_html(&o->html, buf_str(&url));
	buf_puts(&o->html, "</p>\n");
}

static void
organizations(struct out *o, const struct mail_org *orgs)
{
	if (orgs == NULL || orgs->org.p == NULL)
		return;
	paragraphs(o, TEXT_MAIL_RECOVERY_ORGS);
	for (; orgs->org.p != NULL; orgs++) {
		const struct text_value v[] = {
			{"org",     orgs->org   },
                        { "admins", orgs->admins},
                        { NULL,     STR0        }
		};
		paragraph(o, str_of(text_get(o->lang, TEXT_MAIL_RECOVERY_ORG)), v);
	}
}

/* ENTERPRISE_LOGO_URL, else BRANDING.logo: a path is one of this registry; another scheme than http is left out. */
static void
logo(struct out *o)
{
	const struct conf *cf = o->c->conf;
	struct str url = str_of(cf->enterprise_logo_url);

	if (url.n == 0)
		url = js_str(cf->branding, "logo");
	if (url.n == 0 ||
	    (url.p[0] != '/' && !str_starts(url, STR("https://")) && !str_starts(url, STR("http://"))))
		return;
	buf_puts(&o->html, "<p style=\"margin:0 0 1.5em\"><img style=\"max-height:48px\" alt=\"");
	buf_put_html(&o->html, str_of(cf->registry_title));
	buf_puts(&o->html, "\" src=\"");
	if (url.p[0] == '/' && !str_starts(url, STR("//")))
		buf_put_html(&o->html, str_of(cf->base_url));
	else if (url.p[0] == '/')
		buf_puts(&o->html, "https:");
	buf_put_html(&o->html, url);
	buf_puts(&o->html, "\"></p>\n");
}

/* "2026-11-25 07:55" */
static struct str
until_text(struct ctx *c, int64_t ms)
{
	char *t = ms == 0 ? NULL : clock_iso(c->mem, ms);

	if (t == NULL)
		return STR0;
	t[10] = ' ';
	return (struct str){ t, 16 };
}

static void
body(struct out *o, const struct mail *m)
{
	const struct kind *k = &KINDS[m->kind];
	const bool only_orgs = m->kind == MAIL_RECOVERY && m->code.p == NULL;

	if (!only_orgs)
		paragraphs(o, k->body);
	if (k->link != NONE && !only_orgs)
		link_to(o, k, m->code);
	organizations(o, m->orgs);
	if (k->may_ignore)
		paragraphs(o, TEXT_MAIL_IGNORE);
}

void
mail_render(struct ctx *c, const struct mail *m, struct mail_parts *out)
{
	const struct conf *cf = c->conf;
	const struct text_value values[] = {
		{"title",       str_of(cf->registry_title)},
		{ "url",        str_of(cf->base_url)      },
		{ "user",       m->user                   },
		{ "org",        m->org                    },
		{ "team",       m->team                   },
		{ "inviter",    m->inviter                },
		{ "repository", m->repository             },
		{ "until",      until_text(c,               m->until_ms) },
		{ NULL,            STR0		                 }
	};
	struct out o = { .c = c,
		         .lang = (enum text_lang)cf->kade_language,
		         .values = values,
		         .text = BUF(c->mem),
		         .html = BUF(c->mem) };
	struct buf subject = BUF(c->mem);

	buf_putf(&subject, "[%s] ", cf->registry_title_short);
	text_put(&subject, str_of(text_get(o.lang, KINDS[m->kind].subject)), values, buf_put);
	buf_putf(&o.html, "<!DOCTYPE html>\n<html lang=\"%s\">\n<meta charset=\"utf-8\">\n<title>",
	         text_lang_tag(o.lang));
	buf_put_html(&o.html, buf_str(&subject));
	buf_puts(&o.html, "</title>\n<body style=\"font:16px/1.5 sans-serif;max-width:36em;margin:2em "
	                  "auto;padding:0 1em;color:#151515\">\n");
	logo(&o);
	body(&o, m);
	buf_puts(&o.text, "-- \n");
	buf_puts(&o.html, "<hr style=\"border:0;border-top:1px solid #c7c7c7\">\n");
	paragraphs(&o, TEXT_MAIL_FOOTER);
	buf_puts(&o.html, "</body>\n</html>\n");
	*out = (struct mail_parts){ .subject = buf_str(&subject),
		                    .text = buf_str(&o.text),
		                    .html = buf_str(&o.html),
		                    .lang = o.lang };
}
