/* Fuzz target: the Authorization header, and every other small text that a client sends where a secret is
 * expected. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/credential.h"
#include "auth/network.h"
#include "auth/page-token.h"
#include "auth/scope.h"
#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct secrets SECRETS;
	static const struct page_key PAGE;
	struct ctx c = { .mem = arena_new(0) };
	const struct str text = { (const char *)data, size };
	const struct credential k = credential_parse(&c, text, true);
	struct str a, b;
	struct secret_key key;
	char net[NETWORK_TEXT];

	if (k.kind >= CREDENTIAL_USER &&
	    (k.name.n == 0 || !str_is_utf8(k.name) || !str_is_utf8(k.secret) || str_find(k.name, ':') >= 0))
		abort();
	if (k.kind == CREDENTIAL_ROBOT && str_find(k.name, '+') < 0)
		abort();
	for (int f = 0; f < TOKEN_FORMATS; f++)
		if (token_split((enum token_format)f, text, &a, &b) && a.n + b.n != size)
			abort();
	mail_code_get(&c, text, &a, &b);
	if (scope_parse(text) > SCOPE_GRANTABLE)
		abort();
	network_text(network_of(text), net);
	secret_key_convert(&c, text, &key);
	if (secret_open(&c, &SECRETS, "fuzz", text, &a) == ERR_NONE ||
	    secret_unbox(&c, &SECRETS.cookie, "fuzz", text, &a) ||
	    page_token_get(&c, &PAGE, 1800000000, text, &a))
		abort();
	secret_password_get(&c, &SECRETS.application, text, &a);
	arena_free(c.mem);
	return 0;
}
