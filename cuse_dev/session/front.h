/* SPDX-License-Identifier: MIT */
/*
 * front.h - the front's nouns: front, device, client, session, worker, pending.
 *
 *	front ─┬─ device[]
 *	       └─ client (one process) ─┬─ session (one open file) ...
 *	                                └─ worker ─── pending (one relayed request) ...
 *
 * Here: the structs, which rooms to the left do not look into, and what the files of this room say
 * to each other. What a door uses stands in session.h.
 *
 * Everything belongs to the loop's thread, without locks. The only other thread is that of reap.c.
 */
#ifndef SESSION_FRONT_H
#define SESSION_FRONT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse_dev/base/idtab.h"
#include "cuse_dev/base/meter.h"
#include "cuse_dev/session/config.h"
#include "cuse_dev/session/event.h"
#include "cuse_dev/session/guard.h"
#include "cuse_dev/session/loop.h"
#include "cuse_dev/session/model.h"
#include "cuse_dev/session/proc.h"
#include "cuse_dev/session/session.h"
#include "cuse_dev/session/wire.h"
#include "ioctl/vgpu_ioctl.h"

#define FRONT_CLIENT_BUCKETS 256

struct fault_log;
struct reap;
struct spawn;

struct front_device {
	struct config_device own; /* its configuration, which an administrator may change */
	const struct config_device *config; /* the same */
	uint64_t
		generation; /* of the device with this number; workers know the devices of their start */
	struct vgpu_device_info info; /* ready answers */
	struct vgpu_device_attrs attrs;
	uint64_t total, reserved; /* bytes */
	uint64_t charged;	  /* bytes: sum of client->charged[] of this device */
	struct vgpu_board_info board;
	struct meter_track past[METER_KINDS]; /* of workers that are gone */
	struct model model;
};

/** A client that has ended, as CLIENT_LIST shows it. */
struct front_ended {
	uint32_t device, tgid;
	struct vgpu_client_entry entry;
};

struct front {
	struct loop loop;
	const struct config *config;
	uint32_t device_count;
	struct front_device device[VGPU_MAX_DEVICES];
	struct client *clients[FRONT_CLIENT_BUCKETS]; /* by tgid; anonymous ones by nothing */
	uint32_t client_count;			      /* in clients[] */
	uint32_t ending_count;			      /* gone, but their worker is not reaped yet */
	struct session *sessions;		      /* all open files */
	uint32_t session_count;
	uint64_t last_session; /* number of the newest */
	uint64_t last_tag;
	uint64_t strict_budget; /* bytes all clients together may be charged; overcommit=strict */
	struct reap *reap;
	struct guard guard;
	uint64_t last_generation;
	struct event_log events;
	const struct spawn *spawn;
	uint64_t born_ns;     /* CLOCK_MONOTONIC */
	uint64_t last_client; /* serial of the newest */
	struct fault_log *faults;
	struct front_ended *ended;    /* [VGPU_CLIENTS_KEPT], a ring */
	uint64_t ended_count;	      /* of all that were ever written to it */
	const struct spawn *compiler; /* NULL: none */
	uint32_t compiler_count;      /* not reaped yet */
	uint64_t cache_stamp;	      /* of compiler and CPU: part of the name of cache files */
};

/* Index into client->share[]. */
enum { SHARE_CONTROL, SHARE_HOST, SHARE_DEVICE0, SHARE_COUNT = SHARE_DEVICE0 + VGPU_MAX_DEVICES };

struct client_share {
	int fd; /* -1 none */
	uint64_t bytes;
};

#define CLIENT_TIDS 16

/** What a client did on one device; the rest stands on its worker's page. */
struct client_use {
	uint32_t contexts;
	bool ever;						 /* had one */
	uint64_t peak;						 /* bytes, most of charged */
	uint64_t busy_ns, copy_ns, in_bytes, out_bytes, kernels; /* of its worker that died */
};

struct client {
	struct client *next; /* in its bucket */
	struct front *front;
	struct proc_id id; /* tgid 0: anonymous, lives as long as its one session */
	uid_t uid;
	struct loop_source watch; /* pidfd, -1 when anonymous */
	struct session *sessions;
	uint32_t session_count;
	uint64_t window_base, window_size; /* size 0: not decided yet */
	struct client_share share[SHARE_COUNT];
	struct worker *worker;
	bool worker_died; /* ENODEV for ever */
	bool evicted;	  /* worker_died because an administrator said so */
	bool gone;	  /* process ended or all closed; only the worker is still to be reaped */
	uint64_t charged[VGPU_MAX_DEVICES]; /* bytes, requests in flight included */
	uint32_t tids[CLIENT_TIDS];	    /* threads known to be its own, by tid % CLIENT_TIDS */
	uint64_t serial, born_ns, born_us;  /* born_us: CLOCK_REALTIME */
	char name[VGPU_CLIENT_NAME];	    /* argv[0] when its worker started */
	struct client_use use[VGPU_MAX_DEVICES];
};

