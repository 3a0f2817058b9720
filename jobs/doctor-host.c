/* kade-doctor: this host's files, with --config and --socket. Who may read the blobs, the configuration and
 * the spool, who may open the FastCGI sockets (whoever can is the web server), and whether a full spool would
 * take the rest down too. */
#include <errno.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "doctor.h"

#define CONFIG_BYTES   (4 << 20)
#define SPOOL_FREE_MIN ((uint64_t)10 << 30)

/* What is read from config.yaml here. The registry's own reader checks the file as a whole; a broken value is
 * no finding of this program. */
struct host_conf {
	const char *hostname, *scheme, *spool;
	const char *storage[16]; /* directories of LocalStorage */
	int n_storage;
	bool sendfile;
};

static const yaml_node_t *
node_get(yaml_document_t *doc, const yaml_node_t *map, const char *key)
{
	if (map == NULL || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = yaml_document_get_node(doc, p->key);
		if (k != NULL && k->type == YAML_SCALAR_NODE &&
		    strcmp((const char *)k->data.scalar.value, key) == 0)
			return yaml_document_get_node(doc, p->value);
	}
	return NULL;
}

static const char *
node_text(struct doctor *d, const yaml_node_t *n)
{
	if (n == NULL || n->type != YAML_SCALAR_NODE || n->data.scalar.length == 0)
		return NULL;
	return str_dup(d->c->mem, (struct str){ (const char *)n->data.scalar.value, n->data.scalar.length });
}

static void
read_storage(struct doctor *d, yaml_document_t *doc, const yaml_node_t *all, struct host_conf *out)
{
	if (all == NULL || all->type != YAML_MAPPING_NODE)
		return;
	for (const yaml_node_pair_t *p = all->data.mapping.pairs.start; p < all->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *pair = yaml_document_get_node(doc, p->value);
		if (pair == NULL || pair->type != YAML_SEQUENCE_NODE ||
		    pair->data.sequence.items.top - pair->data.sequence.items.start < 2 ||
		    out->n_storage == 16)
			continue;
		const char *driver =
		    node_text(d, yaml_document_get_node(doc, pair->data.sequence.items.start[0]));
		const char *path = node_text(
		    d, node_get(doc, yaml_document_get_node(doc, pair->data.sequence.items.start[1]),
		                "storage_path"));
		if (driver != NULL && strcmp(driver, "LocalStorage") == 0 && path != NULL)
			out->storage[out->n_storage++] = path;
	}
}

