/* SPDX-License-Identifier: MIT */
/* doctor_node.c - the node: is it there, what is it, who may open it, who answers on it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse_dev/ctl/doctor.h"
#include "ioctl/vgpu_ioctl.h"

#define GREET_SECONDS 10
#define START	      "start the daemon (systemctl start vgpu-cuse, or /etc/init.d/vgpu-cuse start)"
#define LOG	      "journalctl -u vgpu-cuse, or /var/log/vgpu-cuse.log"

static void node_path(const struct doctor *d, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/nvidia-vgpu0", d->node_dir);
}

static const char *owner(const struct stat *st, char buf[80])
{
	const struct passwd *p = getpwuid(st->st_uid);
	const struct group *g = getgrgid(st->st_gid);
	char uid[16], gid[16];

	snprintf(uid, sizeof(uid), "%u", (unsigned)st->st_uid);
	snprintf(gid, sizeof(gid), "%u", (unsigned)st->st_gid);
	snprintf(buf, 80, "%s:%s", p ? p->pw_name : uid, g ? g->gr_name : gid);
	return buf;
}

static bool missing(struct doctor *d, const char *path, int error)
{
	switch (error) {
	case ENOENT:
		doctor_say(d, DOCTOR_FAIL, "node",
			   START
			   "; in a container, give it the node (vgpuctl cdi, docs/containers.md)",
			   "%s is not there", path);
		break;
	case ENOTCONN:
	case ECONNABORTED:
		doctor_say(d, DOCTOR_FAIL, "node",
			   START
			   "; in a container that is older than the daemon, restart the container",
			   "%s is the node of a daemon that has ended", path);
		break;
	default:
		doctor_say(d, DOCTOR_FAIL, "node", NULL, "%s: %s", path, strerror(error));
		break;
	}
	return false;
}

/* A look at the node may have to be answered by the daemon, so a child takes it. */
struct look {
	int error;
	struct stat node, dir;
};

static void __attribute__((noreturn))
look_in_child(const struct doctor *d, const char *path, int out)
{
	struct look l = { 0 };
	struct statx now;

	/* Not what the kernel remembers: a dead daemon's node would still look alive. */
	if (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &now) < 0 ||
	    stat(path, &l.node) < 0 || stat(d->node_dir, &l.dir) < 0)
		l.error = errno;
	_exit(write(out, &l, sizeof(l)) == sizeof(l) ? 0 : 1);
}

typedef void child_fn(const struct doctor *d, const char *path, int out);

static int in_child(const struct doctor *d, child_fn *fn, const char *path, void *ret, size_t size)
{
	int pipes[2], r;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	fflush(stdout);
	pid = fork();
	if (!pid)
		fn(d, path, pipes[1]);
	close(pipes[1]);
	r = pid < 0 ? -EAGAIN : ctl_wait_bytes(pid, pipes[0], GREET_SECONDS, ret, size);
	close(pipes[0]);
	return r;
}

static bool silent(struct doctor *d, const char *path)
{
	doctor_say(d, DOCTOR_FAIL, "daemon", "see its log (" LOG "), then restart it",
		   "nobody answers on %s within %d s", path, GREET_SECONDS);
	return false;
}

bool doctor_node(struct doctor *d)
{
	char path[PATH_MAX], who[80];
	struct look l = { 0 };
	struct stat st;
	bool fuse;
	int r;

	node_path(d, path);
	r = in_child(d, look_in_child, path, &l, sizeof(l));
	if (r == -ETIMEDOUT)
		return silent(d, path);
	if (r < 0 || l.error)
		return missing(d, path, r < 0 ? -r : l.error);
	st = l.node;
	fuse = S_ISREG(st.st_mode) && st.st_dev != l.dir.st_dev;
	if (S_ISREG(st.st_mode) && !fuse) {
		doctor_say(d, DOCTOR_FAIL, "node",
			   START ", which removes it; in a container that was given the node while "
				 "no daemon ran, restart the container",
			   "%s is an ordinary file: nobody serves it", path);
		return false;
	}
	if (!fuse && !S_ISCHR(st.st_mode)) {
		doctor_say(d, DOCTOR_FAIL, "node", "remove it and " START,
			   "%s is neither a device nor a served file", path);
		return false;
	}
	doctor_say(d, DOCTOR_OK, "node", NULL, "%s: %s, mode %04o, %s", path,
		   fuse ? "file behind the fuse door" : "character device", st.st_mode & 07777,
		   owner(&st, who));
	return true;
}

/* ---- as the user ---------------------------------------------------------------------------- */

/* What a child of that user's finds. */
struct greeting {
	int open_error, hello_error;
	struct vgpu_hello hello;
	struct vgpu_device_info info;
};

static void __attribute__((noreturn))
greet_in_child(const struct doctor *d, const char *path, int out)
{
	struct greeting g = { .hello = { .magic = VGPU_MAGIC,
					 .version_major = VGPU_VERSION_MAJOR,
					 .version_minor = VGPU_VERSION_MINOR } };
	int fd;

	ctl_become(d);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		g.open_error = errno;
	else if (ioctl(fd, VGPU_IOC(HELLO), &g.hello) < 0 ||
		 ioctl(fd, VGPU_IOC(DEVICE_INFO), &g.info) < 0)
		g.hello_error = errno;
	_exit(write(out, &g, sizeof(g)) == sizeof(g) ? 0 : 1);
}

