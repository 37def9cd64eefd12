/* SPDX-License-Identifier: MIT */
/*
 * graph_lane.h - parts of an executable graph that run side by side, on streams.
 */
#ifndef IMPL_GRAPH_LANE_H
#define IMPL_GRAPH_LANE_H

#include "libcuda/impl/graph.h"

struct graph_lane_part {
	uint32_t kind;		  /* node->group of its nodes */
	struct graph_node *other; /* it is this node; NULL: commands */
	uint32_t lane;
	uint32_t first_wait, waits; /* in graph_lanes.wait: parts of other lanes */
};

/** Parts in an order in which they may run one after the other. */
struct graph_lanes {
	struct graph_lane_part *part;
	uint32_t parts;
	uint32_t *wait;
	uint32_t waits;
	uint32_t lanes, last[GRAPH_LANES]; /* last part of each */
};

/** graph_lanes_wanted() - are there branches, and nodes that are no commands? */
bool graph_lanes_wanted(const struct cu_graph *g);
/** graph_lanes_plan() - NOT_SUPPORTED: too many parts. */
CUresult graph_lanes_plan(const struct cu_graph *g, struct graph_lanes *ret_lanes);
void graph_lanes_fini(struct graph_lanes *l);

#endif
