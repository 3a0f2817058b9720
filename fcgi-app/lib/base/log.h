/* Log lines: one JSON object a line, to a file, syslog or standard error. Two places write them: the dispatcher and the job
 * frame (and main at start and stop). Never a secret. A full disk or a slow reader never blocks work: the line is dropped
 * and counted. */
#ifndef KADE_BASE_LOG_H
#define KADE_BASE_LOG_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct ctx;
struct log;
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Opens a sink: "-" or NULL = standard error, "syslog" = syslog(3) facility daemon, else a file path, appended to.
 * Ends with NULL when the file cannot be opened. Taken by the caller. */
struct log *log_open(const char *target, const char *program, enum log_level max);
/* Closes the sink, when no thread writes to it any more: after a reload made another. NULL is allowed. */
void log_close(struct log *l);
/* Opens the file anew (after rotation). Safe beside running log_line() calls. */
void log_reopen(struct log *l);
void log_set_level(struct log *l, enum log_level max);
/* One line {"time","level","program","pid","id","msg"}; c may be NULL before there is a context (then standard error). */
void log_line(const struct ctx *c, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* One line whose members after time, level, program, pid are given as JSON text without braces. */
void log_members(struct log *l, enum log_level level, struct str members);
/* Lines dropped since start because the sink would not take them. */
uint64_t log_dropped(const struct log *l);
#endif
