/* SPDX-License-Identifier: MIT */
/*
 * ipc.h - memory and events of other processes; ipc.c says how they are found.
 */
#ifndef IMPL_IPC_H
#define IMPL_IPC_H

#include "ioctl/vgpu_share.h"
#include "libcuda/core/ctx.h"
#include "libcuda/link/link.h"

/** What a struct ipc_place is of. */
enum { IPC_MEMORY, IPC_EVENT, IPC_POOLED, IPC_POOL };

/** struct ipc_place - a part of a memfd of some process: what handles and export data hold. */
struct ipc_place {
	uint32_t magic;
	uint32_t pid;
	uint32_t fd; /* number there */
	uint32_t device;
	uint64_t ino;
	uint64_t off, size; /* bytes */
	uint64_t id;	    /* memory: of its range; pooled: of its pool */
	uint64_t pad;
	uint64_t sum;
};

/** cu_ipc_name() - the file behind a descriptor of ours; -ENOTSUP if there is none. */
int cu_ipc_name(int fd, struct ipc_place *p);
/** cu_ipc_seal(), cu_ipc_sealed() - so that what a program hands back is known for what it is. */
void cu_ipc_seal(struct ipc_place *p, uint32_t what);
bool cu_ipc_sealed(const struct ipc_place *p, uint32_t what);

/** cu_ipc_open() - memory of another process at an address here; a second time the same one. */
CUresult cu_ipc_open(const struct ipc_place *p, struct cu_ctx *ctx, bool pooled,
		     CUdeviceptr *ret_ptr);
/** cu_ipc_close() - as often as it was opened. INVALID_VALUE: not open, or the other kind. */
CUresult cu_ipc_close(CUdeviceptr ptr, bool pooled);
/** cu_ipc_pooled(), cu_ipc_forget() - of a LINK_IPC range's object. */
bool cu_ipc_pooled(const void *object);
void cu_ipc_forget(void *object);

/** struct ipc_event - an event that several processes know. */
struct ipc_event;

int ipc_event_create(struct link_dev *dev, struct ipc_event **ret_event);
void ipc_event_destroy(struct ipc_event *e);
CUresult ipc_event_export(const struct ipc_event *e, CUipcEventHandle *ret_handle);
CUresult ipc_event_import(const CUipcEventHandle *handle, struct link_dev *dev,
			  struct ipc_event **ret_event);
/** ipc_event_last() - number of the last record anywhere, 0 for none. */
uint64_t ipc_event_last(const struct ipc_event *e);
bool ipc_event_done(const struct ipc_event *e, uint64_t n);
/** ipc_event_record() - a new record, done when the command is; ipc_event_abandon(): it was not submitted. */
uint64_t ipc_event_record(struct ipc_event *e, struct vgpu_cmd_value_write *ret_cmd);
void ipc_event_abandon(struct ipc_event *e, uint64_t n);
/** ipc_event_wait() - a command that is done when record @n is. */
void ipc_event_wait(const struct ipc_event *e, uint64_t n, struct vgpu_cmd_value_wait *ret_cmd);

#endif
