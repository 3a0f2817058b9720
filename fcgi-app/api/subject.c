/* The subjects of the API, found by the path. */
#include "api/subject.h"

#include <string.h>

#include "http/route.h"

const struct subject SUBJECTS[] = {
	{ "/ui/", "ui", "Lists and documents for user interfaces; these are not calls of Quay." },
	{ "/superuser", "superuser", "Superuser API." },
	{ "/applications", "organization", "Manage organizations, members and OAuth applications." },
	{ "/robots", "robot", "Manage user and organization robot accounts." },
	{ "/team", "team", "Create, list, update and manage an organization's teams." },
	{ "/prototypes", "prototype", "Manage default permissions added to repositories." },
	{ "/permissions", "permission", "Manage repository permissions." },
	{ "/autoprunepolicy", "policy", "Manage auto-prune policies." },
	{ "/immutabilitypolicy", "policy", "Manage auto-prune policies." },
	{ "/quota", "namespacequota", "Manage quotas of namespaces." },
	{ "/proxycache", "proxycache", "Manage proxy caches of organizations." },
	{ "/mirror", "mirror", "Manage mirrored repositories." },
	{ "/notification", "notification", "List, create and manage notifications." },
	{ "/trigger", "trigger", "Create, list and manage build triggers." },
	{ "/build", "build", "Create, list, cancel and get status of repository builds." },
	{ "/exportlogs", "logs", "Access usage logs for organizations or repositories." },
	{ "/aggregatelogs", "logs", "Access usage logs for organizations or repositories." },
	{ "/logs", "logs", "Access usage logs for organizations or repositories." },
	{ "/manifest", "manifest", "Manage the manifests of a repository." },
	{ "/tag", "tag", "Manage the tags of a repository." },
	{ "/apptoken", "appspecifictokens", "Manages app specific tokens for the current user." },
	{ "/find", "search", "Conduct searches against all registry context." },
	{ "/entities", "search", "Conduct searches against all registry context." },
	{ "/organization", "organization", "Manage organizations, members and OAuth applications." },
	{ "/app/", "organization", "Manage organizations, members and OAuth applications." },
	{ "/repository", "repository", "List, create and manage repositories." },
	{ "/error", "error", "Error details API." },
	{ "/discovery", "discovery", "API discovery information." },
	{ "/messages", "globalmessages", "Messages API." },
	{ "/", "user", "Manage the current user." },
};
const size_t SUBJECT_COUNT = sizeof SUBJECTS / sizeof *SUBJECTS;

size_t
subject_of(const struct route *rt)
{
	size_t i = 0;

	while (strstr(rt->path + sizeof SUBJECT_PREFIX - 2, SUBJECTS[i].holds) == NULL)
		i++;
	return i;
}
