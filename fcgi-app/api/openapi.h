/* The API as an OpenAPI 3.0 document, made of its route tables. */
#ifndef KADE_API_OPENAPI_H
#define KADE_API_OPENAPI_H
#include <jansson.h>

struct conf;
struct ctx;
struct route;

/* conf: rows that it switches off are left out, and its title and address are named; NULL: all rows, no address.
 * tables: NULL-terminated. Borrowed: freed with c->mem. */
json_t *openapi_document(struct ctx *c, const struct conf *conf, const struct route *const *tables);
#endif
