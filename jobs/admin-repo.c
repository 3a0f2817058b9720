/* kade-admin repo …, permission …: repositories and who may use them. */
#include "admin.h"
#include "model/facts.h"

static enum err_kind
repo_create(struct admin *a)
{
	const struct db_result *r;
	struct admin_repo repo;

	TRY(admin_repo_find(a, a->args[0], &repo));
	if (repo.id != 0)
		return err_set(a->c, ERR_CONFLICT, "repository %.*s %s", STRF(a->args[0]),
		               repo.state == REPO_MARKED_FOR_DELETION ? "is being deleted"
		                                                      : "exists already");
	TRY(db_exec(a->c, STMT_REPOSITORY_ENSURE,
	            DB_ARGS(db_i64(repo.namespace_id), db_strn(repo.name), db_null(), db_bool(a->is_public),
	                    db_i32(REPO_KIND_IMAGE)),
	            &r));
	TRY(admin_audit(a, AUDIT_create_repo, repo.namespace_id, db_get_i64(r, 0, REPOSITORY_ENSURE_ID),
	                MEMBERS("repo", admin_c(a, repo.name), "namespace", admin_c(a, repo.ns))));
	buf_putf(&a->out, "%s repository %.*s created\n", a->is_public ? "public" : "private",
	         STRF(a->args[0]));
	return ERR_NONE;
}

static enum err_kind
repo_visibility(struct admin *a)
{
	struct admin_repo repo;
	int which;

	TRY(admin_choice(a, a->args[1], "public|private", &which));
	TRY(admin_repo_get(a, a->args[0], &repo));
	TRY(db_exec(a->c, STMT_REPOSITORY_SET_PUBLIC, DB_ARGS(db_i64(repo.id), db_bool(which == 1)), NULL));
	TRY(admin_audit(a, AUDIT_change_repo_visibility, repo.namespace_id, repo.id,
	                MEMBERS("repo", admin_c(a, repo.name), "namespace", admin_c(a, repo.ns), "visibility",
	                        which == 1 ? "public" : "private")));
	buf_putf(&a->out, "repository %.*s is %.*s\n", STRF(a->args[0]), STRF(a->args[1]));
	return ERR_NONE;
}

static enum err_kind
repo_state(struct admin *a)
{
	struct admin_repo repo;
	int which;

	TRY(admin_choice(a, a->args[1], "normal|readonly", &which));
	TRY(admin_repo_get(a, a->args[0], &repo));
	TRY(db_exec(a->c, STMT_REPOSITORY_SET_STATE,
	            DB_ARGS(db_i64(repo.id), db_i32(which == 1 ? REPO_NORMAL : REPO_READ_ONLY)), NULL));
	TRY(admin_audit(a, AUDIT_change_repo_state, repo.namespace_id, repo.id,
	                MEMBERS("repo", admin_c(a, repo.name), "namespace", admin_c(a, repo.ns),
	                        "state_changed", which == 1 ? "NORMAL" : "READ_ONLY")));
	buf_putf(&a->out, "repository %.*s is %.*s\n", STRF(a->args[0]), STRF(a->args[1]));
	return ERR_NONE;
}

struct subject { /* user:NAME, robot:NS+NAME or team:NAME */
	int64_t account_id, team_id;
	const char *name;
};

static enum err_kind
team_subject(struct admin *a, const struct admin_repo *repo, struct subject *out)
{
	const struct db_result *r;

	TRY(db_exec(a->c, STMT_TEAM_BY_NAME, DB_ARGS(db_i64(repo->namespace_id), db_str(out->name)), &r));
	if (r->rows == 0)
		return err_set(a->c, ERR_NOT_FOUND, "%.*s has no team %s", STRF(repo->ns), out->name);
	out->team_id = db_get_i64(r, 0, TEAM_BY_NAME_ID);
	return ERR_NONE;
}

