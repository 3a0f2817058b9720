/* How mails read: nothing that somebody wrote becomes HTML, links lead here, every kind has its texts in every language. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"
#include "model/mail.h"

#define EVIL "<img src=x onerror=alert(1)>\"'&"

static const struct mail_org ORGS[] = {
	{STR("<i>org"), STR("<i>admin")},
        { STR0,         STR0           }
};

static struct mail
evil(enum mail_kind kind)
{
	return (struct mail){ .kind = kind,
		              .to = STR("a@b.example"),
		              .code = STR("c/o+d=\"><"),
		              .user = STR(EVIL),
		              .org = STR(EVIL),
		              .team = STR(EVIL),
		              .inviter = STR(EVIL),
		              .repository = STR(EVIL),
		              .until_ms = INT64_C(1790000000000),
		              .orgs = ORGS };
}

static struct mail_parts
render(struct ctx *c, enum mail_kind kind, int lang, const char *logo)
{
	struct conf *cf = ARENA_NEW(c->mem, struct conf);
	const struct mail m = evil(kind);
	struct mail_parts p;

	cf->registry_title = cf->registry_title_short = "Kade <x>";
	cf->base_url = "https://registry.example/prefix";
	cf->enterprise_logo_url = logo;
	cf->kade_language = lang;
	c->conf = cf;
	mail_render(c, &m, &p);
	return p;
}

static bool
has(struct str s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

static void
every_kind(void **state)
{
	struct ctx c = { .mem = arena_new(0) };

	(void)state;
	for (int lang = 0; lang < TEXT_LANGS; lang++) {
		for (int k = 1; k < MAIL_KINDS; k++) {
			const struct mail_parts p = render(&c, (enum mail_kind)k, lang, NULL);
			const bool links = k != MAIL_EMAIL_CHANGED && k != MAIL_PASSWORD_CHANGED;
			assert_true(str_is_utf8(p.subject) && str_is_utf8(p.text) && str_is_utf8(p.html));
			assert_true(str_starts(p.subject, STR("[Kade <x>] ")) && p.subject.n > 12);
			assert_false(has(p.html, "<img") || has(p.html, "<x>") || has(p.html, "<i>"));
			assert_false(has(p.html, "{") || has(p.text, "{"));
			assert_int_equal(has(p.html, "href=\"https://registry.example/prefix/"), links);
			assert_int_equal(has(p.text, "?code=c%2Fo%2Bd%3D%22%3E%3C\n"), links);
			assert_true(has(p.text, "Kade <x>") &&
			            has(p.text, "https://registry.example/prefix"));
			assert_int_equal(has(p.text, "2026-09-21 14:13"), links);
		}
	}
	arena_free(c.mem);
}

static void
an_address_of_organizations_alone(void **state)
{
	struct ctx c = { .mem = arena_new(0) };
	struct mail m = evil(MAIL_RECOVERY);
	struct mail_parts p;

	(void)state;
	render(&c, MAIL_RECOVERY, TEXT_EN, NULL);
	m.code = STR0;
	mail_render(&c, &m, &p);
	assert_false(has(p.text, "?code=") || has(p.html, "href="));
	assert_true(has(p.text, "<i>org, administrated by <i>admin") && has(p.html, "&lt;i&gt;org"));
	arena_free(c.mem);
}

static void
logos(void **state)
{
	static const struct {
		const char *logo, *src; /* src NULL: no image */
	} CASES[] = {
		{"/static/x.png",                      "src=\"https://registry.example/prefix/static/x.png\""          },
		{ "https://cdn.example/x.png?a=1&b=2", "src=\"https://cdn.example/x.png?a=1&amp;b=2\""                 },
		{ "//cdn.example/x.png",               "src=\"https://cdn.example/x.png\""                             },
		{ "javascript:alert(1)",               NULL		                                            },
		{ "data:image/png;base64,AA",          NULL		                                            },
		{ "x.png",		             NULL		                                            },
		{ "",		                  NULL		                                            },
		{ "/x\" onload=\"y",                   "src=\"https://registry.example/prefix/x&quot; onload=&quot;y\""}
	};
	struct ctx c = { .mem = arena_new(0) };

	(void)state;
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		const struct mail_parts p = render(&c, MAIL_CONFIRM, TEXT_EN, CASES[i].logo);
		assert_int_equal(has(p.html, "<img"), CASES[i].src != NULL);
		if (CASES[i].src != NULL)
			assert_true(has(p.html, CASES[i].src));
	}
	arena_free(c.mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_kind),
		                            cmocka_unit_test(an_address_of_organizations_alone),
		                            cmocka_unit_test(logos) };

	return cmocka_run_group_tests_name("model/mail", tests, NULL, NULL);
}
