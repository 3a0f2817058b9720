/* Failures. A function that can fail returns an enum err_kind; the lowest place that knows the reason says it once with
 * err_set() or err_say(), callers pass it on with TRY(). The dispatcher and the job frame turn it into an answer, a log
 * line and an exit code. */
#ifndef KADE_BASE_ERR_H
#define KADE_BASE_ERR_H
#include <stdbool.h>

struct ctx;
enum err_kind { /* one row each in err.c: HTTP status, /v2 code, /api/v1 error_type, retryable */
	ERR_NONE = 0,
	ERR_BAD_INPUT,
	ERR_UNAUTHENTICATED,
	ERR_FRESH_LOGIN,
	ERR_DENIED,
	ERR_NOT_FOUND,
	ERR_CONFLICT,
	ERR_TOO_LARGE,
	ERR_RANGE,
	ERR_QUOTA,
	ERR_RATE,
	ERR_UNSUPPORTED,
	ERR_READ_ONLY,
	ERR_BUSY,
	ERR_UPSTREAM,
	ERR_DB,
	ERR_STORE,
	ERR_CLIENT_GONE,
	ERR_BUG,
	ERR_KINDS
};
#define MUST_CHECK __attribute__((warn_unused_result))
#define TRY(x)                                                                                                         \
	do {                                                                                                           \
		enum err_kind e_ = (x);                                                                                \
		if (e_ != ERR_NONE)                                                                                    \
			return e_;                                                                                     \
	} while (0)

/* Wording that an interface fixes. A constant; status 0 = the kind's own. */
struct say {
	int         status;  /* HTTP */
	const char *code;    /* in the protocol's error body: v2 `code`, API `error_type` */
	const char *message; /* for the client */
};
struct err {
	enum err_kind     kind;
	const struct say *say;         /* NULL: the kind's own words */
	const char       *message;     /* client-visible text that replaces say's, in the arena; NULL: say's */
	const char       *detail_json; /* JSON text for the body's detail, in the arena; NULL: {} */
	int               retry_after_s; /* > 0: sent as Retry-After */
	char              text[512];   /* for the log only: never a secret */
};
struct err_info {
	const char *name;
	int         status;
	const char *v2_code, *v2_message;   /* what /v2 answers without a say */
	const char *api_type, *api_message; /* what /api/v1 answers without a say */
	bool        retryable;
};

const struct err_info *err_info(enum err_kind k);
/* Records a failure with a log text and returns k. */
enum err_kind err_set(struct ctx *c, enum err_kind k, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));
/* The same with the client's wording; log text = its message. */
enum err_kind err_say(struct ctx *c, enum err_kind k, const struct say *say);
/* The same with a client-visible message made for this case (copied into c->mem). */
enum err_kind err_say_fmt(struct ctx *c, enum err_kind k, const struct say *say, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold));
/* Adds the body's detail (JSON text, borrowed from c->mem) to the failure just recorded; returns its kind. */
enum err_kind err_detail(struct ctx *c, const char *detail_json);
/* Adds Retry-After to the failure just recorded; returns its kind. */
enum err_kind err_retry_after(struct ctx *c, int seconds);
void          err_clear(struct ctx *c);
#endif
