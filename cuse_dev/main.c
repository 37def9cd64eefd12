/* SPDX-License-Identifier: MIT */
/*
 * main.c - vgpu-cuse: options, configuration, start and end. All work happens in the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/control/control.h"
#include "cuse_dev/door/set.h"
#include "cuse_dev/session/config.h"
#include "cuse_dev/session/lock.h"
#include "cuse_dev/session/loop.h"
#include "cuse_dev/session/session.h"
#include "cuse_dev/session/spawn.h"

#define EXIT_USAGE 2
#define WANT_FILES 131072 /* LIMIT_PROCESSES clients with all their pages */

/* Options that set a key of [daemon].  X(option, key, argument, help) */
#define SETTINGS(X)                                                                                \
	X("door", "door", "auto|cuse|fuse", "how the nodes are made (auto)")                       \
	X("log-level", "log_level", "LEVEL", "error, warning, notice, info or debug")              \
	X("node-dir", "node_dir", "DIR", "where the nodes appear (/dev)")                          \
	X("run-dir", "run_dir", "DIR", "where the lock file lies (/run/vgpu)")                     \
	X("worker", "worker", "PATH", "the worker program")                                        \
	X("compiler", "compiler", "PATH|none", "the compiler program, or interpret only")          \
	X("cache-dir", "cache_dir", "DIR|none",                                                    \
	  "where compiled kernels are kept (/var/cache/vgpu-cuse)")                                \
	X("user", "user", "NAME", "the user that workers become (vgpu, else nobody)")              \
	X("threads", "threads", "N", "compute threads per worker (0: one per CPU)")                \
	X("overcommit", "overcommit", "lazy|strict",                                               \
	  "whether devices may promise more than the host has")

enum { OPT_CONFIG = 1000, OPT_DEVICE, OPT_FOREGROUND, OPT_VERSION, OPT_HELP };

static const char *const setting_keys[] = {
#define X(option, key, argument, help) key,
	SETTINGS(X)
#undef X
};

#define SETTING_COUNT (sizeof(setting_keys) / sizeof(setting_keys[0]))

static const struct option options[] = {
#define X(option, key, argument, help) { option, required_argument, NULL, 0 },
	SETTINGS(X)
#undef X
		{ "config", required_argument, NULL, OPT_CONFIG },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "foreground", no_argument, NULL, OPT_FOREGROUND },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

struct arguments {
	const char *config; /* NULL: the default, which may be missing */
	const char *setting[SETTING_COUNT];
	const char *device[VGPU_MAX_DEVICES];
	unsigned devices;
};

static void help(void)
{
	printf("Usage: vgpu-cuse [option]...\n\n"
	       "Serves virtual NVIDIA GPUs as /dev/nvidia-vgpu0, 1, ... until SIGTERM.\n\n"
	       "  --config=FILE             configuration (%s)\n"
	       "  --device=PROFILE[,K=V]... a device instead of the configured ones, e.g.\n"
	       "                            H100-80GB or T4,memory=4G,mode=0660; may be repeated\n",
	       CONFIG_PATH);
#define X(option, key, argument, text) printf("  --%-23s %s\n", option "=" argument, text);
	SETTINGS(X)
#undef X
	printf("  --foreground              stay in the foreground (it always does)\n"
	       "  --version                 print the version\n"
	       "  --help                    print this\n\n"
	       "See vgpu-cuse(8) and vgpu.conf(5).\n");
}

/* 0: go on; otherwise the exit code plus 1. */
static int parse(int argc, char **argv, struct arguments *a)
{
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "", options, &index)) >= 0) {
		switch (c) {
		case 0:
			a->setting[index] = optarg;
			break;
		case OPT_CONFIG:
			a->config = optarg;
			break;
		case OPT_DEVICE:
			if (a->devices == VGPU_MAX_DEVICES) {
				log_error("--device=%s: at most %d devices", optarg,
					  VGPU_MAX_DEVICES);
				return 1 + EXIT_USAGE;
			}
			a->device[a->devices++] = optarg;
			break;
		case OPT_FOREGROUND:
			break;
		case OPT_VERSION:
			printf("vgpu-cuse %d.%d\n", VGPU_VERSION_MAJOR, VGPU_VERSION_MINOR);
			return 1 + EXIT_SUCCESS;
		case OPT_HELP:
			help();
			return 1 + EXIT_SUCCESS;
		default: /* getopt has named it */
			fprintf(stderr, "Try \"vgpu-cuse --help\".\n");
			return 1 + EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vgpu-cuse: \"%s\" is no option\nTry \"vgpu-cuse --help\".\n",
			argv[optind]);
		return 1 + EXIT_USAGE;
	}
	return 0;
}

