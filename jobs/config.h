/* Inside of kade-config: what its files share. */
#ifndef KADE_JOBS_CONFIG_H
#define KADE_JOBS_CONFIG_H
#include <stdio.h>

#include "conf/conf.h"

struct ctx;
struct fleet {                 /* for the comparison with the database's max_connections */
	long hosts, processes; /* processes of one host, jobs included */
};

/* Files and folders that the configuration names: there, readable, writable. Notes go to rep. */
void config_check_files(struct ctx *c, const struct conf *conf, struct conf_report *rep);
/* The database: reachable, version, encoding, pg_trgm, connections for the fleet. */
void config_check_db(struct ctx *c, const struct conf *conf, const struct fleet *fleet,
                     struct conf_report *rep);
/* Both Redis servers, by PING. Redis is optional at run time, so a server that is away is a warning. */
void config_check_redis(struct ctx *c, const struct conf *conf, struct conf_report *rep);
/* The mail server, where mails are sent: connects, starts TLS, logs in. A server that is away is a warning: mails wait. */
void config_check_mail(struct ctx *c, const struct conf *conf, struct conf_report *rep);
/* The table of keys as a Markdown page, and as a JSON schema. False: the output could not be written. */
bool config_write_docs(FILE *f);
bool config_write_schema(FILE *f);
#endif