struct session {
	struct session *next, **link;		 /* in front->sessions */
	struct session *sibling, **sibling_link; /* in client->sessions */
	struct front *front;
	struct client *client; /* NULL once the process has ended */
	uid_t uid;	       /* who opened it; it counts for him wherever it is passed on to */
	uint64_t number;
	uint32_t device;
	bool greeted;
	uint64_t bulk_base;
};

/* ---- account.c ------------------------------------------------------------------------------ */

/** account_take() - charge before the allocation. -ENOMEM, -EDQUOT. */
int account_take(struct client *c, uint32_t device, uint64_t bytes);
void account_give(struct client *c, uint32_t device, uint64_t bytes);
/** account_correct() - the worker says how it was: @charge instead of @taken. */
void account_correct(struct client *c, uint32_t device, uint64_t taken, int64_t charge);
/** account_close() - all of it back. */
void account_close(struct client *c);
/** account_free() - what @c could still get. */
uint64_t account_free(const struct client *c, uint32_t device);
/** account_greet() - may one more client of this uid use the device? 0 or -EDQUOT. */
int account_greet(const struct client *c, uint32_t device);
/** account_strict_budget() - what overcommit=strict lets all clients have together. */
uint64_t account_strict_budget(void);

/* ---- client.c ------------------------------------------------------------------------------- */

/** client_get() - the client of this process, made if there is none yet. */
int client_get(struct front *f, const struct proc_id *id, uid_t uid, struct client **ret_client);
/** client_put() - after a session left it: the last one ends the client. */
void client_put(struct client *c);
/** client_end() - the process is gone, or has closed all. */
void client_end(struct client *c);
/** client_evict() - end its worker and take its memory; it can get neither again. */
void client_evict(struct client *c, const char *why);
/** client_next() - each client once, at its newest session. Start with *s = f->sessions. */
struct client *client_next(struct session **s);
/** client_worker_reaped() - nothing of the worker is left. */
void client_worker_reaped(struct client *c);
/** client_has_thread() - is the calling thread one of its own? */
bool client_has_thread(struct client *c, uint32_t tid);

/* ---- frontop.c ------------------------------------------------------------------------------ */

/** frontop_call() - an operation that the front answers itself; fills *arg. 0 or -errno. */
int frontop_call(struct session *s, const struct session_request *call);
/** frontop_driver() - the version that HELLO tells, as text. */
const char *frontop_driver(void);

/* ---- telemetry.c ---------------------------------------------------------------------------- */

void telemetry_state(struct front *f, uint32_t device, struct vgpu_device_state *ret_state);
/** telemetry_client() - @c on @device, but for its pid. */
void telemetry_client(const struct client *c, uint32_t device, struct vgpu_client_entry *ret_entry);
int telemetry_clients(struct session *s, struct vgpu_client_list *list);
int telemetry_samples(struct session *s, struct vgpu_sample_list *list);
/** telemetry_context() - one more (1) or less (-1) on @device. */
void telemetry_context(struct client *c, uint32_t device, int change);
/** telemetry_fold() - the worker of @c will not be seen again: keep what its page says. */
void telemetry_fold(struct client *c);
/** telemetry_ended() - remember @c, which ends. */
void telemetry_ended(struct client *c);
uint64_t telemetry_now_ns(void);
uint64_t telemetry_now_us(void);

/* ---- fault.c -------------------------------------------------------------------------------- */

int fault_create(struct fault_log **ret_log);
void fault_destroy(struct fault_log *log);
/** fault_add() - a context of @c broke; texts need not be clean. */
void fault_add(struct client *c, uint32_t device, const struct vgpu_ctx_status *status);
/** fault_worker_died() - so did all its contexts. */
void fault_worker_died(struct client *c, const char *how);
uint64_t fault_last(const struct front *f);
/** fault_last_xid() - of the newest fault on @device, 0: none is kept. */
uint32_t fault_last_xid(const struct front *f, uint32_t device);
/** fault_next() - the oldest that is kept behind @after, NULL: none. Without its pid. */
const struct vgpu_fault_entry *fault_next(const struct front *f, uint64_t after,
					  uint32_t *ret_tgid);
int fault_list(struct session *s, struct vgpu_fault_list *list);

/* ---- relay.c -------------------------------------------------------------------------------- */

/** relay_call() - to the worker; NULL when it is answered already. */
struct pending *relay_call(struct session *s, const struct session_request *call);
struct pending *relay_bulk(struct session *s, const struct session_bulk *bulk);

#endif
