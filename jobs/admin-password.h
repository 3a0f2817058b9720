/* Inside of kade-admin: the password of the command. */
#ifndef KADE_JOBS_ADMIN_PASSWORD_H
#define KADE_JOBS_ADMIN_PASSWORD_H
#include "admin.h"

/* Sets a->password from --password-file (- = standard input or a prompt) or --generate; leaves it when neither was given.
 * ERR_BAD_INPUT. */
enum err_kind admin_password_read(struct admin *a) MUST_CHECK;
#endif
