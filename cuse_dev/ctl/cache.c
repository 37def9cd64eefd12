/* SPDX-License-Identifier: MIT */
/*
 * cache.c - "cache": the compiled kernels that are kept, per user.
 *
 * Reads the files themselves, so it works without a daemon; what a daemon or a compiler has open stays
 * usable for it after the file was removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse_dev/base/store.h"
#include "cuse_dev/ctl/ctl.h"

#define DEFAULT_DIR "/var/cache/vgpu-cuse"
#define PREFIX	    "kernels-" /* session/cache.c */

static const struct ctl_option options[] = {
	{ "dir", "PATH", "Where it is (" DEFAULT_DIR "; cache_dir of vgpu.conf)" },
	{ "clear", NULL, "Remove what is kept, of all users or of the one named" },
	{ 0 },
};

/* "1000 (anna)" */
static const char *user_text(const char *uid, char buf[64])
{
	const struct passwd *p = getpwuid((uid_t)strtoul(uid, NULL, 10));

	snprintf(buf, 64, p ? "%s (%.40s)" : "%s", uid, p ? p->pw_name : "");
	return buf;
}

static json_t *file_object(int dir, const char *uid, const char *name)
{
	struct store_stat s = { 0 };
	struct store *store;
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), r = -EINVAL;

	if (fd < 0 || fstat(fd, &st) < 0) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (store_open(fd, &store) == 0) {
		r = store_count(store, &s);
		store_close(store);
	}
	close(fd);
	return json_pack("{s:i, s:s, s:b, s:I, s:I, s:I, s:I}", "uid", (int)strtoul(uid, NULL, 10),
			 "file", name, "valid", r == 0, "kernels", (json_int_t)s.entries, "bytes",
			 (json_int_t)s.bytes, "disk_bytes", (json_int_t)st.st_blocks * 512,
			 "limit_bytes", (json_int_t)st.st_size);
}

static void print_file(const json_t *f)
{
	char uid[16], user[64], bytes[24], disk[24], limit[24];

	snprintf(uid, sizeof(uid), "%lld", (long long)ctl_get(f, "uid", NULL));
	printf("user %s: %lld kernels, %s; on disk %s of at most %s%s\n", user_text(uid, user),
	       (long long)ctl_get(f, "kernels", NULL),
	       ctl_size((uint64_t)ctl_get(f, "bytes", NULL), bytes),
	       ctl_size((uint64_t)ctl_get(f, "disk_bytes", NULL), disk),
	       ctl_size((uint64_t)ctl_get(f, "limit_bytes", NULL), limit),
	       json_is_true(json_object_get(f, "valid")) ? "" : " - not readable as a cache");
}

struct visit {
	bool clear;
	json_t *files;	  /* listed */
	unsigned removed; /* files */
	int error;	  /* the first, 0 none */
	const char *where;
};

static void visit_user(int top, const char *uid, struct visit *v)
{
	int dir = openat(top, uid, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	const struct dirent *e;
	json_t *f;

	if (!d) {
		v->error = v->error ? v->error : errno;
		if (dir >= 0)
			close(dir);
		return;
	}
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)))
			continue;
		if (!v->clear) {
			f = file_object(dir, uid, e->d_name);
			if (f)
				json_array_append_new(v->files, f);
		} else if (unlinkat(dir, e->d_name, 0) == 0) {
			v->removed++;
		} else {
			v->error = v->error ? v->error : errno;
		}
	}
	closedir(d);
}

/* The users' directories, those of @only alone if it is not NULL. */
static int visit_all(const char *path, const char *only, struct visit *v)
{
	int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = top < 0 ? NULL : fdopendir(top);
	const struct dirent *e;
	uint64_t uid;

	if (!d) {
		v->error = errno;
		if (top >= 0)
			close(top);
		return v->error;
	}
	while ((e = readdir(d))) {
		if (ctl_number(e->d_name, UINT32_MAX, &uid) && (!only || !strcmp(only, e->d_name)))
			visit_user(top, e->d_name, v);
	}
	closedir(d);
	return v->error;
}

/* A name or a number, as a number in @buf. */
static bool find_user(const char *word, char buf[16])
{
	const struct passwd *p = getpwnam(word);
	uint64_t uid;

	if (p)
		uid = p->pw_uid;
	else if (!ctl_number(word, UINT32_MAX, &uid))
		return false;
	snprintf(buf, 16, "%u", (unsigned)uid);
	return true;
}

static int show(const struct ctl *ctl, const struct visit *v, const char *path)
{
	json_t *f;
	size_t i;

	if (ctl->json)
		return ctl_print_json(v->files);
	json_array_foreach(v->files, i, f) print_file(f);
	if (!json_array_size(v->files))
		printf("nothing is kept in %s\n", path);
	return CTL_OK;
}

static int cache(const struct ctl *ctl, const struct ctl_args *a)
{
	const char *path = a->value[0] ? a->value[0] : DEFAULT_DIR;
	struct visit v = { .clear = a->value[1] };
	char uid[16];
	int r = CTL_OK;

	if (a->count && !find_user(a->word[0], uid)) {
		fprintf(stderr, "vgpuctl: no user '%s'\n", a->word[0]);
		return CTL_FAILED;
	}
	v.files = json_array();
	visit_all(path, a->count ? uid : NULL, &v);
	/* Nothing compiled yet: no directory. */
	if (v.error && v.error != ENOENT) {
		fprintf(stderr, "vgpuctl: %s: %s%s\n", path, strerror(v.error),
			v.error == EACCES ? "; root may look at it" : "");
		r = CTL_FAILED;
	} else if (!v.clear) {
		r = show(ctl, &v, path);
	} else if (ctl->json) {
		json_t *done = json_pack("{s:I}", "removed", (json_int_t)v.removed);

		r = ctl_print_json(done);
		json_decref(done);
	} else {
		printf("%u cache files removed\n", v.removed);
	}
	json_decref(v.files);
	return r;
}

const struct ctl_command ctl_command_cache = {
	.name = "cache",
	.arguments = "[USER]",
	.max = 1,
	.summary = "Show or clear the compiled kernels that are kept",
	.text = "Each user has a file of bounded size (cache_size of vgpu.conf). Clearing it is "
		"safe at\n"
		"any time: programs that run go on, their kernels are compiled once more.\n",
	.options = options,
	.run = cache,
};
