/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the files of queue share among themselves. Other rooms see queue.h only.
 *
 * Locks, outermost first: queue.lock, queue_ctx.lock, queue_kernel.lock; mem's lock and that of
 * the meter lie inside all. queue.run_lock, and in it the lock of a
 * run of a graph, are never held with one of these. None is held while a command runs.
 */
#ifndef QUEUE_STATE_H
#define QUEUE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "cuse_dev/base/console.h"
#include "cuse_dev/base/idtab.h"
#include "cuse_dev/base/meter.h"
#include "cuse_dev/queue/queue.h"

struct queue_event_slot {
	_Atomic uint64_t gen;
	uint64_t time_ns; /* guarded by queue.lock */
};

#define QUEUE_FAULTS 16 /* that nobody has taken yet; more are forgotten */

struct queue_fault {
	uint32_t device;
	struct vgpu_ctx_status status;
};

struct queue_meter {
	struct meter_page *page;
	pthread_mutex_t lock; /* guards the page and all below; the innermost */
	uint32_t active[METER_DEVICES][METER_KINDS];
	struct queue_fault fault[QUEUE_FAULTS]; /* oldest first */
	uint32_t faults;
};

#define QUEUE_HELPERS 8u /* threads that run branches of graphs beside the streams */

struct queue {
	struct mem *mem;
	struct queue_meter meter;
	struct vgpu_share_control *control; /* and the rings behind it */
	bool shared;
	int notify_fd;
	atomic_bool notify;
	pthread_mutex_t lock;
	pthread_cond_t progress; /* CLOCK_MONOTONIC; something below moved on */
	atomic_uint waiters;	 /* threads that sleep on progress */
	atomic_int spinners;
	int max_spinners;
	atomic_uint draining;
	struct idtab streams, kernels, graphs; /* guarded by lock */
	uint64_t graph_bytes;		       /* guarded by lock */
	uint64_t kernel_serial;		       /* guarded by lock */
	uint32_t prepared;		       /* launches; guarded by lock */
	pthread_mutex_t run_lock;	       /* guards what follows: of graphs that run */
	pthread_cond_t run_work, run_idle;     /* for helpers; for who waits for them */
	struct run *runs;
	pthread_t helper[QUEUE_HELPERS];
	uint32_t nhelpers, idle_helpers;
	bool looking;	/* a helper looks at the runs now and then, */
	uint32_t looks; /* so often in a row without finding one */
	bool run_stop;
	struct queue_stream *by_slot[VGPU_SHARE_STREAMS]; /* guarded by lock */
	struct queue_ctx *ctx_slot[VGPU_SHARE_CONTEXTS];
	struct queue_event_slot event[VGPU_SHARE_EVENTS];
};

struct queue_ctx {
	struct queue *q;
	struct queue_device device;
	uint32_t slot;
	atomic_uint error;   /* sticky CUresult */
	atomic_uint streams; /* threads and slots not reaped yet */
	uint64_t closed_ns;  /* 0 while open */
	int cut;	     /* how far closing has come: 1 waits ended, 2 kernels cancelled */
	struct mem_owner owner;
	struct queue_graph *graphs; /* guarded by queue.lock */
	pthread_mutex_t lock;	    /* guards all below */
	struct vgpu_ctx_status status;
	struct backend_console *console;
	uint64_t limit[QUEUE_LIMITS];
	uint64_t heap_va, heap_bytes;
	uint32_t running; /* kernels */
	bool launched;	  /* a kernel has run: the heap exists if there was memory for it */
};

struct queue_kernel {
	struct queue *q;
	struct queue_ctx *ctx;
	struct backend_func *func;
	void *owner;
	uint32_t id;
	uint64_t serial; /* never the same again */
	atomic_uint running;
	pthread_mutex_t lock;
	bool known; /* guarded by lock, as info is */
	struct backend_func_info info;
};

struct run;

