/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - one vgpu-cuse under test. See daemon.h.
 *
 * Ready means: each node answers HELLO. The log goes to a file, so that it can be read after a
 * SIGKILL as well.
 */
#include "support/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ioctl/vgpu_ioctl.h"
#include "support/paths.h"

#define MAX_ARGS    64
#define MAX_ALLOWED 16
#define STOP_MS	    15000

struct support_daemon {
	pid_t pid; /* 0: not running */
	int status;
	bool killed;
	unsigned devices, timeout_ms;
	char dir[64]; /* ours: log, config, run directory */
	char node_dir[256];
	bool own_node_dir;
	char node_path[VGPU_MAX_DEVICES][300];
	char log_path[128];
	char *text[MAX_ARGS]; /* arguments that we made */
	unsigned texts;
	const char *argv[MAX_ARGS + 1];
	unsigned argc;
	char *allowed[MAX_ALLOWED];
	unsigned allowed_count;
};

/* Words that no healthy log has; the first two are the daemon's own. */
static const char *const suspicious[] = {
	": error: ", ": warning: ",    "Sanitizer",    "runtime error:", "Assertion", "double free",
	"corrupt",   "stack smashing", "Segmentation", "use-after-free", "BUG",	      "fuse: bad",
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static void sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

/* --- arguments ------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int add_arg(struct support_daemon *d, const char *fmt,
							 ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	if (d->argc >= MAX_ARGS || d->texts >= MAX_ARGS)
		return -E2BIG;
	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	d->text[d->texts++] = s;
	d->argv[d->argc++] = s;
	return 0;
}

static int write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	fputs(text, f);
	return fclose(f) ? -errno : 0;
}

static int build_args(struct support_daemon *d, const struct support_daemon_options *opt)
{
	const char *program = opt->program ? opt->program : support_path_daemon();
	const char *worker = opt->worker ? opt->worker : support_path_worker();
	const char *compiler = support_path_compiler();
	char config[128];
	unsigned i;
	int r;

	if (!program || !worker)
		return -ENOENT;
	snprintf(config, sizeof(config), "%s/vgpu.conf", d->dir);
	r = write_file(config, opt->config ? opt->config : "");
	if (r < 0)
		return r;

	r = add_arg(d, "%s", program);
	r = r ? r : add_arg(d, "--config=%s", config);
	r = r ? r : add_arg(d, "--door=%s", opt->door ? opt->door : "fuse");
	r = r ? r : add_arg(d, "--node-dir=%s", d->node_dir);
	r = r ? r : add_arg(d, "--worker=%s", worker);
	r = r ? r : add_arg(d, "--compiler=%s", compiler ? compiler : "none");
	if (opt->run_dir)
		r = r ? r : add_arg(d, "--run-dir=%s", opt->run_dir);
	else
		r = r ? r : add_arg(d, "--run-dir=%s/run", d->dir);
	/* Before the caller's own, which may say otherwise. */
	r = r ? r : add_arg(d, "--cache-dir=%s/cache", d->dir);
	for (i = 0; !r && opt->args && opt->args[i]; i++)
		r = add_arg(d, "%s", opt->args[i]);
	return r;
}

/* --- start ----------------------------------------------------------------------------------- */

static bool node_answers(const char *path)
{
	struct vgpu_hello hello = { .magic = VGPU_MAGIC,
				    .version_major = VGPU_VERSION_MAJOR,
				    .version_minor = VGPU_VERSION_MINOR,
				    .window_size = 1ull << 40 };
	int fd, r;

	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	r = ioctl(fd, (unsigned)VGPU_IOC(HELLO), &hello);
	close(fd);
	return r == 0;
}

static bool ended(struct support_daemon *d)
{
	if (d->pid && waitpid(d->pid, &d->status, WNOHANG) == d->pid)
		d->pid = 0;
	return d->pid == 0;
}

static int wait_ready(struct support_daemon *d)
{
	int64_t end = now_ms() + d->timeout_ms;
	unsigned i;

	for (i = 0; i < d->devices;) {
		if (ended(d))
			return -ECHILD;
		if (node_answers(support_daemon_node(d, i))) {
			i++;
			continue;
		}
		if (now_ms() > end)
			return -ETIMEDOUT;
		sleep_ms(5);
	}
	return 0;
}

static int launch(struct support_daemon *d)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	pid_t parent = getpid();
	int log;

	log = open(d->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log < 0)
		return -errno;
	d->pid = fork();
	if (d->pid == 0) {
		setsid();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* 0: we are in another pid namespace. */
		if (getppid() && getppid() != parent)
			_exit(127);
		dup2(log, 1);
		dup2(log, 2);
		execve(d->argv[0], (char *const *)d->argv, (char *const *)env);
		dprintf(2, "harness: error: cannot run %s: %s\n", d->argv[0], strerror(errno));
		_exit(127);
	}
	close(log);
	if (d->pid < 0) {
		d->pid = 0;
		return -EAGAIN;
	}
	return wait_ready(d);
}

