/* Patterns of tag names, over PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tag-pattern.h"

#include <pcre2.h>
#include <stdlib.h>

#define STEPS_MAX 50000 /* of one match: milliseconds */
#define DEPTH_MAX 1000
#define HEAP_KIB  256

struct tag_pattern {
	pcre2_code          *code;
	pcre2_match_context *limits;
	pcre2_match_data    *data;
};

void
tag_pattern_free(struct tag_pattern *p)
{
	if (p == NULL)
		return;
	pcre2_match_data_free(p->data);
	pcre2_match_context_free(p->limits);
	pcre2_code_free(p->code);
	free(p);
}

static struct tag_pattern *
compile(struct str text, uint32_t options)
{
	struct tag_pattern *p = calloc(1, sizeof *p);
	int                 error;
	PCRE2_SIZE          at;

	if (p == NULL)
		return NULL;
	/* Names are ASCII; \C would split characters, and is never needed. */
	p->code = pcre2_compile((PCRE2_SPTR)(text.p == NULL ? "" : text.p), text.n, options | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
	                        &error, &at, NULL);
	p->limits = pcre2_match_context_create(NULL);
	p->data = p->code == NULL ? NULL : pcre2_match_data_create_from_pattern(p->code, NULL);
	if (p->code == NULL || p->limits == NULL || p->data == NULL) {
		tag_pattern_free(p);
		return NULL;
	}
	pcre2_set_match_limit(p->limits, STEPS_MAX);
	pcre2_set_depth_limit(p->limits, DEPTH_MAX);
	pcre2_set_heap_limit(p->limits, HEAP_KIB);
	return p;
}

struct tag_pattern *
tag_pattern_compile(struct str text)
{
	return compile(text, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
}

struct tag_pattern *
tag_pattern_compile_part(struct str text)
{
	return compile(text, 0);
}

bool
tag_pattern_fits(const struct tag_pattern *p, struct str tag)
{
	return pcre2_match(p->code, (PCRE2_SPTR)tag.p, tag.n, 0, 0, p->data, p->limits) >= 0;
}

bool
tag_pattern_group(const struct tag_pattern *p, struct str tag, struct str *group)
{
	const int         n = pcre2_match(p->code, (PCRE2_SPTR)tag.p, tag.n, 0, 0, p->data, p->limits);
	const PCRE2_SIZE *at = n < 0 ? NULL : pcre2_get_ovector_pointer(p->data);

	if (at == NULL)
		return false;
	if (n > 1 && at[2] != PCRE2_UNSET)
		at += 2;
	*group = str_sub(tag, at[0], at[1]);
	return true;
}

bool
tag_pattern_valid(struct str text, size_t max)
{
	struct tag_pattern *p = text.n > max ? NULL : tag_pattern_compile(text);
	const bool          ok = p != NULL;

	tag_pattern_free(p);
	return ok;
}
