/* Plain HTML pages of our own under a strict content policy: no script but a named file, no frame, no foreign resource. What
 * comes from outside is escaped. */
#ifndef KADE_SITE_PAGE_H
#define KADE_SITE_PAGE_H
#include "base/buf.h"
#include "base/text.h"

struct req;

/* Of the reader: Accept-Language, else KADE.LANGUAGE. */
enum text_lang page_language(struct req *rq);
/* A text with its %s replaced, escaped; the same inside of an element, whose tag may bring attributes. */
void page_text(struct buf *b, const char *text, const char *value);
void page_element(struct buf *b, const char *tag, const char *text, const char *value);
/* Everything up to the heading. */
void page_begin(struct req *rq, struct buf *b, const char *title, const char *value);
/* Answers 200. form_target: where the form's answer may lead besides this registry; empty: nowhere. */
void page_answer(struct req *rq, struct buf *b, struct str form_target);
#endif
