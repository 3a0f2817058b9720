/* The subjects of the API: how its documents (discovery, OpenAPI, the list of routes) group the rows of the tables. */
#ifndef KADE_API_SUBJECT_H
#define KADE_API_SUBJECT_H
#include <stddef.h>

struct route;
struct subject {
	const char *holds; /* a path of the API belongs to the first subject whose text it holds */
	const char *tag,
	    *description; /* Quay's names: generated clients have a class for each; several rows may have one tag */
};
extern const struct subject SUBJECTS[];
extern const size_t SUBJECT_COUNT;

#define SUBJECT_PREFIX "/api/v1/"

/* Index in SUBJECTS of a row whose path begins with SUBJECT_PREFIX. */
size_t subject_of(const struct route *rt);
#endif
