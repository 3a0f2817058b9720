/* Passwords in bodies, hashed before the transaction. */
#include "api/new-password.h"

#include "app.h"
#include "auth/gate.h"
#include "auth/login.h"
#include "auth/password.h"
#include "base/arena.h"
#include "base/ctx.h"
#include "base/js.h"
#include "http/request.h"

enum err_kind
new_password_prepare(struct req *rq)
{
	const struct login_env *env = rq->app->login;
	const struct str        password = js_str(rq->body, "password");
	char                   *hash = arena_zalloc(rq->c->mem, PASSWORD_HASH_TEXT);
	struct gate_pass        pass;
	enum err_kind           e;

	if (password.p == NULL)
		return ERR_NONE;
	TRY(password_check_rules(rq->c, password));
	TRY(gate_enter(rq->c, env->gate, env->gate_slots, PASSWORD_WAIT_MS, &pass));
	e = password_hash(rq->c, password, PASSWORD_COST, hash);
	gate_leave(env->gate, &pass);
	rq->prepared = hash;
	return e;
}
