/* SPDX-License-Identifier: MIT */
/* smi_table.c - the table that nvidia-smi prints without an option; people's eyes know its places. */
#include <string.h>
#include <time.h>

#include "cuse_dev/ctl/smi.h"

#define LINE  "-----------------------------------------"
#define LINE2 "------------------------"
#define LINE3 "----------------------"
#define BAR   "+" LINE "+" LINE2 "+" LINE3 "+\n"
#define WHOLE "+" LINE "-" LINE2 "-" LINE3 "+\n"

static const char head[] = "|-----------------------------------------+------------------------+---"
			   "-------------------+\n"
			   "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | "
			   "Volatile Uncorr. ECC |\n"
			   "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | "
			   "GPU-Util  Compute M. |\n"
			   "|                                         |                        |   "
			   "            MIG M. |\n"
			   "|=========================================+========================+==="
			   "===================|\n";

static const char process_head[] = "| Processes:                                                   "
				   "                           |\n"
				   "|  GPU   GI   CI              PID   Type   Process name        "
				   "                GPU Memory |\n"
				   "|        ID   ID                                               "
				   "                Usage      |\n"
				   "|=============================================================="
				   "===========================|\n";

static const char *get(const struct smi *smi, const struct smi_gpu *g, const char *field,
		       char buf[64])
{
	return smi_field(field, strlen(field))->get(smi, g, buf, 64) ? buf : "N/A";
}

static unsigned watts(uint32_t mw)
{
	return (mw + 500) / 1000;
}

static void print_gpu(const struct smi *smi, const struct smi_gpu *g)
{
	char bus[24], ecc[64], fan[64], temp[64], state[64], mig[64], util[64];

	smi_bus_id(g, bus);
	printf("| %3u  %-30.30s%3s  |   %16s %3s | %20s |\n", g->number, g->info.name, "On", bus,
	       "Off", get(smi, g, "ecc.errors.uncorrected.volatile.total", ecc));
	get(smi, g, "fan.speed", fan);
	if (g->board.fan_count)
		strcat(fan, "%");
	else
		strcpy(fan, "N/A");
	printf("| %3s  %3sC    %-3s          %4uW / %4uW |%8lluMiB / %6lluMiB |%7s%%  %11s |\n",
	       fan, get(smi, g, "temperature.gpu", temp), get(smi, g, "pstate", state),
	       watts(g->state.power_mw), watts(g->board.power_limit_mw),
	       (unsigned long long)g->state.mem_used >> 20,
	       (unsigned long long)g->state.mem_total >> 20, get(smi, g, "utilization.gpu", util),
	       "Default");
	printf("|                                         |                        | %20s |\n",
	       get(smi, g, "mig.mode.current", mig));
	printf(BAR);
}

static void print_client(const struct smi_gpu *g, const struct vgpu_client_entry *e)
{
	const char *name = *e->name ? e->name : "[Not Found]";
	size_t n = strlen(name);
	char cut[40];

	/* The end of a path says more than its beginning. */
	if (n > 35) {
		snprintf(cut, sizeof(cut), "...%s", name + n - 32);
		name = cut;
	}
	printf("|%5u   N/A  N/A%16u      C   %-35s %7lluMiB |\n", g->number, e->pid, name,
	       (unsigned long long)e->mem_used >> 20);
}

void smi_table(const struct smi *smi)
{
	const struct vgpu_hello *h = &smi->gpu[0].hello;
	time_t now = time(NULL);
	uint32_t i, k, all = 0;
	char date[64];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	printf("%s\n" WHOLE, date);
	printf("| NVIDIA-SMI %-22.22s Driver Version: %-14.14s CUDA Version: %u.%-5u |\n",
	       h->driver_string, h->driver_string, h->driver_version / 1000,
	       h->driver_version % 1000 / 10);
	printf("%s", head);
	for (i = 0; i < smi->count; i++) {
		if (smi->gpu[i].chosen)
			print_gpu(smi, &smi->gpu[i]);
	}
	printf("\n" WHOLE "%s", process_head);
	for (i = 0; i < smi->count; i++) {
		for (k = 0; smi->gpu[i].chosen && k < smi->gpu[i].client_count; k++, all++)
			print_client(&smi->gpu[i], &smi->gpu[i].client[k]);
	}
	if (!all)
		printf("|  %-87s|\n", "No running processes found");
	printf(WHOLE);
}