static enum err_kind
subject_get(struct admin *a, struct str text, const struct admin_repo *repo, struct subject *out)
{
	struct admin_account who;
	struct str kind, name;
	int which;

	*out = (struct subject){ 0 };
	if (!str_cut(text, ':', &kind, &name) || name.n == 0)
		return err_set(a->c, ERR_BAD_INPUT,
		               "%.*s: user:NAME, team:NAME or robot:NAMESPACE+NAME is wanted", STRF(text));
	TRY(admin_choice(a, kind, "user|team|robot", &which));
	out->name = admin_c(a, name);
	if (which == 2)
		return team_subject(a, repo, out);
	TRY(admin_account_get(a, name, which == 1 ? KIND_USER : KIND_ROBOT, &who));
	if (which == 3 && who.owner_id != repo->namespace_id)
		return err_set(a->c, ERR_BAD_INPUT, "robot %s belongs to another namespace than %.*s",
		               who.name, STRF(repo->ns));
	out->account_id = who.id;
	return ERR_NONE;
}

static enum err_kind
permission_set(struct admin *a)
{
	struct admin_repo repo;
	struct subject who;
	int role;

	TRY(admin_choice(a, a->args[1], "read|write|admin", &role));
	TRY(admin_repo_get(a, a->args[0], &repo));
	TRY(subject_get(a, a->args[2], &repo, &who));
	const char *name = admin_c(a, repo.name), *ns = admin_c(a, repo.ns), *word = admin_c(a, a->args[1]);
	if (who.team_id != 0) {
		TRY(db_exec(a->c, STMT_PERMISSION_SET_TEAM,
		            DB_ARGS(db_i64(repo.id), db_i64(who.team_id), db_i32(role)), NULL));
		TRY(admin_audit(a, AUDIT_change_repo_permission, repo.namespace_id, repo.id,
		                MEMBERS("team", who.name, "repo", name, "role", word)));
	} else {
		TRY(db_exec(a->c, STMT_PERMISSION_SET_ACCOUNT,
		            DB_ARGS(db_i64(repo.id), db_i64(who.account_id), db_i32(role)), NULL));
		TRY(admin_audit(a, AUDIT_change_repo_permission, repo.namespace_id, repo.id,
		                MEMBERS("username", who.name, "repo", name, "namespace", ns, "role", word)));
	}
	buf_putf(&a->out, "%.*s has %s access to %.*s\n", STRF(a->args[2]), word, STRF(a->args[0]));
	return ERR_NONE;
}

static enum err_kind
permission_remove(struct admin *a)
{
	const struct db_result *r;
	struct admin_repo repo;
	struct subject who;

	TRY(admin_repo_get(a, a->args[0], &repo));
	TRY(subject_get(a, a->args[1], &repo, &who));
	TRY(db_exec(a->c, STMT_PERMISSION_REMOVE,
	            DB_ARGS(db_i64(repo.id), db_i64_or_null(who.account_id), db_i64_or_null(who.team_id)),
	            &r));
	if (r->affected == 0)
		return err_set(a->c, ERR_NOT_FOUND, "%.*s has no access of its own to %.*s", STRF(a->args[1]),
		               STRF(a->args[0]));
	const char *name = admin_c(a, repo.name), *ns = admin_c(a, repo.ns);
	TRY(admin_audit(a, AUDIT_delete_repo_permission, repo.namespace_id, repo.id,
	                who.team_id != 0 ? MEMBERS("team", who.name, "repo", name)
	                                 : MEMBERS("username", who.name, "repo", name, "namespace", ns)));
	buf_putf(&a->out, "%.*s has no access of its own to %.*s any more\n", STRF(a->args[1]),
	         STRF(a->args[0]));
	return ERR_NONE;
}

const struct admin_command ADMIN_REPO[] = {
	{"repo create",        "NS/NAME [--public]",                                "makes a repository",                  1, OPTION_PUBLIC, 0, true,  repo_create   },
	{ "repo visibility",   "NS/NAME public|private",                            "says who may read it",                2, 0,             0, true,
         repo_visibility	                                                                                                                                     },
	{ "repo state",        "NS/NAME normal|readonly",                           "refuses pushes, or takes them again", 2, 0,             0, true,
         repo_state	                                                                                                                                          },
	{ "permission set",    "NS/NAME read|write|admin user:U|team:T|robot:NS+R", "gives access",                        3, 0,             0,
         true,	                                                                                                                                 permission_set},
	{ "permission remove", "NS/NAME user:U|team:T|robot:NS+R",                  "takes it away",                       2, 0,             0, true,
         permission_remove	                                                                                                                                   },
	{ NULL,	        NULL,	                                        NULL,	                          0, 0,             0, false, NULL          },
};
