/* Route tables of the pages and services that belong to no protocol family. */
#ifndef KADE_SITE_ROUTES_H
#define KADE_SITE_ROUTES_H
#include "http/route.h"

extern const struct route SITE_HEALTH_ROUTES[], SITE_KEY_ROUTES[], SITE_KEY_SERVER_ROUTES[], SITE_MAIL_LINK_ROUTES[], SITE_WELL_KNOWN_ROUTES[];
extern const struct route SITE_CLIENT_CONFIG_ROUTES[], SITE_OAUTH_AUTHORIZE_ROUTES[], SITE_OAUTH_TOKEN_ROUTES[];
extern const struct route SITE_BADGE_ROUTES[], SITE_EXPORTED_LOGS_ROUTES[], SITE_SHORTHAND_ROUTES[];
#endif
