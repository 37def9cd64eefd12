/* SPDX-License-Identifier: MIT */
/* faults.c - "vgpuctl faults": what broke, whose it was, and where in the kernel. */
#include "cuse_dev/ctl/ctl.h"

static void print_place(const json_t *f, const char *name, const char *key)
{
	const json_t *p = json_object_get(f, key);

	printf(", %s (%lld, %lld, %lld)", name, (long long)json_integer_value(json_array_get(p, 0)),
	       (long long)json_integer_value(json_array_get(p, 1)),
	       (long long)json_integer_value(json_array_get(p, 2)));
}

static void print_fault(const json_t *f)
{
	char when[40];

	printf("%s  device %lld  Xid %lld, error %lld  process %lld (%s), uid %lld\n",
	       ctl_time(ctl_get(f, "time_ns", NULL), when), (long long)ctl_get(f, "device", NULL),
	       (long long)ctl_get(f, "xid", NULL), (long long)ctl_get(f, "error", NULL),
	       (long long)ctl_get(f, "pid", NULL), ctl_text(f, "name"),
	       (long long)ctl_get(f, "uid", NULL));
	printf("    %s\n", ctl_text(f, "text"));
	if (!*ctl_text(f, "kernel"))
		return; /* a worker that died is in no kernel that we know */
	printf("    kernel %s", ctl_text(f, "kernel"));
	print_place(f, "block", "block");
	print_place(f, "thread", "thread");
	if (ctl_get(f, "ptx_line", NULL))
		printf(", PTX line %lld", (long long)ctl_get(f, "ptx_line", NULL));
	printf(", address %s\n", ctl_text(f, "address"));
}

/* All pages as one array. */
static int read_faults(FILE *file, json_t *all)
{
	const json_t *list;
	json_int_t since = 0;
	size_t count;
	json_t *answer;
	int r;

	do {
		r = ctl_ask(file, json_pack("{s:s, s:I}", "op", "faults", "since", since), &answer);
		if (r)
			return r;
		list = json_object_get(answer, "faults");
		count = json_array_size(list);
		if (count)
			since = ctl_get(json_array_get(list, count - 1), "number", NULL);
		json_array_extend(all, (json_t *)list);
		json_decref(answer);
	} while (count);
	return CTL_OK;
}

static int faults(const struct ctl *ctl, const struct ctl_args *a)
{
	json_t *all, *fault;
	size_t i;
	FILE *f;
	int r = ctl_open(ctl, &f);

	if (r)
		return r;
	all = json_array();
	r = read_faults(f, all);
	fclose(f);
	if (!r && ctl->json) {
		r = ctl_print_json(all);
	} else if (!r) {
		json_array_foreach(all, i, fault) print_fault(fault);
		if (!json_array_size(all))
			printf("no fault since the daemon started\n");
	}
	json_decref(all);
	return r;
}

const struct ctl_command ctl_command_faults = {
	.name = "faults",
	.arguments = "",
	.summary = "Show the last faults of kernels and workers",
	.text = "The daemon keeps the last 256. Xid is the number that NVIDIA's driver has for "
		"such "
		"a\n"
		"fault. To hear of them as they happen: vgpuctl events --follow\n",
	.run = faults,
};
