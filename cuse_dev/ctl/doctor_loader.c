/* SPDX-License-Identifier: MIT */
/*
 * doctor_loader.c - which libcuda.so.1 a program gets, in the order in which ld.so(8) looks:
 *
 *	DT_RPATH (only without DT_RUNPATH), LD_LIBRARY_PATH, DT_RUNPATH, the cache, the usual places
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cuse_dev/ctl/doctor.h"
#include "ioctl/vgpu_ioctl.h"

#define LDCONFIG	 "/sbin/ldconfig"
#define LDCONFIG_SECONDS 20
#define CACHE_BYTES	 (4u << 20)
#define CONF		 "/etc/ld.so.conf.d/000-vgpu.conf"

/* What the loader would put for $LIB. */
#define LIB_DIR "lib/x86_64-linux-gnu"

struct found {
	char path[PATH_MAX];
	char how[PATH_MAX + 64]; /* "the loader's cache" */
};

/* The first libcuda.so.1 for 64-bit programs in "ldconfig -p". */
static int in_cache(const char *name, char ret_path[PATH_MAX])
{
	char *const argv[] = { LDCONFIG, "-p", NULL }, *const env[] = { NULL };
	char *text = malloc(CACHE_BYTES), *line, *save = NULL, *arrow;
	int r = text ? ctl_output(NULL, argv, env, LDCONFIG_SECONDS, text, CACHE_BYTES) : -ENOMEM;
	size_t n = strlen(name);

	if (r) {
		free(text);
		return r < 0 ? r : -EIO;
	}
	r = -ENOENT;
	for (line = strtok_r(text, "\n", &save); line && r; line = strtok_r(NULL, "\n", &save)) {
		while (*line == ' ' || *line == '\t')
			line++;
		arrow = strstr(line, " => ");
		if (strncmp(line, name, n) || line[n] != ' ' || !strstr(line, "x86-64") || !arrow)
			continue;
		snprintf(ret_path, PATH_MAX, "%s", arrow + 4);
		r = 0;
	}
	free(text);
	return r;
}

static bool fits(const char *path)
{
	struct ctl_elf e;

	return !ctl_elf_read(path, &e) && e.class_bits == 64 && e.machine == EM_X86_64;
}

static bool in_dir(const char *dir, const char *name, char ret_path[PATH_MAX])
{
	static const char *const sub[] = { "glibc-hwcaps/x86-64-v4/", "glibc-hwcaps/x86-64-v3/",
					   "glibc-hwcaps/x86-64-v2/", "" };
	size_t i;

	for (i = 0; i < sizeof(sub) / sizeof(sub[0]); i++) {
		if (snprintf(ret_path, PATH_MAX, "%s/%s%s", *dir ? dir : ".", sub[i], name) <
			    PATH_MAX &&
		    fits(ret_path))
			return true;
	}
	return false;
}

struct token {
	const char *name, *value;
};

/* The token that @at begins with, and how long it is written: "$LIB" or "${LIB}". */
static const struct token *token_at(const char *at, const struct token *t, size_t *ret_bytes)
{
	bool braces = at[0] == '$' && at[1] == '{';
	size_t n;

	for (; *at == '$' && t->name; t++) {
		n = strlen(t->name);
		if (strncmp(at + 1 + braces, t->name, n) || (braces && at[2 + n] != '}'))
			continue;
		*ret_bytes = 1 + n + 2 * (size_t)braces;
		return t;
	}
	return NULL;
}

static void expand(const char *dir, const char *origin, char *out, size_t size)
{
	const struct token tokens[] = {
		{ "ORIGIN", origin }, { "LIB", LIB_DIR }, { "PLATFORM", "x86_64" }, { NULL, NULL }
	};
	const struct token *t;
	size_t n = 0, bytes;

	while (*dir && n + 1 < size) {
		t = token_at(dir, tokens, &bytes);
		if (t) {
			n += (size_t)snprintf(out + n, size - n, "%s", t->value);
			dir += bytes;
		} else {
			out[n++] = *dir++;
		}
	}
	out[n < size ? n : size - 1] = '\0';
}

