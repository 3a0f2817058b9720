/* The texts of the OAuth pages, by language. */
#ifndef KADE_SITE_OAUTH_TEXT_H
#define KADE_SITE_OAUTH_TEXT_H
#include "base/text.h"

enum oauth_text {
	OAUTH_TEXT_CONSENT_TITLE, /* %s application */
	OAUTH_TEXT_CONSENT_BY,    /* %s organization */
	OAUTH_TEXT_CONSENT_WANTS,
	OAUTH_TEXT_DANGEROUS,
	OAUTH_TEXT_SIGNED_IN, /* %s user */
	OAUTH_TEXT_GOES_TO,   /* %s address */
	OAUTH_TEXT_AUTHORIZE,
	OAUTH_TEXT_CANCEL,
	OAUTH_TEXT_LOCAL_TITLE,
	OAUTH_TEXT_LOCAL_SECRET,
	OAUTH_TEXT_LOCAL_SCRIPT,
	OAUTH_TEXT_CANCELLED,
	OAUTH_TEXT_ASSIGNED,
	OAUTH_TEXTS
};
extern const char *const OAUTH_TEXT[TEXT_LANGS][OAUTH_TEXTS];
/* Title and description of a scope in that language; the bit is one of auth/scope.h. NULL for English: SCOPES has it. */
const char *oauth_scope_title(enum text_lang lang, unsigned bit);
const char *oauth_scope_description(enum text_lang lang, unsigned bit);
#endif
