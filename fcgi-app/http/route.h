/* One row per endpoint, with everything that the dispatcher enforces before the handler runs. */
#ifndef KADE_HTTP_ROUTE_H
#define KADE_HTTP_ROUTE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

struct field; /* http/field.h */
struct param;
struct req;

enum http_method {
	HTTP_GET = 1,
	HTTP_HEAD = 2,
	HTTP_POST = 4,
	HTTP_PUT = 8,
	HTTP_PATCH = 16,
	HTTP_DELETE = 32,
	HTTP_OPTIONS = 64,
	HTTP_OTHER = 128
};
/* The protocol family decides how errors look, which credentials count, and what a 401 carries. By path prefix for
 * requests that match no row: /v2 → V2, /v1 → V1, /cnr → CNR, /api/v1 → API, else SITE. */
enum proto { PROTO_SITE, PROTO_V2, PROTO_V1, PROTO_CNR, PROTO_API };
/* Which credentials a row takes. */
enum auth_mode {
	AUTH_NONE,     /* no look at credentials at all */
	AUTH_REGISTRY, /* Bearer registry token or Basic */
	AUTH_BASIC,    /* Basic only: /v2/auth */
	AUTH_API,      /* Bearer OAuth token or session cookie */
	AUTH_SITE      /* Basic with a person's password, or session cookie */
};
enum perm {
	PERM_NONE,       /* anybody */
	PERM_CALLER,     /* a known caller */
	PERM_TOKEN,      /* any valid credential, an anonymous registry token included: GET /v2/ */
	PERM_REPO_READ,
	PERM_REPO_READ_OR_CREATE, /* or the repository is absent and the caller could make it: an empty answer */
	PERM_REPO_WRITE, /* or may create it when it is absent: the handler makes it */
	PERM_REPO_WRITE_EXISTING,
	PERM_REPO_ADMIN,
	/* of the namespace in the capture `orgname` (or `namespace`): its facts are loaded as those of a repository are */
	PERM_NS_ANY,     /* anybody: the handler looks at the facts */
	PERM_NS_MEMBER,  /* in any team */
	PERM_NS_CREATE,  /* may create repositories */
	PERM_NS_ADMIN,
	PERM_NS_TEAM, /* in the team that `.load` is about (its first column behind the facts says so), or admin */
	PERM_NS_SUPERUSER, /* a superuser with full access alone; the row has ROUTE_SU_FULL */
	/* of the caller's own account: a user, not a robot; a token needs the scope user:read or user:admin */
	PERM_USER_READ,
	PERM_USER_ADMIN,
	PERM_NEW_ORGANIZATION, /* the same, where the configuration lets this user make organizations */
	PERM_SUPERUSER,
	PERM_SUPERUSER_READ, /* or global read-only superuser */
	PERM_SU_FULL_READ    /* a superuser with full access, or global read-only superuser */
};
enum rate_class { RATE_NONE, RATE_REGISTRY_READ, RATE_REGISTRY_WRITE, RATE_AUTH, RATE_API_READ, RATE_API_WRITE, RATE_CLASSES };
enum tx { TX_NONE, TX_WRITE }; /* TX_WRITE: the dispatcher commits when the handler returns ERR_NONE, retries 40001 and 40P01 */
enum route_flags {
	ROUTE_WRITES = 1,    /* refused when the registry is read-only */
	ROUTE_PUSH = 2,      /* refused under DISABLE_PUSHES */
	ROUTE_BODY = 4,      /* the handler reads the body itself, after the permission */
	ROUTE_TRANSFER = 8,  /* may take long: belongs to the transfer pool, no request deadline */
	ROUTE_UPLOAD_ID = 16,     /* the Authorizer also checks the upload's id */
	ROUTE_SU_FULL = 32,       /* API: a superuser with full access passes the permission */
	ROUTE_SU_READ = 64,       /* API: so does a global read-only superuser */
	ROUTE_FRESH = 128,        /* asks for a fresh login */
	ROUTE_NO_CSRF = 256,
	ROUTE_STATE_NORMAL = 512, /* API: 503 on a repository that is read-only or a mirror */
	ROUTE_ABSENT_OK = 16384,   /* API: whoever holds the right is served though the repository is absent */
	ROUTE_ANONYMOUS_OK = 1024, /* served without identity though FEATURE_ANONYMOUS_ACCESS is off */
	ROUTE_READONLY_OK = 2048, /* writes that a read-only registry allows: sign-in */
	ROUTE_SESSION_401 = 4096, /* PERM_USER_*: whoever lacks the right gets 401 with session_required: false */
	ROUTE_INTERNAL = 8192,    /* API: not in the discovery document unless asked for */
	ROUTE_UNSERVED = 65536,    /* API: the path is claimed, the service behind it is not built: 404 and 405 */
	ROUTE_NOT_RESTRICTED = 32768 /* API: refused to restricted users (FEATURE_RESTRICTED_USERS): writes in the own namespace */
};

struct route {
	const char      *id;      /* operation id: metrics label, docs */
	unsigned         methods; /* HTTP_* bits; HEAD is served by a GET row only if it lists it */
	const char      *path;    /* "/v2/<repo:repository>/blobs/<ref:digest>" */
	enum proto       proto;
	enum auth_mode   auth;
	enum perm        perm;
	unsigned         scope;   /* SCOPE_* bits an OAuth token must hold one of; 0 = none asked */
	enum rate_class  rate;
	enum tx          tx;
	unsigned         flags;
	/* Facts and the handler's row in one statement; STMT_NONE = repo_facts alone for PERM_REPO_*, else no statement.
	 * bind appends the arguments after the facts'. */
	enum stmt        load;
	enum err_kind  (*bind)(struct req *rq, struct db_args *a);
	/* What takes long and must not hold a connection (a password's hash): after the checks, before the handler's transaction,
	 * once however often that is run. Leaves its result in rq->prepared. NULL = nothing. */
	enum err_kind  (*prepare)(struct req *rq);
	enum err_kind  (*run)(struct req *rq);
	size_t           feature;     /* CONF_FLAG(feature_x): off = the path does not exist; 0 = always on */
	size_t           feature_too; /* a second such flag; 0 = none */
	size_t           feature_third;
	size_t           mem_bytes;   /* arena limit; 0 = 512 KiB */
	size_t           body_bytes;  /* largest body that req_body_all() takes; 0 = 1 MiB */
	const struct field *body;        /* JSON body of this shape: rq->body; NULL = none is read */
	const struct param *query;       /* documented query parameters; integers are checked */
	const char      *doc;
};
/* offsetof a bool of struct conf, plus one. */
#define CONF_FLAG(member) (offsetof(struct conf, member) + 1)

/* Converters in a path: <repo:x> one or more segments, as many as possible (the tail decides); <repopath:x> two or more;
 * <ref:x> <name:x> one segment of any text; <int:x> digits. Captured text is percent-decoded. */
#define ROUTE_CAPTURES 4
#endif
