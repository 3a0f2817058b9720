/* What the loader and the checks have to say, in a fixed order. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "conf/conf.h"

void
conf_note(struct conf_report *rep, enum conf_severity sev, const char *key, int line, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* A cut character at the end, or bytes of a broken file, must not spoil the output. */
	for (size_t n = strlen(text); n > 0 && !str_is_utf8(str_of(text)); n--)
		text[n - 1] = '\0';
	vec_push(rep->mem, rep,
	         ((struct conf_note){ sev, str_dup_c(rep->mem, key), str_dup_c(rep->mem, text), line }));
	rep->n_errors += sev == CONF_ERROR;
	rep->n_warnings += sev == CONF_WARNING;
}

static int
compare(const void *a, const void *b)
{
	const struct conf_note *x = a, *y = b;
	int d;

	if (x->severity != y->severity)
		return (int)x->severity - (int)y->severity;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	d = strcmp(x->key, y->key);
	return d != 0 ? d : strcmp(x->text, y->text);
}

void
conf_report_sort(struct conf_report *rep)
{
	size_t n = 0;

	if (rep->n > 1)
		qsort(rep->v, rep->n, sizeof *rep->v, compare);
	rep->n_errors = rep->n_warnings = 0;
	for (size_t i = 0; i < rep->n; i++) {
		if (n > 0 && compare(&rep->v[n - 1], &rep->v[i]) == 0)
			continue;
		rep->v[n++] = rep->v[i];
		rep->n_errors += rep->v[n - 1].severity == CONF_ERROR;
		rep->n_warnings += rep->v[n - 1].severity == CONF_WARNING;
	}
	rep->n = n;
}
