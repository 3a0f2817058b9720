/* The message catalogue. For mails (model/mail-text.c) and pages (site/). */
#include "base/text.h"

static const char *const TEXT[TEXTS][TEXT_LANGS] = {
#define X(key, en, ko) [TEXT_##key] = { en, ko },
#include "base/text.def"
#undef X
};
static const char *const TAG[TEXT_LANGS] = { "en", "ko" };

const char *
text_get(enum text_lang lang, enum text t)
{
	return TEXT[t][lang];
}

const char *
text_lang_tag(enum text_lang lang)
{
	return TAG[lang];
}

enum text_lang
text_lang_accepted(struct str header, enum text_lang def)
{
	struct str rest = header, one, tag, tail;

	while (rest.n > 0) {
		str_cut(rest, ',', &one, &rest);
		str_cut(str_trim(one), ';', &tag, &tail);
		str_cut(tag, '-', &tag, &tail);
		for (size_t i = 0; i < TEXT_LANGS; i++)
			if (str_eq_nocase(tag, str_of(TAG[i])))
				return (enum text_lang)i;
	}
	return def;
}

static struct str
value_of(const struct text_value *values, struct str name)
{
	for (; values != NULL && values->name != NULL; values++)
		if (str_eq_c(name, values->name))
			return values->value;
	return STR0;
}

void
text_put(struct buf *b, struct str text, const struct text_value *values, text_writer *put)
{
	struct str head, name;

	while (str_cut(text, '{', &head, &text)) {
		put(b, head);
		str_cut(text, '}', &name, &text);
		put(b, value_of(values, name));
	}
	put(b, head);
}

bool
text_paragraph(struct str *rest, struct str *paragraph)
{
	size_t i = 0;

	if (rest->n == 0)
		return false;
	while (i < rest->n && !(rest->p[i] == '\n' && i + 1 < rest->n && rest->p[i + 1] == '\n'))
		i++;
	*paragraph = str_sub(*rest, 0, i);
	*rest = str_sub(*rest, i + 2 < rest->n ? i + 2 : rest->n, rest->n);
	return true;
}
