/* Every statement is prepared on the real schema; names, order and types of its arguments and columns are compared with
 * what sql/query says. Large tables are never read sequentially. Needs KADE_TEST_DB, a libpq connection string. */
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stmt.h"

static PGconn *pg;

static int
open_db(void **state)
{
	const char *uri = getenv("KADE_TEST_DB");

	(void)state;
	if (uri == NULL)
		return 0;
	pg = PQconnectdb(uri);
	if (PQstatus(pg) != CONNECTION_OK) {
		fprintf(stderr, "%s", PQerrorMessage(pg));
		return -1;
	}
	return 0;
}

static int
close_db(void **state)
{
	(void)state;
	PQfinish(pg);
	return 0;
}

static unsigned
oid_of(const char *type)
{
	static const struct {
		const char *name;
		unsigned    oid;
	} T[] = { { "int8[]", 1016 }, { "text[]", 1009 }, { "int8", 20 }, { "int4", 23 }, { "int2", 21 }, { "bool", 16 }, { "text", 25 }, { "bytea", 17 } };

	for (size_t i = 0; i < sizeof T / sizeof *T; i++)
		if (strncmp(type, T[i].name, strlen(T[i].name)) == 0)
			return T[i].oid;
	return 0;
}

static int
check_columns(const struct stmt_info *s, const PGresult *r)
{
	const char *p = s->cols;
	int         bad = 0;

	if (PQnfields(r) != s->ncols) {
		print_error("%s: %d columns, sql/query says %d\n", s->name, PQnfields(r), s->ncols);
		return 1;
	}
	for (int i = 0; i < s->ncols; i++) {
		const char *blank = strchr(p, ' ');
		const char *comma = strchr(p, ',');
		if (blank == NULL)
			return 1;
		if (PQftype(r, i) != oid_of(blank + 1)) {
			print_error("%s: column %d (%.*s) has type %u\n", s->name, i + 1, (int)(blank - p), p, PQftype(r, i));
			bad = 1;
		}
		p = comma == NULL ? "" : comma + 1;
	}
	return bad;
}

static void
every_statement_fits_the_schema(void **state)
{
	int bad = 0;

	(void)state;
	if (pg == NULL)
		skip();
	for (int i = 1; i < STMT_COUNT; i++) {
		const struct stmt_info *s = &stmt_table[i];
		PGresult               *r = PQprepare(pg, s->name, s->sql, s->nargs, s->oids);
		if (PQresultStatus(r) != PGRES_COMMAND_OK) {
			print_error("%s: %s", s->name, PQresultErrorMessage(r));
			bad++;
			PQclear(r);
			continue;
		}
		PQclear(r);
		r = PQdescribePrepared(pg, s->name);
		if (PQresultStatus(r) != PGRES_COMMAND_OK || PQnparams(r) != s->nargs) {
			print_error("%s: %d arguments, sql/query says %d\n", s->name, PQnparams(r), s->nargs);
			bad++;
		}
		bad += check_columns(s, r);
		PQclear(r);
	}
	assert_int_equal(bad, 0);
}

static const char *const LARGE[] = { "account", "repository", "repository_permission", "blob", "placement", "repository_blob", "manifest",
	"manifest_child", "manifest_blob", "label", "tag", "upload", "token", "namespace_blob", "quota_ledger", "audit_log", "tombstone" };

static void
no_statement_scans_a_large_table(void **state)
{
	int bad = 0;

	(void)state;
	if (pg == NULL)
		skip();
	PQclear(PQexec(pg, "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan"));
	for (int i = 1; i < STMT_COUNT; i++) {
		const struct stmt_info *s = &stmt_table[i];
		char                    sql[512] = "";
		size_t                  at = (size_t)snprintf(sql, sizeof sql, "EXPLAIN EXECUTE %s", s->name);
		for (int k = 0; k < s->nargs; k++)
			at += (size_t)snprintf(sql + at, sizeof sql - at, "%sNULL", k == 0 ? "(" : ", ");
		if (s->nargs > 0)
			snprintf(sql + at, sizeof sql - at, ")");
		PGresult *r = PQexec(pg, sql);
		for (int row = 0; row < PQntuples(r); row++) {
			const char *at_scan = strstr(PQgetvalue(r, row, 0), "Seq Scan on ");
			for (size_t t = 0; at_scan != NULL && t < sizeof LARGE / sizeof *LARGE; t++) {
				const size_t n = strlen(LARGE[t]);
				if (strncmp(at_scan + 12, LARGE[t], n) == 0 && (at_scan[12 + n] == ' ' || at_scan[12 + n] == '\0')) {
					print_error("%s: %s\n", s->name, at_scan);
					bad++;
				}
			}
		}
		if (PQresultStatus(r) != PGRES_TUPLES_OK) {
			print_error("%s: %s", sql, PQresultErrorMessage(r));
			bad++;
		}
		PQclear(r);
	}
	assert_int_equal(bad, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_statement_fits_the_schema), cmocka_unit_test(no_statement_scans_a_large_table) };
	return cmocka_run_group_tests_name("sql/stmt", tests, open_db, close_db);
}