static bool
read_conf(struct doctor *d, struct host_conf *out, const char **why)
{
	FILE *f = fopen(d->config, "re");
	yaml_parser_t parser;
	yaml_document_t doc;
	char *text = arena_alloc(d->c->mem, CONFIG_BYTES);

	*out = (struct host_conf){ 0 };
	if (f == NULL) {
		*why = str_fmt(d->c->mem, "%s: %s", d->config, strerrordesc_np(errno));
		return false;
	}
	const size_t n = fread(text, 1, CONFIG_BYTES, f);
	fclose(f);
	if (yaml_parser_initialize(&parser) == 0) {
		*why = "out of memory";
		return false;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	const bool parsed = n < CONFIG_BYTES && yaml_parser_load(&parser, &doc) != 0;
	if (parsed) {
		const yaml_node_t *root = yaml_document_get_root_node(&doc),
		                  *kade = node_get(&doc, root, "KADE");
		const char *trusted = node_text(d, node_get(&doc, kade, "SENDFILE_TRUSTED"));
		out->hostname = node_text(d, node_get(&doc, root, "SERVER_HOSTNAME"));
		out->scheme = node_text(d, node_get(&doc, root, "PREFERRED_URL_SCHEME"));
		out->spool = node_text(d, node_get(&doc, kade, "SPOOL_DIR"));
		out->sendfile = trusted != NULL && strcasecmp(trusted, "true") == 0;
		read_storage(d, &doc, node_get(&doc, root, "DISTRIBUTED_STORAGE_CONFIG"), out);
		yaml_document_delete(&doc);
	} else {
		*why =
		    str_fmt(d->c->mem, "%s is not YAML (line %zu)", d->config, parser.problem_mark.line + 1);
	}
	yaml_parser_delete(&parser);
	explicit_bzero(text, n); /* it holds passwords */
	return parsed;
}

bool
host_read_config(struct doctor *d, const char **why)
{
	struct host_conf h;

	if (!read_conf(d, &h, why))
		return false;
	if (h.hostname != NULL) {
		d->expect_service = h.hostname;
		d->expect_realm =
		    str_fmt(d->c->mem, "%s://%s/v2/auth", h.scheme != NULL ? h.scheme : "http", h.hostname);
	}
	return true;
}

static const char *
user_name(struct doctor *d, uid_t uid)
{
	char room[4096];
	struct passwd pw, *got = NULL;

	if (getpwuid_r(uid, &pw, room, sizeof room, &got) == 0 && got != NULL)
		return str_dup_c(d->c->mem, pw.pw_name);
	return str_fmt(d->c->mem, "uid %u", (unsigned)uid);
}

/* "www-data (www-data, alice)": the group and its members of /etc/group; those who have it as their first
 * group follow from the user's own line and are not searched. */
static const char *
group_words(struct doctor *d, gid_t gid)
{
	char room[8192];
	struct group gr, *got = NULL;
	struct buf b = BUF(d->c->mem);

	if (getgrgid_r(gid, &gr, room, sizeof room, &got) != 0 || got == NULL)
		return str_fmt(d->c->mem, "gid %u", (unsigned)gid);
	buf_puts(&b, gr.gr_name);
	for (int i = 0; gr.gr_mem[i] != NULL && i < 12; i++)
		buf_putf(&b, "%s%s", i == 0 ? " (" : ", ", gr.gr_mem[i]);
	if (gr.gr_mem[0] != NULL)
		buf_putc(&b, ')');
	return buf_cstr(&b);
}

/* True when a user who is neither owner nor in the group can pass every folder above path. */
static bool
others_reach(struct doctor *d, const char *path)
{
	char *p = str_dup_c(d->c->mem, path);
	struct stat st;

	for (char *slash = strrchr(p, '/'); slash != NULL && slash > p; slash = strrchr(p, '/')) {
		*slash = '\0';
		if (stat(p, &st) == 0 && (st.st_mode & S_IXOTH) == 0)
			return false;
	}
	return true;
}

static bool
has_acl(const char *path)
{
	return getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

/* A path's status with symbolic links resolved (so that the folders above are the real ones); NULL and a line
 * when it cannot be had. */
static const char *
look(struct doctor *d, const char *name, const char *path, struct stat *st)
{
	char *real = realpath(path, NULL);
	const char *kept = real == NULL ? NULL : str_dup_c(d->c->mem, real);

	free(real);
	if (kept != NULL && stat(kept, st) == 0)
		return kept;
	report(d, errno == EACCES ? SEEN_WARN : SEEN_FAIL, NO_TROUBLE, name, "%s: %s", path,
	       strerrordesc_np(errno));
	return NULL;
}

static const char *
owners(struct doctor *d, const struct stat *st)
{
	return str_fmt(d->c->mem, "owner %s, group %s, mode %04o", user_name(d, st->st_uid),
	               group_words(d, st->st_gid), (unsigned)st->st_mode & 07777);
}

static void
check_config_mode(struct doctor *d)
{
	const char *name = "config file", *path;
	struct stat st;

	if ((path = look(d, name, d->config, &st)) == NULL)
		return;
	if ((st.st_mode & S_IWOTH) != 0 || ((st.st_mode & S_IROTH) != 0 && others_reach(d, path))) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "every user of this host may read%s it: %s",
		       (st.st_mode & S_IWOTH) != 0 ? " or change" : "", owners(d, &st));
		report_advice(
		    d, "It holds the database password and the keys:\nchown root:kade %s\nchmod 0640 %s",
		    path, path);
	} else if ((st.st_mode & S_IWGRP) != 0) {
		report(d, SEEN_WARN, NO_TROUBLE, name, "the group may change it: %s", owners(d, &st));
		report_advice(d, "chmod 0640 %s", path);
	} else {
		report(d, has_acl(path) ? SEEN_WARN : SEEN_OK, NO_TROUBLE, name, "%s%s", owners(d, &st),
		       has_acl(path) ? "; and an access list that says more: see getfacl" : "");
	}
}

static void
check_storage(struct doctor *d, const struct host_conf *h, const char *dir)
{
	const char *name = "blob directory", *path;
	struct stat st;

	if ((path = look(d, name, dir, &st)) == NULL)
		return;
	const bool world = (st.st_mode & (S_IROTH | S_IXOTH)) != 0 && others_reach(d, path);
	if (!S_ISDIR(st.st_mode) || world || (st.st_mode & S_IWOTH) != 0) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s: %s: %s", path,
		       S_ISDIR(st.st_mode) ? "every user of this host may read the blobs" : "no directory",
		       owners(d, &st));
		report_advice(d, "chmod 0750 %s", path);
		return;
	}
	if (has_acl(path))
		report(d, SEEN_WARN, NO_TROUBLE, name,
		       "%s: %s, and an access list that says more: see getfacl", path, owners(d, &st));
	else
		report(d, SEEN_OK, NO_TROUBLE, name, "%s: %s", path, owners(d, &st));
	if (h->sendfile && (st.st_mode & S_IXGRP) == 0) {
		report(d, SEEN_FAIL, NO_TROUBLE, "send-file",
		       "KADE.SENDFILE_TRUSTED is true, but the web server cannot read %s", path);
		report_advice(d,
		              "chgrp WEB-SERVER-GROUP %s; chmod g+rxs %s\n(or KADE.SENDFILE_TRUSTED: false)",
		              path, path);
	} else if (h->sendfile) {
		report(d, SEEN_WARN, NO_TROUBLE, "send-file",
		       "whoever runs code as the web server or in group %s reads every"
		       " blob of every repository",
		       group_words(d, st.st_gid));
		report_advice(d, "Right where no other user's programs run as the web server. Else "
		                 "KADE.SENDFILE_TRUSTED: false");
	}
}

