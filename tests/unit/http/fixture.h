/* Routes and a dispatcher for tests of the transport, the loop and the processes: handlers that read, stream, fail and fill
 * their memory on purpose. */
#ifndef KADE_TEST_FIXTURE_H
#define KADE_TEST_FIXTURE_H
#include "http/route.h"

struct req;
extern const struct route FIXTURE_ROUTES[];
void fixture_dispatch(struct req *rq);
#endif
