/* SPDX-License-Identifier: MIT */
/*
 * config.h - what the administrator wants: /etc/vgpu/vgpu.conf and --device on the command line.
 *
 * Every message names the file, the line and the value.
 */
#ifndef SESSION_CONFIG_H
#define SESSION_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse_dev/base/log.h"
#include "ioctl/vgpu_ioctl.h"

#define CONFIG_PATH	"/etc/vgpu/vgpu.conf"
#define CONFIG_MAX_IDS	32
#define CONFIG_NO_GROUP ((gid_t)-1)

enum config_door { CONFIG_DOOR_AUTO, CONFIG_DOOR_CUSE, CONFIG_DOOR_FUSE };
enum config_overcommit { CONFIG_LAZY, CONFIG_STRICT };

struct config_device {
	char profile[32];
	uint64_t memory;		 /* bytes, 0: as the profile says */
	uint32_t mode;			 /* permission bits of the node */
	gid_t group;			 /* of the node, CONFIG_NO_GROUP: root's */
	uint32_t allow_uids, allow_gids; /* valid entries below; both 0: everybody */
	uid_t allow_uid[CONFIG_MAX_IDS];
	gid_t allow_gid[CONFIG_MAX_IDS];
	uint64_t quota_memory;	    /* bytes per uid, 0: none */
	uint32_t quota_clients;	    /* processes per uid, 0: none */
	uint32_t library_cc;	    /* 0: as the profile says */
	char library_sonames[1024]; /* "": as the profile says */
};

struct config {
	enum config_door door;
	enum log_level log_level;
	enum config_overcommit overcommit;
	uint32_t threads;	 /* compute threads per worker, 0: one per CPU allowed */
	char worker[PATH_MAX];	 /* "": beside the daemon or in the libexec directory */
	char user[64];		 /* "": vgpu if it exists, else nobody */
	char compiler[PATH_MAX]; /* "": as for worker; "none": kernels are interpreted only */
	char node_dir[PATH_MAX];
	char run_dir[PATH_MAX];
	uint32_t control_mode;	  /* permission bits of the control socket, 0: there is none */
	gid_t control_group;	  /* whose members may change things, CONFIG_NO_GROUP: root alone */
	char cache_dir[PATH_MAX]; /* compiled kernels, a directory per user; "none": kept nowhere */
	uint64_t cache_size;	  /* bytes per user */
	uint64_t compiler_memory; /* bytes of address space of one compiler process */
	uint32_t compiler_threads;
	uint32_t device_count;
	struct config_device device[VGPU_MAX_DEVICES];
};

/** config_init() - the built-in defaults, without a device. */
void config_init(struct config *c);

/**
 * config_read() - add what the file at @path says. @optional: a missing file is no error.
 *
 * -EINVAL and a line in the log for each thing that is wrong.
 */
int config_read(struct config *c, const char *path, bool optional);

/** config_add_device() - "PROFILE[,key=value...]", the keys being those of a [device] section. */
int config_add_device(struct config *c, const char *text);

/** config_complete() - the default device if there is none; checks profiles and sizes. */
int config_complete(struct config *c);

/** config_set() - one key of [daemon]. @where stands in the message. */
int config_set(struct config *c, const char *where, const char *key, const char *value);

/** config_set_device() - one key of a [device] section. @where stands in the message. */
int config_set_device(struct config_device *d, const char *where, const char *key,
		      const char *value);

/** config_size() - "80G", "512M", "4096": bytes. */
int config_size(const char *text, uint64_t *ret_bytes);

#endif