static bool in_path(const char *list, const char *origin, const char *name, const char *what,
		    struct found *f)
{
	char copy[4096], dir[PATH_MAX], *p, *next;

	if (!*list)
		return false;
	snprintf(copy, sizeof(copy), "%s", list);
	for (p = copy; p; p = next) {
		next = strpbrk(p, ":;");
		if (next)
			*next++ = '\0';
		expand(p, origin, dir, sizeof(dir));
		if (in_dir(dir, name, f->path)) {
			snprintf(f->how, sizeof(f->how), "%s (%s)", what, *p ? p : "empty: here");
			return true;
		}
	}
	return false;
}

static bool in_usual_places(const char *name, struct found *f)
{
	static const char *const dirs[] = { "/" LIB_DIR,  "/usr/" LIB_DIR, "/lib64",
					    "/usr/lib64", "/lib",	   "/usr/lib" };
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (in_dir(dirs[i], name, f->path)) {
			snprintf(f->how, sizeof(f->how), "a usual place, not the cache");
			return true;
		}
	}
	return false;
}

static bool search(const struct doctor *d, const struct ctl_elf *e, const char *origin, bool secure,
		   struct found *f)
{
	if (!*e->runpath && in_path(e->rpath, origin, DOCTOR_LIBRARY, "its RPATH", f))
		return true;
	if (d->path_given && !secure &&
	    in_path(d->library_path, origin, DOCTOR_LIBRARY, "LD_LIBRARY_PATH", f))
		return true;
	if (in_path(e->runpath, origin, DOCTOR_LIBRARY, "its RUNPATH", f))
		return true;
	if (!in_cache(DOCTOR_LIBRARY, f->path)) {
		snprintf(f->how, sizeof(f->how), "the loader's cache");
		return true;
	}
	return in_usual_places(DOCTOR_LIBRARY, f);
}

/* ---- the system's ---------------------------------------------------------------------------- */

static bool judge_library(struct doctor *d, const char *path)
{
	char ours[32];
	struct ctl_elf e;
	int r = ctl_elf_read(path, &e);

	snprintf(ours, sizeof(ours), "%d.%d", VGPU_VERSION_MAJOR, VGPU_VERSION_MINOR);
	if (r < 0) {
		doctor_say(d, DOCTOR_FAIL, "library",
			   "run ldconfig; if the file is gone, install "
			   "the package again",
			   "%s, which the loader's cache names, cannot be read: %s", path,
			   strerror(-r));
		return false;
	}
	if (!e.ours) {
		doctor_say(d, DOCTOR_FAIL, "library",
			   "remove the package it belongs to (dpkg -S, rpm -qf), or see that " CONF
			   " exists and sorts first, and run ldconfig",
			   "programs get %s, which is not the virtual GPU's", path);
		return false;
	}
	if (strcmp(e.version, ours)) {
		doctor_say(d, DOCTOR_FAIL, "library", "install all parts from one package",
			   "%s is for protocol %s, this program for %s", path, e.version, ours);
		return false;
	}
	doctor_say(d, DOCTOR_OK, "library", NULL, DOCTOR_LIBRARY " => %s", path);
	return true;
}

/* The directory that the package's file names: its first line that is no comment. */
static bool conf_dir(char ret_dir[PATH_MAX])
{
	FILE *f = fopen(CONF, "re");
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(ret_dir, PATH_MAX, f)) {
		ret_dir[strcspn(ret_dir, "\n")] = '\0';
		found = *ret_dir == '/';
	}
	fclose(f);
	return found;
}

/* Why ldconfig did not put it there. */
static const char *mend_cache(void)
{
	char dir[PATH_MAX], path[PATH_MAX];

	if (access(CONF, F_OK) < 0)
		return CONF " is missing; install the package again";
	if (!conf_dir(dir) || !in_dir(dir, DOCTOR_LIBRARY, path))
		return CONF " names no directory with " DOCTOR_LIBRARY
			    "; install the package again";
	return "run ldconfig as root; /etc/ld.so.conf has to include ld.so.conf.d/*.conf";
}

