/* Inside of a JOSE key: for jose.c and jose-key.c only. */
#ifndef KADE_AUTH_JOSE_KEY_H
#define KADE_AUTH_JOSE_KEY_H
#include <openssl/evp.h>

#include "auth/jose.h"

struct jose_key {
	EVP_PKEY *pkey;
	enum jose_alg alg;
	bool is_private;
	char kid[JOSE_KID_TEXT];
	char head[192]; /* base64url of the header of every token that this key signs */
	size_t head_n;
};
#endif
