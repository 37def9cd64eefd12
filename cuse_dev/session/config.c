/* SPDX-License-Identifier: MIT */
/* config.c - the keys as two tables, read by inih's parser from lines that are counted here. */
#include "cuse_dev/session/config.h"

#include <errno.h>
#include <grp.h>
#include <ini.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/vdev/profile.h"

#define MIN_MEMORY	    (64ull << 20)
#define MIN_CACHE	    (1ull << 20)
#define MAX_CACHE	    (64ull << 30)
#define MIN_COMPILER_MEMORY (512ull << 20)
#define MAX_MEMORY	    (256ull << 30) /* half the default window: the lower half holds all devices */

typedef int set_fn(void *to, size_t size, const char *value);

struct key {
	const char *name;
	const char *wants; /* for the message */
	size_t offset, size;
	set_fn *set;
};

int config_size(const char *text, uint64_t *ret_bytes)
{
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case 't':
	case 'T':
		shift = 40;
		break;
	default:
		break;
	}
	if (shift) {
		end++;
		if (!strcmp(end, "B") || !strcmp(end, "iB"))
			end += strlen(end);
	}
	if (*end || n > UINT64_MAX >> shift)
		return -EINVAL;
	*ret_bytes = (uint64_t)n << shift;
	return 0;
}

static int number(const char *text, int base, unsigned long max, unsigned long *ret_n)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(text, &end, base);
	if (errno || *end || n > max)
		return -EINVAL;
	*ret_n = n;
	return 0;
}

static int set_text(void *to, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return -EINVAL;
	memset(to, 0, size);
	strcpy(to, value);
	return 0;
}

/* Said again, or on lines that go on, a list grows. */
static int set_list(void *to, size_t size, const char *value)
{
	char *list = to;
	size_t n = strlen(list);

	if (n + strlen(value) + 2 > size)
		return -EINVAL;
	if (n && list[n - 1] != ',')
		list[n++] = ',';
	strcpy(list + n, value);
	return 0;
}

static int set_path(void *to, size_t size, const char *value)
{
	return *value == '/' ? set_text(to, size, value) : -EINVAL;
}

static int set_path_or_none(void *to, size_t size, const char *value)
{
	return strcmp(value, "none") ? set_path(to, size, value) : set_text(to, size, value);
}

static int set_cache_size(void *to, size_t size, const char *value)
{
	uint64_t n;
	int r = config_size(value, &n);

	if (r < 0 || n < MIN_CACHE || n > MAX_CACHE)
		return -EINVAL;
	*(uint64_t *)to = n;
	return 0;
}

static int set_compiler_memory(void *to, size_t size, const char *value)
{
	uint64_t n;
	int r = config_size(value, &n);

	if (r < 0 || n < MIN_COMPILER_MEMORY)
		return -EINVAL;
	*(uint64_t *)to = n;
	return 0;
}

static int set_bytes(void *to, size_t size, const char *value)
{
	return config_size(value, to);
}

static int set_count(void *to, size_t size, const char *value)
{
	unsigned long n;
	int r = number(value, 10, 1u << 20, &n);

	if (!r)
		*(uint32_t *)to = (uint32_t)n;
	return r;
}

static int set_compiler_threads(void *to, size_t size, const char *value)
{
	unsigned long n;
	int r = number(value, 10, 64, &n);

	if (r < 0 || !n)
		return -EINVAL;
	*(uint32_t *)to = (uint32_t)n;
	return 0;
}

static int set_mode(void *to, size_t size, const char *value)
{
	unsigned long n;
	int r = number(value, 8, 0777, &n);

	if (!r)
		*(uint32_t *)to = (uint32_t)n;
	return r;
}

static int set_cc(void *to, size_t size, const char *value)
{
	unsigned major, minor;
	char rest;

	if (sscanf(value, "%u.%u%c", &major, &minor, &rest) != 2 || major < 1 || major > 99 ||
	    minor > 9)
		return -EINVAL;
	*(uint32_t *)to = major * 10 + minor;
	return 0;
}

