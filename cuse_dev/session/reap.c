/* SPDX-License-Identifier: MIT */
/* reap.c - one thread, one list of jobs. */
#include "cuse_dev/session/reap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ioctl/vgpu_share.h"

#define ERROR_LAUNCH_FAILED 719 /* CUresult */
#define ALIVE_DIED	    3

struct reap {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct reap_job *first, **last; /* guarded by lock */
	bool running;			/* guarded by lock */
	bool stop;			/* guarded by lock */
};

/*
 * The pages belong to a client that may do anything with them, so nothing is loaded or stored
 * through a mapping: pread and pwrite report an error where an access would fault. The mapping is
 * only there to name the futex words.
 */
void reap_publish_death(int control_fd)
{
	const size_t bytes = offsetof(struct vgpu_share_control, event);
	uint32_t word, alive = ALIVE_DIED, i;
	struct vgpu_share_control *map;
	off_t at;

	for (i = 0; i < VGPU_SHARE_CONTEXTS; i++) {
		at = (off_t)offsetof(struct vgpu_share_control, ctx[i].error);
		if (pread(control_fd, &word, sizeof(word), at) != sizeof(word) || word)
			continue;
		word = ERROR_LAUNCH_FAILED;
		if (pwrite(control_fd, &word, sizeof(word), at) < 0)
			return;
	}
	at = (off_t)offsetof(struct vgpu_share_control, worker_alive);
	if (pwrite(control_fd, &alive, sizeof(alive), at) < 0)
		return;
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, control_fd, 0);
	for (i = 0; i < VGPU_SHARE_STREAMS; i++) {
		at = (off_t)offsetof(struct vgpu_share_control, stream[i].done_word);
		if (pread(control_fd, &word, sizeof(word), at) != sizeof(word))
			continue;
		word++;
		if (pwrite(control_fd, &word, sizeof(word), at) < 0)
			break;
		if (map != MAP_FAILED)
			syscall(SYS_futex, &map->stream[i].done_word, FUTEX_WAKE, INT_MAX, NULL,
				NULL, 0);
	}
	if (map != MAP_FAILED)
		munmap(map, bytes);
}

static void run(struct reap_job *job)
{
	uint32_t i;

	if (job->control >= 0) {
		if (job->died)
			reap_publish_death(job->control);
		close(job->control);
	}
	for (i = 0; i < job->fds; i++) {
		if (job->punch[i])
			fallocate(job->fd[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				  (off_t)job->punch[i]);
		close(job->fd[i]);
	}
	free(job);
}

static void *work(void *arg)
{
	struct reap *r = arg;
	struct reap_job *job;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		job = r->first;
		if (job) {
			r->first = job->next;
			if (!r->first)
				r->last = &r->first;
			r->running = true;
			pthread_mutex_unlock(&r->lock);
			run(job);
			pthread_mutex_lock(&r->lock);
			r->running = false;
		} else if (r->stop) {
			break;
		} else {
			pthread_cond_wait(&r->wake, &r->lock);
		}
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int reap_create(struct reap **ret_reap)
{
	struct reap *r = calloc(1, sizeof(*r));
	sigset_t all, old;
	int e;

	if (!r)
		return -ENOMEM;
	r->last = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the loop */
	e = pthread_create(&r->thread, NULL, work, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e) {
		free(r);
		return -e;
	}
	*ret_reap = r;
	return 0;
}

void reap_destroy(struct reap *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct reap_job *reap_job_create(void)
{
	struct reap_job *job = calloc(1, sizeof(*job));

	if (job)
		job->control = -1;
	return job;
}

void reap_job_add(struct reap_job *job, int fd, uint64_t punch)
{
	if (job->fds == REAP_MAX_FDS) { /* cannot be: one job is one client */
		close(fd);
		return;
	}
	job->fd[job->fds] = fd;
	job->punch[job->fds++] = punch;
}

bool reap_busy(struct reap *r)
{
	bool busy;

	pthread_mutex_lock(&r->lock);
	busy = r->first || r->running;
	pthread_mutex_unlock(&r->lock);
	return busy;
}

void reap_submit(struct reap *r, struct reap_job *job)
{
	pthread_mutex_lock(&r->lock);
	job->next = NULL;
	*r->last = job;
	r->last = &job->next;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}
