/* Trusted certificate authorities. Where the extra files are looked for follows Quay's rules, so that an
 * existing config directory works unchanged: `extra_ca_certs` (a folder or a file), every `extra_ca*` beside
 * it, `ldap.crt`. */
#include "net/ca.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/vec.h"

#define FILE_LIMIT_BYTES (8u << 20)
#define FILES_LIMIT      1000

static const char *const SYSTEM_BUNDLES[] = { "/etc/ssl/certs/ca-certificates.crt",
	                                      "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
	                                      "/etc/ssl/cert.pem" };

struct gather {
	struct ctx *c;
	struct buf pem;
	size_t n_extra;
	VEC(struct ca_problem) problems;
	VEC(const char *) files;
};

static void
problem(struct gather *g, const char *file, const char *text)
{
	const struct ca_problem p = { .file = str_dup_c(g->c->mem, file),
		                      .text = str_dup_c(g->c->mem, text) };

	vec_push(g->c->mem, &g->problems, p);
}

static void
close_fd(void *p)
{
	close((int)(intptr_t)p);
}

/* The whole file, or a reason. */
static const char *
read_file(struct ctx *c, const char *path, struct str *out)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *reason = NULL;
	struct stat st;

	if (fd < 0)
		return strerrordesc_np(errno);
	arena_defer(c->mem, close_fd, (void *)(intptr_t)fd);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		reason = "not a regular file";
	else if (st.st_size > FILE_LIMIT_BYTES)
		reason = "too large";
	else {
		const size_t cap = (size_t)st.st_size;
		char *p = arena_alloc(c->mem, cap + 1);
		size_t n = 0;
		ssize_t got = 0;
		while (n < cap && (got = read(fd, p + n, cap - n)) > 0)
			n += (size_t)got;
		if (got < 0)
			reason = strerrordesc_np(errno);
		*out = (struct str){ p, n };
	}
	arena_undefer(c->mem, close_fd, (void *)(intptr_t)fd);
	close(fd);
	return reason;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
close_dir(void *p)
{
	closedir(p);
}

/* Adds dir's entries that start with prefix, sorted by name, so that the bundle does not depend on the file
 * system. */
static enum err_kind
list_dir(struct gather *g, const char *dir, const char *prefix)
{
	struct arena *mem = g->c->mem;
	const size_t first = g->files.n;
	const struct dirent *e;
	DIR *d = opendir(dir);

	if (d == NULL)
		return err_set(g->c, ERR_BAD_INPUT, "%.300s: %s", dir, strerrordesc_np(errno));
	arena_defer(mem, close_dir, d);
	while ((e = readdir(d)) != NULL) {
		struct stat st;
		if (e->d_name[0] == '.' || !str_starts(str_of(e->d_name), str_of(prefix)))
			continue;
		char *path = str_fmt(mem, "%s/%s", dir, e->d_name);
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			continue; /* extra_ca_certs itself; sub-folders are not looked into */
		if (g->files.n >= FILES_LIMIT)
			return err_set(g->c, ERR_BAD_INPUT, "%.300s: more than %d files", dir, FILES_LIMIT);
		vec_push(mem, &g->files, path);
	}
	arena_undefer(mem, close_dir, d);
	closedir(d);
	if (g->files.n > first)
		qsort(g->files.v + first, g->files.n - first, sizeof *g->files.v, by_name);
	return ERR_NONE;
}

/* Every extra file that the sources name. */
static enum err_kind
list_sources(struct gather *g, const struct ca_sources *src)
{
	struct arena *mem = g->c->mem;
	struct stat st;

	if (src->conf_dir != NULL) {
		const char *folder = str_fmt(mem, "%s/extra_ca_certs", src->conf_dir);
		const char *ldap = str_fmt(mem, "%s/ldap.crt", src->conf_dir);
		if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode))
			TRY(list_dir(g, folder, ""));
		TRY(list_dir(g, src->conf_dir, "extra_ca"));
		if (stat(ldap, &st) == 0)
			vec_push(mem, &g->files, ldap);
	}
	if (src->extra_file != NULL)
		vec_push(mem, &g->files, src->extra_file);
	return ERR_NONE;
}

