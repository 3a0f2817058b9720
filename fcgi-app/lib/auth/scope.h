/* OAuth scopes: what a token allows at most. A direct login (password, session, robot, app token) has all of
 * them. Names, titles, implications and caps are those of Quay; its users' consent pages and tokens carry
 * them. */
#ifndef KADE_AUTH_SCOPE_H
#define KADE_AUTH_SCOPE_H
#include <stdbool.h>
#include <stddef.h>

#include "auth/identity.h"
#include "base/str.h"

struct arena;

enum scope_bits {
	SCOPE_REPO_READ = 1,
	SCOPE_REPO_WRITE = 2,
	SCOPE_REPO_ADMIN = 4,
	SCOPE_REPO_CREATE = 8,
	SCOPE_USER_READ = 16,
	SCOPE_USER_ADMIN = 32,
	SCOPE_ORG_ADMIN = 64,
	SCOPE_SUPER_USER = 128,
	SCOPE_GRANTABLE = 255, /* all that a token can be given */
	SCOPE_DIRECT = 511     /* a direct login: all, and the bit that no token can have */
};
enum user_role { USER_ROLE_NONE, USER_ROLE_READ, USER_ROLE_ADMIN };

struct scope_info {
	unsigned bit;
	const char *name, *icon, *title, *description; /* for the consent page and the API's discovery */
	bool is_dangerous;
};
#define SCOPE_COUNT 8
extern const struct scope_info SCOPES[SCOPE_COUNT];

/* The bits of a scope text: names separated by a blank or a comma. One unknown or empty name voids all: 0. */
unsigned scope_parse(struct str text);
/* The names of bits, separated by single blanks, in the table's order. Given. */
const char *scope_text(struct arena *mem, unsigned scopes);
/* With what they imply: repo:admin includes write and read, repo:write includes read. */
unsigned scope_implied(unsigned scopes);
/* True when held (with implications) has every bit of wanted, and wanted is not empty. */
bool scope_covers(unsigned held, unsigned wanted);
/* The highest role that a credential with these scopes may use, whatever its owner may do. */
enum role scope_max_role(unsigned scopes);
enum org_role scope_max_org_role(unsigned scopes);
enum user_role scope_max_user_role(unsigned scopes);
bool scope_allows_superuser(unsigned scopes);
#endif
