/* SPDX-License-Identifier: MIT */
/*
 * fuse.c - a file system of one file: its root is a regular file, mounted on the node.
 *
 * The mount point is an empty regular file that the daemon makes and removes. For kernels and
 * containers without CUSE. The kernel copies ioctl arguments by their size for files as it does for
 * CUSE devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/door/glue.h"

#define FUSE	     "/dev/fuse"
#define ATTR_SECONDS 3600.0 /* the attributes never change */
#define OPTIONS	     "default_permissions,fsname=vgpu-cuse,subtype=vgpu"

static void fill_attr(const struct door *d, struct stat *st)
{
	uint32_t mode;
	gid_t gid;

	front_device_mode(d->front, d->device, &mode, &gid);
	*st = (struct stat){ .st_ino = FUSE_ROOT_ID,
			     .st_mode = S_IFREG | mode,
			     .st_nlink = 1,
			     .st_uid = geteuid(),
			     .st_gid = gid };
}

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	struct door *d = userdata;

	glue_init(conn);
	d->ready = true;
}

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	fill_attr(fuse_req_userdata(req), &st);
	fuse_reply_attr(req, &st, ATTR_SECONDS);
}

/* open(O_TRUNC) asks for size 0, which it has; a device's mode is the configuration's matter. */
static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct stat st;

	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID) ||
	    (to_set & FUSE_SET_ATTR_SIZE && attr->st_size)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	fill_attr(fuse_req_userdata(req), &st);
	fuse_reply_attr(req, &st, ATTR_SECONDS);
}

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	glue_open(req, fi);
}

static void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	glue_release(req, fi);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	glue_read(req, size, off, fi);
}

static void fs_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	glue_write(req, data, size, off, fi);
}

static void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_bytes,
		     size_t out_bytes)
{
	glue_ioctl(req, cmd, fi, flags, in, in_bytes, out_bytes);
}

static const struct fuse_lowlevel_ops fs_ops = {
	.init = fs_init,
	.getattr = fs_getattr,
	.setattr = fs_setattr,
	.open = fs_open,
	.release = fs_release,
	.read = fs_read,
	.write = fs_write,
	.ioctl = fs_ioctl,
};

static int make_file(const char *path)
{
	int fd, r;

	r = door_clear_node(path);
	if (r < 0)
		return r;
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* libfuse and its helper say little about it, and the error that comes out is another. */
static int check_fuse(void)
{
	int fd = open(FUSE, O_RDWR | O_CLOEXEC), r;

	if (fd < 0) {
		r = -errno;
		log_error(FUSE ": %s; load the module (modprobe fuse), or give the container the "
			       "device",
			  strerror(-r));
		return r;
	}
	close(fd);
	return 0;
}

static int mount_with(struct door *d, const char *options)
{
	char *argv[] = { "vgpu-cuse", "-o", (char *)(uintptr_t)options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	d->se = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), d);
	fuse_opt_free_args(&args);
	if (!d->se)
		return -ENOMEM;
	if (fuse_session_mount(d->se, d->path) == 0)
		return 0;
	fuse_session_destroy(d->se);
	d->se = NULL;
	return -EPERM; /* libfuse has said why */
}

static void fuse_close(struct door *d)
{
	glue_stop(d);
	if (d->se) {
		fuse_session_unmount(d->se);
		fuse_session_destroy(d->se);
	}
	if (unlink(d->path) < 0 && errno != ENOENT)
		log_warn("%s: %s", d->path, strerror(errno));
	glue_destroy(d);
}

static int fuse_open(struct front *f, uint32_t device, const char *path, struct door **ret_door)
{
	struct door *d;
	int r;

	r = check_fuse();
	if (r < 0)
		return r;
	r = make_file(path);
	if (r < 0) {
		log_error("%s: %s", path, strerror(-r));
		return r;
	}
	r = glue_create(&door_fuse, f, device, path, &d);
	if (r < 0) {
		unlink(path);
		return r;
	}
	r = mount_with(d, "allow_other," OPTIONS);
	if (r < 0 && geteuid()) {
		log_notice("%s: for other users, put user_allow_other into /etc/fuse.conf", path);
		r = mount_with(d, OPTIONS);
	}
	if (r >= 0)
		r = glue_start(d);
	if (r < 0) {
		log_error("%s: the fuse door cannot be opened: %s", path, strerror(-r));
		fuse_close(d);
		return r;
	}
	*ret_door = d;
	return 0;
}

const struct door_ops door_fuse = {
	.name = "fuse",
	.open = fuse_open,
	.close = fuse_close,
};
