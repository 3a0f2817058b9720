/* What the /v2 handlers share. */
#include "registry/v2.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "http/response.h"
#include "model/audit.h"
#include "model/blob.h"
#include "model/repo.h"
#include "oci/say.h"

void
reg_location(struct req *rq, const char *tail_fmt, ...)
{
	char       tail[512];
	va_list    ap;
	struct buf b = BUF(rq->c->mem);

	va_start(ap, tail_fmt);
	vsnprintf(tail, sizeof tail, tail_fmt, ap);
	va_end(ap);
	buf_putf(&b, "%s/v2/%.*s/%.*s/%s", req_base_url(rq), STRF(rq->ns), STRF(rq->repo), tail);
	res_header_set(rq, "Location", buf_str(&b));
}

bool
reg_digest(const struct req *rq, const char *capture, struct oci_digest *out)
{
	return oci_ref_parse(req_capture(rq, capture), out) == OCI_REF_DIGEST;
}

enum err_kind
reg_bind_digest(struct req *rq, struct db_args *a)
{
	struct oci_digest d;

	/* What is no digest names no blob; the handler tells it apart where the protocol does. */
	db_args_add(a, reg_digest(rq, "digest", &d) ? db_str(str_dup_c(rq->c->mem, d.text)) : db_str(""));
	db_args_add(a, db_i64(push_window_ms(rq->c)));
	return ERR_NONE;
}

enum err_kind
reg_write_right_again(struct req *rq)
{
	const struct db_result *r;
	struct db_args          a = { 0 };

	facts_args(&a, rq->ns, rq->repo, &rq->ident, facts_caps(rq->c->conf, &rq->ident, rq->ns, rq->repo, ROLE_WRITE));
	TRY(db_exec(rq->c, STMT_REPO_FACTS, &a, &r));
	facts_from_row(rq->c, r, 0, &rq->facts);
	if (rq->facts.repository_id == 0 && !rq->facts.may_create)
		return err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_NAME_UNKNOWN);
	if (rq->facts.repository_id != 0 && (!rq->facts.may_write || rq->facts.repository_state != REPO_NORMAL || rq->facts.repository_kind != REPO_KIND_IMAGE))
		return err_set(rq->c, ERR_UNAUTHENTICATED, "the right to write ended while the body came, or somebody else made the repository");
	return ERR_NONE;
}

/* Between the permission and the making, somebody else may have made the repository, or it waits to be removed: the right
 * to create says nothing of it, so the facts are asked again. */
enum err_kind
reg_ensure_repository(struct req *rq)
{
	if (rq->facts.repository_id != 0)
		return ERR_NONE;
	TRY(repo_ensure(rq->c, rq->ns, rq->repo, &rq->facts));
	TRY(reg_write_right_again(rq));
	return rq->facts.repository_id != 0 ? ERR_NONE : err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_NAME_UNKNOWN);
}

struct str
reg_audit_track(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);

	audit_track(&b, rq->ns, rq->repo, rq->user_agent, &rq->ident);
	return buf_str(&b);
}

bool
reg_not_modified(const struct req *rq, const char *etag)
{
	struct str rest = req_header(rq, "if-none-match"), one;

	while (rest.n > 0) {
		str_cut(rest, ',', &one, &rest);
		one = str_trim(one);
		if (str_starts(one, STR("W/")))
			one = str_sub(one, 2, one.n);
		if (str_eq_c(one, etag) || str_eq(one, STR("*")))
			return true;
	}
	return false;
}

enum err_kind
reg_blob_unknown(struct req *rq, const char *digest)
{
	struct buf b = BUF(rq->c->mem);

	buf_puts(&b, "{\"digest\":");
	buf_put_json(&b, str_of(digest));
	buf_puts(&b, "}");
	err_say(rq->c, ERR_NOT_FOUND, &OCI_SAY_BLOB_UNKNOWN);
	return err_detail(rq->c, buf_cstr(&b));
}
