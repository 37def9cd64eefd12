/* SPDX-License-Identifier: MIT */
/*
 * echo_door.c - the least a FUSE door can do: one file that answers every ioctl with its own input.
 *
 * The benchmark compares the daemon's queries and launches with this. Runs in the foreground until
 * SIGTERM; argument: a regular file to mount on.
 */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void echo_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = { .st_ino = FUSE_ROOT_ID, .st_mode = S_IFREG | 0666, .st_nlink = 1 };

	(void)ino;
	(void)fi;
	fuse_reply_attr(req, &st, 3600.0);
}

static void echo_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->direct_io = 1;
	fuse_reply_open(req, fi);
}

static void echo_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		       struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		       size_t out_size)
{
	(void)ino;
	(void)cmd;
	(void)arg;
	(void)fi;
	if (flags & FUSE_IOCTL_UNRESTRICTED)
		fuse_reply_err(req, ENOSYS);
	else
		fuse_reply_ioctl(req, 0, in, in_size < out_size ? in_size : out_size);
}

static const struct fuse_lowlevel_ops ops = {
	.getattr = echo_getattr,
	.open = echo_open,
	.ioctl = echo_ioctl,
};

int main(int argc, char **argv)
{
	char *fuse_argv[] = { argv[0], (char *)"-oallow_other", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, fuse_argv);
	struct fuse_session *se;
	int r = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!se)
		return 1;
	if (fuse_set_signal_handlers(se) == 0) {
		if (fuse_session_mount(se, argv[1]) == 0) {
			r = fuse_session_loop(se) < 0;
			fuse_session_unmount(se);
		}
		fuse_remove_signal_handlers(se);
	}
	fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	return r;
}
