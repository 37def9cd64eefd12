/* SPDX-License-Identifier: MIT */
/*
 * glue.h - what both doors share of libfuse: its session in our loop, requests in, replies out.
 */
#ifndef DOOR_GLUE_H
#define DOOR_GLUE_H

#define FUSE_USE_VERSION 35
#include <fuse3/fuse_lowlevel.h>

#include "cuse_dev/door/door.h"
#include "cuse_dev/session/loop.h"

struct door {
	const struct door_ops *ops;
	struct front *front;
	uint32_t device;
	char *path;
	bool ready;
	struct fuse_session *se;
	struct loop_source src;
	struct fuse_buf buf; /* libfuse's, kept between requests */
};

int glue_create(const struct door_ops *ops, struct front *f, uint32_t device, const char *path,
		struct door **ret_door);
/** glue_start() - d->se has its descriptor: serve it. */
int glue_start(struct door *d);
/** glue_stop() - no more requests are taken; d->se is still there. */
void glue_stop(struct door *d);
void glue_destroy(struct door *d);

void glue_init(struct fuse_conn_info *conn);
void glue_open(fuse_req_t req, struct fuse_file_info *fi);
void glue_release(fuse_req_t req, struct fuse_file_info *fi);
void glue_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi);
void glue_write(fuse_req_t req, const char *data, size_t size, off_t off,
		struct fuse_file_info *fi);
void glue_ioctl(fuse_req_t req, uint32_t cmd, struct fuse_file_info *fi, unsigned flags,
		const void *in, size_t in_bytes, size_t out_bytes);

#endif
