/* Page tokens: where a list goes on, given to a client that must not read or change it. Fernet, as Quay's:
 * base64url(0x80 ‖ time ‖ IV ‖ AES-128-CBC ‖ HMAC-SHA256). */
#ifndef KADE_AUTH_PAGE_TOKEN_H
#define KADE_AUTH_PAGE_TOKEN_H
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;
#define PAGE_TOKEN_LIFE_S 172800
struct page_key {
	uint8_t sign[16], encrypt[16];
};

/* PAGE_TOKEN_KEY: base64url with padding of 32 bytes. False for anything else. */
bool page_key_parse(struct ctx *c, struct str text, struct page_key *out);
/* *out given. iv: 16 bytes, NULL = random. */
enum err_kind page_token_put(struct ctx *c, const struct page_key *key, int64_t now_s, const uint8_t *iv,
                             struct str plain, struct str *out) MUST_CHECK;
/* False when the token is damaged, of another key, older than PAGE_TOKEN_LIFE_S or more than a minute from
 * the future: the caller shows the first page. */
bool page_token_get(struct ctx *c, const struct page_key *key, int64_t now_s, struct str token,
                    struct str *out);
#endif
