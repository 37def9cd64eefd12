/* SPDX-License-Identifier: MIT */
/*
 * console.h - the printf FIFO of a context: bounded text, many writers, one reader.
 *
 * Each record is a run of text for one output stream (1 = stdout, 2 = stderr). A record that does not
 * fit is dropped whole and counted.
 */
#ifndef BASE_CONSOLE_H
#define BASE_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

struct backend_console;

int console_create(size_t bytes, struct backend_console **ret_console);
void console_destroy(struct backend_console *c);

/** console_write() - append a record; 0, or -ENOSPC when it was dropped. */
int console_write(struct backend_console *c, int stream, const char *text, size_t bytes);

/** console_read() - move up to @size bytes of the oldest stream's text out; returns bytes. */
size_t console_read(struct backend_console *c, char *buf, size_t size, int *ret_stream);

size_t console_pending(struct backend_console *c);
uint64_t console_lost(struct backend_console *c);

#endif
