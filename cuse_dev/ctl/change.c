/* SPDX-License-Identifier: MIT */
/* change.c - add, remove, evict, quota: what an administrator does to a running daemon. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/ctl/ctl.h"
#include "ioctl/vgpu_ioctl.h"

#define NODE_SECONDS 10
#define NODE_POLL_NS 10000000
#define CHANGES_FADE                                                                               \
	"A change lasts until the daemon ends; what is to stay belongs into\n"                     \
	"/etc/vgpu/vgpu.conf.\n"

static int device_number(const char *text, uint64_t *ret_n)
{
	if (ctl_number(text, VGPU_MAX_DEVICES - 1, ret_n))
		return CTL_OK;
	ctl_error("device \"%s\": want a number from 0 to %d", text, VGPU_MAX_DEVICES - 1);
	return CTL_USAGE;
}

static int print_answer(const struct ctl *ctl, json_t *answer)
{
	int r = CTL_OK;

	json_object_del(answer, "ok");
	if (ctl->json)
		r = ctl_print_json(answer);
	json_decref(answer);
	return r;
}

/* ---- add ------------------------------------------------------------------------------------ */

static int greet(const char *node)
{
	struct vgpu_hello h = { .magic = VGPU_MAGIC,
				.version_major = VGPU_VERSION_MAJOR,
				.version_minor = VGPU_VERSION_MINOR };
	int fd = open(node, O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = ioctl(fd, VGPU_IOC(HELLO), &h) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* The kernel takes it a moment later than the daemon says so; who comes next should find it. */
static int wait_for_node(const char *node)
{
	const struct timespec pause = { .tv_nsec = NODE_POLL_NS };
	int i, r = -ETIMEDOUT;

	for (i = 0; i < NODE_SECONDS * (1000000000 / NODE_POLL_NS); i++) {
		r = greet(node);
		if (!r || r == -EACCES || r == -EPERM)
			return CTL_OK;
		nanosleep(&pause, NULL);
	}
	ctl_error(
		"%s: the device was added, but its node does not answer: %s; see the daemon's log",
		node, strerror(-r));
	return CTL_FAILED;
}

static int add(const struct ctl *ctl, const struct ctl_args *a)
{
	json_t *answer;
	int r = ctl_call(ctl, json_pack("{s:s, s:s}", "op", "add", "device", a->word[0]), &answer);

	if (r)
		return r;
	r = wait_for_node(ctl_text(answer, "node"));
	if (!ctl->json)
		printf("device %lld: %s\n", (long long)ctl_get(answer, "device", NULL),
		       ctl_text(answer, "node"));
	return print_answer(ctl, answer) ? CTL_FAILED : r;
}

const struct ctl_command ctl_command_add = {
	.name = "add",
	.arguments = "PROFILE[,KEY=VALUE]...",
	.min = 1,
	.max = 1,
	.summary = "Add a device",
	.text = "For example \"vgpuctl add T4,memory=4G,mode=0660,group=render\". The keys are "
		"those of\n"
		"a [device] section in vgpu.conf(5); \"vgpuctl profiles\" lists the profiles.\n"
		"Programs that run already do not see it: CUDA counts devices once.\n" CHANGES_FADE,
	.run = add,
};

/* ---- remove --------------------------------------------------------------------------------- */

enum { REMOVE_FORCE };

static int remove_device(const struct ctl *ctl, const struct ctl_args *a)
{
	json_t *answer;
	uint64_t n;
	int r = device_number(a->word[0], &n);

	if (r)
		return r;
	r = ctl_call(ctl,
		     json_pack("{s:s, s:I, s:b}", "op", "remove", "device", (json_int_t)n, "force",
			       a->value[REMOVE_FORCE] != NULL),
		     &answer);
	if (r)
		return r;
	if (!ctl->json)
		printf("device %llu is gone; %lld clients were evicted\n", (unsigned long long)n,
		       (long long)ctl_get(answer, "evicted", NULL));
	return print_answer(ctl, answer);
}

const struct ctl_command ctl_command_remove = {
	.name = "remove",
	.arguments = "DEVICE",
	.min = 1,
	.max = 1,
	.summary = "Remove a device, the one with the highest number",
	.text = "Devices are numbered without gaps, so they go from the end. A program that uses "
		"CUDA\n"
		"has all devices open; see \"vgpuctl clients\".\n" CHANGES_FADE,
	.options =
		(const struct ctl_option[]){
			[REMOVE_FORCE] = { "force", NULL, "evict the clients that use it" },
			{ 0 } },
	.run = remove_device,
};

/* ---- evict ---------------------------------------------------------------------------------- */

enum { EVICT_CLIENT };

static int evict(const struct ctl *ctl, const struct ctl_args *a)
{
	bool by_number = a->value[EVICT_CLIENT] != NULL;
	char size[24];
	json_t *answer;
	uint64_t n;
	int r;

	if (!ctl_number(a->word[0], INT64_MAX, &n) || !n) {
		ctl_error("\"%s\": want the number of a %s", a->word[0],
			  by_number ? "client" : "process");
		return CTL_USAGE;
	}
	r = ctl_call(
		ctl,
		json_pack("{s:s, s:I}", "op", "evict", by_number ? "client" : "pid", (json_int_t)n),
		&answer);
	if (r)
		return r;
	if (!ctl->json)
		printf("%s %llu is evicted; %s of device memory are free again\n",
		       by_number ? "client" : "process", (unsigned long long)n,
		       ctl_size((uint64_t)ctl_get(answer, "freed", NULL), size));
	return print_answer(ctl, answer);
}

const struct ctl_command ctl_command_evict = {
	.name = "evict",
	.arguments = "PID",
	.min = 1,
	.max = 1,
	.summary = "Take the devices away from a process",
	.text = "Its worker ends and its device memory is free again. The process goes on, and "
		"sees\n"
		"error 719 as after a fatal fault of the hardware until it ends.\n",
	.options =
		(const struct ctl_option[]){ [EVICT_CLIENT] = { "client", NULL,
								"PID is a client's number, as "
								"\"clients\" shows in brackets" },
					     { 0 } },
	.run = evict,
};

/* ---- quota ---------------------------------------------------------------------------------- */

enum { QUOTA_MEMORY, QUOTA_CLIENTS };

static int quota(const struct ctl *ctl, const struct ctl_args *a)
{
	const char *memory = a->value[QUOTA_MEMORY], *clients = a->value[QUOTA_CLIENTS];
	char size[24];
	json_t *answer, *request;
	uint64_t n;
	int r = device_number(a->word[0], &n);

	if (r)
		return r;
	if (!memory && !clients) {
		ctl_error("quota: wants --memory, --clients, or both");
		return CTL_USAGE;
	}
	request = json_pack("{s:s, s:I, s:s*, s:s*}", "op", "quota", "device", (json_int_t)n,
			    "memory", memory, "clients", clients);
	r = ctl_call(ctl, request, &answer);
	if (r)
		return r;
	if (!ctl->json)
		printf("device %llu, each user: %s of memory, %lld processes (0: no limit)\n",
		       (unsigned long long)n,
		       ctl_size((uint64_t)ctl_get(answer, "memory", NULL), size),
		       (long long)ctl_get(answer, "clients", NULL));
	return print_answer(ctl, answer);
}

const struct ctl_command ctl_command_quota = {
	.name = "quota",
	.arguments = "DEVICE",
	.min = 1,
	.max = 1,
	.summary = "Limit what each user can have of a device",
	.text = "Who has more already keeps it, and gets no more.\n" CHANGES_FADE,
	.options =
		(const struct ctl_option[]){
			[QUOTA_MEMORY] = { "memory", "SIZE",
					   "device memory, such as 8G; 0: no limit" },
			[QUOTA_CLIENTS] = { "clients", "N", "processes; 0: no limit" },
			{ 0 } },
	.run = quota,
};
