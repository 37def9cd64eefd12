/* SPDX-License-Identifier: MIT */
/*
 * logs.c - the error log that programs can read: the last messages, and who wants to hear of new ones.
 *
 * What goes in: the client's own errors and warnings, whatever VGPU_LOG says, and one line for each call that
 * answers with an error. An iterator is the number of the next message to read.
 */
#include "libcuda/core/logs.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define KEPT	   100u /* messages */
#define LINE_BYTES 256u /* of one, with its newline: 25,600 bytes in all, as the manual has it */

struct CUlogsCallbackEntry_st {
	struct CUlogsCallbackEntry_st *next;
	CUlogsCallback fn;
	void *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[KEPT][LINE_BYTES];	    /* guarded by lock, as all below */
static CUlogIterator count;		    /* of all messages ever */
static struct CUlogsCallbackEntry_st *list; /* newest first */

/* Calls everybody; without the lock, since a callback may look at the log. */
static void tell(CUlogLevel level, const char *line, size_t bytes)
{
	struct CUlogsCallbackEntry_st copy[16];
	size_t n = 0;
	char own[LINE_BYTES];

	pthread_mutex_lock(&lock);
	for (struct CUlogsCallbackEntry_st *e = list; e && n < 16; e = e->next)
		copy[n++] = *e;
	pthread_mutex_unlock(&lock);
	for (size_t i = n; i-- > 0;) {
		memcpy(own, line, bytes + 1);
		copy[i].fn(copy[i].data, level, own, bytes);
	}
}

void cu_logs_add(CUlogLevel level, const char *text)
{
	static _Thread_local bool inside;
	char line[LINE_BYTES];
	struct timespec ts;
	struct tm tm;
	int n;

	if (inside) /* a callback that fails tells nobody */
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = snprintf(line, sizeof(line), "[%02d:%02d:%02d.%03ld][%d][CUDA][%c] %s", tm.tm_hour,
		     tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000, (int)gettid(),
		     level == CU_LOG_LEVEL_ERROR ? 'E' : 'W', text);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	pthread_mutex_lock(&lock);
	memcpy(lines[count % KEPT], line, (size_t)n);
	lines[count % KEPT][n] = '\n';
	lines[count % KEPT][n + 1] = 0;
	count++;
	pthread_mutex_unlock(&lock);
	inside = true;
	tell(level, line, (size_t)n);
	inside = false;
}

CUlogIterator cu_logs_end(void)
{
	CUlogIterator n;

	pthread_mutex_lock(&lock);
	n = count;
	pthread_mutex_unlock(&lock);
	return n;
}

char *cu_logs_text(CUlogIterator from, size_t room, CUlogIterator *ret_end)
{
	static const char cut[] = "[CUDA][W] older messages are not here\n";
	CUlogIterator first;
	size_t bytes = 0, at;
	char *text = NULL;
	bool lost;

	pthread_mutex_lock(&lock);
	first = count;
	/* From the newest backwards, as many as there are and fit. */
	while (first > from && count - first < KEPT &&
	       bytes + strlen(lines[(first - 1) % KEPT]) <= room)
		bytes += strlen(lines[--first % KEPT]);
	lost = first > from;
	while (lost && first < count && bytes + sizeof(cut) - 1 > room)
		bytes -= strlen(lines[first++ % KEPT]);
	if (first < count || from >= count) {
		text = malloc(bytes + sizeof(cut));
		at = 0;
		if (text && lost) {
			memcpy(text, cut, sizeof(cut) - 1);
			at = sizeof(cut) - 1;
		}
		for (; text && first < count; first++) {
			size_t n = strlen(lines[first % KEPT]);

			memcpy(text + at, lines[first % KEPT], n);
			at += n;
		}
		if (text)
			text[at] = 0;
	}
	*ret_end = count;
	pthread_mutex_unlock(&lock);
	return text;
}

CUlogsCallbackHandle cu_logs_listen(CUlogsCallback fn, void *data)
{
	struct CUlogsCallbackEntry_st *e = malloc(sizeof(*e));

	if (!e)
		return NULL;
	e->fn = fn;
	e->data = data;
	pthread_mutex_lock(&lock);
	e->next = list;
	list = e;
	pthread_mutex_unlock(&lock);
	return e;
}

bool cu_logs_deafen(CUlogsCallbackHandle handle)
{
	struct CUlogsCallbackEntry_st **at, *e;

	pthread_mutex_lock(&lock);
	for (at = &list; *at && *at != handle; at = &(*at)->next)
		;
	e = *at;
	if (e)
		*at = e->next;
	pthread_mutex_unlock(&lock);
	free(e);
	return e != NULL;
}
