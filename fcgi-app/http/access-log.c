/* Lines for operators and log shippers. Members: id, method, path, route, status, bytes in and out, milliseconds, statements,
 * client, agent, identity, repository, and for failures of the server what went wrong. */
#include "http/access-log.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "http/http-conf.h"
#include "http/request.h"

#define SLOW_MS    5000
#define PATH_BYTES 1024
#define TEXT_BYTES 256

bool
access_parse(struct str text, struct http_conf *out)
{
	static const struct {
		const char *word;
		enum access_mode mode;
	} WORD[] = {
		{"off",     ACCESS_OFF   },
                { "errors", ACCESS_ERRORS},
                { "all",    ACCESS_ALL   }
	};
	struct str head, tail;
	int64_t n;

	for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++) {
		if (str_eq_c(text, WORD[i].word)) {
			out->access = WORD[i].mode;
			return true;
		}
	}
	if (!str_cut(text, ':', &head, &tail) || !str_eq_c(head, "sampled") ||
	    !str_to_i64(tail, 1, 1000000000, &n))
		return false;
	out->access = ACCESS_SAMPLED;
	out->access_every = (unsigned)n;
	return true;
}

bool
access_is_refusal(const struct err *e)
{
	return e->kind == ERR_READ_ONLY || (e->kind == ERR_BUSY && e->say != NULL);
}

/* 401 and 404 belong to every push and pull: the first ping, the question whether a blob is there. */
static bool
is_unusual(int status)
{
	return status >= 400 && status != 401 && status != 404;
}

bool
access_wanted(const struct http_conf *hc, int status, int64_t took_us, uint64_t draw)
{
	const int slow_ms = hc->slow_ms > 0 ? hc->slow_ms : SLOW_MS;

	if (status >= 500 || took_us >= (int64_t)slow_ms * 1000)
		return true;
	switch (hc->access) {
	case ACCESS_OFF:
		return false;
	case ACCESS_ERRORS:
		return is_unusual(status);
	case ACCESS_SAMPLED:
		return is_unusual(status) || draw % hc->access_every == 0;
	case ACCESS_ALL:
		break;
	}
	return true;
}

static void
put_text(struct buf *b, const char *name, struct str v, size_t max)
{
	if (v.n == 0)
		return;
	buf_putf(b, ",\"%s\":", name);
	buf_put_json(b, v.n > max ? str_sub(v, 0, max) : v);
}

static const char *
identity_word(enum identity_kind k)
{
	switch (k) {
	case IDENTITY_ANONYMOUS:
		return "anonymous";
	case IDENTITY_USER:
		return "user";
	case IDENTITY_ROBOT:
		return "robot";
	case IDENTITY_APP_TOKEN:
		return "app_token";
	case IDENTITY_OAUTH:
		return "oauth";
	case IDENTITY_ACCESS_TOKEN:
		return "access_token";
	}
	return "unknown";
}

void
access_line(struct log *sink, const struct req *rq, int64_t took_us)
{
	struct arena *mem = arena_new(0); /* the request's may be full */
	struct buf b = BUF(mem);

	buf_putf(&b, "\"id\":\"%s\"", rq->c->id);
	put_text(&b, "method", str_of(rq->method_text), 32);
	put_text(&b, "path", rq->path, PATH_BYTES);
	put_text(&b, "route", str_of(rq->route == NULL ? NULL : rq->route->id), TEXT_BYTES);
	buf_putf(&b, ",\"status\":%d,\"in\":%lld,\"out\":%lld,\"ms\":%lld.%03lld,\"statements\":%u",
	         rq->res.status, (long long)rq->body_read, (long long)rq->res.bytes_out,
	         (long long)(took_us / 1000), (long long)(took_us % 1000), rq->c->statements);
	put_text(&b, "client", rq->remote_addr, 64);
	put_text(&b, "agent", rq->user_agent, TEXT_BYTES);
	put_text(&b, "identity", str_of(identity_word(rq->ident.kind)), TEXT_BYTES);
	put_text(&b, "name", str_of(rq->ident.name), TEXT_BYTES);
	if (rq->ns.n > 0) {
		buf_puts(&b, ",\"repository\":");
		buf_put_json(&b, str_of(str_fmt(mem, "%.*s/%.*s", STRF(rq->ns), STRF(rq->repo))));
	}
	if (rq->authorizer)
		buf_puts(&b, ",\"authorizer\":true");
	if (rq->res.broken)
		buf_puts(&b, ",\"client_gone\":true");
	if (rq->res.status >= 500)
		put_text(&b, "error", str_of(rq->c->err.text), sizeof rq->c->err.text);
	log_members(sink, LOG_LEVEL_INFO, buf_str(&b));
	arena_free(mem);
}
