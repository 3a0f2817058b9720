/* Free text that people write (descriptions, titles, names of persons): one spelling for one text, and nothing that turns the
 * reading order of what stands beside it. */
#ifndef KADE_BASE_TEXT_CLEAN_H
#define KADE_BASE_TEXT_CLEAN_H
#include "base/str.h"

struct arena;

/* The text in Unicode normal form C, without NUL and without the controls that embed, override or isolate a direction
 * (U+202A–U+202E, U+2066–U+2069; the marks U+200E and U+200F stay, texts from right to left need them). Text that is no UTF-8
 * comes back as it is. Given; the same bytes when nothing is to do. */
struct str text_clean(struct arena *mem, struct str text);
#endif