static int set_door(void *to, size_t size, const char *value)
{
	static const char *const names[] = { "auto", "cuse", "fuse" };
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (!strcmp(value, names[i])) {
			*(enum config_door *)to = (enum config_door)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_overcommit(void *to, size_t size, const char *value)
{
	if (strcmp(value, "lazy") && strcmp(value, "strict"))
		return -EINVAL;
	*(enum config_overcommit *)to = *value == 's' ? CONFIG_STRICT : CONFIG_LAZY;
	return 0;
}

static int set_level(void *to, size_t size, const char *value)
{
	return log_level_from_text(value, to);
}

static int gid_of(const char *text, gid_t *ret_gid)
{
	struct group *g;
	unsigned long n;

	if (!number(text, 10, UINT32_MAX - 1, &n)) {
		*ret_gid = (gid_t)n;
		return 0;
	}
	g = getgrnam(text);
	if (!g)
		return -EINVAL;
	*ret_gid = g->gr_gid;
	return 0;
}

static int uid_of(const char *text, uid_t *ret_uid)
{
	struct passwd *p;
	unsigned long n;

	if (!number(text, 10, UINT32_MAX - 1, &n)) {
		*ret_uid = (uid_t)n;
		return 0;
	}
	p = getpwnam(text);
	if (!p)
		return -EINVAL;
	*ret_uid = p->pw_uid;
	return 0;
}

static int set_group(void *to, size_t size, const char *value)
{
	return gid_of(value, to);
}

/* "a, b c": calls @one for each word. The lists live at the start of a struct config_device. */
static int each_word(struct config_device *d, const char *value,
		     int (*one)(struct config_device *d, const char *word))
{
	char copy[1024], *word, *save = NULL;
	int r = 0;

	if (strlen(value) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, value);
	for (word = strtok_r(copy, ", \t", &save); word && !r; word = strtok_r(NULL, ", \t", &save))
		r = one(d, word);
	return r;
}

static int add_uid(struct config_device *d, const char *word)
{
	if (d->allow_uids == CONFIG_MAX_IDS || uid_of(word, &d->allow_uid[d->allow_uids]) < 0)
		return -EINVAL;
	d->allow_uids++;
	return 0;
}

static int add_gid(struct config_device *d, const char *word)
{
	if (d->allow_gids == CONFIG_MAX_IDS || gid_of(word, &d->allow_gid[d->allow_gids]) < 0)
		return -EINVAL;
	d->allow_gids++;
	return 0;
}

static int set_uids(void *to, size_t size, const char *value)
{
	return each_word(to, value, add_uid);
}

static int set_gids(void *to, size_t size, const char *value)
{
	return each_word(to, value, add_gid);
}

#define FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)

static const struct key daemon_keys[] = {
	{ "door", "auto, cuse or fuse", FIELD(struct config, door), set_door },
	{ "log_level", "error, warning, notice, info or debug", FIELD(struct config, log_level),
	  set_level },
	{ "overcommit", "lazy or strict", FIELD(struct config, overcommit), set_overcommit },
	{ "threads", "a number, 0 for one per CPU", FIELD(struct config, threads), set_count },
	{ "worker", "an absolute path", FIELD(struct config, worker), set_path },
	{ "user", "a user name", FIELD(struct config, user), set_text },
	{ "compiler", "an absolute path, or none", FIELD(struct config, compiler),
	  set_path_or_none },
	{ "compiler_memory", "a size of at least 512M", FIELD(struct config, compiler_memory),
	  set_compiler_memory },
	{ "compiler_threads", "a number from 1 to 64", FIELD(struct config, compiler_threads),
	  set_compiler_threads },
	{ "cache_dir", "an absolute path, or none", FIELD(struct config, cache_dir),
	  set_path_or_none },
	{ "cache_size", "a size from 1M to 64G", FIELD(struct config, cache_size), set_cache_size },
	{ "node_dir", "an absolute path", FIELD(struct config, node_dir), set_path },
	{ "run_dir", "an absolute path", FIELD(struct config, run_dir), set_path },
	{ "control_mode", "octal permissions such as 0660", FIELD(struct config, control_mode),
	  set_mode },
	{ "control_group", "a group", FIELD(struct config, control_group), set_group },
};

static const struct key device_keys[] = {
	{ "profile", "the name of a profile", FIELD(struct config_device, profile), set_text },
	{ "memory", "a size such as 24G", FIELD(struct config_device, memory), set_bytes },
	{ "mode", "octal permissions such as 0660", FIELD(struct config_device, mode), set_mode },
	{ "group", "a group", FIELD(struct config_device, group), set_group },
	{ "allow_uid", "users, up to 32", 0, 0, set_uids },
	{ "allow_gid", "groups, up to 32", 0, 0, set_gids },
	{ "quota_memory_per_uid", "a size such as 8G", FIELD(struct config_device, quota_memory),
	  set_bytes },
	{ "quota_clients_per_uid", "a number", FIELD(struct config_device, quota_clients),
	  set_count },
	{ "library_cc", "a compute capability such as 13.0",
	  FIELD(struct config_device, library_cc), set_cc },
	{ "library_sonames", "comma-separated beginnings of sonames",
	  FIELD(struct config_device, library_sonames), set_list },
};

static int set_key(const struct key *keys, size_t count, void *base, const char *where,
		   const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(keys[i].name, name))
			continue;
		if (!keys[i].set((char *)base + keys[i].offset, keys[i].size, value))
			return 0;
		log_error("%s: %s = \"%s\": want %s", where, name, value, keys[i].wants);
		return -EINVAL;
	}
	log_error("%s: unknown key \"%s\"", where, name);
	return -EINVAL;
}

