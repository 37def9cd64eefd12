/* SPDX-License-Identifier: MIT */
/*
 * cuse.c - a real character device, made by the kernel through /dev/cuse.
 *
 * The node appears when the kernel has accepted our description of it, and goes with our
 * descriptor. Its permissions come from udev where there is one; until then, and without, from
 * here.
 */
#include "cuse_dev/door/glue.h"

#include <fuse3/cuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"

#define CUSE "/dev/cuse"

static void dev_init(void *userdata, struct fuse_conn_info *conn)
{
	glue_init(conn);
}

static void dev_init_done(void *userdata)
{
	struct door *d = userdata;
	uint32_t mode;
	gid_t gid;

	front_device_mode(d->front, d->device, &mode, &gid);
	if (chown(d->path, 0, gid) < 0 || chmod(d->path, mode) < 0)
		log_warn("%s: %s; the kernel made the device, but its node is not here", d->path,
			 strerror(errno));
	d->ready = true;
}

static void dev_ioctl(fuse_req_t req, int cmd, void *arg, struct fuse_file_info *fi,
		      unsigned int flags, const void *in, size_t in_bytes, size_t out_bytes)
{
	glue_ioctl(req, (uint32_t)cmd, fi, flags, in, in_bytes, out_bytes);
}

static const struct cuse_lowlevel_ops dev_ops = {
	.init = dev_init,
	.init_done = dev_init_done,
	.open = glue_open,
	.release = glue_release,
	.read = glue_read,
	.write = glue_write,
	.ioctl = dev_ioctl,
};

int door_cuse_here(void)
{
	int fd = open(CUSE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* libfuse takes an open descriptor in the form of a mount point. */
static int attach(struct door *d)
{
	char name[256], place[32];
	const char *info[] = { name };
	struct cuse_info ci = { .dev_info_argc = 1, .dev_info_argv = info };
	char *argv[] = { "vgpu-cuse", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int fd, r;

	snprintf(name, sizeof(name), "DEVNAME=%s", strrchr(d->path, '/') + 1);
	d->se = cuse_lowlevel_new(&args, &ci, &dev_ops, d);
	fuse_opt_free_args(&args);
	if (!d->se)
		return -ENOMEM;
	fd = open(CUSE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		log_error(CUSE ": %s; load the module (modprobe cuse), or take --door=fuse",
			  strerror(-r));
		return r;
	}
	snprintf(place, sizeof(place), "/dev/fd/%d", fd);
	if (fuse_session_mount(d->se, place) < 0) {
		close(fd);
		return -EIO;
	}
	return 0;
}

static void cuse_close(struct door *d)
{
	glue_stop(d);
	if (d->se)
		fuse_session_destroy(d->se); /* closes the descriptor, which removes the device */
	glue_destroy(d);
}

static int cuse_open(struct front *f, uint32_t device, const char *path, struct door **ret_door)
{
	struct door *d;
	int r;

	r = door_clear_node(path);
	if (r < 0)
		return r;
	r = glue_create(&door_cuse, f, device, path, &d);
	if (r < 0)
		return r;
	r = attach(d);
	if (r >= 0)
		r = glue_start(d);
	if (r < 0) {
		log_error("%s: the cuse door cannot be opened: %s", path, strerror(-r));
		cuse_close(d);
		return r;
	}
	*ret_door = d;
	return 0;
}

const struct door_ops door_cuse = {
	.name = "cuse",
	.open = cuse_open,
	.close = cuse_close,
};
