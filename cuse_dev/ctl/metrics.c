/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - "vgpuctl metrics": the daemon's numbers in Prometheus' text form.
 *
 * Names of DCGM's exporter stand for what they mean there; the rest begins with vgpu_. Whatever
 * listens to the network is this program, which needs no rights, and not the daemon.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuse_dev/ctl/metrics.h"

#define MIB (1.0 / (1 << 20))

struct metric {
	const char *name, *type, *help;
	const char *key, *inner; /* in "status" of a device, or of the daemon */
	double scale;
};

/* clang-format off */
static const struct metric device_metrics[] = {
	{ "DCGM_FI_DEV_GPU_UTIL", "gauge", "Time in the last second in which kernels ran, percent",
	  "telemetry", "util_kernel", 0.01 },
	{ "DCGM_FI_DEV_MEM_COPY_UTIL", "gauge", "Time in the last second in which copies ran, percent",
	  "telemetry", "util_copy", 0.01 },
	{ "DCGM_FI_DEV_FB_USED", "gauge", "Device memory held by clients, MiB", "memory", "used", MIB },
	{ "DCGM_FI_DEV_FB_FREE", "gauge", "Device memory that is free, MiB", "memory", "free", MIB },
	{ "DCGM_FI_DEV_FB_RESERVED", "gauge", "Device memory that no client gets, MiB", "memory",
	  "reserved", MIB },
	{ "DCGM_FI_DEV_FB_TOTAL", "gauge", "Device memory, MiB", "memory", "total", MIB },
	{ "DCGM_FI_DEV_SM_CLOCK", "gauge", "Clock of the multiprocessors by the model, MHz",
	  "telemetry", "sm_mhz", 1 },
	{ "DCGM_FI_DEV_MEM_CLOCK", "gauge", "Clock of the memory by the model, MHz", "telemetry",
	  "mem_mhz", 1 },
	{ "DCGM_FI_DEV_GPU_TEMP", "gauge", "Temperature by the model, degrees Celsius", "telemetry",
	  "temp_mc", 0.001 },
	{ "DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Temperature of the memory by the model, degrees Celsius",
	  "telemetry", "temp_mem_mc", 0.001 },
	{ "DCGM_FI_DEV_POWER_USAGE", "gauge", "Power by the model, W", "telemetry", "power_mw", 0.001 },
	{ "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", "Energy by the model, mJ", "telemetry",
	  "energy_mj", 1 },
	{ "DCGM_FI_DEV_XID_ERRORS", "gauge", "Xid number of the device's last fault, 0: none yet",
	  "telemetry", "last_xid", 1 },
	{ "vgpu_device_clients", "gauge", "Processes that have the device open", "clients", NULL, 1 },
	{ "vgpu_device_contexts", "gauge", "CUDA contexts on the device", "telemetry", "contexts", 1 },
	{ "vgpu_device_busy_seconds_total", "counter", "Time in which kernels ran", "telemetry",
	  "busy_ns", 1e-9 },
	{ "vgpu_device_copy_seconds_total", "counter", "Time in which copies ran", "telemetry",
	  "copy_ns", 1e-9 },
	{ "vgpu_device_kernels_total", "counter", "Kernels that were launched", "telemetry", "kernels",
	  1 },
	{ "vgpu_device_in_bytes_total", "counter", "Bytes copied to the device", "telemetry",
	  "in_bytes", 1 },
	{ "vgpu_device_out_bytes_total", "counter", "Bytes copied from the device", "telemetry",
	  "out_bytes", 1 },
};

static const struct metric daemon_metrics[] = {
	{ "vgpu_uptime_seconds", "gauge", "Time since the daemon started", "uptime_seconds", NULL, 1 },
	{ "vgpu_clients", "gauge", "Processes that have a device open", "clients", NULL, 1 },
	{ "vgpu_workers", "gauge", "Worker processes", "workers", NULL, 1 },
	{ "vgpu_open_files", "gauge", "Open files on all devices", "open_files", NULL, 1 },
	{ "vgpu_host_memory_available_bytes", "gauge", "Memory that the host can still give",
	  "host_memory", "available", 1 },
	{ "vgpu_faults_total", "counter", "Faults of kernels and workers since the daemon started",
	  "faults", NULL, 1 },
};
/* clang-format on */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, type);
}

static void label(FILE *f, const char *sep, const char *name, const char *value)
{
	fprintf(f, "%s%s=\"", sep, name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", f);
		else if (*value == '"' || *value == '\\')
			fprintf(f, "\\%c", *value);
		else
			fputc(*value, f);
	}
	fputc('"', f);
}

/* A member that the daemon does not send gives no line: a gap is true, a 0 is not. */
static bool value(const json_t *object, const struct metric *m, double *ret_value)
{
	const json_t *v = json_object_get(object, m->key);

	if (m->inner)
		v = json_object_get(v, m->inner);
	if (!json_is_number(v))
		return false;
	*ret_value = json_number_value(v) * m->scale;
	return true;
}

/* The labels of DCGM's exporter. */
static void device_labels(FILE *f, const json_t *d, const char *host, const char *driver)
{
	const char *node = strrchr(ctl_text(d, "node"), '/');
	char index[24];

	snprintf(index, sizeof(index), "%lld", (long long)ctl_get(d, "index", NULL));
	label(f, "{", "gpu", index);
	label(f, ",", "UUID", ctl_text(d, "uuid"));
	label(f, ",", "pci_bus_id", ctl_text(d, "pci"));
	label(f, ",", "device", node ? node + 1 : "");
	label(f, ",", "modelName", ctl_text(d, "name"));
	label(f, ",", "Hostname", host);
	if (*driver)
		label(f, ",", "DCGM_FI_DRIVER_VERSION", driver);
	fputc('}', f);
}

