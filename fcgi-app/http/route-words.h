/* Rows of the route tables in words, for the documents that are made of them. */
#ifndef KADE_HTTP_ROUTE_WORDS_H
#define KADE_HTTP_ROUTE_WORDS_H
#include <stddef.h>

#include "http/field.h"
#include "http/route.h"

struct arena;
#define ROUTE_FEATURES 3

/* "/v2/{repository}/tags/list": captures without their converters. Given. */
const char *route_path_words(struct arena *mem, const struct route *rt);
/* The converter of the i-th capture ("repopath") and its name, both given; NULL behind the last. */
const char *route_capture(struct arena *mem, const struct route *rt, size_t i, const char **name);
/* Who is served: "repository admin". */
const char *route_perm_words(enum perm p);
/* Keys of config.yaml that must be on, as FEATURE_X; NULL-terminated. */
void route_features(const struct route *rt, const char *names[ROUTE_FEATURES + 1]);
/* "string", as JSON Schema names types; "" for any. */
const char *field_type_words(enum field_type t);
#endif
