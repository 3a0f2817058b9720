/* Hashes, encodings, random bytes and constant-time comparison, over OpenSSL. */
#ifndef KADE_BASE_DIGEST_H
#define KADE_BASE_DIGEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
#define SHA256_BYTES 32
#define SHA512_BYTES 64

void digest_sha256(struct str in, uint8_t out[SHA256_BYTES]);
void digest_sha512(struct str in, uint8_t out[SHA512_BYTES]);
void digest_hmac_sha256(struct str key, struct str in, uint8_t out[SHA256_BYTES]);

/* SHA-256 that can stop in one process and go on in another: OpenSSL's EVP has no export of its state, so the low-level
 * functions are used, in digest.c alone. */
struct sha256 {
	_Alignas(16) uint8_t opaque[128]; /* a SHA256_CTX */
};
#define SHA256_STATE_TEXT 192 /* enough for the text form and its NUL */
void sha256_start(struct sha256 *s);
void sha256_feed(struct sha256 *s, const void *p, size_t n);
void sha256_end(const struct sha256 *s, uint8_t out[SHA256_BYTES]); /* s stays usable: a copy is finished */
/* Text form: "s256v1:" + base64(h[8] big-endian | bit count, 8 bytes big-endian | tail bytes). */
void sha256_save(const struct sha256 *s, char out[SHA256_STATE_TEXT]);
/* False for anything that sha256_save() could not have written. */
bool sha256_load(struct sha256 *s, struct str text);

void hex_put(char *out, const uint8_t *p, size_t n); /* 2n lower-case digits and a NUL */
bool hex_get(struct str hex, uint8_t *out, size_t n); /* exactly 2n digits of either case */
/* Standard base64 with padding, and base64url without. Given, NUL-terminated. */
char *base64_put(struct arena *mem, struct str in);
char *base64url_put(struct arena *mem, struct str in);
/* Strict decoding; false on any other character, bad padding or trailing bits. *out given. */
bool base64_get(struct arena *mem, struct str in, struct str *out);
bool base64url_get(struct arena *mem, struct str in, struct str *out);

/* Equal bytes, in a time that depends on the length only. */
bool mem_eq_ct(struct str a, struct str b);
/* n random bytes from the kernel; ends the process if there are none. */
void random_bytes(void *p, size_t n);
/* n characters drawn evenly from alphabet, and a NUL; out has n + 1 bytes. */
void random_text(char *out, size_t n, const char *alphabet);
#define ALPHABET_UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define ALPHABET_MIXED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
/* A random (version 4) UUID in lower case, 36 characters and a NUL. */
void random_uuid(char out[37]);
#endif