int config_set(struct config *c, const char *where, const char *key, const char *value)
{
	return set_key(daemon_keys, sizeof(daemon_keys) / sizeof(daemon_keys[0]), c, where, key,
		       value);
}

int config_set_device(struct config_device *d, const char *where, const char *key,
		      const char *value)
{
	return set_key(device_keys, sizeof(device_keys) / sizeof(device_keys[0]), d, where, key,
		       value);
}

static void device_init(struct config_device *d)
{
	*d = (struct config_device){ .mode = 0666, .group = CONFIG_NO_GROUP };
	strcpy(d->profile, PROFILE_DEFAULT);
}

void config_init(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->log_level = LOG_L_INFO;
	c->control_mode = 0666;
	c->control_group = CONFIG_NO_GROUP;
	strcpy(c->node_dir, "/dev");
	strcpy(c->run_dir, "/run/vgpu");
	strcpy(c->cache_dir, "/var/cache/vgpu-cuse");
	c->cache_size = 256ull << 20;
	c->compiler_memory = 4ull << 30;
	c->compiler_threads = 2;
}

struct reader {
	struct config *config;
	const char *path;
	FILE *file;
	unsigned line; /* of what the parser got last */
	int error;
};

static int device_section(struct reader *rd, const char *where, const char *section,
			  struct config_device **ret_device)
{
	struct config *c = rd->config;
	unsigned long n;

	if (strncmp(section, "device ", 7) || number(section + 7, 10, VGPU_MAX_DEVICES - 1, &n)) {
		log_error("%s: unknown section [%s]; there are [daemon] and [device 0] to %d",
			  where, section, VGPU_MAX_DEVICES - 1);
		return -EINVAL;
	}
	if (n > c->device_count) {
		log_error("%s: [%s] before [device %u]; devices are numbered without gaps", where,
			  section, c->device_count);
		return -EINVAL;
	}
	if (n == c->device_count)
		device_init(&c->device[c->device_count++]);
	*ret_device = &c->device[n];
	return 0;
}

static int line(void *user, const char *section, const char *name, const char *value)
{
	struct reader *rd = user;
	struct config_device *d;
	char where[PATH_MAX + 128];
	int r;

	snprintf(where, sizeof(where), "%s:%u: [%s]", rd->path, rd->line, section);
	if (!strcmp(section, "daemon")) {
		r = config_set(rd->config, where, name, value);
	} else {
		r = device_section(rd, where, section, &d);
		if (!r)
			r = config_set_device(d, where, name, value);
	}
	if (r < 0)
		rd->error = r;
	return 1; /* go on: say all that is wrong at once */
}