struct queue_stream {
	struct queue *q;
	struct queue_ctx *ctx;
	uint32_t id, slot;
	int32_t priority;
	_Atomic uint32_t sms;		 /* 0: all */
	struct vgpu_share_stream *share; /* counters, published */
	uint8_t *ring;
	pthread_t thread;
	bool started;
	uint32_t holds; /* others that wait for it; guarded by queue.lock */
	atomic_bool closing;
	uint64_t close_tail;	 /* valid once closing: commands behind it are not taken */
	atomic_bool finished;	 /* the thread has left its loop */
	atomic_bool broken;	 /* its ring makes no sense any more */
	atomic_bool cut;	 /* waits end at once, commands are not run */
	_Atomic uint32_t cancel; /* for the backend */
	/* Written by the thread only. */
	uint64_t head;
	_Atomic uint64_t done_seq, host_token;
	uint32_t done_word;
	uint64_t spin_ns; /* how long to look for work before sleeping */
	uint32_t misses;  /* spins in a row that found nothing */
	uint32_t crowded; /* waits left that spin shortly, because longer did not pay */
	_Alignas(16) uint8_t cmd[VGPU_CMD_MAX_BYTES]; /* the one being run */
};

/* How long a thread burns before it sleeps, unless experience says otherwise. */
#define QUEUE_SPIN_NS 50000u

/* queue.c */
/** queue_progress() - tell all who wait: state that they look at has changed. */
void queue_progress(struct queue *q);
/**
 * queue_wait() - sleep until @done says so, looking after each queue_progress() and, if
 * @poll_ns, at least that often.
 */
void queue_wait(struct queue *q, bool (*done)(void *arg), void *arg, uint64_t poll_ns);
/** queue_spin_begin() - whether this thread may spin now; then queue_spin_end() follows. */
bool queue_spin_begin(struct queue *q);
void queue_spin_end(struct queue *q);
void queue_record(struct queue *q, uint32_t slot, uint64_t gen);
int queue_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns);
void queue_futex_wake(uint32_t *word);

static inline void queue_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* ctx.c */
void queue_ctx_fault(struct queue_ctx *c, const struct backend_fault *fault, const char *kernel);
void queue_ctx_refuse(struct queue_ctx *c, uint32_t error, const char *what);
/** queue_ctx_enter() - a kernel begins: fills console, heap and stack of @l. */
void queue_ctx_enter(struct queue_ctx *c, struct backend_launch *l);
void queue_ctx_leave(struct queue_ctx *c);

/* stream.c */
/** queue_stream_kick() - make the thread look at its flags again. */
void queue_stream_kick(struct queue_stream *s);
void queue_stream_publish_host(struct queue_stream *s, uint64_t token);
/** queue_stream_dead() - waits of this stream have no sense any more. */
bool queue_stream_dead(const struct queue_stream *s);

/* meter.c */
int queue_meter_init(struct queue_meter *m, int fd);
void queue_meter_fini(struct queue_meter *m);
/** queue_meter_begin(), queue_meter_end() - around what keeps the device of @c busy. */
void queue_meter_begin(struct queue_ctx *c, enum meter_kind kind);
void queue_meter_end(struct queue_ctx *c, enum meter_kind kind);
/** queue_meter_moved() - @bytes went from @src to @dst; 0: no memory, a fill. */
void queue_meter_moved(struct queue_ctx *c, uint64_t dst, uint64_t src, uint64_t bytes);
void queue_meter_fault(struct queue_ctx *c, const struct vgpu_ctx_status *status);

/* command.c */
/** queue_command_run() - the checked size is cmd->bytes. 0, or -errno: refused. */
int queue_command_run(struct queue_stream *s, const struct vgpu_cmd *cmd);

/** queue_command_fits() - cmd->bytes, all of which can be read, is right for the command. */
bool queue_command_fits(const struct vgpu_cmd *cmd);

/* launch.c */
int queue_launch(struct queue_stream *s, const struct vgpu_cmd_launch *c);
/** queue_refusal() - why a launch of a kernel with @info is refused, or NULL. */
const char *queue_refusal(const struct queue_ctx *c, const struct backend_func_info *info,
			  const struct vgpu_cmd_launch *cmd);
/** queue_launch_begin() - fills what the command says of @l. */
void queue_launch_begin(const struct vgpu_cmd_launch *c, struct backend_launch *l);
/** queue_launch_common() - and what the stream says. */
void queue_launch_common(struct queue_stream *s, struct backend_launch *l);

/* graph.c, graph_run.c */
/** queue_graph_stop() - no graph runs any more. */
void queue_graph_stop(struct queue *q);
int queue_graph_run(struct queue_stream *s, const struct vgpu_cmd_graph_run *c);
/** queue_graph_drop() - all graphs of a context whose streams are gone. */
void queue_graph_drop(struct queue_ctx *c);

#endif
