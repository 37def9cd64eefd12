/* SPDX-License-Identifier: MIT */
/*
 * hook.c - "vgpuctl hook ldcache": run by a container runtime (OCI hook createContainer), when the
 * container's files are in place and before it starts, to make its loader find our libraries.
 *
 * The container's files are foreign: whatever is opened there is opened with the container's root as
 * the root of all links, and the host's ldconfig is used, in a chroot.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuse_dev/ctl/ctl.h"

#define STATE_BYTES  (1u << 20)	 /* of what the runtime tells */
#define CONFIG_BYTES (16u << 20) /* of the bundle's config.json */
#define CONF_DIR     "etc/ld.so.conf.d"
#define CONF	     CONF_DIR "/000-vgpu.conf"

/* Debian's and Ubuntu's ldconfig may be a script around the program. */
static const char *const ldconfigs[] = { "/sbin/ldconfig.real", "/sbin/ldconfig",
					 "/usr/sbin/ldconfig" };

enum { HOOK_FOLDER, HOOK_ROOT };

/* ---- where the container is ----------------------------------------------------------------- */

static json_t *read_json(FILE *f, size_t most, const char *what)
{
	char *text = malloc(most);
	size_t n = text && f ? fread(text, 1, most, f) : 0;
	json_t *o = n && n < most ? json_loadb(text, n, 0, NULL) : NULL;

	free(text);
	if (!o)
		ctl_error("hook: %s is no JSON", what);
	return o;
}

/* The runtime says on stdin where the bundle is, and the bundle where the root is. */
static int find_root(char ret_root[PATH_MAX])
{
	json_t *state = read_json(stdin, STATE_BYTES, "the runtime's state"), *config = NULL;
	const char *bundle = ctl_text(state, "bundle"), *root;
	char path[PATH_MAX];
	FILE *f;
	int n = -1;

	if (!state)
		return CTL_FAILED;
	snprintf(path, sizeof(path), "%s/config.json", bundle);
	f = fopen(path, "re");
	if (f) {
		config = read_json(f, CONFIG_BYTES, path);
		fclose(f);
	} else {
		ctl_error("hook: %s: %s", path, strerror(errno));
	}
	root = ctl_text(json_object_get(config, "root"), "path");
	if (*root)
		n = snprintf(ret_root, PATH_MAX, "%s%s%s", *root == '/' ? "" : bundle,
			     *root == '/' ? "" : "/", root);
	else if (config)
		ctl_error("hook: %s names no root", path);
	json_decref(config);
	json_decref(state);
	return n > 0 && n < PATH_MAX ? CTL_OK : CTL_FAILED;
}

/* ---- files of the container ----------------------------------------------------------------- */

static int open_in(int root, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.mode = flags & O_CREAT ? 0644 : 0,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* A directory of the container's, made when it is missing; its parent is there. */
static int make_dir(int root, const char *parent, const char *name)
{
	int dir = open_in(root, parent, O_PATH | O_DIRECTORY), r = 0;

	if (dir < 0)
		return dir;
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		r = -errno;
	close(dir);
	return r;
}

static int write_in(int root, const char *path, int flags, const char *text)
{
	int fd = open_in(root, path, O_WRONLY | O_CREAT | flags), r = 0;

	if (fd < 0)
		return fd;
	if (dprintf(fd, "%s", text) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* For whoever runs ldconfig in the container later. */
static int write_conf(int root, const char *folder)
{
	char text[PATH_MAX + 2];
	int r;

	snprintf(text, sizeof(text), "%s\n", folder);
	r = make_dir(root, ".", "etc");
	if (!r)
		r = make_dir(root, "etc", "ld.so.conf.d");
	if (!r)
		r = write_in(root, CONF, O_TRUNC, text);
	if (!r) {
		r = write_in(root, "etc/ld.so.conf", O_EXCL, "include /" CONF_DIR "/*.conf\n");
		r = r == -EEXIST ? 0 : r;
	}
	return r;
}

/* ---- its loader's cache --------------------------------------------------------------------- */

static int run_ldconfig(int root, const char *folder)
{
	char place[64];
	char *argv[] = { "ldconfig", "-r", place, (char *)(uintptr_t)folder, NULL };
	char *env[] = { NULL };
	int status = 0;
	size_t i;
	pid_t pid;

	/* The descriptor is for the child: it names the root whatever paths mean there. */
	snprintf(place, sizeof(place), "/proc/self/fd/%d", root);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		fcntl(root, F_SETFD, 0);
		for (i = 0; i < sizeof(ldconfigs) / sizeof(ldconfigs[0]); i++)
			execve(ldconfigs[i], argv, env);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		ctl_error("hook: ldconfig -r: exit code %d",
			  WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
		return -EIO;
	}
	return 0;
}

static int hook(const struct ctl *ctl, const struct ctl_args *a)
{
	const char *folder = a->value[HOOK_FOLDER];
	char path[PATH_MAX];
	int root, r;

	if (strcmp(a->word[0], "ldcache")) {
		ctl_error("hook: \"%s\": there is ldcache", a->word[0]);
		return CTL_USAGE;
	}
	if (!folder || *folder != '/' || strchr(folder, '\n')) {
		ctl_error("hook ldcache: wants --folder=/DIR");
		return CTL_USAGE;
	}
	if (a->value[HOOK_ROOT]) {
		snprintf(path, sizeof(path), "%s", a->value[HOOK_ROOT]);
	} else {
		r = find_root(path);
		if (r)
			return r;
	}
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) {
		ctl_error("hook: %s: %s", path, strerror(errno));
		return CTL_FAILED;
	}
	r = write_conf(root, folder);
	if (r < 0)
		ctl_error("hook: " CONF " in %s: %s; \"vgpuctl cdi --no-hook "
			  "--library-to=DIR\" does without",
			  path, strerror(-r));
	else
		r = run_ldconfig(root, folder);
	close(root);
	return r < 0 ? CTL_FAILED : CTL_OK;
}

const struct ctl_command ctl_command_hook = {
	.name = "hook",
	.arguments = "ldcache",
	.min = 1,
	.max = 1,
	.summary = "What container runtimes call (OCI hook createContainer)",
	.options =
		(const struct ctl_option[]){
			[HOOK_FOLDER] = { "folder", "DIR",
					  "the libraries' directory in the container" },
			[HOOK_ROOT] = { "root", "DIR",
					"the container's root, not the one named on stdin" },
			{ 0 } },
	.run = hook,
	.hidden = true,
};