bool doctor_library(struct doctor *d)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (!stat("/etc/ld.so.preload", &st) && st.st_size)
		doctor_say(d, DOCTOR_NOTE, "preload", NULL,
			   "/etc/ld.so.preload puts libraries into every program; the virtual GPU "
			   "needs none");
	r = in_cache(DOCTOR_LIBRARY, path);
	if (r == -ENOENT) {
		doctor_say(d, DOCTOR_FAIL, "library", mend_cache(),
			   "the loader's cache has no " DOCTOR_LIBRARY);
		return false;
	}
	if (r < 0) {
		doctor_say(d, DOCTOR_NOTE, "library", NULL, LDCONFIG " -p: %s", strerror(-r));
		return true;
	}
	return judge_library(d, path);
}

/* ---- one program's --------------------------------------------------------------------------- */

static bool usable(struct doctor *d, const struct ctl_elf *e)
{
	if (e->class_bits != 64 || e->machine != EM_X86_64) {
		doctor_say(d, DOCTOR_FAIL, "binary",
			   "there is a libcuda.so.1 for 64-bit x86-64 programs",
			   "%s is a %d-bit program of machine type %d", d->binary, e->class_bits,
			   e->machine);
		return false;
	}
	if (strstr(e->interpreter, "musl")) {
		doctor_say(d, DOCTOR_FAIL, "binary", "use a build for glibc",
			   "%s runs with %s, which cannot load libraries made for glibc", d->binary,
			   e->interpreter);
		return false;
	}
	if (e->program && !*e->interpreter) {
		doctor_say(d, DOCTOR_FAIL, "binary",
			   "name the program it starts, or the library that does the work",
			   "%s is linked statically and loads no library", d->binary);
		return false;
	}
	return true;
}

static void say_found(struct doctor *d, const struct found *f)
{
	struct ctl_elf e;

	if (ctl_elf_read(f->path, &e) < 0 || !e.ours)
		doctor_say(d, DOCTOR_FAIL, "binary",
			   "remove that file, or take its directory out of the search path",
			   "%s gets %s through %s, which is not the virtual GPU's", d->binary,
			   f->path, f->how);
	else
		doctor_say(d, DOCTOR_OK, "binary", NULL, "%s gets %s through %s", d->binary,
			   f->path, f->how);
}

void doctor_binary(struct doctor *d)
{
	char real[PATH_MAX], origin[PATH_MAX], *slash;
	struct ctl_elf e;
	struct found f;
	struct stat st;
	bool secure;
	int r;

	if (!realpath(d->binary, real) || stat(real, &st) < 0) {
		doctor_say(d, DOCTOR_FAIL, "binary", "give its path", "%s: %s", d->binary,
			   strerror(errno));
		return;
	}
	r = ctl_elf_read(real, &e);
	if (r == -ENOEXEC) {
		doctor_say(d, DOCTOR_FAIL, "binary",
			   "for a script, name the interpreter or the library that does the work",
			   "%s is no ELF file", d->binary);
		return;
	}
	if (r < 0) {
		doctor_say(d, DOCTOR_FAIL, "binary", NULL, "%s: %s", d->binary, strerror(-r));
		return;
	}
	if (!usable(d, &e))
		return;
	strcpy(origin, real);
	slash = strrchr(origin, '/');
	*slash = '\0';
	secure = st.st_mode & (S_ISUID | S_ISGID) ||
		 getxattr(real, "security.capability", NULL, 0) > 0;
	if (!search(d, &e, *origin ? origin : "/", secure, &f)) {
		doctor_say(d, DOCTOR_FAIL, "binary", "see \"library\" above",
			   "%s finds no " DOCTOR_LIBRARY "%s", d->binary,
			   e.needs_libcuda ? " and would not start" : "");
		return;
	}
	say_found(d, &f);
}
