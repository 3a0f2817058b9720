/* OAuth scopes: parsing, implications, caps. Serves OAuth, the permission facts and the consent page. */
#include "auth/scope.h"

#include "base/arena.h"
#include "base/buf.h"

/* clang-format off */
const struct scope_info SCOPES[SCOPE_COUNT] = {
	{ SCOPE_REPO_READ, "repo:read", "fa-hdd-o", "View all visible repositories",
	  "The application can see and pull every repository that the granting user or robot account can see.", false },
	{ SCOPE_REPO_WRITE, "repo:write", "fa-hdd-o", "Read/Write to any accessible repositories",
	  "The application can see, pull and push every repository that the granting user or robot "
	  "account can push to.", false },
	{ SCOPE_REPO_ADMIN, "repo:admin", "fa-hdd-o", "Administer Repositories",
	  "The application can administer every repository that the granting user or robot account "
	  "administers.", false },
	{ SCOPE_REPO_CREATE, "repo:create", "fa-plus", "Create Repositories",
	  "The application can create repositories in every namespace where the granting user or robot "
	  "account can.", false },
	{ SCOPE_USER_READ, "user:read", "fa-user", "Read User Information",
	  "The application can read your account's details, such as its name and e-mail address.", false },
	{ SCOPE_USER_ADMIN, "user:admin", "fa-gear", "Administer User",
	  "The application can administer your account: make robot accounts and give them rights on your "
	  "repositories. Grant this only to an application that you trust completely.", true },
	{ SCOPE_ORG_ADMIN, "org:admin", "fa-gear", "Administer Organization",
	  "The application can administer your organizations: make robot accounts and teams and change "
	  "who belongs to them. Grant this only to an application that you trust completely.", true },
	{ SCOPE_SUPER_USER, "super:user", "fa-street-view", "Super User Access",
	  "The application can administer this installation: its users, its organizations and everything "
	  "in the superuser panel. Grant this only to an application that you trust completely.", true },
};
/* clang-format on */

static unsigned
bit_of(struct str name)
{
	for (size_t i = 0; i < SCOPE_COUNT; i++)
		if (str_eq_c(name, SCOPES[i].name))
			return SCOPES[i].bit;
	return 0;
}

unsigned
scope_parse(struct str text)
{
	unsigned scopes = 0;
	size_t from = 0;

	if (text.n == 0)
		return 0;
	for (size_t i = 0; i <= text.n; i++) {
		if (i < text.n && text.p[i] != ' ' && text.p[i] != ',')
			continue;
		const unsigned bit = bit_of(str_sub(text, from, i));
		if (bit == 0)
			return 0;
		scopes |= bit;
		from = i + 1;
	}
	return scopes;
}

const char *
scope_text(struct arena *mem, unsigned scopes)
{
	struct buf b = BUF(mem);

	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		if ((scopes & SCOPES[i].bit) == 0)
			continue;
		if (b.n > 0)
			buf_putc(&b, ' ');
		buf_puts(&b, SCOPES[i].name);
	}
	return buf_cstr(&b);
}

unsigned
scope_implied(unsigned scopes)
{
	if ((scopes & SCOPE_REPO_ADMIN) != 0)
		scopes |= SCOPE_REPO_WRITE;
	if ((scopes & SCOPE_REPO_WRITE) != 0)
		scopes |= SCOPE_REPO_READ;
	return scopes;
}

bool
scope_covers(unsigned held, unsigned wanted)
{
	return wanted != 0 && (scope_implied(held) & wanted) == wanted;
}

enum role
scope_max_role(unsigned scopes)
{
	if ((scopes & SCOPE_REPO_ADMIN) != 0)
		return ROLE_ADMIN;
	if ((scopes & SCOPE_REPO_WRITE) != 0)
		return ROLE_WRITE;
	return (scopes & SCOPE_REPO_READ) != 0 ? ROLE_READ : ROLE_NONE;
}

enum org_role
scope_max_org_role(unsigned scopes)
{
	if ((scopes & SCOPE_ORG_ADMIN) != 0)
		return ORG_ROLE_ADMIN;
	return (scopes & SCOPE_REPO_CREATE) != 0 ? ORG_ROLE_CREATOR : ORG_ROLE_NONE;
}

enum user_role
scope_max_user_role(unsigned scopes)
{
	if ((scopes & SCOPE_USER_ADMIN) != 0)
		return USER_ROLE_ADMIN;
	return (scopes & SCOPE_USER_READ) != 0 ? USER_ROLE_READ : USER_ROLE_NONE;
}

bool
scope_allows_superuser(unsigned scopes)
{
	return (scopes & SCOPE_SUPER_USER) != 0;
}