/* The file first, then the command line over it. */
static int configure(const struct arguments *a, struct config *c)
{
	char where[64];
	unsigned i;

	config_init(c);
	if (config_read(c, a->config ? a->config : CONFIG_PATH, !a->config) < 0)
		return EXIT_FAILURE;
	for (i = 0; i < SETTING_COUNT; i++) {
		snprintf(where, sizeof(where), "--%s", options[i].name);
		if (a->setting[i] && config_set(c, where, setting_keys[i], a->setting[i]) < 0)
			return EXIT_USAGE;
	}
	if (a->devices)
		c->device_count = 0;
	for (i = 0; i < a->devices; i++) {
		if (config_add_device(c, a->device[i]) < 0)
			return EXIT_USAGE;
	}
	return config_complete(c) < 0 ? (a->devices ? EXIT_USAGE : EXIT_FAILURE) : 0;
}

/* ---- signals -------------------------------------------------------------------------------- */

struct signals {
	struct loop_source src;
	struct loop *loop;
};

static void on_signal(struct loop_source *src, uint32_t events)
{
	struct signals *s = container_of(src, struct signals, src);
	struct signalfd_siginfo si;

	if (read(src->fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGHUP) {
		log_notice("the configuration is read at start only; restart to change it");
		return;
	}
	log_info("ending on signal %u", si.ssi_signo);
	s->loop->stop = true;
}

static int watch_signals(struct signals *s, struct loop *loop)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->loop = loop;
	s->src.ready = on_signal;
	s->src.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->src.fd < 0 ? -errno : loop_add(loop, &s->src, EPOLLIN);
}

/* --------------------------------------------------------------------------------------------- */

static int serve(const struct config *c, const struct spawn *spawn, const struct spawn *compiler)
{
	struct signals signals = { .src.fd = -1 };
	struct door_set doors;
	struct control *control = NULL;
	struct front *f;
	int r;

	r = front_create(c, spawn, compiler, &f);
	if (r < 0)
		return r;
	r = watch_signals(&signals, front_loop(f));
	if (r < 0)
		goto destroy_front;
	r = door_set_open(&doors, c, f);
	if (r < 0)
		goto destroy_front;
	r = door_set_wait(&doors);
	if (r < 0)
		goto close_doors;
	if (control_create(c, f, &doors, &control) < 0)
		log_warn("no control socket: vgpuctl cannot be used");
	if (!front_loop(f)->stop)
		sd_notifyf(0, "READY=1\nSTATUS=Serving %u device(s).", c->device_count);
	r = loop_run(front_loop(f));
	sd_notify(0, "STOPPING=1");
close_doors:
	control_destroy(control);
	door_set_close(&doors);
destroy_front:
	front_destroy(f);
	if (signals.src.fd >= 0)
		close(signals.src.fd);
	return r;
}

/* Whoever started us may have closed them; a node must not become what the log is written to. */
static int fill_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR); /* the lowest number that is free */
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return fcntl(STDERR_FILENO, F_GETFD) < 0 ? -EBADF : 0;
	close(fd);
	return 0;
}

static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max < WANT_FILES ? l.rlim_max : WANT_FILES;
	setrlimit(RLIMIT_NOFILE, &l);
}

/* NULL: there is none, or none is wanted. */
static const struct spawn *find_compiler(struct spawn *compiler, const struct spawn *worker,
					 const struct config *c)
{
	int r;

	compiler->program_fd = -1;
	if (!strcmp(c->compiler, "none")) {
		log_info("kernels are interpreted: compiler = none");
		return NULL;
	}
	r = spawn_init_like(compiler, worker, "vgpu-compiler", c->compiler);
	if (r < 0) {
		log_notice("kernels are interpreted: no compiler at %s: %s", compiler->program,
			   strerror(-r));
		return NULL;
	}
	snprintf(compiler->arg[0], sizeof(compiler->arg[0]), "--threads=%u", c->compiler_threads);
	snprintf(compiler->arg[1], sizeof(compiler->arg[1]), "--memory=%llu",
		 (unsigned long long)c->compiler_memory);
	return compiler;
}

int main(int argc, char **argv)
{
	static struct config config; /* too large for a stack */
	static struct spawn spawn, compiler;
	struct arguments args = { 0 };
	struct lock lock;
	int r;

	if (fill_standard_files() < 0)
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN); /* nobody may read the log any more */
	log_init("vgpu-cuse", LOG_L_INFO);
	log_never_wait();
	r = parse(argc, argv, &args);
	if (r)
		return r - 1;
	r = configure(&args, &config);
	if (r)
		return r;
	log_init("vgpu-cuse", config.log_level);
	umask(022);
	raise_limits();
	if (lock_take(&lock, config.run_dir) < 0)
		return EXIT_FAILURE;
	r = spawn_init(&spawn, config.worker, config.user);
	if (r >= 0)
		r = serve(&config, &spawn, find_compiler(&compiler, &spawn, &config));
	spawn_fini(&spawn);
	spawn_fini(&compiler);
	lock_drop(&lock);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
