/* SPDX-License-Identifier: MIT */
/* console.c - records {stream, bytes, text} in a byte ring under one lock. */
#include "cuse_dev/base/console.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct record {
	uint32_t stream;
	uint32_t bytes;
};

struct backend_console {
	pthread_mutex_t lock;
	size_t size;
	size_t head, tail; /* bytes taken and put, never wrapped; guarded by lock */
	size_t left;	   /* bytes of the oldest record not read yet; 0: its header comes next */
	int left_stream;   /* the stream of that record */
	size_t text;	   /* bytes of text waiting; guarded by lock */
	uint64_t lost;	   /* bytes dropped; guarded by lock */
	char *ring;
};

int console_create(size_t bytes, struct backend_console **ret_console)
{
	struct backend_console *c;

	if (bytes <= sizeof(struct record))
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->ring = malloc(bytes);
	if (!c->ring) {
		free(c);
		return -ENOMEM;
	}
	c->size = bytes;
	pthread_mutex_init(&c->lock, NULL);
	*ret_console = c;
	return 0;
}

void console_destroy(struct backend_console *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->ring);
	free(c);
}

static void put(struct backend_console *c, const void *from, size_t bytes)
{
	size_t at = c->tail % c->size, first = c->size - at;

	if (first > bytes)
		first = bytes;
	memcpy(c->ring + at, from, first);
	memcpy(c->ring, (const char *)from + first, bytes - first);
	c->tail += bytes;
}

static void take(struct backend_console *c, void *to, size_t bytes)
{
	size_t at = c->head % c->size, first = c->size - at;

	if (first > bytes)
		first = bytes;
	memcpy(to, c->ring + at, first);
	memcpy((char *)to + first, c->ring, bytes - first);
	c->head += bytes;
}

int console_write(struct backend_console *c, int stream, const char *text, size_t bytes)
{
	struct record rec = { .stream = (uint32_t)stream, .bytes = (uint32_t)bytes };
	int r = 0;

	if (!bytes)
		return 0;
	pthread_mutex_lock(&c->lock);
	if (bytes > c->size || bytes + sizeof(rec) > c->size - (c->tail - c->head)) {
		c->lost += bytes;
		r = -ENOSPC;
	} else {
		put(c, &rec, sizeof(rec));
		put(c, text, bytes);
		c->text += bytes;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

size_t console_read(struct backend_console *c, char *buf, size_t size, int *ret_stream)
{
	struct record rec;
	size_t done = 0, n;

	pthread_mutex_lock(&c->lock);
	while (done < size && c->text) {
		if (!c->left) {
			size_t head = c->head;

			take(c, &rec, sizeof(rec));
			if (done && (int)rec.stream != c->left_stream) {
				c->head =
					head; /* the other stream's turn comes with the next call */
				break;
			}
			c->left = rec.bytes;
			c->left_stream = (int)rec.stream;
		}
		n = c->left < size - done ? c->left : size - done;
		take(c, buf + done, n);
		c->left -= n;
		c->text -= n;
		done += n;
	}
	if (done)
		*ret_stream = c->left_stream;
	pthread_mutex_unlock(&c->lock);
	return done;
}

size_t console_pending(struct backend_console *c)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = c->text;
	pthread_mutex_unlock(&c->lock);
	return n;
}

uint64_t console_lost(struct backend_console *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->lost;
	pthread_mutex_unlock(&c->lock);
	return n;
}
