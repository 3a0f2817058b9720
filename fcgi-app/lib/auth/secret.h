/* Keys of the installation and what is protected by them: texts that an interface must show again, encrypted
 * passwords, page tokens, and the keyed hashes by which tokens are found. Forms of Quay's are bit-exact, so
 * that its database and its users' encrypted passwords work on. */
#ifndef KADE_AUTH_SECRET_H
#define KADE_AUTH_SECRET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct ctx;

#define SECRET_KEY_BYTES 32
#define TOKEN_HASH_BYTES 32
struct secret_key {
	uint8_t b[SECRET_KEY_BYTES];
};
/* Of the process: made once at start, read-only afterwards. */
struct secrets {
	struct secret_key application; /* SECRET_KEY: encrypted passwords */
	struct secret_key database;    /* DATABASE_SECRET_KEY: v0$$ */
	struct secret_key seal;        /* derived from database: v1$$ */
	struct secret_key token_hash;  /* derived from database */
	struct secret_key
	    cookie; /* derived from application: session cookies and other state at the browser */
};

/* Quay's conversion of a configured key text to 32 bytes: a decimal number, else a UUID, else the characters,
 * repeated. False for an empty text or characters above U+00FF. */
bool secret_key_convert(struct ctx *c, struct str text, struct secret_key *out);
/* A key for one use, by HKDF-SHA256 with the label as info. */
void secret_key_derive(const struct secret_key *from, const char *label, struct secret_key *out);
/* All keys from the two configured texts. ERR_BAD_INPUT names the text that cannot be used. */
enum err_kind secrets_init(struct ctx *c, struct str secret_key, struct str database_secret_key,
                           struct secrets *out) MUST_CHECK;

/* The keyed hash by which a token is found: HMAC-SHA256 over its kind ("app", "oauth", "robot", ...) and
 * text. */
void secret_token_hash(const struct secrets *s, const char *kind, struct str token,
                       uint8_t out[TOKEN_HASH_BYTES]);

/* Seals a text: "v1$$" + base64(nonce 12 ‖ AES-256-GCM ‖ tag 16). The purpose (which column of what) is
 * authenticated with it: a sealed text moved to another place does not open there. *out given. */
enum err_kind secret_seal(struct ctx *c, const struct secrets *s, const char *purpose, struct str plain,
                          struct str *out) MUST_CHECK;
/* Opens a sealed text, or one in Quay's form "v0$$" + base64(nonce 13 ‖ AES-256-CCM ‖ tag 16), which knows no
 * purpose. ERR_UNSUPPORTED for another form, ERR_DENIED when it does not fit the key: refuse that credential,
 * go on. */
enum err_kind secret_open(struct ctx *c, const struct secrets *s, const char *purpose, struct str sealed,
                          struct str *out) MUST_CHECK;
/* Quay's form, for exports and tests. nonce: 13 bytes, NULL = random. */
enum err_kind secret_seal_v0(struct ctx *c, const struct secret_key *key, const uint8_t *nonce,
                             struct str plain, struct str *out) MUST_CHECK;
/* AES-256-GCM with any key and purpose, as base64url(nonce ‖ text ‖ tag): cookies and other state kept at the
 * browser. */
enum err_kind secret_box(struct ctx *c, const struct secret_key *key, const char *purpose, struct str plain,
                         struct str *out) MUST_CHECK;
bool secret_unbox(struct ctx *c, const struct secret_key *key, const char *purpose, struct str box,
                  struct str *out);

/* Quay's encrypted password: base64(IV 16 ‖ AES-256-CBC of {"password": …}). Opening is false for anything
 * that is not one: it is a plain password then. iv: NULL = random. */
enum err_kind secret_password_put(struct ctx *c, const struct secret_key *key, const uint8_t *iv,
                                  struct str password, struct str *out) MUST_CHECK;
bool secret_password_get(struct ctx *c, const struct secret_key *key, struct str text, struct str *out);
#endif
