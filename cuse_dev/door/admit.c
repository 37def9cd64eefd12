/* SPDX-License-Identifier: MIT */
/*
 * admit.c - the rules of vgpu_ioctl.h, in the order in which they are checked:
 *
 *	magic and number       ENOTTY
 *	direction, sizes       EINVAL
 *	whose file             EACCES, ENODEV
 *	HELLO first, once      EPROTO
 *	tail of a longer one   E2BIG
 *	pads and flags         EINVAL
 *	its descriptor         EBADF, EPERM, EINVAL, ENOTSUP
 *
 * What only the operation knows (handles, ranges, its sizes) is checked by who answers it.
 */
#include "cuse_dev/door/admit.h"

#include <errno.h>
#include <string.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/door/share.h"

/* Words of which only some bits may be set; of pads, none.  F(OP, name, field, bits) */
#define FIELDS(F)                                                                                  \
	F(CLIENT_LIST, client_list, pad, 0)                                                        \
	F(FAULT_LIST, fault_list, pad, 0)                                                          \
	F(CTX_CREATE, ctx_create, pad, 0)                                                          \
	F(CTX_DESTROY, ctx_destroy, pad, 0)                                                        \
	F(CTX_STATUS, ctx_status, pad, 0)                                                          \
	F(CTX_LIMIT, ctx_limit, pad, 0)                                                            \
	F(CTX_LIMIT, ctx_limit, set, 1)                                                            \
	F(BLOB_CREATE, blob_create, pad, 0)                                                        \
	F(BLOB_DESTROY, blob_destroy, pad, 0)                                                      \
	F(PHYS_CREATE, phys_create, pad, 0)                                                        \
	F(PHYS_CREATE, phys_create, flags, VGPU_PHYS_FD | VGPU_PHYS_HOST)                          \
	F(PHYS_RELEASE, phys_release, pad, 0)                                                      \
	F(VA_MAP, va_map, pad, 0)                                                                  \
	F(HOST_REGISTER, host_register, flags, VGPU_HOST_MAPPED | VGPU_HOST_READ_ONLY)             \
	F(HOST_REGISTER, host_register, pad, 0)                                                    \
	F(MODULE_LOAD, module_load, pad, 0)                                                        \
	F(MODULE_LOAD, module_load, pad2, 0)                                                       \
	F(MODULE_LOAD, module_load, flags, VGPU_MODULE_LENIENT_CC)                                 \
	F(MODULE_UNLOAD, module_unload, pad, 0)                                                    \
	F(MODULE_INFO, module_info, pad, 0)                                                        \
	F(FUNC_GET, func_get, pad, 0)                                                              \
	F(FUNC_SET, func_set, pad, 0)                                                              \
	F(FUNC_OCCUPANCY, func_occupancy, pad, 0)                                                  \
	F(STREAM_CREATE, stream_create, pad, 0)                                                    \
	F(STREAM_DESTROY, stream_destroy, pad, 0)                                                  \
	F(EVENT_QUERY, event_query, pad, 0)                                                        \
	F(HOST_DONE, host_done, pad, 0)

static const struct {
	uint32_t nr, offset, allowed;
} fields[] = {
#define F(NAME, name, field, bits) { VGPU_OP_##NAME, offsetof(struct vgpu_##name, field), bits },
	FIELDS(F)
#undef F
};

static bool all_zero(const void *data, size_t bytes)
{
	const unsigned char *p = data;

	return !bytes || (!*p && !memcmp(p, p + 1, bytes - 1));
}

static int check_fields(uint32_t nr, const void *arg)
{
	uint32_t word;
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].nr != nr)
			continue;
		memcpy(&word, (const char *)arg + fields[i].offset, sizeof(word));
		if (word & ~fields[i].allowed)
			return -EINVAL;
	}
	return 0;
}

