/* Route tables of /api/v1, one per subject. */
#ifndef KADE_API_ROUTES_H
#define KADE_API_ROUTES_H
#include "http/route.h"

extern const struct route API_INITIALIZE_ROUTES[], API_SIGNIN_ROUTES[];
extern const struct route API_REPOSITORY_LIST_ROUTES[], API_REPOSITORY_ROUTES[], API_ABSENT_ROUTES[], API_TAG_LIST_ROUTES[], API_TAG_ROUTES[];
extern const struct route API_MANIFEST_ROUTES[], API_LABEL_ROUTES[];
#endif
