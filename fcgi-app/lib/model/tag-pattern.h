/* Patterns of tag names in policies: regular expressions (PCRE2, close to Python's), which must fit the whole name. They come from
 * users, so a match may only take so many steps; a pattern that takes more fits nothing. */
#ifndef KADE_MODEL_TAG_PATTERN_H
#define KADE_MODEL_TAG_PATTERN_H
#include <stdbool.h>

#include "base/str.h"

struct tag_pattern;
/* NULL: it is no regular expression. Taken: tag_pattern_free(). */
struct tag_pattern *tag_pattern_compile(struct str text);
void                tag_pattern_free(struct tag_pattern *p); /* NULL is allowed */
bool                tag_pattern_fits(const struct tag_pattern *p, struct str tag);
/* Is the text a regular expression of at most max bytes? */
bool tag_pattern_valid(struct str text, size_t max);
#endif
