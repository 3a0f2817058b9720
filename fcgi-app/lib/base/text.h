/* The message catalogue: what people read in mails and on pages, by language. Texts of protocols are constants elsewhere. */
#ifndef KADE_BASE_TEXT_H
#define KADE_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

enum text_lang { TEXT_EN, TEXT_KO, TEXT_LANGS };
enum text {
#define X(key, en, ko) TEXT_##key,
#include "base/text.def"
#undef X
	TEXTS
};
/* What stands for {name}. An entry with name NULL ends a list. */
struct text_value {
	const char *name;
	struct str value;
};
/* How values and text are written. */
typedef void text_writer(struct buf *b, struct str s);

/* The text as it stands in the catalogue. */
const char *text_get(enum text_lang lang, enum text t);
/* "en", "ko": the tag for lang= and Content-Language. */
const char *text_lang_tag(enum text_lang lang);
/* The first of the languages that Accept-Language names, else def; its weights are not looked at. */
enum text_lang text_lang_accepted(struct str header, enum text_lang def);
/* Writes a piece of a text (the catalogue's, or one paragraph of it) with its values: both through put, so buf_put_html gives HTML
 * and buf_put plain text. A name without value is left out. */
void text_put(struct buf *b, struct str text, const struct text_value *values, text_writer *put);
/* Cuts the next paragraph off. False: none is left. */
bool text_paragraph(struct str *rest, struct str *paragraph);
#endif
