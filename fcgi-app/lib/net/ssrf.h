/* The guard of outgoing requests that a user can aim (webhooks, mirrors, build contexts, proxy caches,
 * issuers): only globally routable unicast addresses, unless the operator's allow list (SSRF_ALLOWED_HOSTS)
 * admits a host or a block. The decision is on the address that is really connected to, so neither DNS tricks
 * nor odd spellings of an address pass; net/http-client.c applies it to every connection and every redirect.
 */
#ifndef KADE_NET_SSRF_H
#define KADE_NET_SSRF_H
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct addr;
struct ctx;
struct ssrf_rules;

/* Parses the allow list: host names ("git.corp.example", also "*.corp.example" for every name below),
 * addresses and CIDR blocks. An allowed name admits whatever it resolves to. *out given (lives in c->mem,
 * copies the list). ERR_BAD_INPUT names the entry that is neither. */
enum err_kind ssrf_rules_new(struct ctx *c, const struct str_list *allowed,
                             const struct ssrf_rules **out) MUST_CHECK;

/* May a request for `host` (as in the URL, without brackets) connect to this address? NULL: yes; else the
 * reason, a constant ("loopback", "private network", …). */
const char *ssrf_refuses(const struct ssrf_rules *rules, struct str host, const struct addr *a);
/* The same for what is known before any look-up: well-known names of local and metadata services, and literal
 * addresses. NULL: nothing against it so far. */
const char *ssrf_refuses_name(const struct ssrf_rules *rules, struct str host);
/* For the moment a URL is stored: http or https, a host, no user name or password, and ssrf_refuses_name().
 * No look-up is made. ERR_BAD_INPUT with a text that a client may see. */
enum err_kind ssrf_check_url(struct ctx *c, const struct ssrf_rules *rules, const char *url) MUST_CHECK;
#endif
