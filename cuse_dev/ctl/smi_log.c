/* SPDX-License-Identifier: MIT */
/*
 * smi_log.c - "vgpuctl smi -q": everything of a device, a line each, in groups.
 *
 * A row names a field of smi_field.def; what nvidia-smi lists and no device of ours has is left out
 * rather than printed as "N/A", but where people look for it.
 */
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cuse_dev/ctl/smi.h"

#define LABEL 50 /* columns of a label with its indent */

struct row {
	unsigned level;
	const char *label;
	const char *field; /* NULL: the head of a group */
	const char *group; /* for --display; of heads at level 1, whose rows follow them */
};

/* clang-format off */
static const struct row rows[] = {
	{ 1, "Product Name", "name", NULL },
	{ 1, "Product Architecture", "product.architecture", NULL },
	{ 1, "Display Mode", "display_mode", NULL },
	{ 1, "Display Active", "display_active", NULL },
	{ 1, "Persistence Mode", "persistence_mode", NULL },
	{ 1, "MIG Mode", NULL, "" },
	{ 2, "Current", "mig.mode.current", NULL },
	{ 2, "Pending", "mig.mode.pending", NULL },
	{ 1, "Accounting Mode", "accounting.mode", NULL },
	{ 1, "Serial Number", "serial", NULL },
	{ 1, "GPU UUID", "uuid", NULL },
	{ 1, "Minor Number", "minor_number", NULL },
	{ 1, "VBIOS Version", "vbios_version", NULL },
	{ 1, "PCI", NULL, "" },
	{ 2, "Bus", "pci.bus", NULL },
	{ 2, "Device", "pci.device", NULL },
	{ 2, "Domain", "pci.domain", NULL },
	{ 2, "Device Id", "pci.device_id", NULL },
	{ 2, "Bus Id", "pci.bus_id", NULL },
	{ 2, "Sub System Id", "pci.sub_device_id", NULL },
	{ 2, "GPU Link Info", NULL, NULL },
	{ 3, "PCIe Generation", NULL, NULL },
	{ 4, "Max", "pcie.link.gen.max", NULL },
	{ 4, "Current", "pcie.link.gen.current", NULL },
	{ 3, "Link Width", NULL, NULL },
	{ 4, "Max", "pcie.lanes", NULL },
	{ 4, "Current", "pcie.lanes", NULL },
	{ 2, "Tx Throughput", "pcie.tx", NULL },
	{ 2, "Rx Throughput", "pcie.rx", NULL },
	{ 1, "Fan Speed", "fan.speed", NULL },
	{ 1, "Performance State", "pstate", "PERFORMANCE" },
	{ 1, "Clocks Event Reasons", NULL, "PERFORMANCE" },
	{ 2, "Idle", "clocks_event_reasons.gpu_idle", NULL },
	{ 2, "Applications Clocks Setting", "clocks_event_reasons.applications_clocks_setting", NULL },
	{ 2, "SW Power Cap", "clocks_event_reasons.sw_power_cap", NULL },
	{ 2, "HW Slowdown", "clocks_event_reasons.hw_slowdown", NULL },
	{ 3, "HW Thermal Slowdown", "clocks_event_reasons.hw_thermal_slowdown", NULL },
	{ 3, "HW Power Brake Slowdown", "clocks_event_reasons.hw_power_brake_slowdown", NULL },
	{ 2, "Sync Boost", "clocks_event_reasons.sync_boost", NULL },
	{ 2, "SW Thermal Slowdown", "clocks_event_reasons.sw_thermal_slowdown", NULL },
	{ 1, "FB Memory Usage", NULL, "MEMORY" },
	{ 2, "Total", "memory.total", NULL },
	{ 2, "Reserved", "memory.reserved", NULL },
	{ 2, "Used", "memory.used", NULL },
	{ 2, "Free", "memory.free", NULL },
	{ 1, "BAR1 Memory Usage", NULL, "MEMORY" },
	{ 2, "Total", "bar1.total", NULL },
	{ 1, "Compute Mode", "compute_mode", "COMPUTE" },
	{ 1, "Utilization", NULL, "UTILIZATION" },
	{ 2, "GPU", "utilization.gpu", NULL },
	{ 2, "Memory", "utilization.memory", NULL },
	{ 2, "Encoder", "utilization.encoder", NULL },
	{ 2, "Decoder", "utilization.decoder", NULL },
	{ 1, "ECC Mode", NULL, "ECC" },
	{ 2, "Current", "ecc.mode.current", NULL },
	{ 2, "Pending", "ecc.mode.pending", NULL },
	{ 1, "ECC Errors", NULL, "ECC" },
	{ 2, "Volatile", NULL, NULL },
	{ 3, "Corrected", "ecc.errors.corrected.volatile.total", NULL },
	{ 3, "Uncorrected", "ecc.errors.uncorrected.volatile.total", NULL },
	{ 2, "Aggregate", NULL, NULL },
	{ 3, "Corrected", "ecc.errors.corrected.aggregate.total", NULL },
	{ 3, "Uncorrected", "ecc.errors.uncorrected.aggregate.total", NULL },
	{ 1, "Temperature", NULL, "TEMPERATURE" },
	{ 2, "GPU Current Temp", "temperature.c", NULL },
	{ 2, "GPU Shutdown Temp", "temperature.shutdown", NULL },
	{ 2, "GPU Slowdown Temp", "temperature.slowdown", NULL },
	{ 2, "GPU Max Operating Temp", "temperature.max", NULL },
	{ 2, "Memory Current Temp", "temperature.memory.c", NULL },
	{ 2, "Memory Max Operating Temp", "temperature.memory.max", NULL },
	{ 1, "GPU Power Readings", NULL, "POWER" },
	{ 2, "Power Draw", "power.draw", NULL },
	{ 2, "Current Power Limit", "power.limit", NULL },
	{ 2, "Default Power Limit", "power.default_limit", NULL },
	{ 2, "Min Power Limit", "power.min_limit", NULL },
	{ 2, "Max Power Limit", "power.max_limit", NULL },
	{ 1, "Clocks", NULL, "CLOCK" },
	{ 2, "Graphics", "clocks.current.graphics", NULL },
	{ 2, "SM", "clocks.current.sm", NULL },
	{ 2, "Memory", "clocks.current.memory", NULL },
	{ 2, "Video", "clocks.current.video", NULL },
	{ 1, "Max Clocks", NULL, "CLOCK" },
	{ 2, "Graphics", "clocks.max.graphics", NULL },
	{ 2, "SM", "clocks.max.sm", NULL },
	{ 2, "Memory", "clocks.max.memory", NULL },
	{ 2, "Video", "clocks.max.video", NULL },
};
/* clang-format on */

