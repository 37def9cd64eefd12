/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - what the files of "vgpuctl doctor" share.
 *
 * The way from a program to a result has links, and each check is one of them:
 *
 *	node ─ open as that user ─ daemon ─ versions ─ loader ─ the program's own search path ─
 *	its unit's settings ─ a kernel ─ NVML
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cuse_dev/ctl/ctl.h"

#define DOCTOR_MAX_GROUPS 256
#define DOCTOR_LIBRARY	  "libcuda.so.1"
#define DOCTOR_NVML	  "libnvidia-ml.so.1"

enum doctor_state { DOCTOR_OK, DOCTOR_FAIL, DOCTOR_NOTE };

struct doctor {
	const struct ctl *ctl;
	json_t *list; /* of what was found, for --json */
	unsigned failed;
	const char *node_dir;
	const char *binary; /* NULL: none given */
	/* Whose eyes to look through. */
	char user[64];
	uid_t uid;
	gid_t gid;
	int groups;
	gid_t group[DOCTOR_MAX_GROUPS];
	/* What its unit sets, "" nothing. */
	char library_path[4096]; /* LD_LIBRARY_PATH */
	bool path_given;
	char visible[256]; /* CUDA_VISIBLE_DEVICES */
	bool visible_given;
};

/** doctor_say() - one line. @mend: what to do, NULL where there is nothing to do. */
void doctor_say(struct doctor *d, enum doctor_state state, const char *check, const char *mend,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* ---- doctor_node.c: false when what follows makes no sense ------------------------------------ */

bool doctor_node(struct doctor *d);
bool doctor_greet(struct doctor *d);
void doctor_daemon(struct doctor *d);

/* ---- doctor_loader.c -------------------------------------------------------------------------- */

bool doctor_library(struct doctor *d);
void doctor_binary(struct doctor *d);

/* ---- doctor_unit.c ---------------------------------------------------------------------------- */

/** doctor_unit() - "ollama.service", or a file: its user, environment and device rules. */
int doctor_unit(struct doctor *d, const char *unit);

/* ---- trial.c ---------------------------------------------------------------------------------- */

void doctor_kernel(struct doctor *d);
void doctor_nvml(struct doctor *d);

/* ---- child.c: things done as somebody else ---------------------------------------------------- */

/** ctl_become() - for a child; never returns when it cannot. */
void ctl_become(const struct doctor *d);
/**
 * ctl_output() - of a program with the environment @env; NULL-terminated lists. @d: as its user, NULL: as
 * ourselves. Exit code, or -errno (-ETIMEDOUT: it was ended).
 */
int ctl_output(const struct doctor *d, char *const argv[], char *const env[], unsigned seconds,
	       char *ret_text, size_t size);
/** ctl_wait_bytes() - read exactly @size bytes of a child in @seconds, then end it. 0 or -errno. */
int ctl_wait_bytes(pid_t pid, int fd, unsigned seconds, void *ret_data, size_t size);

/* ---- elf.c ------------------------------------------------------------------------------------ */

struct ctl_elf {
	int class_bits, machine; /* 64, EM_X86_64 */
	bool program;		 /* has an entry and an interpreter, or is fixed in place */
	char interpreter[PATH_MAX];
	char rpath[4096], runpath[4096];
	bool needs_libcuda;
	bool ours;	  /* carries our note */
	char version[32]; /* in it */
};

/** ctl_elf_read() - -ENOEXEC when it is no ELF file. */
int ctl_elf_read(const char *path, struct ctl_elf *ret_elf);

#endif
