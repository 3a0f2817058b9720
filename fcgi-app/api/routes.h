/* Route tables of /api/v1, one per subject. */
#ifndef KADE_API_ROUTES_H
#define KADE_API_ROUTES_H
#include "http/route.h"

extern const struct route API_INITIALIZE_ROUTES[], API_SIGNIN_ROUTES[];
extern const struct route API_APP_TOKEN_ROUTES[], API_SIGNUP_ROUTES[], API_STAR_ROUTES[], API_USER_ROUTES[], API_USER_NOTE_ROUTES[];
extern const struct route API_MESSAGE_ROUTES[], API_SERVICE_KEY_ROUTES[], API_SUPERUSER_LIST_ROUTES[], API_SUPERUSER_ORG_ROUTES[],
    API_SUPERUSER_REGISTRY_ROUTES[], API_SUPERUSER_USER_ROUTES[];
#endif
