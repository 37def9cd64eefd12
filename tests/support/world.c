/* SPDX-License-Identifier: MIT */
/*
 * world.c - an installed machine in a mount namespace. See world.h.
 *
 *	/dev		tmpfs with the usual nodes bound into it
 *	/run		tmpfs
 *	/run/world	copies of programs, of libcuda.so.1 and libnvidia-ml.so.1, readable by everyone
 *	/etc/ld.so.cache	one in which /run/world/lib comes first
 */
#include "support/world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.h"
#include "support/paths.h"

#define WORLD	  "/run/world"
#define WORLD_LIB WORLD "/lib"
#define WORLD_DEV WORLD "/host-dev"

static const char *const usual_nodes[] = { "null",    "zero", "full", "random",
					   "urandom", "tty",  "fuse" };

static int complain(const char *what, int r)
{
	fprintf(stderr, "world: %s: %s\n", what, strerror(-r));
	return r;
}

static int bind_file(const char *from, const char *to)
{
	int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	close(fd);
	return mount(from, to, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int copy_file(const char *from, const char *to, mode_t mode)
{
	struct stat st;
	int in, out, r = 0;
	off_t left;
	ssize_t n;

	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return -errno;
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (out < 0 || fstat(in, &st) < 0) {
		r = -errno;
		goto close_in;
	}
	for (left = st.st_size; left > 0; left -= n) {
		n = sendfile(out, in, NULL, (size_t)left);
		if (n <= 0) {
			r = n < 0 ? -errno : -EIO;
			break;
		}
	}
	if (r == 0 && fchmod(out, mode) < 0)
		r = -errno;
close_in:
	if (out >= 0)
		close(out);
	close(in);
	return r;
}

/* A /dev without the host's GPUs. */
static int make_dev(void)
{
	char from[64], to[64];
	size_t i;
	int r;

	if (mkdir(WORLD_DEV, 0755) < 0 ||
	    mount("/dev", WORLD_DEV, NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mount("vgpu-dev", "/dev", "tmpfs", MS_NOSUID, "mode=0755") < 0)
		return -errno;
	for (i = 0; i < sizeof(usual_nodes) / sizeof(usual_nodes[0]); i++) {
		snprintf(from, sizeof(from), WORLD_DEV "/%s", usual_nodes[i]);
		snprintf(to, sizeof(to), "/dev/%s", usual_nodes[i]);
		if (access(from, F_OK) < 0)
			continue;
		r = bind_file(from, to);
		if (r < 0)
			return r;
	}
	if (mkdir("/dev/shm", 01777) < 0 || chmod("/dev/shm", 01777) < 0 ||
	    mount("vgpu-shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
		return -errno;
	if (symlink("/proc/self/fd", "/dev/fd") < 0)
		return -errno;
	return umount2(WORLD_DEV, MNT_DETACH) < 0 ? -errno : 0;
}

static int run(const char *const *argv)
{
	struct support_child_spec spec = { .argv = argv };
	struct support_child_result res;
	int r;

	r = support_child_run(&spec, &res);
	if (r < 0)
		return r;
	if (res.code != 0) {
		fprintf(stderr, "world: %s: %s%s\n", argv[0], res.out, res.err);
		r = -EIO;
	}
	support_child_result_free(&res);
	return r;
}

/* The loader's cache as an installed package leaves it: our directory first. */
static int make_loader_cache(void)
{
	static const char *const argv[] = {
		"/sbin/ldconfig", "-X", "-f", WORLD "/ld.so.conf", "-C", WORLD "/ld.so.cache", NULL
	};
	FILE *f;
	int r;

	r = copy_file(support_path_libcuda(), WORLD_LIB "/libcuda.so.1", 0755);
	if (r < 0)
		return r;
	if (support_path_libnvml()) {
		r = copy_file(support_path_libnvml(), WORLD_LIB "/libnvidia-ml.so.1", 0755);
		if (r < 0)
			return r;
	}
	f = fopen(WORLD "/ld.so.conf", "we");
	if (!f)
		return -errno;
	fprintf(f, "%s\ninclude /etc/ld.so.conf\n", WORLD_LIB);
	if (fclose(f))
		return -errno;
	r = run(argv);
	if (r < 0)
		return r;
	return bind_file(WORLD "/ld.so.cache", "/etc/ld.so.cache");
}

int support_world_enter(void)
{
	static int entered = 1;
	int r;

	if (entered <= 0)
		return entered;
	entered = -EIO;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return complain("mount namespace", -errno);
	if (mount("vgpu-run", "/run", "tmpfs", MS_NOSUID, "mode=0755") < 0 ||
	    mkdir(WORLD, 0755) < 0 || mkdir(WORLD_LIB, 0755) < 0 || mkdir(WORLD "/bin", 0755) < 0)
		return complain("/run", -errno);
	r = make_dev();
	if (r < 0)
		return complain("/dev", r);
	r = make_loader_cache();
	if (r < 0)
		return complain("loader cache", r);
	entered = 0;
	return 0;
}

const char *support_world_dir(void)
{
	return WORLD;
}

const char *support_world_program(const char *path)
{
	const char *name = strrchr(path, '/');
	char *to = NULL;
	int r;

	if (asprintf(&to, "%s/bin/%s", WORLD, name ? name + 1 : path) < 0)
		return NULL;
	if (access(to, X_OK) == 0)
		return to;
	r = copy_file(path, to, 0755);
	if (r < 0) {
		complain(path, r);
		free(to);
		return NULL;
	}
	return to;
}

int support_world_daemon(const struct support_daemon_options *opt,
			 struct support_daemon **ret_daemon)
{
	struct support_daemon_options o = { 0 };

	if (opt)
		o = *opt;
	if (!o.node_dir)
		o.node_dir = "/dev";
	if (!o.program)
		o.program = support_world_program(support_path_daemon());
	if (!o.worker)
		o.worker = support_world_program(support_path_worker());
	if (!o.program || !o.worker)
		return -ENOENT;
	return support_daemon_start(&o, ret_daemon);
}
