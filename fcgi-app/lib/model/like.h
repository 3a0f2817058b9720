/* Patterns for LIKE and ILIKE made of what people type: their % and _ are no wildcards. */
#ifndef KADE_MODEL_LIKE_H
#define KADE_MODEL_LIKE_H
#include "base/str.h"

struct arena;
enum like_kind { LIKE_ANYWHERE, LIKE_BEGINNING };
/* "%text%" or "text%" with text's %, _ and \ escaped. Given. */
struct str like_pattern(struct arena *mem, struct str text, enum like_kind kind);
#endif
