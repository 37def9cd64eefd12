/* SPDX-License-Identifier: MIT */
/*
 * call.c - operations and bulk bytes over the node.
 *
 * Signals: an operation that was interrupted may or may not have happened, and most cannot be done
 * twice. So signals are kept away from the thread for the short time that an operation takes; a fatal
 * one takes effect right after. Waits for the device's work never sit here: see ring.c.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ioctl/ops.h"
#include "libcuda/link/internal.h"

/* What an aborted FUSE connection or a removed CUSE node answers: the daemon is no more. */
static int translate(int err)
{
	switch (err) {
	case ENOTCONN:
	case ECONNABORTED:
	case ENXIO:
		return -ENODEV;
	default:
		return -err;
	}
}

void link_mark_dead(struct link *l)
{
	__atomic_store_n(&l->dead, 1, __ATOMIC_RELEASE);
}

int link_call_raw(struct link_dev *dev, unsigned int nr, void *arg, size_t size)
{
	unsigned long cmd = _IOC(_IOC_READ | _IOC_WRITE, VGPU_IOC_TYPE, nr, size);
	sigset_t all, old;
	int r, err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	do {
		r = ioctl(dev->fd, cmd, arg);
		if (r < 0)
			err = errno;
	} while (r < 0 && err == EINTR);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r < 0 ? translate(err) : 0;
}

int link_call(struct link_dev *dev, unsigned int op, void *arg, size_t size)
{
	unsigned int nr = _IOC_NR(op);
	const struct ops_desc *desc = ops_find(nr);
	struct link *l = dev->link;
	int r;

	if (!desc)
		return -ENOTTY;
	if (size > desc->size || size > VGPU_MAX_PAYLOAD)
		return -E2BIG;
	if (desc->where == OPS_WORKER) {
		if (__atomic_load_n(&l->dead, __ATOMIC_ACQUIRE))
			return -ENODEV;
		r = link_start(l);
		if (r < 0)
			return r;
	}
	r = link_call_raw(dev, nr, arg, size);
	if (r == -ENODEV && desc->where == OPS_WORKER)
		link_mark_dead(l);
	return r;
}

int link_read(struct link_dev *dev, uint64_t offset, void *buf, size_t bytes)
{
	uint8_t *p = buf;

	while (bytes) {
		ssize_t n = pread(dev->fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return translate(errno);
		if (!n)
			return -EFAULT;
		p += n;
		offset += n;
		bytes -= n;
	}
	return 0;
}

int link_write(struct link_dev *dev, uint64_t offset, const void *buf, size_t bytes)
{
	const uint8_t *p = buf;

	while (bytes) {
		ssize_t n = pwrite(dev->fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return translate(errno);
		if (!n)
			return -EFAULT;
		p += n;
		offset += n;
		bytes -= n;
	}
	return 0;
}
