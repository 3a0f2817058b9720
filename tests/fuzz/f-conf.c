/* Fuzz target: any bytes as config.yaml, through the parser, the types, the checks and the rules, without a file. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ctx c = { .mem = arena_new(0) };
	struct conf_report rep = { .mem = c.mem };
	const struct conf *conf = NULL;
	const int fd = memfd_create("config.yaml", MFD_CLOEXEC);
	char path[32];

	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (conf_load_anyway(&c, path, &conf, &rep) == ERR_NONE) {
		/* What readers rely on without asking. */
		if (conf->server_hostname == NULL || conf->base_url == NULL || conf->kade_state_dir == NULL)
			abort();
		for (size_t i = 0; i < conf->storage_preference.n; i++)
			if (conf->storage_preference.v[i] >= conf->locations.n)
				abort();
	} else if (rep.n_errors == 0) {
		abort(); /* every failure is said */
	}
	for (size_t i = 0; i < rep.n; i++)
		if (!str_is_utf8(str_of(rep.v[i].text)))
			abort();
	conf_free(conf);
	close(fd);
	arena_free(c.mem);
	return 0;
}
