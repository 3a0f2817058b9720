/* What readers of a finished snapshot call. */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "conf/load.h"

void
conf_free(const struct conf *conf)
{
	if (conf != NULL)
		arena_free(conf->mem);
}

bool
conf_changed(const struct conf *conf)
{
	const struct conf_source *s = conf->source;
	struct stat st;

	if (!s->has_file)
		return false;
	return stat(conf->path, &st) != 0 || st.st_ino != s->ino || st.st_dev != s->dev ||
	       st.st_size != s->size || st.st_mtim.tv_sec != s->mtime.tv_sec ||
	       st.st_mtim.tv_nsec != s->mtime.tv_nsec;
}

const char *
conf_default_path(struct arena *mem)
{
	const char *dir = getenv("QUAYCONF");

	return dir != NULL && dir[0] != '\0' ? str_fmt(mem, "%s/stack/config.yaml", dir)
	                                     : str_dup_c(mem, KADE_SYSCONFDIR "/config.yaml");
}

bool
conf_is_set(const struct conf *conf, const char *name)
{
	const struct conf_key *k = conf_key_find(name);

	return k != NULL && conf->source->given[k - CONF_KEYS] != NULL &&
	       conf->source->given[k - CONF_KEYS]->type != NODE_NULL;
}

const char *
conf_file(struct arena *mem, const struct conf *conf, const char *name)
{
	static const char *const aliases[] = { "/quay-registry/conf/stack/", "/conf/stack/", "conf/stack/" };

	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (str_starts(str_of(name), str_of(aliases[i])))
			return str_fmt(mem, "%s/%s", conf->dir, name + strlen(aliases[i]));
	return name[0] == '/' ? str_dup_c(mem, name) : str_fmt(mem, "%s/%s", conf->dir, name);
}
