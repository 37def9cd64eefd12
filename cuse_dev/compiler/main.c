/* SPDX-License-Identifier: MIT */
/*
 * main.c - the program vgpu-compiler: compiles hot kernels for one worker, see session/compiler.h.
 *
 * Started by vgpu-cuse in a jail like the worker's, with the socket as descriptor 3 and the cache
 * file of its client's user as descriptor 4, if there is one. It ends when the worker has ended.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/compiler/compiler.h"

#define SOCK_FD	    3
#define CACHE_FD    4
#define THREADS_MAX 64
#define STACK_BYTES (16u << 20) /* LLVM recurses over what it is given */
#define ARENA_BYTES (1u << 30)
#define NICE	    5 /* the program that waits for a kernel comes first */

struct server {
	int sock;
	pthread_mutex_t receive; /* one thread takes a message at a time */
	pthread_mutex_t keep;	 /* guards store */
	struct store *store;	 /* NULL: no cache */
};

static int compile(const struct job_msg *m, const char *text, void **ret_object, size_t *ret_bytes,
		   char *err, size_t err_bytes)
{
	struct llvm_options opt = { .level = m->level ? LLVM_GOOD : LLVM_QUICK };
	struct base_arena *arena = arena_create(ARENA_BYTES);
	struct ir_unit *unit;
	int r;

	memcpy(opt.block, m->block, sizeof(opt.block));
	snprintf(err, err_bytes, "out of memory");
	if (!arena)
		return -ENOMEM;
	r = ir_read(text, arena, &unit, err, err_bytes);
	if (r == 0)
		r = ir_verify(unit, err, err_bytes);
	if (r == 0)
		r = llvm_compile(unit, &opt, ret_object, ret_bytes, err, err_bytes);
	arena_destroy(arena);
	return r;
}

static void keep(struct server *s, const struct job_msg *m, const char *text, const void *object,
		 size_t bytes)
{
	struct store_key key;

	if (!s->store || job_key(text, m->bytes, m->block, &key) < 0)
		return;
	pthread_mutex_lock(&s->keep);
	store_put(s->store, &key, object,
		  bytes); /* it is a cache: what is not kept is made again */
	pthread_mutex_unlock(&s->keep);
}

/* It may end at any time, also while we start: nothing to complain of. */
static bool worker_is_gone(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

/* A job from its message to its answer. */
static int serve(struct server *s, const struct job_msg *m, int fd)
{
	struct job_msg answer = { .kind = JOB_DONE, .id = m->id };
	void *object = NULL;
	char *text = NULL;
	size_t bytes = 0;
	int r, out = -1;

	r = job_unpack(fd, m->bytes, JOB_MAX_TEXT, (void **)&text);
	if (r == 0)
		r = compile(m, text, &object, &bytes, answer.text, sizeof(answer.text));
	if (r == 0 && bytes <= JOB_MAX_OBJECT) {
		keep(s, m, text, object, bytes);
		out = job_pack(object, bytes);
		r = out < 0 ? out : 0;
	}
	free(object);
	free(text);
	answer.status = r;
	answer.bytes = bytes;
	r = job_send(s->sock, &answer, out, 0);
	if (out >= 0)
		close(out);
	return r;
}

static void *run(void *arg)
{
	struct job_msg m, begun = { .kind = JOB_BEGUN };
	struct server *s = arg;
	int fd, r;

	for (;;) {
		fd = -1;
		/* Taken by a thread that is free, so that a crash loses what is begun, no more. */
		pthread_mutex_lock(&s->receive);
		r = job_receive(s->sock, &m, &fd);
		pthread_mutex_unlock(&s->receive);
		if (r < 0 || m.kind != JOB_COMPILE)
			_exit(worker_is_gone(r) ? EXIT_SUCCESS : EXIT_FAILURE);
		begun.id = m.id;
		r = job_send(s->sock, &begun, -1, 0);
		if (r == 0)
			r = serve(s, &m, fd);
		if (fd >= 0)
			close(fd);
		if (r < 0)
			_exit(worker_is_gone(r) ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	return NULL;
}

static int limit_memory(unsigned long long bytes)
{
	struct rlimit l = { .rlim_cur = bytes, .rlim_max = bytes };

	return bytes && setrlimit(RLIMIT_AS, &l) < 0 ? -errno : 0;
}

static int start_threads(struct server *s, unsigned threads)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (r = 0; r == 0 && threads; threads--)
		r = -pthread_create(&t, &attr, run, s);
	pthread_attr_destroy(&attr);
	return r;
}

struct arguments {
	unsigned long threads;
	unsigned long long memory;
};

static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = { { "threads", required_argument, NULL, 't' },
						 { "memory", required_argument, NULL, 'm' },
						 { "version", no_argument, NULL, 'v' },
						 { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 't':
			a->threads = strtoul(optarg, NULL, 10);
			break;
		case 'm':
			a->memory = strtoull(optarg, NULL, 10);
			break;
		case 'v':
			printf("vgpu-compiler, LLVM %s\n", llvm_version());
			return 1 + EXIT_SUCCESS;
		default:
			return 1 + 2;
		}
	}
	return a->threads < 1 || a->threads > THREADS_MAX ? 1 + 2 : 0;
}

int main(int argc, char **argv)
{
	struct arguments a = { .threads = 2 };
	static struct server s = { .sock = SOCK_FD };
	struct job_msg hello = { .kind = JOB_HELLO };
	int r, type = 0;
	socklen_t len = sizeof(type);

	r = parse(argc, argv, &a);
	if (r)
		return r - 1;
	log_init("vgpu-compiler", LOG_L_NOTICE);
	if (getsockopt(SOCK_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		log_error("this program is started by vgpu-cuse, not by hand");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "vgpu-compiler");
	setpriority(PRIO_PROCESS, 0, NICE);
	pthread_mutex_init(&s.receive, NULL);
	pthread_mutex_init(&s.keep, NULL);
	if (store_open(CACHE_FD, &s.store) < 0)
		s.store = NULL;
	hello.threads = (uint32_t)a.threads;
	r = limit_memory(a.memory);
	if (r == 0)
		r = job_send(SOCK_FD, &hello, -1, 0);
	if (worker_is_gone(r))
		return EXIT_SUCCESS;
	if (r == 0)
		r = compiler_seccomp();
	if (r == 0)
		r = start_threads(&s, (unsigned)a.threads);
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	for (;;)
		pause();
}
