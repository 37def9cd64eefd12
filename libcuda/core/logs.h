/* SPDX-License-Identifier: MIT */
/* logs.h - the error log that programs can read (cuLogs*). */
#ifndef CORE_LOGS_H
#define CORE_LOGS_H

#include <stdbool.h>
#include <stddef.h>

#include <cuda.h>

/** cu_logs_add() - one message, without a newline. */
void cu_logs_add(CUlogLevel level, const char *text);
/** cu_logs_end() - where the next message will be. */
CUlogIterator cu_logs_end(void);
/**
 * cu_logs_text() - messages from @from on, the newest that fit into @room bytes; free() it. NULL: not one
 * fits (or out of memory).
 */
char *cu_logs_text(CUlogIterator from, size_t room, CUlogIterator *ret_end);
/** cu_logs_listen(), cu_logs_deafen() - a function to call with each new message. */
CUlogsCallbackHandle cu_logs_listen(CUlogsCallback fn, void *data);
bool cu_logs_deafen(CUlogsCallbackHandle handle);

#endif
