/* SPDX-License-Identifier: MIT */
/*
 * graph_record.h - from the nodes of an executable graph to the commands that the worker keeps.
 */
#ifndef IMPL_GRAPH_RECORD_H
#define IMPL_GRAPH_RECORD_H

#include "libcuda/impl/graph.h"
#include "libcuda/impl/queue.h"

struct graph_recorder {
	struct cu_stream *s;
	struct queue_recorder rec; /* commands of the part that is being made */
	/* For a node that is no command: ends the part (graph_record_part()) first. */
	CUresult (*other)(struct graph_recorder *m, struct graph_node *n);
	bool parallel; /* the worker knows tasks */
	bool grouped;  /* only nodes of this group of the graph are recorded */
	uint32_t group;
	bool values;	/* task 0 sets the values of conditional nodes: all others follow it */
	uint32_t part;	/* its number, from 2 on */
	uint32_t tasks; /* begun in it */
	uint32_t *deps; /* tasks of it */
	uint32_t ndeps, deps_cap;
};

void graph_record_init(struct graph_recorder *m, struct cu_stream *s,
		       CUresult (*other)(struct graph_recorder *m, struct graph_node *n));
void graph_record_fini(struct graph_recorder *m);
/** graph_record() - all of it, with what conditional nodes find at the start of each launch. */
CUresult graph_record(struct graph_recorder *m, const struct cu_graph *g);
/** graph_record_group() - those of its nodes that are in @group; the others are recorded before or after. */
CUresult graph_record_group(struct graph_recorder *m, const struct cu_graph *g, uint32_t group);
/** graph_record_part() - what was recorded has been taken; what follows is the next part. */
void graph_record_part(struct graph_recorder *m);

#endif
