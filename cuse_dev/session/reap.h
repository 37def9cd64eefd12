/* SPDX-License-Identifier: MIT */
/*
 * reap.h - a thread that gives back what a dead worker or client leaves behind.
 *
 * Emptying or closing a memfd of many gigabytes takes a second or more, and the loop may not wait
 * that long. A job owns its descriptors; the thread knows nothing else.
 */
#ifndef SESSION_REAP_H
#define SESSION_REAP_H

#include <stdbool.h>
#include <stdint.h>

#define REAP_MAX_FDS 18

struct reap;

struct reap_job {
	struct reap_job *next;
	int control; /* memfd of VGPU_SHARE_CONTROL, -1 none */
	bool died;   /* say there that the worker has died */
	uint32_t fds;
	int fd[REAP_MAX_FDS];
	uint64_t punch[REAP_MAX_FDS]; /* bytes to empty before closing */
};

int reap_create(struct reap **ret_reap);
/** reap_destroy() - after all jobs are done. */
void reap_destroy(struct reap *r);

/** reap_job_create() - an empty job, NULL when out of memory. */
struct reap_job *reap_job_create(void);
void reap_job_add(struct reap_job *job, int fd, uint64_t punch);
/** reap_submit() - the job and its descriptors now belong to the thread. */
void reap_submit(struct reap *r, struct reap_job *job);
/** reap_busy() - is a job not done yet? */
bool reap_busy(struct reap *r);

/** reap_publish_death() - what vgpu_share.h promises for worker_alive = 3. */
void reap_publish_death(int control_fd);

#endif