/* Which descriptor of the caller the operation names, and what it must be. False: none. */
static bool wants_fd(uint32_t nr, const void *arg, struct share_want *ret_want)
{
	const struct vgpu_share *share = arg;
	const struct vgpu_blob_create *blob = arg;
	const struct vgpu_phys_create *phys = arg;
	const struct vgpu_phys_import *import = arg;
	const struct vgpu_host_register *host = arg;
	struct share_want want = { 0 };

	switch (nr) {
	case VGPU_OP_SHARE:
		want = (struct share_want){ share->fd, SHARE_SEALED, share->size };
		break;
	case VGPU_OP_BLOB_CREATE:
		if (blob->fd == -1)
			return false;
		want = (struct share_want){ blob->fd, SHARE_READ, blob->size };
		break;
	case VGPU_OP_PHYS_CREATE:
		if (!(phys->flags & VGPU_PHYS_FD))
			return false;
		want = (struct share_want){ phys->fd, SHARE_SEALED, phys->size };
		break;
	case VGPU_OP_PHYS_IMPORT:
		want = (struct share_want){ import->fd, SHARE_SEALED_ANY, 0 };
		break;
	case VGPU_OP_HOST_REGISTER:
		want = (struct share_want){ host->fd, SHARE_SEALED, host->size };
		if (host->flags & VGPU_HOST_MAPPED) {
			want.rule =
				host->flags & VGPU_HOST_READ_ONLY ? SHARE_FILE_READ : SHARE_FILE;
			if (__builtin_add_overflow(host->offset, host->size, &want.size))
				want.size = UINT64_MAX;
		}
		break;
	default:
		return false;
	}
	*ret_want = want;
	return true;
}

static int open_fd(struct session *s, const struct admit_request *io, uint32_t nr, const void *arg,
		   int *ret_fd)
{
	struct share_want want;

	*ret_fd = -1;
	if (!wants_fd(nr, arg, &want))
		return 0;
	if (!session_visible(s))
		return -ENOTSUP;
	return share_open(io->caller.tid, &want, ret_fd);
}

static int check_order(const struct session *s, uint32_t nr)
{
	return (nr == VGPU_OP_HELLO) == session_greeted(s) ? -EPROTO : 0;
}

struct pending *admit_ioctl(struct session *s, const struct admit_request *io)
{
	uint64_t arg[(VGPU_MAX_PAYLOAD + 8) / 8];
	uint32_t nr = _IOC_NR(io->cmd), bytes = _IOC_SIZE(io->cmd);
	const struct ops_desc *desc = _IOC_TYPE(io->cmd) == VGPU_IOC_TYPE ? ops_find(nr) : NULL;
	struct session_request call;
	int r, fd = -1;

	r = desc ? 0 : -ENOTTY;
	if (!r && (_IOC_DIR(io->cmd) != (_IOC_READ | _IOC_WRITE) || io->in_bytes != bytes ||
		   io->out_bytes != bytes))
		r = -EINVAL;
	if (!r)
		r = session_check_caller(s, &io->caller);
	if (!r)
		r = check_order(s, nr);
	if (!r && bytes > desc->size &&
	    !all_zero((const char *)io->in + desc->size, bytes - desc->size))
		r = -E2BIG;
	if (r < 0)
		goto refuse;

	memset(arg, 0, desc->size);
	if (bytes)
		memcpy(arg, io->in, bytes < desc->size ? bytes : desc->size);
	r = check_fields(nr, arg);
	if (!r)
		r = open_fd(s, io, nr, arg, &fd);
	if (r < 0)
		goto refuse;
	call = (struct session_request){ .answer = io->answer,
					 .desc = desc,
					 .nr = nr,
					 .reply_bytes = bytes,
					 .arg = arg,
					 .fd = fd };
	return session_call(s, &call);

refuse:
	log_debug("thread %u: %s (%#x) refused: %s", io->caller.tid, desc ? desc->name : "ioctl",
		  io->cmd, strerror(-r));
	io->answer.ops->fail(io->answer.token, -r);
	return NULL;
}
