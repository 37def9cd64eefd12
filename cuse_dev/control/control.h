/* SPDX-License-Identifier: MIT */
/*
 * control.h - the socket through which the running daemon is looked at and changed.
 *
 * <run_dir>/control, a stream of lines, each a JSON object: one request, one answer. Everybody who
 * may open it can ask; changes are for root and the members of control_group. docs/admin.md has the
 * requests. It shares the front's loop: a request that would take long is cut into pages, and who
 * does not read his answers is not asked for the next request.
 *
 * Parsing is jansson's, behind a limit of LIMIT_CONTROL_REQUEST bytes a line.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "cuse_dev/control/protocol.h"
#include "cuse_dev/door/set.h"
#include "cuse_dev/session/config.h"
#include "cuse_dev/session/session.h"

struct control;

/** control_create() - 0 with NULL when the configuration wants none; the log says what failed. */
int control_create(const struct config *c, struct front *f, struct door_set *doors,
		   struct control **ret_control);
void control_destroy(struct control *ctl);

#endif
