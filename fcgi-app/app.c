/* What kade.fcgi serves: its route tables and what a worker opens for them. */
#include "app.h"

#include "http/dispatch.h"
#include "http/route.h"

bool
app_open(struct app *app, const struct options *o, char *why, size_t why_bytes)
{
	(void)app;
	(void)o;
	(void)why;
	(void)why_bytes;
	return true;
}

void
app_close(struct app *app)
{
	(void)app;
}

const struct route *const *
app_routes(void)
{
	static const struct route *const TABLES[] = { NULL };

	return TABLES;
}

void
app_dispatch(struct req *rq)
{
	dispatch(rq);
}
