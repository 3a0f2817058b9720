/* kade-admin: where passwords come from. Never from the command line, which other users of the host can read. */
#include "admin-password.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digest.h"

#define LINE_BYTES     4100
#define GENERATED_SIZE 24 /* of 62: 142 bits */

/* The first line without its end. */
static enum err_kind
read_line(struct admin *a, FILE *f, const char *name)
{
	char *line = arena_alloc(a->c->mem, LINE_BYTES);
	size_t n;

	if (fgets(line, LINE_BYTES, f) == NULL)
		return err_set(a->c, ERR_BAD_INPUT, "%s: %s", name,
		               ferror(f) ? strerrordesc_np(errno) : "empty");
	n = strcspn(line, "\r\n");
	if (line[n] == '\0' && !feof(f))
		return err_set(a->c, ERR_BAD_INPUT, "%s: its first line is too long, or holds a NUL byte",
		               name);
	if (n == 0)
		return err_set(a->c, ERR_BAD_INPUT, "%s: its first line is empty", name);
	a->password = (struct str){ line, n };
	return ERR_NONE;
}

static enum err_kind
read_terminal(struct admin *a)
{
	struct termios was, quiet;
	enum err_kind e;

	if (tcgetattr(STDIN_FILENO, &was) != 0)
		return err_set(a->c, ERR_BAD_INPUT, "terminal: %s", strerrordesc_np(errno));
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	fprintf(stderr, "Password: ");
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	e = read_line(a, stdin, "standard input");
	const struct str first = a->password;
	if (e == ERR_NONE) {
		fprintf(stderr, "\nThe same again: ");
		e = read_line(a, stdin, "standard input");
	}
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	fprintf(stderr, "\n");
	if (e == ERR_NONE && !str_eq(first, a->password))
		return err_set(a->c, ERR_BAD_INPUT, "these are two passwords");
	return e;
}

static enum err_kind
read_file(struct admin *a)
{
	FILE *f = fopen(a->password_file, "re");
	struct stat st;
	enum err_kind e;

	if (f == NULL)
		return err_set(a->c, ERR_BAD_INPUT, "%s: %s", a->password_file, strerrordesc_np(errno));
	if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0077) != 0)
		fprintf(stderr, "kade-admin: warning: %s can be read by others\n", a->password_file);
	e = read_line(a, f, a->password_file);
	fclose(f);
	return e;
}

enum err_kind
admin_password_read(struct admin *a)
{
	if (a->generate && a->password_file != NULL)
		return err_set(a->c, ERR_BAD_INPUT, "--password-file or --generate, not both");
	if (a->generate) {
		char *p = arena_alloc(a->c->mem, GENERATED_SIZE + 1);
		random_text(p, GENERATED_SIZE, ALPHABET_MIXED);
		a->password = (struct str){ p, GENERATED_SIZE };
		return ERR_NONE;
	}
	if (a->password_file != NULL && strcmp(a->password_file, "-") != 0)
		return read_file(a);
	if (a->password_file != NULL)
		return isatty(STDIN_FILENO) ? read_terminal(a) : read_line(a, stdin, "standard input");
	return ERR_NONE;
}