static const char *
system_bundle(const struct ca_sources *src)
{
	if (src->system_bundle != NULL)
		return src->system_bundle[0] == '\0' ? NULL : src->system_bundle;
	for (size_t i = 0; i < sizeof SYSTEM_BUNDLES / sizeof SYSTEM_BUNDLES[0]; i++)
		if (access(SYSTEM_BUNDLES[i], R_OK) == 0)
			return SYSTEM_BUNDLES[i];
	return NULL;
}

static void
free_x509(void *p)
{
	X509_free(p);
}

/* Appends one certificate as a PEM block of our own making. */
static void
add_cert(struct gather *g, const char *file, X509 *x)
{
	struct arena *mem = g->c->mem;
	unsigned char *der = NULL;
	const int n = x == NULL ? -1 : i2d_X509(x, NULL);

	if (n <= 0) {
		ERR_clear_error();
		problem(g, file, "a certificate in it cannot be parsed");
		X509_free(x);
		return;
	}
	arena_defer(mem, free_x509, x);
	der = arena_alloc(mem, (size_t)n);
	unsigned char *p = der;
	i2d_X509(x, &p);
	arena_undefer(mem, free_x509, x);
	X509_free(x);
	const struct str b64 = str_of(base64_put(mem, (struct str){ (const char *)der, (size_t)n }));
	buf_puts(&g->pem, "-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i < b64.n; i += 64) {
		buf_put(&g->pem, str_sub(b64, i, i + 64 < b64.n ? i + 64 : b64.n));
		buf_putc(&g->pem, '\n');
	}
	buf_puts(&g->pem, "-----END CERTIFICATE-----\n");
	g->n_extra++;
}

struct block { /* one PEM block as OpenSSL hands it out */
	char *name, *header;
	unsigned char *data;
	long n;
};

static void
free_block(void *p)
{
	struct block *b = p;

	OPENSSL_free(b->name);
	OPENSSL_free(b->header);
	OPENSSL_clear_free(b->data, b->n < 0 ? 0 : (size_t)b->n);
	*b = (struct block){ 0 };
}

static void
take_block(struct gather *g, const char *file, const struct block *b)
{
	const unsigned char *p = b->data;
	const struct str name = str_of(b->name);

	if (str_eq(name, STR(PEM_STRING_X509)) || str_eq(name, STR(PEM_STRING_X509_OLD)))
		add_cert(g, file, d2i_X509(NULL, &p, b->n));
	else if (str_eq(name, STR(PEM_STRING_X509_TRUSTED)))
		add_cert(g, file, d2i_X509_AUX(NULL, &p, b->n));
	else if (str_ends(name, STR("PRIVATE KEY")))
		problem(g, file, "holds a private key, which does not belong here (ignored)");
}

static void
free_bio(void *p)
{
	BIO_free(p);
}

