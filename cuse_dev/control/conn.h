/* SPDX-License-Identifier: MIT */
/* conn.h - what the files of this room share: a connection, and an answer in the making. */
#ifndef CONTROL_CONN_H
#define CONTROL_CONN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/control/control.h"
#include "cuse_dev/session/front.h"
#include "cuse_dev/session/loop.h"

struct control {
	const struct config *config;
	struct front *front;
	struct door_set *doors;
	struct timespec started; /* CLOCK_MONOTONIC */
	struct loop_source listen, news;
	struct conn *conns;
	uint32_t conn_count;
	char path[PATH_MAX];
};

struct conn {
	struct conn *next, **link;
	struct control *ctl;
	struct loop_source src;
	uid_t uid;
	bool may_change;
	bool ends;	/* after what is still to be sent */
	bool following; /* wants events */
	uint64_t seen;	/* number of the last event it got */
	char in[LIMIT_CONTROL_REQUEST];
	size_t in_used;
	char *out; /* NULL: nothing to send */
	size_t out_bytes, out_sent;
};

/** An answer: members of the object, or why not. */
struct answer {
	json_t *body;
	char message[512];
};

/** request_handle() - one line without its newline; the answer as an object, NULL: no memory. */
json_t *request_handle(struct conn *conn, const char *line, size_t bytes);

/* ---- report.c: what is asked for as JSON; NULL when out of memory ---------------------------- */

json_t *report_status(const struct control *ctl);
/** report_clients() - up to LIMIT_CONTROL_PAGE with numbers below @below, newest first. */
json_t *report_clients(const struct control *ctl, uint64_t below);
json_t *report_profiles(void);
json_t *report_event(const struct event *e);
/** report_events() - those kept that are newer than @since. */
json_t *report_events(const struct control *ctl, uint64_t since);

/* ---- usage.c: what was measured ------------------------------------------------------------- */

/** usage_device() - the "telemetry" of a device. */
json_t *usage_device(const struct control *ctl, uint32_t index);
/** usage_client() - what a client has and did on a device. */
json_t *usage_client(const struct client *c, uint32_t index);
/** usage_faults() - up to LIMIT_CONTROL_PAGE that are newer than @since, oldest first. */
json_t *usage_faults(const struct control *ctl, uint64_t since);

#endif
