/* The queue of mails. */
#include "model/mail.h"

#include "auth/secret.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "db/db.h"
#include "net/smtp.h"

#define PURPOSE    "queue_item.mail"
#define LIFE_S     (3 * 86400)
#define BODY_BYTES 16384

static const struct say SAY_ADDRESS = { 400, "invalid_request", "Invalid email address" };
static const struct js_limits LIMITS = { .bytes = BODY_BYTES, .depth = 3, .values = 100 };

static void
put(json_t *o, const char *name, struct str v)
{
	if (v.p != NULL)
		jo_strn(o, name, v);
}

enum err_kind
mail_queue(struct ctx *c, const struct secrets *s, const struct mail *m)
{
	json_t *o = js_object(c);
	struct str sealed;

	if (!smtp_address_ok(m->to))
		return err_say(c, ERR_BAD_INPUT, &SAY_ADDRESS);
	jo_i64(o, "kind", (int64_t)m->kind);
	put(o, "to", m->to);
	put(o, "code", m->code);
	put(o, "user", m->user);
	put(o, "org", m->org);
	put(o, "team", m->team);
	put(o, "inviter", m->inviter);
	put(o, "repository", m->repository);
	jo_i64(o, "until_ms", m->until_ms);
	TRY(secret_seal(c, s, PURPOSE, js_dump(c, o), &sealed));
	TRY(db_exec(c, STMT_MAIL_PUT,
	            DB_ARGS(db_strn(sealed), db_i32(MAIL_TRIES),
	                    db_i64((m->life_s != 0 ? m->life_s : LIFE_S) * 1000)),
	            NULL));
	c->wake = MAIL_CHANNEL;
	return ERR_NONE;
}

enum err_kind
mail_open(struct ctx *c, const struct secrets *s, struct str body, struct mail *out)
{
	struct str plain;
	json_t *o;
	int64_t kind;

	TRY(secret_open(c, s, PURPOSE, body, &plain));
	TRY(js_parse(c, plain, &LIMITS, &o));
	kind = js_i64(o, "kind", 0);
	if (kind <= 0 || kind >= MAIL_KINDS)
		return err_set(c, ERR_UNSUPPORTED, "a mail of kind %lld", (long long)kind);
	*out = (struct mail){ .kind = (enum mail_kind)kind,
		              .to = js_str(o, "to"),
		              .code = js_str(o, "code"),
		              .user = js_str(o, "user"),
		              .org = js_str(o, "org"),
		              .team = js_str(o, "team"),
		              .inviter = js_str(o, "inviter"),
		              .repository = js_str(o, "repository"),
		              .until_ms = js_i64(o, "until_ms", 0) };
	return ERR_NONE;
}
