/* SPDX-License-Identifier: MIT */
/* smi_gpu.c - devices and their users, read from the nodes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cuse_dev/ctl/ctl.h"
#include "cuse_dev/ctl/smi.h"

#define MOST_CLIENTS 65536 /* of a daemon that is right in its mind */

/* ---- opening -------------------------------------------------------------------------------- */

static int greet(struct smi_gpu *g)
{
	g->hello = (struct vgpu_hello){ .magic = VGPU_MAGIC,
					.version_major = VGPU_VERSION_MAJOR,
					.version_minor = VGPU_VERSION_MINOR,
					.features = VGPU_FEATURE_TELEMETRY };
	if (ioctl(g->fd, VGPU_IOC(HELLO), &g->hello) < 0)
		return -errno;
	if (!(g->hello.features & VGPU_FEATURE_TELEMETRY))
		return -ENOTSUP;
	if (ioctl(g->fd, VGPU_IOC(DEVICE_INFO), &g->info) < 0 ||
	    ioctl(g->fd, VGPU_IOC(BOARD_INFO), &g->board) < 0)
		return -errno;
	return 0;
}

static int open_one(const char *dir, uint32_t n, struct smi_gpu *g)
{
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/nvidia-vgpu%u", dir, n);
	*g = (struct smi_gpu){ .chosen = true };
	g->fd = open(path, O_RDWR | O_CLOEXEC);
	if (g->fd < 0)
		return -errno;
	r = greet(g);
	if (r < 0)
		close(g->fd);
	return r;
}

int smi_open(struct smi *smi)
{
	const char *dir = secure_getenv("VGPU_NODE_DIR");
	int error = -ENOENT, r;
	uint32_t n;

	smi->count = 0;
	for (n = 0; n < VGPU_MAX_DEVICES; n++) {
		r = open_one(dir && *dir ? dir : "/dev", n, &smi->gpu[smi->count]);
		if (!r) {
			smi->gpu[smi->count].number = smi->count;
			smi->count++;
		} else if (r != -ENOENT) {
			error = r;
		}
	}
	if (smi->count)
		return SMI_OK;
	if (error == -EACCES || error == -EPERM) {
		fprintf(stderr, "Failed to initialize: Insufficient Permissions\n");
		return SMI_NO_PERMISSION;
	}
	fprintf(stderr,
		"NVIDIA-SMI has failed because it couldn't communicate with the virtual GPU (%s).\n"
		"\"vgpuctl doctor\" finds out why.\n",
		strerror(-error));
	return SMI_NO_DRIVER;
}

void smi_close(struct smi *smi)
{
	uint32_t i;

	for (i = 0; i < smi->count; i++) {
		close(smi->gpu[i].fd);
		free(smi->gpu[i].client);
	}
	smi->count = 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/*
 * Those with a context; whoever only looks, as we do, is no user. What our pid namespace does not
 * show is left out, as NVIDIA's driver does.
 */
static int keep_users(struct smi_gpu *g, const struct vgpu_client_list *list)
{
	uint32_t i, n = list->count < VGPU_CLIENT_ENTRIES ? list->count : VGPU_CLIENT_ENTRIES;
	struct vgpu_client_entry *more;

	more = reallocarray(g->client, g->client_count + n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	g->client = more;
	for (i = 0; i < n; i++) {
		if (!list->entry[i].contexts || !list->entry[i].pid)
			continue;
		more[g->client_count] = list->entry[i];
		more[g->client_count++].name[VGPU_CLIENT_NAME - 1] = '\0';
	}
	return 0;
}

static int read_users(struct smi_gpu *g)
{
	struct vgpu_client_list list = { 0 };
	int r;

	g->client_count = 0;
	do {
		list.kind = VGPU_CLIENTS_LIVE;
		if (ioctl(g->fd, VGPU_IOC(CLIENT_LIST), &list) < 0)
			return -errno;
		r = keep_users(g, &list);
		if (r < 0)
			return r;
		if (list.count && list.count <= VGPU_CLIENT_ENTRIES)
			list.after = list.entry[list.count - 1].serial;
	} while (list.more && list.count && g->client_count < MOST_CLIENTS);
	return 0;
}

int smi_read(struct smi *smi)
{
	uint32_t i;
	int r;

	for (i = 0; i < smi->count; i++) {
		struct smi_gpu *g = &smi->gpu[i];

		r = ioctl(g->fd, VGPU_IOC(DEVICE_STATE), &g->state) < 0 ? -errno : read_users(g);
		if (r < 0) {
			fprintf(stderr,
				"Unable to determine the device handle for GPU%u: %s\n"
				"\"vgpuctl doctor\" finds out why.\n",
				g->number, strerror(-r));
			return SMI_NO_DRIVER;
		}
	}
	return SMI_OK;
}

/* ---- names ---------------------------------------------------------------------------------- */

void smi_uuid(const struct smi_gpu *g, char buf[48])
{
	const uint8_t *u = g->info.uuid;
	char *to = buf;
	int i;

	to += sprintf(to, "GPU");
	for (i = 0; i < 16; i++)
		to += sprintf(to,
			      i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
			      u[i]);
}

void smi_bus_id(const struct smi_gpu *g, char buf[24])
{
	snprintf(buf, 24, "%08X:%02X:%02X.0", g->info.pci_domain, g->info.pci_bus,
		 g->info.pci_device);
}

/* "0", "GPU-...", "00000000:01:00.0" or shorter, as "1:00.0" with its zeros left out. */
static bool is_called(const struct smi_gpu *g, const char *id)
{
	unsigned domain, bus, device, function;
	char uuid[48];
	uint64_t n;

	smi_uuid(g, uuid);
	if (ctl_number(id, UINT32_MAX, &n))
		return n == g->number;
	if (!strcasecmp(id, uuid))
		return true;
	if (sscanf(id, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4) {
		domain = 0;
		if (sscanf(id, "%x:%x.%x", &bus, &device, &function) != 3)
			return false;
	}
	return domain == g->info.pci_domain && bus == g->info.pci_bus &&
	       device == g->info.pci_device && !function;
}

int smi_choose(struct smi *smi, const char *list)
{
	char copy[1024], *id, *save = NULL;
	uint32_t i;
	bool known;

	for (i = 0; i < smi->count; i++)
		smi->gpu[i].chosen = !list;
	if (!list)
		return SMI_OK;
	snprintf(copy, sizeof(copy), "%s", list);
	for (id = strtok_r(copy, ",", &save); id; id = strtok_r(NULL, ",", &save)) {
		known = false;
		for (i = 0; i < smi->count; i++) {
			if (is_called(&smi->gpu[i], id))
				known = smi->gpu[i].chosen = true;
		}
		if (!known) {
			fprintf(stderr, "No devices were found: there is no \"%s\"\n", id);
			return SMI_NOT_FOUND;
		}
	}
	return SMI_OK;
}