static void
take_pem(struct gather *g, const char *file, struct str text)
{
	struct block *b = ARENA_NEW(g->c->mem, struct block);
	BIO *in = BIO_new_mem_buf(text.p, (int)text.n);

	if (in == NULL)
		return problem(g, file, "out of memory");
	arena_defer(g->c->mem, free_bio, in);
	arena_defer(g->c->mem, free_block, b);
	for (;;) {
		ERR_clear_error();
		if (PEM_read_bio(in, &b->name, &b->header, &b->data, &b->n) == 1) {
			take_block(g, file, b);
			free_block(b);
			continue;
		}
		const unsigned long e = ERR_peek_last_error();
		ERR_clear_error();
		if (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
			break;
		const char *reason = ERR_reason_error_string(e);
		problem(
		    g, file,
		    str_fmt(g->c->mem, "a PEM block in it is broken (%s)", reason == NULL ? "?" : reason));
		if (BIO_eof(in))
			break;
	}
}

static void
take_file(struct gather *g, const char *file)
{
	const size_t before = g->n_extra, problems = g->problems.n;
	struct str text = STR0;
	const char *reason = read_file(g->c, file, &text);

	if (reason != NULL)
		return problem(g, file, reason);
	if (text.n > 4 && (uint8_t)text.p[0] == 0x30 && (uint8_t)text.p[1] >= 0x80) {
		const unsigned char *p = (const unsigned char *)text.p;
		return add_cert(g, file, d2i_X509(NULL, &p, (long)text.n));
	}
	take_pem(g, file, text);
	if (g->n_extra == before && g->problems.n == problems)
		problem(g, file, "no certificate in it");
}

enum err_kind
ca_bundle_load(struct ctx *c, const struct ca_sources *src, struct ca_bundle *out)
{
	struct gather g = { .c = c, .pem = BUF(c->mem) };
	const char *system = system_bundle(src);

	if (system != NULL) {
		struct str text = STR0;
		const char *reason = read_file(c, system, &text);
		if (reason != NULL)
			return err_set(c, ERR_BAD_INPUT, "%.300s: %s", system, reason);
		buf_reserve(&g.pem, text.n + 65536);
		buf_put(&g.pem, text); /* as it is: parsing it costs as much as the rest of the start */
		if (text.n > 0 && text.p[text.n - 1] != '\n')
			buf_putc(&g.pem, '\n');
	}
	TRY(list_sources(&g, src));
	for (size_t i = 0; i < g.files.n; i++)
		take_file(&g, g.files.v[i]);
	*out = (struct ca_bundle){ .pem = buf_str(&g.pem),
		                   .n_extra = g.n_extra,
		                   .problems = g.problems.v,
		                   .n_problems = g.problems.n };
	return ERR_NONE;
}

enum err_kind
ca_bundle_verify(struct ctx *c, const struct ca_bundle *b)
{
	if (b->n_problems == 0)
		return ERR_NONE;
	return err_set(c, ERR_BAD_INPUT, "%.300s: %.150s", b->problems[0].file, b->problems[0].text);
}

/* Everything or an errno. */
static int
write_all(int fd, struct str s)
{
	while (s.n > 0) {
		const ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			s = str_sub(s, (size_t)n, s.n);
	}
	return fsync(fd) == 0 ? 0 : errno;
}

enum err_kind
ca_bundle_write(struct ctx *c, const struct ca_bundle *b, const char *path)
{
	char *beside = str_fmt(c->mem, "%s.XXXXXX", path);
	int why = 0, fd = mkostemp(beside, O_CLOEXEC);

	if (fd < 0)
		return err_set(c, ERR_STORE, "%.300s: %s", beside, strerrordesc_np(errno));
	why = write_all(fd, b->pem);
	if (why == 0 && fchmod(fd, 0644) != 0)
		why = errno;
	if (close(fd) != 0 && why == 0)
		why = errno;
	if (why == 0 && rename(beside, path) != 0)
		why = errno;
	if (why != 0) {
		unlink(beside);
		return err_set(c, ERR_STORE, "%.300s: %s", path, strerrordesc_np(why));
	}
	return ERR_NONE;
}

static void
free_store(void *p)
{
	X509_STORE_free(p);
}

enum err_kind
ca_bundle_store(struct ctx *c, const struct ca_bundle *b, X509_STORE **out)
{
	X509_STORE *store = X509_STORE_new();
	BIO *in;
	X509 *x;
	bool ok = true;

	if (store == NULL)
		return err_set(c, ERR_BUSY, "out of memory");
	arena_defer(c->mem, free_store, store);
	if ((in = BIO_new_mem_buf(b->pem.p == NULL ? "" : b->pem.p, (int)b->pem.n)) == NULL)
		return err_set(c, ERR_BUSY, "out of memory");
	while (ok && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		ok = X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	const unsigned long e = ERR_peek_last_error();
	ERR_clear_error();
	BIO_free(in);
	if (!ok || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
		return err_set(c, ERR_BAD_INPUT, "the CA bundle is broken: %s", ERR_reason_error_string(e));
	*out = store;
	return ERR_NONE;
}

static void
stamp_file(struct buf *b, const char *path)
{
	struct stat st = { 0 };
	const int rc = stat(path, &st);

	buf_puts(b, path);
	buf_putf(b, "|%d|%lld|%lld.%09ld|%llu\n", rc, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
	         st.st_mtim.tv_nsec, (unsigned long long)st.st_ino);
}

uint64_t
ca_sources_stamp(struct ctx *c, const struct ca_sources *src)
{
	struct gather g = { .c = c };
	struct buf b = BUF(c->mem);
	const char *system = system_bundle(src);
	uint8_t sum[SHA256_BYTES];
	uint64_t stamp;

	if (system != NULL)
		stamp_file(&b, system);
	if (list_sources(&g, src) != ERR_NONE)
		buf_puts(&b, c->err.text);
	for (size_t i = 0; i < g.files.n; i++)
		stamp_file(&b, g.files.v[i]);
	digest_sha256(buf_str(&b), sum);
	memcpy(&stamp, sum, sizeof stamp);
	return stamp;
}
