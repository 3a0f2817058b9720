/* CA bundles: what is taken from which file, and which file is named when one is broken. */
#include "context.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/ca.h"
#include "pki.h"
#include "server.h"

struct made {
	struct ctx c;
	char *dir, *folder;
	struct pki_cert *a, *b, *d;
};

static int
begin(void **state)
{
	struct made *m = calloc(1, sizeof *m);

	m->c = t_ctx();
	m->dir = srv_dir();
	m->folder = str_fmt(m->c.mem, "%s/extra_ca_certs", m->dir);
	m->a = pki_make(&(struct pki_want){ .cn = "CA a", .is_ca = 1 });
	m->b = pki_make(&(struct pki_want){ .cn = "CA b", .is_ca = 1 });
	m->d = pki_make(&(struct pki_want){ .cn = "CA d", .is_ca = 1 });
	*state = m;
	return 0;
}

static int
end(void **state)
{
	struct made *m = *state;

	srv_remove(m->dir);
	pki_free_all();
	arena_free(m->c.mem);
	free(m);
	return 0;
}

static const char *
in(struct made *m, const char *name)
{
	return str_fmt(m->c.mem, "%s/%s", m->dir, name);
}

static char *
slurp(struct made *m, const char *path)
{
	FILE *f = fopen(path, "r");
	char *p = arena_zalloc(m->c.mem, 1 << 20);
	size_t n = fread(p, 1, (1 << 20) - 1, f);

	fclose(f);
	p[n] = '\0';
	return p;
}

static void
folder_of_files(void **state)
{
	struct made *m = *state;
	struct ctx *c = &m->c;
	struct ca_bundle b;
	X509_STORE *store = NULL;

	assert_int_equal(mkdir(m->folder, 0700), 0);
	pki_write_certs(in(m, "extra_ca_certs/two.crt"),
	                (const struct pki_cert *const[]){ m->a, m->b, NULL });
	pki_write_der(in(m, "extra_ca_certs/der.crt"), m->d);
	pki_write_certs(in(m, "ldap.crt"), (const struct pki_cert *const[]){ m->a, NULL });
	pki_write_certs(in(m, "extra_ca_more.pem"), (const struct pki_cert *const[]){ m->b, NULL });
	pki_write_certs(in(m, "system.pem"), (const struct pki_cert *const[]){ m->d, NULL });
	assert_ok(
	    c, ca_bundle_load(
	           c, &(struct ca_sources){ .system_bundle = in(m, "system.pem"), .conf_dir = m->dir }, &b));
	assert_int_equal(b.n_extra, 5);
	assert_int_equal(b.n_problems, 0);
	assert_ok(c, ca_bundle_verify(c, &b));
	assert_ok(c, ca_bundle_store(c, &b, &store));
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
	assert_int_equal(sk_X509_OBJECT_num(objects), 3);
	assert_ok(c, ca_bundle_write(c, &b, in(m, "out.pem")));
	assert_string_equal(slurp(m, in(m, "out.pem")), str_dup(c->mem, b.pem));
}

static void
one_file_with_text_and_crlf(void **state)
{
	struct made *m = *state;
	struct ctx *c = &m->c;
	struct ca_bundle b;

	pki_write_certs(in(m, "plain"), (const struct pki_cert *const[]){ m->a, m->b, NULL });
	const char *plain = slurp(m, in(m, "plain"));
	FILE *f = fopen(in(m, "extra_ca_certs"), "w");
	fputs("Issuer: somebody\r\nsome words\r\n\r\n", f);
	for (const char *p = plain; *p != '\0'; p++) {
		if (*p == '\n')
			fputc('\r', f);
		fputc(*p, f);
	}
	fputs("trailing words without a line end", f);
	fclose(f);
	assert_ok(c, ca_bundle_load(c, &(struct ca_sources){ .system_bundle = "", .conf_dir = m->dir }, &b));
	assert_int_equal(b.n_extra, 2);
	assert_int_equal(b.n_problems, 0);
	assert_string_equal(str_dup(c->mem, b.pem), plain);
}

static void
broken_files_are_named(void **state)
{
	struct made *m = *state;
	struct ctx *c = &m->c;
	struct ca_bundle b;
	const char *good;

	assert_int_equal(mkdir(m->folder, 0700), 0);
	pki_write_certs(in(m, "extra_ca_certs/b-good.pem"), (const struct pki_cert *const[]){ m->a, NULL });
	good = slurp(m, in(m, "extra_ca_certs/b-good.pem"));
	char *mixed = str_fmt(
	    c->mem, "-----BEGIN CERTIFICATE-----\n!!!!not base64!!!!\n-----END CERTIFICATE-----\n%s", good);
	srv_write(in(m, "extra_ca_certs/a-mixed.pem"), mixed);
	srv_write(in(m, "extra_ca_certs/c-cut.pem"), str_fmt(c->mem, "%.200s", good));
	srv_write(in(m, "extra_ca_certs/d-empty.pem"), "");
	srv_write(in(m, "extra_ca_certs/e-notcert.pem"),
	          "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	pki_write_key(in(m, "extra_ca_certs/f-key.pem"), m->a);
	assert_ok(c, ca_bundle_load(c, &(struct ca_sources){ .system_bundle = "", .conf_dir = m->dir }, &b));
	assert_int_equal(b.n_extra, 2); /* b-good, and the good block of a-mixed */
	assert_int_equal(b.n_problems, 5);
	const char *const names[] = { "a-mixed.pem", "c-cut.pem", "d-empty.pem", "e-notcert.pem",
		                      "f-key.pem" };
	for (size_t i = 0; i < 5; i++)
		assert_has(b.problems[i].file, names[i]);
	assert_has(b.problems[4].text, "private key");
	assert_null(strstr(str_dup(c->mem, b.pem), "PRIVATE"));
	assert_int_equal(ca_bundle_verify(c, &b), ERR_BAD_INPUT);
	assert_has(c->err.text, "a-mixed.pem");
}

static void
absent_system_bundle_is_an_error(void **state)
{
	struct made *m = *state;
	struct ca_bundle b;

	assert_int_equal(
	    ca_bundle_load(&m->c, &(struct ca_sources){ .system_bundle = in(m, "nowhere.pem") }, &b),
	    ERR_BAD_INPUT);
	assert_has(m->c.err.text, "nowhere.pem");
}

static void
stamp_follows_the_files(void **state)
{
	struct made *m = *state;
	const struct ca_sources src = { .system_bundle = "", .conf_dir = m->dir };
	const uint64_t none = ca_sources_stamp(&m->c, &src);

	assert_int_equal(none, ca_sources_stamp(&m->c, &src));
	assert_int_equal(mkdir(m->folder, 0700), 0);
	pki_write_certs(in(m, "extra_ca_certs/x.pem"), (const struct pki_cert *const[]){ m->a, NULL });
	const uint64_t one = ca_sources_stamp(&m->c, &src);
	assert_int_not_equal(none, one);
	pki_write_certs(in(m, "extra_ca_certs/x.pem"), (const struct pki_cert *const[]){ m->a, m->b, NULL });
	assert_int_not_equal(one, ca_sources_stamp(&m->c, &src));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(folder_of_files, begin, end),
		cmocka_unit_test_setup_teardown(one_file_with_text_and_crlf, begin, end),
		cmocka_unit_test_setup_teardown(broken_files_are_named, begin, end),
		cmocka_unit_test_setup_teardown(absent_system_bundle_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(stamp_follows_the_files, begin, end)
	};

	return cmocka_run_group_tests_name("net/ca", tests, NULL, NULL);
}
