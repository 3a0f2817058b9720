/* Signals as things to read: no handler runs anywhere, so nothing is ever interrupted. */
#ifndef KADE_SIGNALS_H
#define KADE_SIGNALS_H

/* Blocks TERM, INT, QUIT, HUP, USR2 and CHLD for this thread and all that it starts, ignores PIPE and USR1. Before libfcgi
 * is set up: it leaves handlers alone that are set. */
void signals_block(void);
/* A descriptor to poll for them, for this process. -1 when the kernel has none left. */
int signals_open(void);
/* The next signal that came, 0 = none. */
int signals_next(int fd);
#endif
