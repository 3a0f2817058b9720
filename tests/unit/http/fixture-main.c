/* kade.fcgi's processes with the fixture's routes: what t-process starts. */
#include "app.h"
#include "fixture.h"
#include "options.h"
#include "process.h"

bool
app_open(struct app *app, const struct options *o, char *why, size_t why_bytes)
{
	(void)app;
	(void)o;
	(void)why;
	(void)why_bytes;
	return true;
}

bool
app_finish(struct app *app)
{
	(void)app;
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
	static const struct route *const TABLES[] = { FIXTURE_ROUTES, NULL };

	return TABLES;
}

void
app_dispatch(struct req *rq)
{
	fixture_dispatch(rq);
}

int
main(int argc, char **argv)
{
	struct options o;

	return options_read(argc, argv, &o) == OPTIONS_RUN ? process_run(&o) : 2;
}