static void show_log(const struct support_daemon *d, const char *why)
{
	char *log = support_daemon_log(d);

	fprintf(stderr, "vgpu-cuse: %s; its log:\n%s\n", why, log ? log : "(none)");
	free(log);
}

static void remove_tree(const char *path)
{
	char *cmd = NULL;

	/* Paths are ours: mkdtemp names without anything a shell would read. */
	if (asprintf(&cmd, "rm -rf --one-file-system '%s'", path) > 0 && system(cmd) != 0)
		fprintf(stderr, "harness: could not remove %s\n", path);
	free(cmd);
}

static void destroy(struct support_daemon *d)
{
	unsigned i;

	remove_tree(d->dir);
	for (i = 0; i < d->texts; i++)
		free(d->text[i]);
	for (i = 0; i < d->allowed_count; i++)
		free(d->allowed[i]);
	free(d);
}

static int prepare(struct support_daemon *d, const struct support_daemon_options *opt)
{
	snprintf(d->dir, sizeof(d->dir), "/tmp/vgpu-test.XXXXXX");
	if (!mkdtemp(d->dir))
		return -errno;
	/* Clients of any user walk through it. */
	if (chmod(d->dir, 0755) < 0)
		return -errno;
	snprintf(d->log_path, sizeof(d->log_path), "%s/log", d->dir);
	d->own_node_dir = !opt->node_dir;
	if (opt->node_dir)
		snprintf(d->node_dir, sizeof(d->node_dir), "%s", opt->node_dir);
	else
		snprintf(d->node_dir, sizeof(d->node_dir), "%s/dev", d->dir);
	if (d->own_node_dir && mkdir(d->node_dir, 0755) < 0)
		return -errno;
	d->devices = opt->devices ? opt->devices : 1;
	d->timeout_ms = opt->timeout_ms ? opt->timeout_ms : 15000;
	return build_args(d, opt);
}

int support_daemon_start(const struct support_daemon_options *opt,
			 struct support_daemon **ret_daemon)
{
	static const struct support_daemon_options plain;
	struct support_daemon *d;
	int r;

	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	r = prepare(d, opt ? opt : &plain);
	if (r < 0) {
		fprintf(stderr, "vgpu-cuse: cannot prepare %s: %s\n", d->dir, strerror(-r));
		destroy(d);
		return r;
	}
	r = launch(d);
	if (r < 0) {
		show_log(d, r == -ECHILD ? "ended while it started" : strerror(-r));
		if (d->pid)
			support_daemon_kill(d);
		destroy(d);
		return r;
	}
	*ret_daemon = d;
	return 0;
}

int support_daemon_restart(struct support_daemon *d)
{
	int r;

	if (d->pid)
		return -EBUSY;
	d->killed = false;
	r = launch(d);
	if (r < 0)
		show_log(d, strerror(-r));
	return r;
}

/* --- stop ------------------------------------------------------------------------------------ */

void support_daemon_kill(struct support_daemon *d)
{
	if (!d->pid)
		return;
	kill(d->pid, SIGKILL);
	while (waitpid(d->pid, &d->status, 0) < 0 && errno == EINTR)
		;
	d->pid = 0;
	d->killed = true;
}

static bool line_is_allowed(const struct support_daemon *d, const char *line)
{
	unsigned i;

	for (i = 0; i < d->allowed_count; i++)
		if (strstr(line, d->allowed[i]))
			return true;
	return false;
}

/* The first suspicious line of the log, or NULL. */
static char *find_suspicious(const struct support_daemon *d)
{
	char *log = support_daemon_log(d), *line, *save = NULL, *found = NULL;
	unsigned i;

	for (line = log ? strtok_r(log, "\n", &save) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &save))
		for (i = 0; i < sizeof(suspicious) / sizeof(suspicious[0]); i++)
			if (strstr(line, suspicious[i]) && !line_is_allowed(d, line)) {
				found = strdup(line);
				break;
			}
	free(log);
	return found;
}

static char *problem(const struct support_daemon *d, const char *what)
{
	char *log = support_daemon_log(d), *text = NULL;

	if (asprintf(&text, "vgpu-cuse: %s\n--- its log\n%s", what, log ? log : "(none)\n") < 0)
		text = NULL;
	free(log);
	return text;
}

static char *check_end(struct support_daemon *d)
{
	char what[512], *line;
	struct stat st;
	unsigned i;

	if (!WIFEXITED(d->status) || WEXITSTATUS(d->status) != 0) {
		snprintf(what, sizeof(what), "ended with wait status 0x%x after SIGTERM",
			 d->status);
		return problem(d, what);
	}
	for (i = 0; i < d->devices; i++)
		if (lstat(support_daemon_node(d, i), &st) == 0) {
			snprintf(what, sizeof(what), "%s is still there after the end",
				 d->node_path[i]);
			return problem(d, what);
		}
	line = find_suspicious(d);
	if (line) {
		snprintf(what, sizeof(what), "suspicious log line: %s", line);
		free(line);
		return problem(d, what);
	}
	return NULL;
}

