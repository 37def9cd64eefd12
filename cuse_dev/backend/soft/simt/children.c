/* SPDX-License-Identifier: MIT */
/* children.c - see children.h. */
#include "cuse_dev/backend/soft/simt/children.h"

#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"

void simt_children_init(struct simt_children *c, const uint32_t *param_bytes, uint32_t functions,
			uint32_t depth)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	c->param_bytes = param_bytes;
	c->functions = functions;
	c->depth = depth;
}

void simt_children_fini(struct simt_children *c)
{
	struct simt_child *child;

	while ((child = simt_children_take(c)))
		free(child);
	pthread_mutex_destroy(&c->lock);
}

uint32_t simt_children_check(const struct simt_children *c, uint32_t code, const uint32_t grid[3],
			     const uint32_t block[3])
{
	uint64_t threads = 1;

	if (code >= c->functions || c->param_bytes[code] == UINT32_MAX)
		return SIMT_CNP_INVALID_VALUE;
	for (int i = 0; i < 3; i++) {
		threads *= block[i];
		if (!grid[i] || !block[i] || threads > 1024 || (i && grid[i] > 65535))
			return SIMT_CNP_INVALID_CONFIGURATION;
	}
	if (grid[0] > INT32_MAX || block[2] > 64)
		return SIMT_CNP_INVALID_CONFIGURATION;
	return c->depth >= LIMIT_LAUNCH_DEPTH ? SIMT_CNP_MAX_DEPTH : SIMT_CNP_SUCCESS;
}

uint32_t simt_children_add(struct simt_children *c, struct simt_child *child, bool tail)
{
	struct simt_child_list *list = tail ? &c->tail : &c->plain;
	uint32_t r = SIMT_CNP_SUCCESS;

	pthread_mutex_lock(&c->lock);
	if (c->count >= LIMIT_LAUNCHES_PENDING) {
		r = SIMT_CNP_PENDING_COUNT;
	} else {
		child->next = NULL;
		if (list->first)
			*list->end = child;
		else
			list->first = child;
		list->end = &child->next;
		c->count++;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

struct simt_child *simt_children_take(struct simt_children *c)
{
	struct simt_child_list *list = c->plain.first ? &c->plain : &c->tail;
	struct simt_child *child = list->first;

	if (child) {
		list->first = child->next;
		c->count--;
	}
	return child;
}

bool simt_children_left(const struct simt_children *c)
{
	return c->plain.first || c->tail.first;
}
