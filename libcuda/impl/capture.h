/* SPDX-License-Identifier: MIT */
/*
 * capture.h - stream capture, as entry points that submit, wait or allocate see it.
 *
 * Each costs one load while nothing is being captured.
 */
#ifndef IMPL_CAPTURE_H
#define IMPL_CAPTURE_H

#include <stdbool.h>

#include "libcuda/core/stream.h"

struct graph_work;
struct queue;
struct capture_mark;

/**
 * capture_check() - before a command goes into @s: is it to be recorded instead?
 *
 * An error if the capture has been invalidated, or (STREAM_CAPTURE_IMPLICIT) if @s is the legacy
 * stream, which would make one that is being captured wait.
 */
CUresult capture_check(struct cu_stream *s, bool *ret_capturing);
/** capture_add() - record @work, which is the graph's from here on, also on failure. */
CUresult capture_add(struct cu_stream *s, struct graph_work *work);
/** capture_refuse() - what cannot be captured, such as a wait: invalidates a capture of @s. */
CUresult capture_refuse(struct cu_stream *s);
/** capture_refuse_ctx() - the same of a wait for all of a context. */
CUresult capture_refuse_ctx(struct cu_ctx *ctx);
/** capture_unsafe() - the calling thread is about to do what the capture mode may forbid. */
CUresult capture_unsafe(void);

/** capture_event_record() - @s is being captured: @mark becomes where it stands. */
CUresult capture_event_record(struct cu_stream *s, struct capture_mark **mark);
/** capture_event_wait() - @s follows @mark, NULL: an event recorded outside of any capture. */
CUresult capture_event_wait(struct cu_stream *s, const struct capture_mark *mark);
void capture_mark_free(struct capture_mark *mark);

/** capture_queue_gone() - the stream ends, and with it what was captured. */
void capture_queue_gone(struct queue *q);

#endif