static void write_devices(FILE *f, const json_t *status)
{
	const json_t *devices = json_object_get(status, "devices"), *d;
	char host[HOST_NAME_MAX + 1] = "";
	const struct metric *m;
	bool named;
	size_t i, k;
	double v;

	gethostname(host, sizeof(host) - 1);
	for (k = 0; k < COUNT_OF(device_metrics); k++) {
		m = &device_metrics[k];
		named = false;
		json_array_foreach(devices, i, d)
		{
			if (!value(d, m, &v))
				continue;
			if (!named)
				head(f, m->name, m->type, m->help);
			named = true;
			fputs(m->name, f);
			device_labels(f, d, host, ctl_text(status, "driver"));
			fprintf(f, " %.15g\n", v);
		}
	}
}

static void write_daemon(FILE *f, const json_t *status)
{
	const struct metric *m;
	double v;

	head(f, "vgpu_build_info", "gauge", "Version of the daemon, as a label");
	fputs("vgpu_build_info", f);
	label(f, "{", "version", ctl_text(status, "version"));
	label(f, ",", "door", ctl_text(status, "door"));
	fputs("} 1\n", f);
	for (m = daemon_metrics; m < daemon_metrics + COUNT_OF(daemon_metrics); m++) {
		if (!value(status, m, &v))
			continue;
		head(f, m->name, m->type, m->help);
		fprintf(f, "%s %.15g\n", m->name, v);
	}
}

/* ---- one series per client: only when asked for, since processes come and go ----------------- */

static const struct metric client_metrics[] = {
	{ "vgpu_client_memory_bytes", "gauge", "Device memory of a process", "memory", NULL, 1 },
	{ "vgpu_client_busy_seconds_total", "counter", "Time in which kernels of a process ran",
	  "busy_ns", NULL, 1e-9 },
};

static void client_row(FILE *f, const struct metric *m, const json_t *c, const json_t *d)
{
	char text[24];
	double v;

	if (!value(d, m, &v))
		return;
	snprintf(text, sizeof(text), "%lld", (long long)ctl_get(d, "index", NULL));
	fputs(m->name, f);
	label(f, "{", "gpu", text);
	snprintf(text, sizeof(text), "%lld", (long long)ctl_get(c, "pid", NULL));
	label(f, ",", "pid", text);
	snprintf(text, sizeof(text), "%lld", (long long)ctl_get(c, "uid", NULL));
	label(f, ",", "uid", text);
	snprintf(text, sizeof(text), "%lld", (long long)ctl_get(c, "client", NULL));
	label(f, ",", "client", text);
	fprintf(f, "} %.15g\n", v);
}

static int write_clients(const struct ctl *ctl, FILE *f)
{
	const json_t *c, *d;
	size_t i, j, k;
	json_t *all;

	if (ctl_clients(ctl, &all))
		return CTL_NO_DAEMON;
	for (k = 0; k < COUNT_OF(client_metrics); k++) {
		head(f, client_metrics[k].name, client_metrics[k].type, client_metrics[k].help);
		json_array_foreach(all, i, c)
		{
			json_array_foreach(json_object_get(c, "devices"), j, d)
				client_row(f, &client_metrics[k], c, d);
		}
	}
	json_decref(all);
	return CTL_OK;
}

int metrics_write(const struct ctl *ctl, bool per_client, FILE *f)
{
	json_t *status = NULL;
	int r = ctl_call(ctl, json_pack("{s:s}", "op", "status"), &status);

	head(f, "vgpu_up", "gauge", "Whether the daemon answers");
	fprintf(f, "vgpu_up %d\n", !r);
	if (r)
		return r;
	write_daemon(f, status);
	write_devices(f, status);
	json_decref(status);
	return per_client ? write_clients(ctl, f) : CTL_OK;
}

/* ---- the command ---------------------------------------------------------------------------- */

enum { METRICS_LISTEN, METRICS_TEXTFILE, METRICS_PER_CLIENT };

/* node_exporter reads whenever it likes: the file appears whole. */
static int write_textfile(const struct ctl *ctl, bool per_client, const char *path)
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
	/* A daemon that is away is news, too. */
	r = metrics_write(ctl, per_client, f);
	if (fclose(f) == EOF || rename(temporary, path) < 0) {
		ctl_error("%s: %s", path, strerror(errno));
		unlink(temporary);
		return CTL_FAILED;
	}
	return r;
}

static int metrics(const struct ctl *ctl, const struct ctl_args *a)
{
	const char *listen = a->value[METRICS_LISTEN], *path = a->value[METRICS_TEXTFILE];
	bool per_client = a->value[METRICS_PER_CLIENT] != NULL;

	if (listen && path) {
		ctl_error("metrics: --listen or --textfile, not both");
		return CTL_USAGE;
	}
	if (listen)
		return metrics_serve(ctl, per_client, listen);
	if (path)
		return write_textfile(ctl, per_client, path);
	return metrics_write(ctl, per_client, stdout);
}

const struct ctl_command ctl_command_metrics = {
	.name = "metrics",
	.arguments = "",
	.summary = "Print the daemon's numbers for Prometheus, once or on request",
	.text = "Without an option, once to standard output. See docs/metrics.md.\n",
	.options =
		(const struct ctl_option[]){
			[METRICS_LISTEN] = { "listen", "ADDRESS:PORT",
					     "serve http://ADDRESS:PORT/metrics until SIGTERM" },
			[METRICS_TEXTFILE] = { "textfile", "FILE",
					       "write there, for node_exporter's textfile "
					       "collector" },
			[METRICS_PER_CLIENT] = { "per-client", NULL,
						 "also one series per process" },
			{ 0 } },
	.run = metrics,
};
