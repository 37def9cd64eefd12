/* SPDX-License-Identifier: MIT */
/*
 * smi_log.c - "vgpuctl smi -q": everything of a device, a line each, in groups; with -x as XML.
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
	const char *tag;   /* in XML */
};

/* clang-format off */
static const struct row rows[] = {
	{ 1, "Product Name", "name", NULL, "product_name" },
	{ 1, "Product Architecture", "product.architecture", NULL, "product_architecture" },
	{ 1, "Display Mode", "display_mode", NULL, "display_mode" },
	{ 1, "Display Active", "display_active", NULL, "display_active" },
	{ 1, "Persistence Mode", "persistence_mode", NULL, "persistence_mode" },
	{ 1, "MIG Mode", NULL, "", "mig_mode" },
	{ 2, "Current", "mig.mode.current", NULL, "current_mig" },
	{ 2, "Pending", "mig.mode.pending", NULL, "pending_mig" },
	{ 1, "Accounting Mode", "accounting.mode", NULL, "accounting_mode" },
	{ 1, "Serial Number", "serial", NULL, "serial" },
	{ 1, "GPU UUID", "uuid", NULL, "uuid" },
	{ 1, "Minor Number", "minor_number", NULL, "minor_number" },
	{ 1, "VBIOS Version", "vbios_version", NULL, "vbios_version" },
	{ 1, "PCI", NULL, "", "pci" },
	{ 2, "Bus", "pci.bus", NULL, "pci_bus" },
	{ 2, "Device", "pci.device", NULL, "pci_device" },
	{ 2, "Domain", "pci.domain", NULL, "pci_domain" },
	{ 2, "Device Id", "pci.device_id", NULL, "pci_device_id" },
	{ 2, "Bus Id", "pci.bus_id", NULL, "pci_bus_id" },
	{ 2, "Sub System Id", "pci.sub_device_id", NULL, "pci_sub_system_id" },
	{ 2, "GPU Link Info", NULL, NULL, "pci_gpu_link_info" },
	{ 3, "PCIe Generation", NULL, NULL, "pcie_gen" },
	{ 4, "Max", "pcie.link.gen.max", NULL, "max_link_gen" },
	{ 4, "Current", "pcie.link.gen.current", NULL, "current_link_gen" },
	{ 3, "Link Width", NULL, NULL, "link_widths" },
	{ 4, "Max", "pcie.lanes", NULL, "max_link_width" },
	{ 4, "Current", "pcie.lanes", NULL, "current_link_width" },
	{ 2, "Tx Throughput", "pcie.tx", NULL, "tx_util" },
	{ 2, "Rx Throughput", "pcie.rx", NULL, "rx_util" },
	{ 1, "Fan Speed", "fan.speed", NULL, "fan_speed" },
	{ 1, "Performance State", "pstate", "PERFORMANCE", "performance_state" },
	{ 1, "Clocks Event Reasons", NULL, "PERFORMANCE", "clocks_event_reasons" },
	{ 2, "Idle", "clocks_event_reasons.gpu_idle", NULL, "clocks_event_reason_gpu_idle" },
	{ 2, "Applications Clocks Setting", "clocks_event_reasons.applications_clocks_setting", NULL, "clocks_event_reason_applications_clocks_setting" },
	{ 2, "SW Power Cap", "clocks_event_reasons.sw_power_cap", NULL, "clocks_event_reason_sw_power_cap" },
	{ 2, "HW Slowdown", "clocks_event_reasons.hw_slowdown", NULL, "clocks_event_reason_hw_slowdown" },
	{ 3, "HW Thermal Slowdown", "clocks_event_reasons.hw_thermal_slowdown", NULL, "clocks_event_reason_hw_thermal_slowdown" },
	{ 3, "HW Power Brake Slowdown", "clocks_event_reasons.hw_power_brake_slowdown", NULL, "clocks_event_reason_hw_power_brake_slowdown" },
	{ 2, "Sync Boost", "clocks_event_reasons.sync_boost", NULL, "clocks_event_reason_sync_boost" },
	{ 2, "SW Thermal Slowdown", "clocks_event_reasons.sw_thermal_slowdown", NULL, "clocks_event_reason_sw_thermal_slowdown" },
	{ 1, "FB Memory Usage", NULL, "MEMORY", "fb_memory_usage" },
	{ 2, "Total", "memory.total", NULL, "total" },
	{ 2, "Reserved", "memory.reserved", NULL, "reserved" },
	{ 2, "Used", "memory.used", NULL, "used" },
	{ 2, "Free", "memory.free", NULL, "free" },
	{ 1, "BAR1 Memory Usage", NULL, "MEMORY", "bar1_memory_usage" },
	{ 2, "Total", "bar1.total", NULL, "total" },
	{ 1, "Compute Mode", "compute_mode", "COMPUTE", "compute_mode" },
	{ 1, "Utilization", NULL, "UTILIZATION", "utilization" },
	{ 2, "GPU", "utilization.gpu", NULL, "gpu_util" },
	{ 2, "Memory", "utilization.memory", NULL, "memory_util" },
	{ 2, "Encoder", "utilization.encoder", NULL, "encoder_util" },
	{ 2, "Decoder", "utilization.decoder", NULL, "decoder_util" },
	{ 1, "ECC Mode", NULL, "ECC", "ecc_mode" },
	{ 2, "Current", "ecc.mode.current", NULL, "current_ecc" },
	{ 2, "Pending", "ecc.mode.pending", NULL, "pending_ecc" },
	{ 1, "ECC Errors", NULL, "ECC", "ecc_errors" },
	{ 2, "Volatile", NULL, NULL, "volatile" },
	{ 3, "Corrected", "ecc.errors.corrected.volatile.total", NULL, "corrected" },
	{ 3, "Uncorrected", "ecc.errors.uncorrected.volatile.total", NULL, "uncorrected" },
	{ 2, "Aggregate", NULL, NULL, "aggregate" },
	{ 3, "Corrected", "ecc.errors.corrected.aggregate.total", NULL, "corrected" },
	{ 3, "Uncorrected", "ecc.errors.uncorrected.aggregate.total", NULL, "uncorrected" },
	{ 1, "Temperature", NULL, "TEMPERATURE", "temperature" },
	{ 2, "GPU Current Temp", "temperature.c", NULL, "gpu_temp" },
	{ 2, "GPU Shutdown Temp", "temperature.shutdown", NULL, "gpu_temp_max_threshold" },
	{ 2, "GPU Slowdown Temp", "temperature.slowdown", NULL, "gpu_temp_slow_threshold" },
	{ 2, "GPU Max Operating Temp", "temperature.max", NULL, "gpu_temp_max_gpu_threshold" },
	{ 2, "Memory Current Temp", "temperature.memory.c", NULL, "memory_temp" },
	{ 2, "Memory Max Operating Temp", "temperature.memory.max", NULL, "gpu_temp_max_mem_threshold" },
	{ 1, "GPU Power Readings", NULL, "POWER", "gpu_power_readings" },
	{ 2, "Power Draw", "power.draw", NULL, "power_draw" },
	{ 2, "Current Power Limit", "power.limit", NULL, "current_power_limit" },
	{ 2, "Default Power Limit", "power.default_limit", NULL, "default_power_limit" },
	{ 2, "Min Power Limit", "power.min_limit", NULL, "min_power_limit" },
	{ 2, "Max Power Limit", "power.max_limit", NULL, "max_power_limit" },
	{ 1, "Clocks", NULL, "CLOCK", "clocks" },
	{ 2, "Graphics", "clocks.current.graphics", NULL, "graphics_clock" },
	{ 2, "SM", "clocks.current.sm", NULL, "sm_clock" },
	{ 2, "Memory", "clocks.current.memory", NULL, "mem_clock" },
	{ 2, "Video", "clocks.current.video", NULL, "video_clock" },
	{ 1, "Max Clocks", NULL, "CLOCK", "max_clocks" },
	{ 2, "Graphics", "clocks.max.graphics", NULL, "graphics_clock" },
	{ 2, "SM", "clocks.max.sm", NULL, "sm_clock" },
	{ 2, "Memory", "clocks.max.memory", NULL, "mem_clock" },
	{ 2, "Video", "clocks.max.video", NULL, "video_clock" },
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

/* ---- lines, or elements of XML -------------------------------------------------------------- */

#define LEVELS 8

struct writer {
	bool xml;
	const char *open[LEVELS]; /* in XML: the group at each level, NULL none */
};

/* What is no character of XML becomes "?". */
static void xml_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			printf("&lt;");
		else if (*text == '&')
			printf("&amp;");
		else if (*text == '>')
			printf("&gt;");
		else
			putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
	}
}

