/* SPDX-License-Identifier: MIT */
/*
 * smi.h - what the files of "vgpuctl smi" share.
 *
 * It reads the nodes themselves, as libnvidia-ml.so.1 does, so it also works where only a node was
 * handed in (containers).
 */
#ifndef CTL_SMI_H
#define CTL_SMI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ioctl/vgpu_ioctl.h"

/* Exit codes of nvidia-smi. */
#define SMI_OK		  0
#define SMI_USAGE	  2
#define SMI_NO_PERMISSION 4
#define SMI_NOT_FOUND	  6
#define SMI_NO_DRIVER	  9
#define SMI_OTHER	  255

struct smi_gpu {
	int fd;
	uint32_t number; /* among those that we may open */
	struct vgpu_hello hello;
	struct vgpu_device_info info;
	struct vgpu_board_info board;
	struct vgpu_device_state state;
	struct vgpu_client_entry *client; /* with a context */
	uint32_t client_count;
	bool chosen; /* by --id */
};

struct smi {
	struct smi_gpu gpu[VGPU_MAX_DEVICES];
	uint32_t count;
};

/* ---- smi_gpu.c ------------------------------------------------------------------------------ */

/** smi_open() - all devices that may be opened; 0 or an exit code, after stderr said why. */
int smi_open(struct smi *smi);
/** smi_read() - what changes; again for each round. 0 or an exit code. */
int smi_read(struct smi *smi);
void smi_close(struct smi *smi);
/** smi_choose() - by number, uuid or bus id, a comma-separated list; NULL: all. */
int smi_choose(struct smi *smi, const char *list);
void smi_uuid(const struct smi_gpu *g, char buf[48]);
void smi_bus_id(const struct smi_gpu *g, char buf[24]);

/* ---- smi_field.c ---------------------------------------------------------------------------- */

struct smi_field {
	const char *name, *alias, *unit;
	/** false: the card has no such thing. */
	bool (*get)(const struct smi *smi, const struct smi_gpu *g, char *buf, size_t size);
	const char *help; /* NULL: not for --query-gpu */
};

/** smi_field() - by name or alias, NULL: there is none. */
const struct smi_field *smi_field(const char *name, size_t n);
void smi_field_help(void);

struct smi_format {
	bool header, units;
};

/** smi_csv_gpus() - --query-gpu=@list. @first: the header goes ahead. 0 or an exit code. */
int smi_csv_gpus(const struct smi *smi, const char *list, const struct smi_format *f, bool first);
int smi_csv_apps(const struct smi *smi, const char *list, const struct smi_format *f, bool first);

/* ---- smi_table.c, smi_log.c ----------------------------------------------------------------- */

void smi_table(const struct smi *smi);
/** smi_log() - "-q", cut down to the groups in @display ("MEMORY,POWER"), NULL: all. */
int smi_log(const struct smi *smi, const char *display, bool xml);

#endif
