/* Route tables of /api/v1, one per subject. */
#ifndef KADE_API_ROUTES_H
#define KADE_API_ROUTES_H
#include "http/route.h"

extern const struct route API_INITIALIZE_ROUTES[], API_SIGNIN_ROUTES[];
extern const struct route API_APPLICATION_ROUTES[], API_APPLICATION_TOKEN_ROUTES[], API_APP_TOKEN_ROUTES[], API_AUTHORIZATION_ROUTES[];
extern const struct route API_SIGNUP_ROUTES[], API_STAR_ROUTES[], API_USER_ROUTES[], API_USER_NOTE_ROUTES[];
#endif
