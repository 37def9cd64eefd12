/* SPDX-License-Identifier: MIT */
/* launch.h - one launch, whatever entry point it came through. */
#ifndef IMPL_LAUNCH_H
#define IMPL_LAUNCH_H

#include <stdbool.h>

#include "libcuda/impl/module.h"

struct launch {
	unsigned grid[3], block[3];
	unsigned cluster[3]; /* 0,0,0: as the kernel says */
	unsigned shared_bytes;
	bool cooperative;
	CUstream stream;
	CUevent done_event; /* recorded behind the kernel, NULL for none */
	/* Parameters: one pointer each, or a block of bytes. */
	void **params;
	const void *block_of_params;
	size_t block_bytes;
};

CUresult launch_func(struct cu_func *f, const struct launch *l);
/** launch_check() - all that is wrong with it apart from the stream; @ret_cluster may be NULL. */
CUresult launch_check(struct cu_func *f, const struct launch *l, uint32_t ret_cluster[3]);
/** launch_collect() - the parameters as one block of layout->bytes. */
CUresult launch_collect(const struct func_layout *layout, const struct launch *l, uint8_t *block);
/** launch_extra() - the list that may stand in place of parameters. */
CUresult launch_extra(void **extra, struct launch *l);
CUresult launch_attribute(const CUlaunchAttribute *a, struct launch *l);

#endif
