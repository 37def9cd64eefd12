/* SPDX-License-Identifier: MIT */
/*
 * capture.c - stream capture: what is submitted becomes nodes of a graph and is not executed.
 *
 * A capture starts in one stream. Others join it by waiting for an event recorded in it; each has
 * the set of nodes that its next one will follow. It ends in the stream where it started, where all
 * the others must have come together again.
 *
 * One lock guards all captures, their graphs and queue.capture; it is taken under no other lock
 * but an event's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/queue.h"

/* Nodes that the next one follows, each once. */
struct deps {
	struct graph_node **node;
	CUgraphEdgeData *data;
	size_t count;
};

struct capture {
	struct capture *next;
	uint64_t id;
	CUstreamCaptureMode mode;
	const struct cu_thread *thread; /* where it was begun */
	struct queue *origin;
	struct cu_graph *graph;
	bool to_graph;	/* the program's graph, not one of ours */
	CUresult error; /* CUDA_SUCCESS, or why it is invalid */
	struct capture_stream *streams;
};

/* queue.capture of a stream that takes part. */
struct capture_stream {
	struct capture_stream *next;
	struct capture *capture;
	struct queue *queue;
	struct deps deps;
};

/* A record of an event in a capture. */
struct capture_mark {
	uint64_t capture; /* its id: it may have ended */
	struct deps deps;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct capture *captures; /* guarded by lock */
static _Atomic unsigned live;	 /* captures in the list */
static __thread CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

/* ---- sets of nodes -------------------------------------------------------------------------- */

static void deps_fini(struct deps *d)
{
	free(d->node);
	free(d->data);
	*d = (struct deps){ NULL, NULL, 0 };
}

/* Adds what is not there yet; on failure @d is as it was. */
static CUresult deps_add(struct deps *d, struct graph_node *const *node,
			 const CUgraphEdgeData *data, size_t count)
{
	struct graph_node **nodes = realloc(d->node, (d->count + count + 1) * sizeof(*nodes));
	CUgraphEdgeData *datas;

	if (!nodes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	d->node = nodes;
	datas = realloc(d->data, (d->count + count + 1) * sizeof(*datas));
	if (!datas)
		return CUDA_ERROR_OUT_OF_MEMORY;
	d->data = datas;
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;

		while (at < d->count && d->node[at] != node[i])
			at++;
		if (at < d->count)
			continue;
		d->node[at] = node[i];
		memset(&d->data[at], 0, sizeof(d->data[at]));
		if (data)
			d->data[at] = data[i];
		d->count++;
	}
	return CUDA_SUCCESS;
}

static CUresult deps_set(struct deps *d, struct graph_node *const *node,
			 const CUgraphEdgeData *data, size_t count)
{
	struct deps fresh = { NULL, NULL, 0 };
	CUresult r = deps_add(&fresh, node, data, count);

	if (r != CUDA_SUCCESS) {
		deps_fini(&fresh);
		return r;
	}
	deps_fini(d);
	*d = fresh;
	return CUDA_SUCCESS;
}

/* ---- captures; all with the lock held ------------------------------------------------------- */

static void invalidate(struct capture *c)
{
	if (c->error == CUDA_SUCCESS)
		c->error = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

static CUresult join(struct capture *c, struct queue *q)
{
	struct capture_stream *cs = calloc(1, sizeof(*cs));

	if (!cs)
		return CUDA_ERROR_OUT_OF_MEMORY;
	cs->capture = c;
	cs->queue = q;
	cs->next = c->streams;
	c->streams = cs;
	q->capture = cs;
	return CUDA_SUCCESS;
}

static void leave(struct capture_stream *cs)
{
	struct capture_stream **at = &cs->capture->streams;

	while (*at != cs)
		at = &(*at)->next;
	*at = cs->next;
	cs->queue->capture = NULL;
	deps_fini(&cs->deps);
	free(cs);
}

/* The graph stays, for the caller. */
static void finish(struct capture *c)
{
	struct capture **at = &captures;

	while (c->streams)
		leave(c->streams);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->graph->capturing = false;
	atomic_fetch_sub(&live, 1);
	free(c);
}

static struct capture *find(uint64_t id)
{
	struct capture *c = captures;

	while (c && c->id != id)
		c = c->next;
	return c;
}

/* The legacy stream would make blocking streams of its context wait, or be waited for. */
static CUresult check_legacy(const struct queue *q)
{
	CUresult r = CUDA_SUCCESS;

	if (!q->legacy)
		return r;
	for (struct capture *c = captures; c; c = c->next) {
		for (struct capture_stream *cs = c->streams; cs; cs = cs->next) {
			if (cs->queue->ctx != q->ctx || !cs->queue->blocking)
				continue;
			invalidate(c);
			r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
		}
	}
	return r;
}

/* ---- what other files use ------------------------------------------------------------------- */

CUresult capture_check(struct cu_stream *s, bool *ret_capturing)
{
	struct capture_stream *cs;
	CUresult r;

	*ret_capturing = false;
	if (!atomic_load(&live))
		return CUDA_SUCCESS;
	pthread_mutex_lock(&lock);
	cs = queue_of(s)->capture;
	r = cs ? cs->capture->error : check_legacy(queue_of(s));
	*ret_capturing = cs && r == CUDA_SUCCESS;
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult capture_add(struct cu_stream *s, struct graph_work *work)
{
	struct capture_stream *cs;
	struct graph_node *n;
	CUresult r;

	pthread_mutex_lock(&lock);
	cs = queue_of(s)->capture;
	if (!cs || cs->capture->error != CUDA_SUCCESS) {
		pthread_mutex_unlock(&lock);
		graph_work_fini(work);
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	}
	r = graph_add(cs->capture->graph, cs->deps.node, cs->deps.data, cs->deps.count, work, &n);
	if (r == CUDA_SUCCESS)
		r = deps_set(&cs->deps, &n, NULL, 1);
	if (r != CUDA_SUCCESS)
		invalidate(cs->capture);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult capture_refuse(struct cu_stream *s)
{
	struct capture_stream *cs;
	CUresult r;

	if (!atomic_load(&live))
		return CUDA_SUCCESS;
	pthread_mutex_lock(&lock);
	cs = queue_of(s)->capture;
	r = check_legacy(queue_of(s));
	if (cs) {
		r = cs->capture->error != CUDA_SUCCESS ? cs->capture->error
						       : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
		invalidate(cs->capture);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult capture_refuse_ctx(struct cu_ctx *ctx)
{
	CUresult r = CUDA_SUCCESS;

	if (!atomic_load(&live))
		return r;
	pthread_mutex_lock(&lock);
	for (struct capture *c = captures; c; c = c->next) {
		for (struct capture_stream *cs = c->streams; cs; cs = cs->next) {
			if (cs->queue->ctx != ctx)
				continue;
			invalidate(c);
			r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
		}
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult capture_unsafe(void)
{
	const struct cu_thread *self;
	CUresult r = CUDA_SUCCESS;

	if (!atomic_load(&live) || thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
		return r;
	self = cu_thread();
	pthread_mutex_lock(&lock);
	for (struct capture *c = captures; c; c = c->next) {
		bool global = c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
			      thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;

		if (c->mode == CU_STREAM_CAPTURE_MODE_RELAXED || (!global && c->thread != self))
			continue;
		invalidate(c);
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void capture_mark_free(struct capture_mark *mark)
{
	if (mark)
		deps_fini(&mark->deps);
	free(mark);
}

CUresult capture_event_record(struct cu_stream *s, struct capture_mark **mark)
{
	struct capture_mark *m = calloc(1, sizeof(*m));
	struct capture_stream *cs;
	CUresult r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;

	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&lock);
	cs = queue_of(s)->capture;
	if (cs) {
		m->capture = cs->capture->id;
		r = deps_add(&m->deps, cs->deps.node, cs->deps.data, cs->deps.count);
	}
	pthread_mutex_unlock(&lock);
	if (r != CUDA_SUCCESS) {
		capture_mark_free(m);
		return r;
	}
	capture_mark_free(*mark);
	*mark = m;
	return CUDA_SUCCESS;
}

/* With the lock held. */
static CUresult event_wait(struct queue *q, const struct capture_mark *mark)
{
	struct capture_stream *cs = q->capture;
	struct capture *c = mark ? find(mark->capture) : NULL;
	CUresult r;

	if (!c) {
		/* Recorded outside, or in a capture that has ended. */
		if (!cs)
			return CUDA_ERROR_CAPTURED_EVENT;
		invalidate(cs->capture);
		return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
	}
	if (c->error != CUDA_SUCCESS)
		return c->error;
	if (cs && cs->capture != c) {
		invalidate(cs->capture);
		invalidate(c);
		return CUDA_ERROR_STREAM_CAPTURE_MERGE;
	}
	if (!cs) {
		if (q->legacy) {
			invalidate(c);
			return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
		}
		r = join(c, q);
		if (r != CUDA_SUCCESS)
			return r;
		cs = q->capture;
	}
	r = deps_add(&cs->deps, mark->deps.node, mark->deps.data, mark->deps.count);
	if (r != CUDA_SUCCESS)
		invalidate(c);
	return r;
}

CUresult capture_event_wait(struct cu_stream *s, const struct capture_mark *mark)
{
	CUresult r;

	pthread_mutex_lock(&lock);
	r = event_wait(queue_of(s), mark);
	pthread_mutex_unlock(&lock);
	return r;
}

void capture_queue_gone(struct queue *q)
{
	struct cu_graph *graph = NULL;
	struct capture_stream *cs;

	if (!atomic_load(&live))
		return;
	pthread_mutex_lock(&lock);
	cs = q->capture;
	if (cs && cs->capture->origin == q) {
		if (!cs->capture->to_graph)
			graph = cs->capture->graph;
		finish(cs->capture);
	} else if (cs) {
		invalidate(cs->capture);
		leave(cs);
	}
	pthread_mutex_unlock(&lock);
	graph_destroy(graph);
}

/* ---- entry points: begin and end ------------------------------------------------------------ */

static CUresult begin(CUstream handle, struct cu_graph *graph, struct graph_node *const *deps,
		      const CUgraphEdgeData *data, size_t count, CUstreamCaptureMode mode)
{
	struct cu_stream *s;
	struct capture *c;
	struct queue *q;
	CUresult r;

	if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(handle, &s);
	if (r != CUDA_SUCCESS)
		return r;
	q = queue_of(s);
	if (q->legacy)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	c = calloc(1, sizeof(*c));
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	c->id = cu_next_id();
	c->mode = mode;
	c->thread = cu_thread();
	c->origin = q;
	c->to_graph = graph != NULL;
	c->graph = graph;
	if (!graph)
		r = graph_create(&c->graph);
	pthread_mutex_lock(&lock);
	if (r == CUDA_SUCCESS && (q->capture || c->graph->capturing))
		r = CUDA_ERROR_ILLEGAL_STATE;
	if (r == CUDA_SUCCESS)
		r = join(c, q);
	if (r == CUDA_SUCCESS) {
		c->graph->capturing = true;
		c->next = captures;
		captures = c;
		atomic_fetch_add(&live, 1);
		r = deps_add(&c->streams->deps, deps, data, count);
		if (r != CUDA_SUCCESS)
			invalidate(c);
	} else {
		if (!graph)
			graph_destroy(c->graph);
		free(c);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult impl_cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode)
{
	return begin(hStream, NULL, NULL, NULL, 0, mode);
}

CUresult impl_cuStreamBeginCapture(CUstream hStream)
{
	return begin(hStream, NULL, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

static CUresult check_nodes(const struct cu_graph *g, const CUgraphNode *nodes, size_t count)
{
	struct graph_node *n;
	CUresult r = CUDA_SUCCESS;

	if (count && !nodes)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++) {
		r = graph_node_get(nodes[i], &n);
		if (r == CUDA_SUCCESS && n->graph != g)
			r = CUDA_ERROR_INVALID_VALUE;
	}
	return r;
}

CUresult impl_cuStreamBeginCaptureToGraph(CUstream hStream, CUgraph hGraph,
					  const CUgraphNode *dependencies,
					  const CUgraphEdgeData *dependencyData,
					  size_t numDependencies, CUstreamCaptureMode mode)
{
	struct cu_graph *g;
	CUresult r;

	r = graph_get(hGraph, &g);
	if (r == CUDA_SUCCESS)
		r = check_nodes(g, dependencies, numDependencies);
	return r == CUDA_SUCCESS ? begin(hStream, g, (struct graph_node *const *)dependencies,
					 dependencyData, numDependencies, mode)
				 : r;
}

/* Is all that other streams recorded followed by the origin? With the lock held. */
static bool joined(struct capture *c)
{
	struct capture_stream *origin = c->origin->capture;

	graph_mark_before(c->graph, origin->deps.node, origin->deps.count);
	for (struct capture_stream *cs = c->streams; cs; cs = cs->next)
		for (size_t i = 0; i < cs->deps.count; i++)
			if (!cs->deps.node[i]->mark)
				return false;
	return true;
}

CUresult impl_cuStreamEndCapture(CUstream hStream, CUgraph *phGraph)
{
	struct cu_graph *graph = NULL, *drop = NULL;
	struct capture_stream *cs;
	struct cu_stream *s;
	struct capture *c;
	CUresult r;

	if (phGraph)
		*phGraph = NULL;
	r = cu_stream_get(hStream, &s);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&lock);
	cs = queue_of(s)->capture;
	c = cs ? cs->capture : NULL;
	if (!c) {
		r = phGraph ? CUDA_ERROR_ILLEGAL_STATE : CUDA_ERROR_INVALID_VALUE;
	} else if (!phGraph && !c->to_graph) { /* only who has the graph already needs no handle */
		r = CUDA_ERROR_INVALID_VALUE;
	} else if (c->origin != queue_of(s)) {
		invalidate(c);
		r = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
	} else if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && c->thread != cu_thread()) {
		r = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
	} else {
		r = c->error;
		if (r == CUDA_SUCCESS && !joined(c))
			r = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
		if (r == CUDA_SUCCESS)
			graph = c->graph;
		else if (!c->to_graph)
			drop = c->graph;
		finish(c);
	}
	pthread_mutex_unlock(&lock);
	graph_destroy(drop);
	if (r == CUDA_SUCCESS && phGraph)
		*phGraph = (CUgraph)graph;
	return r;
}

/* ---- entry points: questions ---------------------------------------------------------------- */

static CUstreamCaptureStatus status_of(const struct capture_stream *cs)
{
	if (!cs)
		return CU_STREAM_CAPTURE_STATUS_NONE;
	return cs->capture->error == CUDA_SUCCESS ? CU_STREAM_CAPTURE_STATUS_ACTIVE
						  : CU_STREAM_CAPTURE_STATUS_INVALIDATED;
}

/* Asking about the legacy stream is refused, but harms no capture. */
static bool legacy_concerned(const struct queue *q)
{
	for (struct capture *c = captures; q->legacy && c; c = c->next)
		for (struct capture_stream *cs = c->streams; cs; cs = cs->next)
			if (cs->queue->ctx == q->ctx && cs->queue->blocking)
				return true;
	return false;
}

CUresult impl_cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
					cuuint64_t *id_out, CUgraph *graph_out,
					const CUgraphNode **dependencies_out,
					const CUgraphEdgeData **edgeData_out,
					size_t *numDependencies_out)
{
	struct capture_stream *cs;
	struct cu_stream *s;
	CUresult r;

	if (!captureStatus_out)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&lock);
	cs = queue_of(s)->capture;
	if (legacy_concerned(queue_of(s)))
		r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
	else
		*captureStatus_out = status_of(cs);
	if (cs && cs->capture->error == CUDA_SUCCESS) {
		if (id_out)
			*id_out = cs->capture->id;
		if (graph_out)
			*graph_out = (CUgraph)cs->capture->graph;
		if (dependencies_out)
			*dependencies_out = (const CUgraphNode *)cs->deps.node;
		if (edgeData_out)
			*edgeData_out = cs->deps.data;
		if (numDependencies_out)
			*numDependencies_out = cs->deps.count;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult impl_cuStreamGetCaptureInfo_v2(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
					cuuint64_t *id_out, CUgraph *graph_out,
					const CUgraphNode **dependencies_out,
					size_t *numDependencies_out)
{
	return impl_cuStreamGetCaptureInfo_v3(hStream, captureStatus_out, id_out, graph_out,
					      dependencies_out, NULL, numDependencies_out);
}

CUresult impl_cuStreamGetCaptureInfo(CUstream hStream, CUstreamCaptureStatus *captureStatus_out,
				     cuuint64_t *id_out)
{
	return impl_cuStreamGetCaptureInfo_v3(hStream, captureStatus_out, id_out, NULL, NULL, NULL,
					      NULL);
}

CUresult impl_cuStreamIsCapturing(CUstream hStream, CUstreamCaptureStatus *captureStatus)
{
	return impl_cuStreamGetCaptureInfo_v3(hStream, captureStatus, NULL, NULL, NULL, NULL, NULL);
}

CUresult impl_cuStreamUpdateCaptureDependencies_v2(CUstream hStream, CUgraphNode *dependencies,
						   const CUgraphEdgeData *dependencyData,
						   size_t numDependencies, unsigned int flags)
{
	struct graph_node *const *nodes = (struct graph_node *const *)dependencies;
	struct capture_stream *cs;
	struct cu_stream *s;
	CUresult r;

	if (flags != CU_STREAM_ADD_CAPTURE_DEPENDENCIES &&
	    flags != CU_STREAM_SET_CAPTURE_DEPENDENCIES)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&lock);
	cs = queue_of(s)->capture;
	if (!cs)
		r = CUDA_ERROR_ILLEGAL_STATE;
	else
		r = cs->capture->error;
	if (r == CUDA_SUCCESS)
		r = check_nodes(cs->capture->graph, dependencies, numDependencies);
	if (r == CUDA_SUCCESS)
		r = flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES
			    ? deps_set(&cs->deps, nodes, dependencyData, numDependencies)
			    : deps_add(&cs->deps, nodes, dependencyData, numDependencies);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult impl_cuStreamUpdateCaptureDependencies(CUstream hStream, CUgraphNode *dependencies,
						size_t numDependencies, unsigned int flags)
{
	return impl_cuStreamUpdateCaptureDependencies_v2(hStream, dependencies, NULL,
							 numDependencies, flags);
}

CUresult impl_cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	CUstreamCaptureMode old = thread_mode;

	if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	thread_mode = *mode;
	*mode = old;
	return CUDA_SUCCESS;
}
