/* The table of keys as data, and finding the key that somebody meant. */
#include "conf/key.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

const struct conf_key CONF_KEYS[] = {
#define CONF_AREA(title)
#define K(name_, field_, type_, def_, support_, flags_, check_, doc_)                                        \
	{ .name = (name_),                                                                                   \
	  .field = #field_,                                                                                  \
	  .offset = offsetof(struct conf, field_),                                                           \
	  .type = CONF_##type_,                                                                              \
	  .def = (def_),                                                                                     \
	  .support = CONF_##support_,                                                                        \
	  .flags = (flags_),                                                                                 \
	  .check = (check_),                                                                                 \
	  .doc = (doc_) },
#include "conf/keys.def"
#undef K
#undef CONF_AREA
};
const size_t CONF_N_KEYS = sizeof CONF_KEYS / sizeof CONF_KEYS[0];

const struct conf_key *
conf_key_find(const char *name)
{
	for (size_t i = 0; i < CONF_N_KEYS; i++)
		if (strcmp(CONF_KEYS[i].name, name) == 0)
			return &CONF_KEYS[i];
	return NULL;
}

/* Levenshtein distance with a swap of neighbours as one step; both at most MAX_NAME bytes. */
#define MAX_NAME 80
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][MAX_NAME + 1];
	size_t *before = rows[0], *prev = rows[1], *cur = rows[2];

	for (size_t j = 0; j <= nb; j++)
		prev[j] = j;
	for (size_t i = 1; i <= na; i++) {
		cur[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t d = prev[j - 1] + (a[i - 1] != b[j - 1]);
			if (prev[j] + 1 < d)
				d = prev[j] + 1;
			if (cur[j - 1] + 1 < d)
				d = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			cur[j] = d;
		}
		size_t *spare = before;
		before = prev;
		prev = cur;
		cur = spare;
	}
	return prev[nb];
}

static struct str
without_prefix(const char *name)
{
	const struct str s = str_of(name);

	if (str_starts(s, STR("FEATURE_")))
		return str_sub(s, 8, s.n);
	if (str_starts(s, STR("KADE.")))
		return str_sub(s, 5, s.n);
	return s;
}

const struct conf_key *
conf_key_suggest(const char *name)
{
	const struct str want = str_of(name), bare = without_prefix(name);
	const struct conf_key *best = NULL;
	size_t best_d = want.n / 4 < 3 ? want.n / 4 + 1 : 4;

	if (want.n > MAX_NAME || bare.n < 3)
		return NULL;
	for (size_t i = 0; i < CONF_N_KEYS; i++) {
		const struct str have = str_of(CONF_KEYS[i].name),
		                 have_bare = without_prefix(CONF_KEYS[i].name);
		if (have.n > MAX_NAME)
			continue;
		size_t d = distance(want.p, want.n, have.p, have.n);
		if (str_eq(bare, have_bare) && d > 1)
			d = 1;
		if (d < best_d) {
			best_d = d;
			best = &CONF_KEYS[i];
		}
	}
	return best;
}
