/* SPDX-License-Identifier: MIT */
/* job.c - messages and memfds. */
#include "cuse_dev/backend/soft/tier/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

union job_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

int job_send(int sock, const struct job_msg *msg, int fd, int dontwait)
{
	union job_control control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)msg, sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;
	ssize_t n;

	if (fd >= 0) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | (dontwait ? MSG_DONTWAIT : 0));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int job_receive(int sock, struct job_msg *ret_msg, int *ret_fd)
{
	union job_control control;
	struct job_msg m;
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	struct cmsghdr *cm;
	int fd = -1;
	ssize_t n;

	do
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno != ECONNRESET ? -errno : -EPIPE;
	cm = CMSG_FIRSTHDR(&mh);
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS &&
	    cm->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(cm), sizeof(int));
	if (n != sizeof(m) || mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		if (fd >= 0)
			close(fd);
		return -EPROTO;
	}
	m.text[sizeof(m.text) - 1] = '\0';
	*ret_msg = m;
	*ret_fd = fd;
	return 0;
}

int job_pack(const void *data, uint64_t bytes)
{
	uint64_t done = 0;
	int fd = memfd_create("vgpu-job", MFD_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (done < bytes) {
		n = write(fd, (const char *)data + done, bytes - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			return n < 0 ? -errno : -EIO;
		}
		done += (uint64_t)n;
	}
	return fd;
}

int job_unpack(int fd, uint64_t bytes, uint64_t max, void **ret_data)
{
	uint64_t done = 0;
	char *data;
	ssize_t n;

	if (fd < 0 || !bytes || bytes > max)
		return -EINVAL;
	data = malloc(bytes + 1);
	if (!data)
		return -ENOMEM;
	while (done < bytes) {
		n = pread(fd, data + done, bytes - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(data);
			return -EINVAL;
		}
		done += (uint64_t)n;
	}
	data[bytes] = '\0';
	*ret_data = data;
	return 0;
}

int job_key(const char *text, uint64_t bytes, const uint32_t block[3], struct store_key *ret_key)
{
	struct store_hash *h = store_hash_create();

	if (!h)
		return -ENOMEM;
	store_hash_add(h, block, 3 * sizeof(block[0]));
	store_hash_add(h, text, bytes);
	*ret_key = store_hash_end(h);
	return 0;
}
