/* SPDX-License-Identifier: MIT */
/*
 * node.c - opening the nodes, and operations on them.
 *
 * A process may use the CUDA driver as well; the window of addresses that its greeting names is left
 * alone here (base 0). Programs that watch devices run for months, so a daemon that has been
 * restarted since is found again by the next question.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libcuda/core/visible.h"
#include "libcuda/nvml/nv.h"

/* Descriptors lie above the numbers that programs close in loops or expect to be free. */
#define FD_FLOOR 100

static int call_once(int fd, unsigned int op, void *arg, size_t size)
{
	unsigned long cmd = _IOC(_IOC_READ | _IOC_WRITE, VGPU_IOC_TYPE, op, size);
	sigset_t all, old;
	int r, err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	do {
		r = ioctl(fd, cmd, arg);
		if (r < 0)
			err = errno;
	} while (r < 0 && err == EINTR);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r < 0 ? -err : 0;
}

static int greet(nvmlDevice_t d)
{
	struct vgpu_hello hello = {
		.magic = VGPU_MAGIC,
		.version_major = VGPU_VERSION_MAJOR,
		.version_minor = VGPU_VERSION_MINOR,
		.features = VGPU_FEATURE_TELEMETRY,
	};
	int r;

	r = call_once(d->fd, VGPU_OP_HELLO, &hello, sizeof(hello));
	if (r < 0)
		return r;
	if (hello.version_major != VGPU_VERSION_MAJOR || !(hello.features & VGPU_FEATURE_TELEMETRY))
		return -EPROTONOSUPPORT;
	d->daemon = hello.device;
	d->driver_version = hello.driver_version;
	memcpy(d->driver_string, hello.driver_string, sizeof(d->driver_string));
	d->driver_string[sizeof(d->driver_string) - 1] = 0;
	r = call_once(d->fd, VGPU_OP_DEVICE_INFO, &d->info, sizeof(d->info));
	if (r < 0)
		return r;
	d->info.name[sizeof(d->info.name) - 1] = 0;
	cu_visible_uuid_text(d->info.uuid, d->uuid);
	r = call_once(d->fd, VGPU_OP_BOARD_INFO, &d->board, sizeof(d->board));
	d->board.vbios[sizeof(d->board.vbios) - 1] = 0;
	return r;
}

static int open_node(nvmlDevice_t d)
{
	const char *dir = secure_getenv("VGPU_NODE_DIR");
	char path[4096];
	int fd, up, r;

	r = snprintf(path, sizeof(path), "%s/nvidia-vgpu%u", dir && *dir ? dir : VGPU_NODE_DIR,
		     d->node);
	if (r < 0 || (size_t)r >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	up = fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);
	if (up >= 0) {
		close(fd);
		fd = up;
	}
	d->fd = fd;
	r = greet(d);
	if (r < 0)
		nv_close(d);
	return r;
}

void nv_close(nvmlDevice_t d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int nv_call(nvmlDevice_t d, unsigned int op, void *arg, size_t size)
{
	char uuid[sizeof(d->uuid)];
	int r = d->fd < 0 ? -ENODEV : call_once(d->fd, op, arg, size);

	if (r != -ENOTCONN && r != -ECONNABORTED && r != -ENODEV && r != -ENXIO)
		return r;
	memcpy(uuid, d->uuid, sizeof(uuid));
	nv_close(d);
	r = open_node(d);
	if (r < 0)
		return -ENODEV;
	if (memcmp(uuid, d->uuid, sizeof(uuid))) {
		nv_close(d); /* another device is there now: it gets its handle by a new nvmlInit */
		memcpy(d->uuid, uuid, sizeof(uuid));
		return -ENODEV;
	}
	return call_once(d->fd, op, arg, size);
}

static int by_address(const void *a, const void *b)
{
	const struct vgpu_device_info *x = &((const struct nvmlDevice_st *)a)->info;
	const struct vgpu_device_info *y = &((const struct nvmlDevice_st *)b)->info;

	if (x->pci_domain != y->pci_domain)
		return x->pci_domain < y->pci_domain ? -1 : 1;
	if (x->pci_bus != y->pci_bus)
		return x->pci_bus < y->pci_bus ? -1 : 1;
	return x->pci_device < y->pci_device ? -1 : x->pci_device > y->pci_device;
}

nvmlReturn_t nv_open_all(struct nvmlDevice_st devices[VGPU_MAX_DEVICES], unsigned *ret_count)
{
	unsigned count = 0;
	int worst = -ENOENT, r;

	for (uint32_t node = 0; node < VGPU_MAX_DEVICES; node++) {
		devices[count] = (struct nvmlDevice_st){ .fd = -1, .node = node };
		r = open_node(&devices[count]);
		if (!r)
			count++;
		else if (worst == -ENOENT || r == -EACCES || r == -EPERM)
			worst = r;
	}
	if (!count)
		return worst == -ENOENT ? NVML_ERROR_DRIVER_NOT_LOADED : nv_error(worst);
	qsort(devices, count, sizeof(devices[0]), by_address);
	*ret_count = count;
	return NVML_SUCCESS;
}

nvmlReturn_t nv_error(int r)
{
	switch (r) {
	case 0:
		return NVML_SUCCESS;
	case -EACCES:
	case -EPERM:
		return NVML_ERROR_NO_PERMISSION;
	case -ENOMEM:
		return NVML_ERROR_MEMORY;
	case -EDQUOT:
	case -EMFILE:
	case -ENFILE:
		return NVML_ERROR_INSUFFICIENT_RESOURCES;
	case -EPROTONOSUPPORT:
	case -ENOTTY:
		return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
	case -ENODEV:
		return NVML_ERROR_GPU_IS_LOST;
	case -ENXIO:
	case -ENOTCONN:
	case -ECONNABORTED:
	case -ECONNREFUSED:
		return NVML_ERROR_DRIVER_NOT_LOADED; /* a node without a daemon */
	default:
		return NVML_ERROR_UNKNOWN;
	}
}