/* Ends the groups at @level and deeper. */
static void end_groups(struct writer *w, unsigned level)
{
	unsigned i;

	for (i = LEVELS - 1; i >= level && i; i--) {
		if (w->open[i])
			printf("%*s</%s>\n", (int)i + 1, "", w->open[i]);
		w->open[i] = NULL;
	}
}

static void print_line(unsigned level, const char *label, const char *value)
{
	unsigned indent = 4 * level;

	if (value)
		printf("%*s%-*s : %s\n", (int)indent, "", (int)(LABEL + 4 - indent), label, value);
	else
		printf("%*s%s\n", (int)indent, "", label);
}

/* A value. @label NULL: in XML only. */
static void put(struct writer *w, unsigned level, const char *label, const char *tag,
		const char *value)
{
	if (w->xml) {
		end_groups(w, level);
		printf("%*s<%s>", (int)level + 1, "", tag);
		xml_text(value);
		printf("</%s>\n", tag);
	} else if (label) {
		print_line(level, label, value);
	}
}

/* The head of a group; @value: what its line says beside the label, NULL nothing. */
static void put_group(struct writer *w, unsigned level, const char *label, const char *tag,
		      const char *value)
{
	if (w->xml) {
		end_groups(w, level);
		printf("%*s<%s>\n", (int)level + 1, "", tag);
		w->open[level] = tag;
	} else {
		print_line(level, label, value);
	}
}

