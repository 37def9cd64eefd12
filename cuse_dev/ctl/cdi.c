/* SPDX-License-Identifier: MIT */
/*
 * cdi.c - "vgpuctl cdi": how containers get the devices, in the form that podman, docker, containerd and
 * CRI-O read (Container Device Interface).
 *
 * A container needs the node, our libraries, and a loader that finds them. A node behind the CUSE door is
 * a device; behind the FUSE door it is a file on which something is mounted, so it is mounted too.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse_dev/ctl/ctl.h"
#include "ioctl/vgpu_ioctl.h"

#define CDI_VERSION  "0.5.0" /* the first that lets names begin with a digit */
#define DEFAULT_KIND "vgpu-cuse/gpu"

#define HOOK_SECONDS 30 /* ldconfig reads whatever the image holds */

enum { CDI_OUTPUT, CDI_KIND, CDI_NODES, CDI_FROM, CDI_TO, CDI_NO_HOOK };

/* What is handed in, where it is there. */
static const char *const libraries[] = { "libcuda.so.1", "libnvidia-ml.so.1" };

static json_t *mount(const char *host, const char *container, const char *access)
{
	return json_pack("{s:s, s:s, s:[s, s, s, s]}", "hostPath", host, "containerPath", container,
			 "options", access, "nosuid", "nodev", "bind");
}

/* ---- devices -------------------------------------------------------------------------------- */

/* {"deviceNodes":[...]} or {"mounts":[...]} for the node, NULL: there is none. */
static int add_node(const char *dir, unsigned n, json_t *edits)
{
	char path[PATH_MAX], inside[64];
	const char *list;
	struct stat st;
	json_t *one;

	snprintf(path, sizeof(path), "%s/nvidia-vgpu%u", dir, n);
	snprintf(inside, sizeof(inside), "/dev/nvidia-vgpu%u", n);
	if (stat(path, &st) < 0)
		return -errno;
	list = S_ISCHR(st.st_mode) ? "deviceNodes" : "mounts";
	if (S_ISCHR(st.st_mode))
		one = json_pack("{s:s, s:s}", "path", inside, "permissions", "rw");
	else
		one = mount(path, inside, "rw");
	if (!json_object_get(edits, list))
		json_object_set_new(edits, list, json_array());
	return json_array_append_new(json_object_get(edits, list), one) < 0 ? -ENOMEM : 0;
}

static json_t *device(const char *name, json_t *edits)
{
	return json_pack("{s:s, s:o}", "name", name, "containerEdits", edits);
}

/* "0", "1" and "all". 0: @ret_list is set; else an exit code. */
static int list_devices(const char *dir, json_t **ret_list)
{
	json_t *list = json_array(), *all = json_object(), *edits;
	char name[16];
	unsigned n, count = 0;
	int r;

	for (n = 0; n < VGPU_MAX_DEVICES; n++) {
		edits = json_object();
		r = add_node(dir, n, edits);
		if (r < 0) {
			json_decref(edits);
			if (r == -ENOENT)
				continue;
			ctl_error("%s/nvidia-vgpu%u: %s", dir, n, strerror(-r));
			goto free_lists;
		}
		add_node(dir, n, all);
		snprintf(name, sizeof(name), "%u", n);
		json_array_append_new(list, device(name, edits));
		count++;
	}
	if (!count) {
		ctl_error("%s has no nvidia-vgpu0: start the daemon first", dir);
		goto free_lists;
	}
	json_array_append_new(list, device("all", all));
	*ret_list = list;
	return CTL_OK;

free_lists:
	json_decref(all);
	json_decref(list);
	return CTL_FAILED;
}

/* ---- libraries ------------------------------------------------------------------------------ */

static int list_libraries(const char *from, const char *to, json_t **ret_list)
{
	char host[PATH_MAX], real[PATH_MAX], inside[PATH_MAX];
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		snprintf(host, sizeof(host), "%s/%s", from, libraries[i]);
		snprintf(inside, sizeof(inside), "%s/%s", to, libraries[i]);
		if (!realpath(host, real)) {
			if (i)
				continue;
			ctl_error("%s: %s; --library-from=DIR says where the libraries are", host,
				  strerror(errno));
			json_decref(list);
			return CTL_FAILED;
		}
		json_array_append_new(list, mount(real, inside, "ro"));
	}
	*ret_list = list;
	return CTL_OK;
}