/*
 * fgets() for the parser. A line that does not fit its buffer would be cut there and its rest taken
 * for another line, so it is refused whole.
 */
static char *next_line(char *buf, int size, void *stream)
{
	struct reader *rd = stream;
	bool cut = false;
	int c;

	if (!fgets(buf, size, rd->file))
		return NULL;
	rd->line++;
	if (!strchr(buf, '\n')) {
		while ((c = fgetc(rd->file)) != EOF && c != '\n')
			cut = true;
	}
	if (cut) {
		log_error(
			"%s:%u: longer than %d bytes; a list may go on in the next line, behind a "
			"blank",
			rd->path, rd->line, size - 1);
		rd->error = -EINVAL;
		strcpy(buf, "\n");
	}
	return buf;
}

/* 0 with NULL: it is not there, which is allowed. */
static int open_file(const char *path, bool optional, FILE **ret_file)
{
	struct stat st;
	FILE *f;
	int e;

	f = fopen(path, "re");
	if (f && !fstat(fileno(f), &st) && S_ISDIR(st.st_mode)) {
		fclose(f);
		f = NULL;
		errno = EISDIR;
	}
	e = errno;
	*ret_file = f;
	if (f || (optional && e == ENOENT))
		return 0;
	log_error("%s: %s", path, strerror(e));
	return -EINVAL;
}

int config_read(struct config *c, const char *path, bool optional)
{
	struct reader rd = { .config = c, .path = path };
	int r;

	r = open_file(path, optional, &rd.file);
	if (r < 0 || !rd.file)
		return r;
	r = ini_parse_stream(next_line, &rd, line, &rd);
	if (ferror(rd.file)) {
		log_error("%s: cannot be read to its end", path);
		rd.error = -EINVAL;
	}
	fclose(rd.file);
	if (r) {
		log_error("%s:%d: neither [section] nor key = value", path, r);
		return -EINVAL;
	}
	return rd.error;
}

int config_add_device(struct config *c, const char *text)
{
	struct config_device *d;
	char copy[2048], where[64], *part, *save = NULL, *eq;
	int r = 0;

	if (c->device_count == VGPU_MAX_DEVICES || strlen(text) >= sizeof(copy)) {
		log_error("--device=%s: at most %d devices", text, VGPU_MAX_DEVICES);
		return -EINVAL;
	}
	d = &c->device[c->device_count];
	device_init(d);
	snprintf(where, sizeof(where), "device %u", c->device_count);
	strcpy(copy, text);
	part = strtok_r(copy, ",", &save);
	if (!part) {
		log_error("--device: the name of a profile is missing");
		return -EINVAL;
	}
	r = config_set_device(d, where, "profile", part);
	while (!r && (part = strtok_r(NULL, ",", &save))) {
		eq = strchr(part, '=');
		if (!eq) {
			log_error("%s: \"%s\" is not key=value", where, part);
			return -EINVAL;
		}
		*eq = '\0';
		r = config_set_device(d, where, part, eq + 1);
	}
	if (!r)
		c->device_count++;
	return r;
}

static int check_device(const struct config_device *d, uint32_t index)
{
	const struct profile *p;
	char names[512] = "";
	uint32_t i;

	if (profile_find(d->profile, &p) < 0) {
		for (i = 0; (p = profile_at(i)); i++) {
			size_t n = strlen(names);

			snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", p->name);
		}
		log_error("device %u: no profile \"%s\"; there are %s", index, d->profile, names);
		return -EINVAL;
	}
	if (d->memory && (d->memory < MIN_MEMORY || d->memory > MAX_MEMORY)) {
		log_error("device %u: memory of %llu bytes; want 64M to 256G", index,
			  (unsigned long long)d->memory);
		return -EINVAL;
	}
	return 0;
}

int config_complete(struct config *c)
{
	uint32_t i;
	int r = 0;

	if (!c->device_count)
		device_init(&c->device[c->device_count++]);
	for (i = 0; i < c->device_count; i++) {
		if (check_device(&c->device[i], i) < 0)
			r = -EINVAL;
	}
	return r;
}
