/* Patterns of tag names in policies: regular expressions (PCRE2, close to Python's). Those of immutability must fit the whole name,
 * those of pruning any part of it. They come from users, so a match may only take so many steps; a pattern that takes more fits
 * nothing. */
#ifndef KADE_MODEL_TAG_PATTERN_H
#define KADE_MODEL_TAG_PATTERN_H
#include <stdbool.h>

#include "base/str.h"

struct tag_pattern;
/* NULL: it is no regular expression. Taken: tag_pattern_free(). */
struct tag_pattern *tag_pattern_compile(struct str text);
/* The same, for a pattern that may fit any part of a name. */
struct tag_pattern *tag_pattern_compile_part(struct str text);
void                tag_pattern_free(struct tag_pattern *p); /* NULL is allowed */
bool                tag_pattern_fits(const struct tag_pattern *p, struct str tag);
/* The text of the first group, or of the whole match where the pattern has none or it took no part. Borrowed from tag. */
bool tag_pattern_group(const struct tag_pattern *p, struct str tag, struct str *group);
/* Is the text a regular expression of at most max bytes? */
bool tag_pattern_valid(struct str text, size_t max);
#endif
