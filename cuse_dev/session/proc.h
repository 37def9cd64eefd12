/* SPDX-License-Identifier: MIT */
/*
 * proc.h - who is behind a thread id.
 *
 * A FUSE request names the calling thread. /proc says which process it belongs to; with the start
 * time that names a process even when numbers are used again.
 */
#ifndef SESSION_PROC_H
#define SESSION_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_id {
	uint32_t tgid;	/* 0: nobody we can see (foreign pid namespace) */
	uint64_t start; /* of the thread-group leader, clock ticks since boot */
};

/** proc_identify() - the process of thread @tid; -ESRCH when /proc does not know it. */
int proc_identify(uint32_t tid, struct proc_id *ret_id);
/** proc_name() - argv[0] of process @tgid, cut to @size; @name stays as it is when unknown. */
void proc_name(uint32_t tgid, char *name, size_t size);

/** Whose numbers for processes are wanted: the pid namespace of a process. */
struct proc_viewer {
	uint64_t dev, ino; /* of it; ino 0: unknown */
	bool ours;	   /* it is this process's own */
};

void proc_view(uint32_t viewer, struct proc_viewer *ret_view);
/** proc_seen() - the number of process @tgid there; 0: it has none there, or nobody knows. */
uint32_t proc_seen(const struct proc_viewer *view, uint32_t tgid);

/** proc_in_group() - is @gid among the groups of thread @tid? */
bool proc_in_group(uint32_t tid, gid_t gid);
/** proc_dying() - has thread @tid a SIGKILL pending? (Every signal that ends it becomes one.) */
bool proc_dying(uint32_t tid);
/**
 * proc_mem_available() - bytes that can still be had here, 0 unknown: what the host can give, or
 * the memory control groups around this process, whichever is less; *ret_total likewise.
 */
uint64_t proc_mem_available(uint64_t *ret_total);
/** proc_mem_private() - resident bytes of process @pid that it shares with nobody; 0 unknown. */
uint64_t proc_mem_private(uint32_t pid);

#endif
