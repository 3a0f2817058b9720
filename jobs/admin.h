/* Inside of kade-admin: one run, what its commands share, and the tables of commands. */
#ifndef KADE_JOBS_ADMIN_H
#define KADE_JOBS_ADMIN_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "model/audit.h"
#include "setup.h"

enum admin_option { /* which options a command takes */
	            OPTION_EMAIL = 1,
	            OPTION_PASSWORD = 2, /* --password-file, --generate */
	            OPTION_OWNER = 4,
	            OPTION_ROLE = 8,
	            OPTION_TITLE = 16,
	            OPTION_EXPIRES = 32,
	            OPTION_SCOPES = 64,
	            OPTION_APPLICATION = 128,
	            OPTION_PUBLIC = 256,
	            OPTION_YES = 512,
	            OPTION_SUPERUSER_HINT = 1024
};
struct admin {
	struct setup s;
	struct ctx *c; /* &s.c */
	struct str args[4];
	int n_args;
	unsigned given; /* enum admin_option */
	const char *email, *password_file, *owner, *role, *title, *expires, *scopes, *application;
	bool generate, is_public, yes, superuser_hint;
	struct buf out;      /* printed when the command has succeeded and is committed */
	struct str password; /* read or made before the transaction; p == NULL: none */
};
struct admin_command {
	const char *words, *args, *doc; /* "user create", "NAME [--email E]", what it does */
	int n_args;
	unsigned options;  /* enum admin_option */
	unsigned required; /* of them */
	bool
	    tx; /* runs in one transaction, and again when that has to be repeated: it prints into a->out only */
	enum err_kind (*run)(struct admin *a);
};
extern const struct admin_command ADMIN_USER[], ADMIN_ORG[], ADMIN_ROBOT[], ADMIN_TOKEN[], ADMIN_REPO[],
    ADMIN_STORAGE[];

struct admin_account {
	int64_t id, owner_id; /* owner: of a robot */
	int kind;             /* 1 user, 2 organization, 3 robot */
	bool is_enabled;
	const char *name, *email;
};
enum { KIND_USER = 1, KIND_ORG = 2, KIND_ROBOT = 4 }; /* bits for admin_account_get() */
/* The account of that name if it is one of the kinds. ERR_NOT_FOUND. */
enum err_kind admin_account_get(struct admin *a, struct str name, unsigned kinds,
                                struct admin_account *out) MUST_CHECK;
struct admin_repo {
	int64_t id, namespace_id;
	struct str ns, name;
	bool is_public, ns_is_org;
	int state;
};
/* NS/NAME taken apart; id 0 when there is no such repository. ERR_BAD_INPUT, ERR_NOT_FOUND (namespace). */
enum err_kind admin_repo_find(struct admin *a, struct str path, struct admin_repo *out) MUST_CHECK;
/* The same; ERR_NOT_FOUND when it is absent or being deleted. */
enum err_kind admin_repo_get(struct admin *a, struct str path, struct admin_repo *out) MUST_CHECK;
/* Position of a word in "a|b|c", from 1. ERR_BAD_INPUT names the choices. */
enum err_kind admin_choice(struct admin *a, struct str word, const char *choices, int *out) MUST_CHECK;
/* --expires: a duration such as 30d; 0 when it was not given. */
enum err_kind admin_expires(struct admin *a, int64_t *out_ms) MUST_CHECK;
/* One row of the audit log without a performer; members: names and values by turns, NULL at the end. */
enum err_kind admin_audit(struct admin *a, enum audit_kind kind, int64_t namespace_id, int64_t repository_id,
                          const char *const *members) MUST_CHECK;
#define MEMBERS(...)                                                                                         \
	(const char *const[])                                                                                \
	{                                                                                                    \
		__VA_ARGS__, NULL                                                                            \
	}
/* A C string of a slice. */
const char *admin_c(struct admin *a, struct str s);
#endif
