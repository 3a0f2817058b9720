/* The processes of a pool: the parent with its workers, or the one process of --managed. */
#ifndef KADE_PROCESS_H
#define KADE_PROCESS_H

struct options;

/* Runs until told to stop. The exit code. */
int process_run(const struct options *o);
#endif