/* ---- what is written ------------------------------------------------------------------------ */

/* The value of a row, with its unit. */
static void value_of(const struct smi *smi, const struct smi_gpu *g, const struct row *row,
		     char *text, size_t size)
{
	const struct smi_field *field = smi_field(row->field, strlen(row->field));

	if (!field->get(smi, g, text, size))
		snprintf(text, size, "N/A");
	else if (field->unit)
		snprintf(text + strlen(text), size - strlen(text), " %s", field->unit);
}

static void put_row(struct writer *w, const struct smi *smi, const struct smi_gpu *g,
		    const struct row *row)
{
	char text[400];

	if (!row->field) {
		put_group(w, row->level, row->label, row->tag, NULL);
		return;
	}
	value_of(smi, g, row, text, sizeof(text));
	put(w, row->level, row->label, row->tag, text);
}

static void put_users(struct writer *w, const struct smi_gpu *g)
{
	const struct vgpu_client_entry *e;
	char text[32];

	put_group(w, 1, "Processes", "processes", g->client_count ? NULL : "None");
	for (e = g->client; e < g->client + g->client_count; e++) {
		snprintf(text, sizeof(text), "%u", e->pid);
		put_group(w, 2, "Process ID", "process_info", text);
		put(w, 3, NULL, "pid", text);
		put(w, 3, "Type", "type", "C");
		put(w, 3, "Name", "process_name", *e->name ? e->name : "Not Found");
		snprintf(text, sizeof(text), "%llu MiB", (unsigned long long)e->mem_used >> 20);
		put(w, 3, "Used GPU Memory", "used_memory", text);
	}
}

static void put_gpu(struct writer *w, const struct smi *smi, const struct smi_gpu *g,
		    const char *display)
{
	const struct row *row;
	bool show = true;
	char bus[24];

	smi_bus_id(g, bus);
	printf(w->xml ? " <gpu id=\"%s\">\n" : "GPU %s\n", bus);
	for (row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++) {
		if (row->level == 1)
			show = wanted(display, row->group);
		if (show)
			put_row(w, smi, g, row);
	}
	if (wanted(display, "PIDS"))
		put_users(w, g);
	end_groups(w, 1);
	printf(w->xml ? " </gpu>\n" : "\n");
}

static void put_head(struct writer *w, const struct smi *smi)
{
	const struct vgpu_hello *h = &smi->gpu[0].hello;
	time_t now = time(NULL);
	char text[64];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	put(w, 0, "Timestamp", "timestamp", text);
	put(w, 0, "Driver Version", "driver_version", h->driver_string);
	snprintf(text, sizeof(text), "%u.%u", h->driver_version / 1000,
		 h->driver_version % 1000 / 10);
	put(w, 0, "CUDA Version", "cuda_version", text);
	if (!w->xml)
		printf("\n");
	snprintf(text, sizeof(text), "%u", smi->count);
	put(w, 0, "Attached GPUs", "attached_gpus", text);
}

int smi_log(const struct smi *smi, const char *display, bool xml)
{
	struct writer w = { .xml = xml };
	int r = display ? check_display(display) : SMI_OK;
	uint32_t i;

	if (r)
		return r;
	/* Names from the profile and of processes need not be UTF-8. */
	if (xml)
		printf("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<nvidia_smi_log>\n");
	else
		printf("\n==============NVSMI LOG==============\n\n");
	put_head(&w, smi);
	for (i = 0; i < smi->count; i++) {
		if (smi->gpu[i].chosen)
			put_gpu(&w, smi, &smi->gpu[i], display);
	}
	if (xml)
		printf("</nvidia_smi_log>\n");
	return SMI_OK;
}