/* Run while the container is made, with its files in place: it tells the container's loader. */
static json_t *hooks(const char *to)
{
	char self[PATH_MAX], folder[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return NULL;
	self[n] = '\0';
	snprintf(folder, sizeof(folder), "--folder=%s", to);
	return json_pack("[{s:s, s:s, s:[s, s, s, s], s:i}]", "hookName", "createContainer", "path",
			 self, "args", "vgpuctl", "hook", "ldcache", folder, "timeout",
			 HOOK_SECONDS);
}

/* ---- the file ------------------------------------------------------------------------------- */

/* vendor/class: letters, digits, "_", "-" and (vendor) "."; a letter first, no sign last. */
static bool word_fits(const char *s, size_t n, const char *signs)
{
	size_t i;

	if (!n || !isalpha((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
		return false;
	for (i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr(signs, s[i]))
			return false;
	}
	return true;
}

static bool kind_fits(const char *kind)
{
	const char *slash = strchr(kind, '/');

	return slash && word_fits(kind, (size_t)(slash - kind), "_-.") &&
	       word_fits(slash + 1, strlen(slash + 1), "_-");
}

/* Readers never see half a file. */
static int write_file(const char *path, const json_t *spec)
{
	char temporary[PATH_MAX];
	FILE *f;
	int r;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary)) {
		ctl_error("%s: %s", path, strerror(ENAMETOOLONG));
		return CTL_FAILED;
	}
	f = fopen(temporary, "we");
	if (!f) {
		ctl_error("%s: %s", temporary, strerror(errno));
		return CTL_FAILED;
	}
	r = json_dumpf(spec, f, JSON_INDENT(2)) < 0 || fputc('\n', f) == EOF;
	r |= fclose(f) == EOF;
	if (r || rename(temporary, path) < 0) {
		ctl_error("%s: %s", path, strerror(errno));
		unlink(temporary);
		return CTL_FAILED;
	}
	return CTL_OK;
}

static int write_spec(const struct ctl_args *a, const char *kind, json_t *devices, json_t *mounts,
		      const char *to)
{
	json_t *edits = json_pack("{s:o}", "mounts", mounts), *spec;
	int r;

	if (edits && !a->value[CDI_NO_HOOK])
		json_object_set_new(edits, "hooks", hooks(to));
	spec = json_pack("{s:s, s:s, s:o, s:o}", "cdiVersion", CDI_VERSION, "kind", kind, "devices",
			 devices, "containerEdits", edits);
	if (!spec)
		return CTL_FAILED;
	r = a->value[CDI_OUTPUT] ? write_file(a->value[CDI_OUTPUT], spec) : ctl_print_json(spec);
	json_decref(spec);
	return r;
}

static int cdi(const struct ctl *ctl, const struct ctl_args *a)
{
	const char *kind = a->value[CDI_KIND] ? a->value[CDI_KIND] : DEFAULT_KIND;
	const char *dir = a->value[CDI_NODES] ? a->value[CDI_NODES] : "/dev";
	const char *from = a->value[CDI_FROM] ? a->value[CDI_FROM] : CTL_LIBDIR;
	const char *to = a->value[CDI_TO] ? a->value[CDI_TO] : CTL_LIBDIR;
	json_t *devices, *mounts;
	int r;

	if (!kind_fits(kind)) {
		ctl_error("--kind=%s: want VENDOR/CLASS, such as " DEFAULT_KIND
			  " or nvidia.com/gpu",
			  kind);
		return CTL_USAGE;
	}
	if (*to != '/') {
		ctl_error("--library-to=%s: want an absolute path", to);
		return CTL_USAGE;
	}
	r = list_devices(dir, &devices);
	if (r)
		return r;
	r = list_libraries(from, to, &mounts);
	if (r) {
		json_decref(devices);
		return r;
	}
	return write_spec(a, kind, devices, mounts, to);
}

const struct ctl_command ctl_command_cdi = {
	.name = "cdi",
	.arguments = "",
	.summary = "Write the CDI specification by which containers get the devices",
	.text = "For example: vgpuctl cdi --output=/etc/cdi/vgpu.json, and then\n"
		"podman run --device " DEFAULT_KIND
		"=all IMAGE. To be written anew when devices are\n"
		"added or removed. See docs/containers.md.\n",
	.options =
		(const struct ctl_option[]){
			[CDI_OUTPUT] = { "output", "FILE", "write there, not to standard output" },
			[CDI_KIND] = { "kind", "VENDOR/CLASS", "(" DEFAULT_KIND ")" },
			[CDI_NODES] = { "node-dir", "DIR", "where the nodes are (/dev)" },
			[CDI_FROM] = { "library-from", "DIR", "where the libraries are here" },
			[CDI_TO] = { "library-to", "DIR", "where they will be in the container" },
			[CDI_NO_HOOK] = { "no-hook", NULL,
					  "no hook: --library-to is where the container's loader "
					  "looks" },
			{ 0 } },
	.run = cdi,
};
