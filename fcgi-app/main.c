/* kade.fcgi: the registry as a FastCGI program. */
#include <stdio.h>

#include "app.h"
#include "options.h"
#include "process.h"
#include "route-list.h"

static int
check(const struct options *o)
{
	struct app_settings *s;
	char why[512];

	if (!app_load(o->config, &s, why, sizeof why)) {
		fprintf(stderr, "kade.fcgi: %s\n", why);
		return 1;
	}
	app_unload(s);
	printf("%s is good\n", o->config);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o;

	switch (options_read(argc, argv, &o)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_BAD:
		return 2;
	case OPTIONS_RUN:
		break;
	}
	if (o.print != OPTIONS_PRINT_NOTHING)
		return (o.print == OPTIONS_PRINT_ROUTES ? route_list_write(app_routes(), stdout) : route_list_write_openapi(app_routes(), stdout)) ? 0 : 1;
	return o.check ? check(&o) : process_run(&o);
}