static void
check_socket(struct doctor *d, const char *sock)
{
	const char *name = "socket", *path;
	struct stat st;

	if ((path = look(d, name, sock, &st)) == NULL)
		return;
	if (!S_ISSOCK(st.st_mode)) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s is no socket", path);
	} else if ((st.st_mode & S_IWOTH) != 0 && others_reach(d, path)) {
		report(d, SEEN_FAIL, NO_TROUBLE, name,
		       "%s: every user of this host may speak to the pool as the web server: %s", path,
		       owners(d, &st));
		report_advice(d, "chmod 0660 and a group for the web server alone: %s", path);
	} else {
		report(d, has_acl(path) ? SEEN_WARN : SEEN_OK, NO_TROUBLE, name, "%s: %s%s", path,
		       owners(d, &st),
		       has_acl(path) ? ", and an access list that says more: see getfacl" : "");
	}
}

/* True when path shares its file system with something that must not stop when the spool is full. */
static const char *
neighbour(const struct host_conf *h, const struct stat *st)
{
	struct stat o;

	if (stat("/", &o) == 0 && o.st_dev == st->st_dev)
		return "/";
	for (int i = 0; i < h->n_storage; i++)
		if (stat(h->storage[i], &o) == 0 && o.st_dev == st->st_dev)
			return h->storage[i];
	return NULL;
}

static void
check_spool(struct doctor *d, const struct host_conf *h, const char *name, const char *dir)
{
	const char *path, *beside;
	struct stat st;
	struct statfs fs;

	if ((path = look(d, name, dir, &st)) == NULL)
		return;
	if (!S_ISDIR(st.st_mode) || statfs(path, &fs) != 0) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s is no directory", path);
		return;
	}
	const uint64_t free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	const long long gib = (long long)(free_bytes >> 30);
	if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0 && others_reach(d, path)) {
		report(d, SEEN_FAIL, NO_TROUBLE, name, "%s: every user of this host may look into it: %s",
		       path, owners(d, &st));
		report_advice(d, "chmod 0700 %s", path);
	} else if (fs.f_type == TMPFS_MAGIC) {
		report(d, SEEN_WARN, NO_TROUBLE, name, "%s is in memory (tmpfs): large layers fill it", path);
	} else if ((beside = neighbour(h, &st)) != NULL) {
		report(d, SEEN_WARN, NO_TROUBLE, name,
		       "%s is on the file system of %s: uploads can fill it (%lld GiB free)", path, beside,
		       gib);
		report_advice(d, "Give the spool a file system of its own.");
	} else {
		report(d, free_bytes < SPOOL_FREE_MIN ? SEEN_WARN : SEEN_OK, NO_TROUBLE, name,
		       "%s: a file system of its own, %lld GiB"
		       " free%s",
		       path, gib, free_bytes < SPOOL_FREE_MIN ? ": less than one large layer" : "");
	}
}

void
check_host(struct doctor *d)
{
	struct host_conf h = { 0 };
	const char *why;

	if (d->config != NULL && !read_conf(d, &h, &why)) {
		report(d, SEEN_FAIL, NO_TROUBLE, "config file", "%s", why);
		return;
	}
	if (d->config != NULL)
		check_config_mode(d);
	for (int i = 0; i < h.n_storage; i++)
		check_storage(d, &h, h.storage[i]);
	if (h.sendfile && h.n_storage == 0)
		report(d, SEEN_WARN, NO_TROUBLE, "send-file",
		       "KADE.SENDFILE_TRUSTED is true and there is no LocalStorage");
	for (int i = 0; i < d->n_sockets; i++)
		check_socket(d, d->sockets[i]);
	if (h.spool != NULL)
		check_spool(d, &h, "spool directory", h.spool);
	if (d->web_spool != NULL)
		check_spool(d, &h, "web server's spool", d->web_spool);
}
