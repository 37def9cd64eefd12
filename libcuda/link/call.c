/* SPDX-License-Identifier: MIT */
/*
 * call.c - operations and bulk bytes over the node.
 *
 * Signals: an operation that was interrupted may or may not have happened, and most cannot be done
 * twice. So signals are kept away from the thread for the short time that an operation takes; a
 * fatal one takes effect right after. Waits for the device's work never sit here: see ring.c.
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

/*
 * One transfer. The node of the CUSE door never sees the offset of a call (the kernel passes 0), so
 * the place is said before, for the whole open file, and transfers take turns.
 */
static ssize_t transfer(struct link_dev *dev, uint64_t offset, void *buf, size_t bytes,
			bool writing)
{
	struct vgpu_bulk_base req = { .base = offset };
	ssize_t n;
	int r;

	pthread_mutex_lock(&dev->bulk_lock);
	do {
		r = link_call_raw(dev, VGPU_OP_BULK_BASE, &req, sizeof(req));
		if (r < 0) {
			n = r;
			break;
		}
		n = writing ? pwrite(dev->fd, buf, bytes, 0) : pread(dev->fd, buf, bytes, 0);
		if (n < 0)
			n = translate(errno);
	} while (n == -EINTR);
	pthread_mutex_unlock(&dev->bulk_lock);
	return n;
}

int link_read(struct link_dev *dev, uint64_t offset, void *buf, size_t bytes)
{
	uint8_t *p = buf;

	while (bytes) {
		ssize_t n = transfer(dev, offset, p, bytes, false);

		if (n <= 0)
			return n ? (int)n : -EFAULT;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int link_write(struct link_dev *dev, uint64_t offset, const void *buf, size_t bytes)
{
	const uint8_t *p = buf;

	while (bytes) {
		ssize_t n = transfer(dev, offset, (void *)(uintptr_t)p, bytes, true);

		if (n <= 0)
			return n ? (int)n : -EFAULT;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}