char *support_daemon_stop(struct support_daemon *d)
{
	int64_t end = now_ms() + STOP_MS;
	char *bad = NULL, *line;
	unsigned i;

	if (!d)
		return NULL;
	if (d->killed) {
		line = find_suspicious(d);
		if (line)
			bad = problem(d, line);
		free(line);
		goto clean;
	}
	if (ended(d)) {
		bad = problem(d, "had ended by itself");
		goto clean;
	}
	kill(d->pid, SIGTERM);
	while (!ended(d) && now_ms() < end)
		sleep_ms(5);
	if (d->pid) {
		bad = problem(d, "did not end within 15 s of SIGTERM");
		support_daemon_kill(d);
	} else {
		bad = check_end(d);
	}
clean:
	for (i = 0; i < d->devices; i++) {
		umount2(support_daemon_node(d, i), MNT_DETACH);
		if (d->killed)
			unlink(d->node_path[i]);
	}
	destroy(d);
	return bad;
}

/* --- looking at it --------------------------------------------------------------------------- */

void support_daemon_allow(struct support_daemon *d, const char *text)
{
	if (d->allowed_count < MAX_ALLOWED)
		d->allowed[d->allowed_count++] = strdup(text);
}

pid_t support_daemon_pid(const struct support_daemon *d)
{
	return d->pid;
}

const char *support_daemon_node_dir(const struct support_daemon *d)
{
	return d->node_dir;
}

const char *support_daemon_node(struct support_daemon *d, unsigned index)
{
	if (index >= VGPU_MAX_DEVICES)
		return NULL;
	snprintf(d->node_path[index], sizeof(d->node_path[index]), "%s/nvidia-vgpu%u", d->node_dir,
		 index);
	return d->node_path[index];
}

char *support_daemon_log(const struct support_daemon *d)
{
	FILE *f = fopen(d->log_path, "re");
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		return NULL;
	n = getdelim(&text, &cap, '\0', f);
	fclose(f);
	if (n < 0) {
		free(text);
		return strdup("");
	}
	return text;
}

static unsigned count_fds(pid_t pid)
{
	unsigned n = 0;
	char path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

struct who {
	char name[16], state;
	pid_t parent;
};

/* false when it is gone */
static bool read_stat(pid_t pid, struct who *ret_who)
{
	char path[64], line[512], *from, *to;
	bool ok = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	/* The name may hold blanks and brackets: the last ')' ends it. */
	if (fgets(line, sizeof(line), f) && (from = strchr(line, '(')) &&
	    (to = strrchr(from, ')'))) {
		*to = '\0';
		snprintf(ret_who->name, sizeof(ret_who->name), "%s", from + 1);
		ok = sscanf(to + 1, " %c %d", &ret_who->state, &ret_who->parent) == 2;
	}
	fclose(f);
	return ok;
}

/* @name: NULL any */
static unsigned scan_children(pid_t parent, const char *name, pid_t *pids, unsigned max,
			      unsigned *ret_zombies)
{
	unsigned live = 0, zombies = 0;
	struct dirent *e;
	struct who who;
	pid_t pid;
	DIR *dir;

	dir = opendir("/proc");
	while (dir && (e = readdir(dir))) {
		pid = atoi(e->d_name);
		if (pid <= 0 || !read_stat(pid, &who) || who.parent != parent)
			continue;
		if (who.state == 'Z') {
			zombies++;
			continue;
		}
		if (name && strcmp(who.name, name))
			continue;
		if (live < max)
			pids[live] = pid;
		live++;
	}
	if (dir)
		closedir(dir);
	if (ret_zombies)
		*ret_zombies = zombies;
	return live;
}

int support_daemon_measure(const struct support_daemon *d, struct support_daemon_usage *ret_usage)
{
	char path[64], line[128];
	FILE *f;

	if (!d->pid)
		return -ESRCH;
	memset(ret_usage, 0, sizeof(*ret_usage));
	ret_usage->fds = count_fds(d->pid);
	ret_usage->children = scan_children(d->pid, NULL, NULL, 0, &ret_usage->zombies);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lu", &ret_usage->rss_kib) == 1)
			break;
	fclose(f);
	return 0;
}

unsigned support_daemon_workers(const struct support_daemon *d, pid_t *pids, unsigned max)
{
	return d->pid ? scan_children(d->pid, "vgpu-worker", pids, max, NULL) : 0;
}

int support_daemon_settle(const struct support_daemon *d, unsigned timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;
	unsigned zombies;

	while (scan_children(d->pid, NULL, NULL, 0, &zombies) || zombies) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		sleep_ms(5);
	}
	return 0;
}