static void cannot_open(struct doctor *d, const char *path, int error)
{
	static const struct {
		int error;
		const char *mend;
	} mends[] = {
		{ EACCES, "put the user into the node's group (usermod -aG GROUP USER, then log in "
			  "anew or restart the service), or set mode, group, allow_uid in "
			  "/etc/vgpu/vgpu.conf" },
		{ EPERM, "the device is closed to this service or container: DeviceAllow=, "
			 "PrivateDevices=, or the container's device rules" },
		{ EMFILE, "the process has too many files open on the device" },
		{ EDQUOT, "this user has too many files or processes on the devices; see vgpuctl "
			  "clients" },
		{ ENFILE, "too many files are open on the devices; see vgpuctl clients" },
		{ ENXIO, START },
		{ ENODEV, START },
	};
	const char *mend = NULL;
	size_t i;

	for (i = 0; i < sizeof(mends) / sizeof(mends[0]); i++) {
		if (mends[i].error == error)
			mend = mends[i].mend;
	}
	doctor_say(d, DOCTOR_FAIL, "open", mend, "user %s cannot open %s: %s", d->user, path,
		   strerror(error));
}

static bool hello_failed(struct doctor *d, const char *path, int error)
{
	switch (error) {
	case EPROTONOSUPPORT:
		doctor_say(d, DOCTOR_FAIL, "versions",
			   "restart the daemon, which is of another version than the libraries",
			   "the daemon does not speak protocol %d.%d", VGPU_VERSION_MAJOR,
			   VGPU_VERSION_MINOR);
		break;
	case EDQUOT:
		doctor_say(d, DOCTOR_FAIL, "daemon",
			   "end some, or raise quota_clients_per_uid (vgpuctl quota)",
			   "user %s has as many processes on the device as are allowed", d->user);
		break;
	case ENOTTY:
		doctor_say(d, DOCTOR_FAIL, "daemon", "remove it and " START,
			   "%s does not know our requests: it is somebody else's", path);
		break;
	default:
		doctor_say(d, DOCTOR_FAIL, "daemon", "see its log (" LOG ")", "%s: %s", path,
			   strerror(error));
		break;
	}
	return false;
}

bool doctor_greet(struct doctor *d)
{
	struct greeting g = { 0 };
	char path[PATH_MAX];
	int r;

	node_path(d, path);
	r = in_child(d, greet_in_child, path, &g, sizeof(g));
	if (r == -ETIMEDOUT)
		return silent(d, path);
	if (r < 0) {
		doctor_say(d, DOCTOR_FAIL, "open", "run it as root to look as another user",
			   "cannot become user %s: %s", d->user, strerror(-r));
		return false;
	}
	if (g.open_error) {
		cannot_open(d, path, g.open_error);
		return false;
	}
	doctor_say(d, DOCTOR_OK, "open", NULL, "user %s can open it", d->user);
	if (g.hello_error)
		return hello_failed(d, path, g.hello_error);
	doctor_say(d, DOCTOR_OK, "daemon", NULL, "answers: %u device%s, the first is %s",
		   g.hello.device_count, g.hello.device_count == 1 ? "" : "s", g.info.name);
	doctor_say(d, DOCTOR_OK, "versions", NULL, "protocol %u.%u, driver %s, CUDA %u.%u",
		   g.hello.version_major, g.hello.version_minor, g.hello.driver_string,
		   g.hello.driver_version / 1000, g.hello.driver_version % 1000 / 10);
	return true;
}

/* ---- the process ---------------------------------------------------------------------------- */

/* An upgrade replaces the files of a daemon that goes on as it was. */
void doctor_daemon(struct doctor *d)
{
	char link[64], target[PATH_MAX] = "";
	struct ctl quiet = *d->ctl;
	json_t *hello;
	long long pid;

	quiet.quiet = true;
	if (access(d->ctl->socket, F_OK) < 0) {
		doctor_say(d, DOCTOR_NOTE, "control", NULL, "%s: %s; that is usual in a container",
			   d->ctl->socket, strerror(errno));
		return;
	}
	if (ctl_call(&quiet, json_pack("{s:s}", "op", "hello"), &hello)) {
		doctor_say(d, DOCTOR_NOTE, "control", NULL, "%s does not answer", d->ctl->socket);
		return;
	}
	pid = (long long)ctl_get(hello, "pid", NULL);
	json_decref(hello);
	snprintf(link, sizeof(link), "/proc/%lld/exe", pid);
	if (readlink(link, target, sizeof(target) - 1) > 0 && strstr(target, " (deleted)"))
		doctor_say(d, DOCTOR_FAIL, "control", "restart the daemon",
			   "process %lld runs a program that was replaced since", pid);
	else
		doctor_say(d, DOCTOR_OK, "control", NULL, "the daemon is process %lld", pid);
}
