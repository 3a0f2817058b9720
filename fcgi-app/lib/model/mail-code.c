/* Codes in mails. */
#include "model/mail-code.h"

#include "auth/credential.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "db/db.h"

struct db_arg
mail_code_hash(struct ctx *c, const struct secrets *s, const char *kind, struct str code)
{
	uint8_t *h = arena_alloc(c->mem, TOKEN_HASH_BYTES);

	secret_token_hash(s, kind, code.p == NULL ? STR("") : code, h);
	return db_bytes((struct str){ (const char *)h, TOKEN_HASH_BYTES });
}

struct str
mail_code_text(struct ctx *c)
{
	char token[TOKEN_TEXT_MAX + 1];

	token_make(TOKEN_MAIL_CODE, token);
	return str_of(mail_code_put(c, token));
}

struct str
team_invite_code(struct ctx *c)
{
	char uuid[37];

	random_uuid(uuid);
	return str_of(str_fmt(c->mem, TEAM_INVITE_PREFIX "%s", uuid));
}

struct db_arg
team_invite_hash(struct ctx *c, const struct secrets *s, struct str code)
{
	return mail_code_hash(c, s, "team invite", code);
}

enum err_kind
mail_code_make(struct ctx *c, const struct secrets *s, const struct mail_code_new *n, struct str *code,
               int64_t *until_ms)
{
	const struct db_result *r;
	const struct str text = mail_code_text(c);

	TRY(db_exec(c, STMT_ACCOUNT_CODE_ADD,
	            DB_ARGS(db_i64(n->account_id), mail_code_hash(c, s, "mail", text),
	                    db_i32((int32_t)n->purpose), db_strn(n->address), db_i64(n->life_s * 1000)),
	            &r));
	*code = text;
	*until_ms = db_get_i64(r, 0, ACCOUNT_CODE_ADD_EXPIRES_MS);
	return ERR_NONE;
}

enum err_kind
mail_code_use(struct ctx *c, const struct secrets *s, struct str code, enum mail_purpose first,
              enum mail_purpose last, struct mail_code_used *out)
{
	const struct db_result *r;
	struct str name, secret;

	*out = (struct mail_code_used){ .account_id = 0 };
	if (!mail_code_get(c, code, &name, &secret))
		return ERR_NONE;
	TRY(db_exec(
	    c, STMT_ACCOUNT_CODE_USE,
	    DB_ARGS(mail_code_hash(c, s, "mail", code), db_i32((int32_t)first), db_i32((int32_t)last)), &r));
	if (r->rows == 0)
		return ERR_NONE;
	*out =
	    (struct mail_code_used){ .account_id = db_get_i64(r, 0, ACCOUNT_CODE_USE_ACCOUNT_ID),
		                     .uuid = db_get_str(r, 0, ACCOUNT_CODE_USE_UUID),
		                     .name = db_get_str(r, 0, ACCOUNT_CODE_USE_NAME),
		                     .email = db_get_str(r, 0, ACCOUNT_CODE_USE_EMAIL),
		                     .address = db_get_str(r, 0, ACCOUNT_CODE_USE_ADDRESS),
		                     .purpose = (enum mail_purpose)db_get_i64(r, 0, ACCOUNT_CODE_USE_PURPOSE),
		                     .has_prompts = db_get_bool(r, 0, ACCOUNT_CODE_USE_HAS_PROMPTS) };
	return ERR_NONE;
}
