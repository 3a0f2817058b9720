/* One connection that is held: for what belongs to a session. Migrations, the jobs' fleet lock, LISTEN. It leads to
 * KADE.DB_SESSION_URI, never through a transaction pooler. Its owner is one thread. */
#ifndef KADE_DB_SESSION_H
#define KADE_DB_SESSION_H
#include <stdbool.h>

#include "base/err.h"
#include "db/db.h"

struct ctx;
struct db_session;

/* Connects. pc->size and pc->pooler are not looked at. *out taken: db_session_close(). ERR_DB. */
enum err_kind db_session_open(struct ctx *c, const struct db_pool_conf *pc,
                              struct db_session **out) MUST_CHECK;
void db_session_close(struct db_session *s); /* NULL is allowed; ends locks and an open transaction */
/* 150004 for 15.4. */
int db_session_server_version(const struct db_session *s);
/* Between BEGIN and its end; a failed transaction counts. */
bool db_session_in_tx(const struct db_session *s);

/* A statement of sql/query, waited for. *out as with db_exec(); may be NULL. */
enum err_kind db_session_exec(struct ctx *c, struct db_session *s, enum stmt st, const struct db_args *a,
                              const struct db_result **out) MUST_CHECK;
/* Statements in the simple protocol, several allowed; their rows are dropped. The text of a failure names its line. */
enum err_kind db_session_script(struct ctx *c, struct db_session *s, const char *sql) MUST_CHECK;
/* A question that cannot stand in sql/query, because it is asked before there is a schema. Cells are text: db_get_str(). */
enum err_kind db_session_ask(struct ctx *c, struct db_session *s, const char *sql,
                             const struct db_result **out) MUST_CHECK;

enum db_woken { DB_WOKEN_NOT, DB_WOKEN_NOTIFY, DB_WOKEN_FD, DB_WOKEN_LOST };
/* Sleeps until a NOTIFY arrives for a LISTENing session, `fd` is readable (-1: none), a signal or the time-out. */
enum db_woken db_session_wait(struct db_session *s, int fd, int timeout_ms);
#endif