static const char *const groups[] = { "MEMORY",	     "UTILIZATION", "ECC",
				      "TEMPERATURE", "POWER",	    "CLOCK",
				      "COMPUTE",     "PERFORMANCE", "PIDS" };

/* Is @group in @list? Without a list everything is. */
static bool wanted(const char *list, const char *group)
{
	size_t n = group ? strlen(group) : 0;

	if (!list)
		return true;
	for (; n; list++) {
		if (!strncasecmp(list, group, n) && (!list[n] || list[n] == ','))
			return true;
		list = strchr(list, ',');
		if (!list)
			break;
	}
	return false;
}

static int check_display(const char *list)
{
	char copy[256], *name, *save = NULL;
	bool known;
	size_t i;

	snprintf(copy, sizeof(copy), "%s", list);
	for (name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		known = false;
		for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
			known |= !strcasecmp(groups[i], name);
		if (!known) {
			fprintf(stderr, "Display type \"%s\" is not known.\n", name);
			return SMI_USAGE;
		}
	}
	return SMI_OK;
}

static void print_line(unsigned level, const char *label, const char *value)
{
	unsigned indent = 4 * level;

	if (value)
		printf("%*s%-*s : %s\n", (int)indent, "", (int)(LABEL + 4 - indent), label, value);
	else
		printf("%*s%s\n", (int)indent, "", label);
}

static void print_row(const struct smi *smi, const struct smi_gpu *g, const struct row *row)
{
	const struct smi_field *field;
	char text[400];

	if (!row->field) {
		print_line(row->level, row->label, NULL);
		return;
	}
	field = smi_field(row->field, strlen(row->field));
	if (!field->get(smi, g, text, sizeof(text)))
		snprintf(text, sizeof(text), "N/A");
	else if (field->unit)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", field->unit);
	print_line(row->level, row->label, text);
}

static void print_users(const struct smi_gpu *g)
{
	const struct vgpu_client_entry *e;
	char text[32];

	if (!g->client_count) {
		print_line(1, "Processes", "None");
		return;
	}
	print_line(1, "Processes", NULL);
	for (e = g->client; e < g->client + g->client_count; e++) {
		snprintf(text, sizeof(text), "%u", e->pid);
		print_line(2, "Process ID", text);
		print_line(3, "Type", "C");
		print_line(3, "Name", *e->name ? e->name : "Not Found");
		snprintf(text, sizeof(text), "%llu MiB", (unsigned long long)e->mem_used >> 20);
		print_line(3, "Used GPU Memory", text);
	}
}

static void print_gpu(const struct smi *smi, const struct smi_gpu *g, const char *display)
{
	const struct row *row;
	bool show = true;
	char bus[24];

	smi_bus_id(g, bus);
	printf("GPU %s\n", bus);
	for (row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++) {
		if (row->level == 1)
			show = wanted(display, row->group);
		if (show)
			print_row(smi, g, row);
	}
	if (wanted(display, "PIDS"))
		print_users(g);
	printf("\n");
}

int smi_log(const struct smi *smi, const char *display)
{
	const struct vgpu_hello *h = &smi->gpu[0].hello;
	time_t now = time(NULL);
	char text[64];
	struct tm tm;
	uint32_t i;
	int r = display ? check_display(display) : SMI_OK;

	if (r)
		return r;
	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	printf("\n==============NVSMI LOG==============\n\n");
	print_line(0, "Timestamp", text);
	print_line(0, "Driver Version", h->driver_string);
	snprintf(text, sizeof(text), "%u.%u", h->driver_version / 1000,
		 h->driver_version % 1000 / 10);
	print_line(0, "CUDA Version", text);
	printf("\n");
	snprintf(text, sizeof(text), "%u", smi->count);
	print_line(0, "Attached GPUs", text);
	for (i = 0; i < smi->count; i++) {
		if (smi->gpu[i].chosen)
			print_gpu(smi, &smi->gpu[i], display);
	}
	return SMI_OK;
}
