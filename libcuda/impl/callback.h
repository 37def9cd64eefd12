/* SPDX-License-Identifier: MIT */
/*
 * callback.h - host functions in streams: what queue.c must know of them.
 */
#ifndef IMPL_CALLBACK_H
#define IMPL_CALLBACK_H

#include <stdbool.h>

#include <cuda.h>

struct cu_stream;
struct queue;

/**
 * callback_add() - a call when @s gets here: of @host, unless there was an error, or of @status in
 * any case.
 */
CUresult callback_add(struct cu_stream *s, CUhostFn host, CUstreamCallback status, void *user);
/** callback_pending() - are there calls that have not returned? Guarded by ctx->lock. */
bool callback_pending(const struct queue *q);
/** callback_detach() - waits for pending calls (but not for its own), then lets the thread go. */
void callback_detach(struct queue *q);

#endif
