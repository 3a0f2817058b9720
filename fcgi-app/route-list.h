/* Documents that kade.fcgi prints of its own route tables: --routes and --openapi. No configuration is needed. */
#ifndef KADE_ROUTE_LIST_H
#define KADE_ROUTE_LIST_H
#include <stdbool.h>
#include <stdio.h>

struct route;
/* Markdown: every path with what the dispatcher asks of its callers. tables: NULL-terminated. False when f takes no more. */
bool route_list_write(const struct route *const *tables, FILE *f);
/* The OpenAPI document of the API, indented. */
bool route_list_write_openapi(const struct route *const *tables, FILE *f);
#endif
