/* SPDX-License-Identifier: MIT */
/*
 * service_test.cc - the daemon as its operator sees it: devices, readiness, the ways it ends, what
 * it says when it cannot start. Nothing here uses libcuda.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ioctl/vgpu_ioctl.h"
#include "system/system_test.h"

/* Says HELLO to a node: 0 or the errno of what failed first. The file stays open in *ret_fd. */
static int hello(const std::string &node, struct vgpu_hello *h, int *ret_fd = nullptr)
{
	int fd = open(node.c_str(), O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return errno;
	*h = {};
	h->magic = VGPU_MAGIC;
	h->version_major = VGPU_VERSION_MAJOR;
	h->version_minor = VGPU_VERSION_MINOR;
	r = ioctl(fd, VGPU_IOC(HELLO), h) < 0 ? errno : 0;
	if (ret_fd && !r)
		*ret_fd = fd;
	else
		close(fd);
	return r;
}

static bool mounted(const std::string &path)
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[4096];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, (" " + path + " ").c_str()) != nullptr;
	if (f)
		fclose(f);
	return found;
}

class Service : public ::testing::Test {
protected:
	support_daemon *daemon = nullptr;
	char dir[64] = "/tmp/vgpu-service.XXXXXX";
	std::string node0, node1;

	void SetUp() override
	{
		const char *missing = support_missing(SUPPORT_NEED_ROOT | SUPPORT_NEED_FUSE |
						      SUPPORT_NEED_DAEMON);

		if (missing)
			GTEST_SKIP() << missing;
		ASSERT_NE(mkdtemp(dir), nullptr);
		node0 = std::string(dir) + "/nvidia-vgpu0";
		node1 = std::string(dir) + "/nvidia-vgpu1";
	}
	void TearDown() override
	{
		if (daemon)
			stop();
		if (IsSkipped())
			return;
		unlink((std::string(dir) + "/run/vgpu-cuse.lock").c_str());
		rmdir((std::string(dir) + "/run").c_str());
		EXPECT_EQ(rmdir(dir), 0) << "something was left in " << dir;
	}
	void stop()
	{
		char *bad = support_daemon_stop(daemon);

		EXPECT_EQ(bad, nullptr) << bad;
		free(bad);
		daemon = nullptr;
	}
	/* A daemon as a plain child; node and run directory are ours. */
	prog plain(std::vector<std::string> args)
	{
		args.insert(args.begin(), { support_path_daemon(), "--config=/dev/null",
					    "--door=fuse", std::string("--node-dir=") + dir,
					    std::string("--run-dir=") + dir + "/run",
					    std::string("--worker=") + support_path_worker() });
		return prog(args);
	}
	std::string log_of(support_daemon *d)
	{
		char *text = support_daemon_log(d);
		std::string s = text ? text : "";

		free(text);
		return s;
	}
};

/* ---- devices -------------------------------------------------------------------------------- */

TEST_F(Service, DevicesOfTheFile)
{
	support_daemon_options opt = {};
	struct vgpu_device_info info = {};
	struct vgpu_hello h;
	struct stat st;
	int fd = -1;

	opt.config = "[device 0]\nprofile = T4\nmemory = 4G\n[device 1]\nprofile = H100-80GB\n"
		     "mode = 0640\ngroup = 12345\n";
	opt.devices = 2;
	ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
	ASSERT_EQ(hello(support_daemon_node(daemon, 1), &h, &fd), 0);
	EXPECT_EQ(h.device, 1u);
	EXPECT_EQ(h.device_count, 2u);
	ASSERT_EQ(ioctl(fd, VGPU_IOC(DEVICE_INFO), &info), 0);
	EXPECT_STREQ(info.profile, "H100-80GB");
	close(fd);
	ASSERT_EQ(hello(support_daemon_node(daemon, 0), &h, &fd), 0);
	ASSERT_EQ(ioctl(fd, VGPU_IOC(DEVICE_INFO), &info), 0);
	EXPECT_STREQ(info.profile, "T4");
	EXPECT_EQ(info.mem_total, 4ull << 30);
	close(fd);
	ASSERT_EQ(stat(support_daemon_node(daemon, 1), &st), 0);
	EXPECT_EQ(st.st_mode & 07777, 0640u);
	EXPECT_EQ(st.st_gid, 12345u);
	ASSERT_EQ(stat(support_daemon_node(daemon, 0), &st), 0);
	EXPECT_EQ(st.st_mode & 07777, 0666u);
}

TEST_F(Service, DevicesOfTheCommandLineReplaceThoseOfTheFile)
{
	static const char *const args[] = { "--device=L4", "--device=A100-80GB,memory=1G",
					    "--device=T4", nullptr };
	support_daemon_options opt = {};
	struct vgpu_hello h;

	opt.config = "[device 0]\nprofile = H100-80GB\n";
	opt.args = args;
	opt.devices = 3;
	ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
	ASSERT_EQ(hello(support_daemon_node(daemon, 2), &h), 0);
	EXPECT_EQ(h.device_count, 3u);
	EXPECT_NE(log_of(daemon).find("nvidia-vgpu1: A100-80GB through fuse"), std::string::npos);
}

TEST_F(Service, AutoSaysWhichDoorAndWhy)
{
	support_daemon_options opt = {};

	opt.door = "auto"; /* not in /dev, where only files can be mounted on */
	ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
	EXPECT_NE(log_of(daemon).find("door fuse: door cuse makes nodes in /dev only"),
		  std::string::npos)
		<< log_of(daemon);
}

/* Allocates until it is refused; the errno of that, and how many GiB it got before. */
static int fill(int fd, unsigned *ret_gib)
{
	struct vgpu_ctx_create ctx = {};
	struct vgpu_mem_alloc m = {};

	if (ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx))
		return errno;
	for (*ret_gib = 0;; ++*ret_gib) {
		m = {};
		m.ctx = ctx.ctx;
		m.size = 1ull << 30;
		if (ioctl(fd, VGPU_IOC(MEM_ALLOC), &m))
			return errno;
	}
}

TEST_F(Service, StrictPromisesNoMoreThanTheHostHas)
{
	static const char *const policy[] = { "--overcommit=lazy", "--overcommit=strict" };
	const long host = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) >> 30;
	struct vgpu_hello h;

	if (host >= 230)
		GTEST_SKIP() << "this host has more memory than a device can";
	for (int strict = 0; strict < 2; strict++) {
		const char *args[] = { policy[strict], "--device=H100-80GB,memory=256G", nullptr };
		support_daemon_options opt = {};
		unsigned gib = 0;
		int fd = -1;

		opt.args = args;
		ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
		ASSERT_EQ(hello(support_daemon_node(daemon, 0), &h, &fd), 0);
		EXPECT_EQ(fill(fd, &gib), ENOMEM);
		if (strict)
			EXPECT_LE(gib, static_cast<unsigned>(host));
		else
			EXPECT_GT(gib, 240u);
		close(fd);
		stop();
	}
}

TEST_F(Service, QuotasAndListsHold)
{
	static const char *const args[] = { "--device=T4,quota_memory_per_uid=1G,allow_uid=0",
					    nullptr };
	support_daemon_options opt = {};
	struct vgpu_hello h;
	unsigned gib = 0;
	int fd = -1;

	opt.args = args;
	ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
	ASSERT_EQ(hello(support_daemon_node(daemon, 0), &h, &fd), 0);
	EXPECT_EQ(fill(fd, &gib), EDQUOT);
	EXPECT_EQ(gib, 1u);
	close(fd);
	auto r = prog({ "/bin/dd", std::string("if=") + support_daemon_node(daemon, 0) })
			 .user(NOBODY)
			 .run();
	EXPECT_NE(strstr(r->res.err, "Permission denied"), nullptr) << r->text();
}

/* ---- ready, and gone ------------------------------------------------------------------------ */

/* Type=notify: what systemd would hear. */
class Notify : public Service {
protected:
	int sock = -1;
	std::string path;

	void SetUp() override
	{
		struct sockaddr_un a = {};

		Service::SetUp();
		if (IsSkipped())
			return;
		path = std::string(dir) + "/notify";
		a.sun_family = AF_UNIX;
		strcpy(a.sun_path, path.c_str());
		sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		ASSERT_EQ(bind(sock, reinterpret_cast<struct sockaddr *>(&a), sizeof(a)), 0);
	}
	void TearDown() override
	{
		if (sock >= 0)
			close(sock);
		unlink(path.c_str());
		Service::TearDown();
	}
	std::string next(int ms)
	{
		struct pollfd p = { sock, POLLIN, 0 };
		char buf[512];
		ssize_t n = poll(&p, 1, ms) == 1 ? recv(sock, buf, sizeof(buf), 0) : 0;

		return std::string(buf, n > 0 ? static_cast<size_t>(n) : 0);
	}
};

TEST_F(Notify, ReadyWhenAllNodesAnswer)
{
	for (int sig : { SIGTERM, SIGINT }) {
		prog p = plain({ "--device=T4", "--device=T4", "--device=T4" });
		struct vgpu_hello h;

		p.env.push_back("NOTIFY_SOCKET=" + path);
		support_child *c = p.start();
		ASSERT_NE(c, nullptr);
		EXPECT_EQ(next(10000).compare(0, 8, "READY=1\n"), 0);
		for (int i = 0; i < 3; i++) /* at once, without a second try */
			EXPECT_EQ(hello(std::string(dir) + "/nvidia-vgpu" + std::to_string(i), &h),
				  0);
		/* Changes nothing, and says so. */
		support_child_kill(c, SIGHUP);
		EXPECT_EQ(next(100), "");
		EXPECT_EQ(hello(node0, &h), 0);
		support_child_kill(c, sig);
		EXPECT_EQ(next(10000), "STOPPING=1");
		auto r = finish(c);
		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_NE(strstr(r->res.err, "read at start only"), nullptr) << r->text();
		EXPECT_NE(access(node0.c_str(), F_OK), 0);
		EXPECT_FALSE(mounted(node0));
	}
}

TEST_F(Service, EndsCleanlyWithClientsInside)
{
	support_daemon_options opt = {};
	struct vgpu_ctx_create ctx = {};
	struct vgpu_hello h;
	int fd = -1;

	opt.node_dir = dir;
	ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
	ASSERT_EQ(hello(node0, &h, &fd), 0);
	ASSERT_EQ(ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx), 0);
	ASSERT_EQ(support_daemon_workers(daemon, nullptr, 0), 1u);
	stop(); /* looks at the node */
	EXPECT_FALSE(mounted(node0));
	EXPECT_EQ(ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx), -1);
	close(fd);
}

TEST_F(Service, StartsAgainWhereOneWasKilledThoughAClientHoldsOn)
{
	support_daemon_options opt = {};
	struct vgpu_mem_info m;
	struct vgpu_hello h;
	int old = -1, fd = -1;

	opt.node_dir = dir;
	ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
	for (int i = 0; i < 3; i++) { /* mounts of the dead may lie upon each other */
		ASSERT_EQ(hello(node0, &h, &old), 0);
		support_daemon_kill(daemon);
		EXPECT_EQ(open(node0.c_str(), O_RDWR), -1);
		ASSERT_EQ(support_daemon_restart(daemon), 0);
		EXPECT_EQ(ioctl(old, VGPU_IOC(MEM_INFO), &m), -1) << "the old file is dead";
		EXPECT_TRUE(errno == ENOTCONN || errno == ECONNABORTED) << strerror(errno);
		ASSERT_EQ(hello(node0, &h, &fd), 0);
		EXPECT_EQ(ioctl(fd, VGPU_IOC(MEM_INFO), &m), 0);
		close(fd);
		close(old);
	}
	stop();
	EXPECT_FALSE(mounted(node0));
}

TEST_F(Service, ASecondOneNamesTheFirst)
{
	support_daemon_options opt = {};
	std::string run = std::string(dir) + "/run";
	struct vgpu_hello h;

	opt.node_dir = dir;
	opt.run_dir = run.c_str();
	ASSERT_EQ(support_daemon_start(&opt, &daemon), 0);
	auto r = plain({}).timeout(10000).run();
	EXPECT_EQ(r->res.code, 1) << r->text();
	EXPECT_NE(strstr(r->res.err,
			 ("runs already as process " + std::to_string(support_daemon_pid(daemon)))
				 .c_str()),
		  nullptr)
		<< r->text();
	/* Another run directory, the same nodes. */
	r = plain({ "--run-dir=/tmp/vgpu-service-other" }).timeout(10000).run();
	EXPECT_EQ(r->res.code, 1) << r->text();
	EXPECT_NE(strstr(r->res.err, "another daemon serves it"), nullptr) << r->text();
	rmdir("/tmp/vgpu-service-other");
	EXPECT_EQ(hello(node0, &h), 0) << "the first must not notice";
}

TEST_F(Service, ANodeThatIsTakenAwayIsAFailure)
{
	support_child *c = plain({ "--device=T4", "--device=L4" }).start();
	struct vgpu_hello h;

	ASSERT_NE(c, nullptr);
	for (int i = 0; i < 2000 && hello(node1, &h); i++)
		usleep(5000);
	ASSERT_EQ(umount2(node0.c_str(), MNT_DETACH), 0);
	auto r = finish(c);
	EXPECT_EQ(r->res.code, 1) << "whoever watches the service must hear of it\n" << r->text();
	EXPECT_NE(strstr(r->res.err, "nvidia-vgpu0: the node was taken away"), nullptr)
		<< r->text();
	EXPECT_FALSE(mounted(node1));
	EXPECT_NE(access(node0.c_str(), F_OK), 0);
	EXPECT_NE(access(node1.c_str(), F_OK), 0);
}

/* ---- what it says when it cannot start ------------------------------------------------------ */

TEST_F(Service, RefusalsNameWhatIsWrong)
{
	static const struct {
		std::vector<std::string> args;
		int code;
		const char *says;
	} cases[] = {
		{ { "--door=back" }, 2, "\"back\": want auto, cuse or fuse" },
		{ { "--door=cuse" }, 1, "makes its nodes in /dev" },
		{ { "--device=T5" }, 2, "no profile \"T5\"; there are H100-80GB" },
		{ { "--device=T4,memory=1" }, 2, "want 64M to 256G" },
		{ { "--device=T4,colour=red" }, 2, "unknown key \"colour\"" },
		{ { "--node-dir=here" }, 2, "\"here\": want an absolute path" },
		{ { "--node-dir=/nonexistent" }, 1, "/nonexistent/nvidia-vgpu0: No such file" },
		{ { "--node-dir=/proc" }, 1, "/proc/nvidia-vgpu0" },
		{ { "--run-dir=/proc/self/none" }, 1, "/proc/self/none: " },
		{ { "--worker=/nonexistent" }, 1, "worker /nonexistent: No such file" },
		{ { "--worker=/etc/passwd" }, 1, "worker /etc/passwd: cannot be executed" },
		{ { "--user=root" }, 1, "workers must not be root" },
		{ { "--user=no-such-user" }, 1, "there is no such user" },
		{ { "--config=/nonexistent" }, 1, "/nonexistent: No such file" },
		{ { "--config=/tmp" }, 1, "/tmp: Is a directory" },
		{ { "--nonsense" }, 2, "nonsense" },
		{ { "nonsense" }, 2, "\"nonsense\" is no option" },
	};

	for (const auto &c : cases) {
		auto r = plain(c.args).timeout(10000).run();

		EXPECT_EQ(r->res.code, c.code) << c.args[0] << ": " << r->text();
		EXPECT_NE(strstr(r->res.err, c.says), nullptr) << c.args[0] << ": " << r->text();
		EXPECT_NE(access(node0.c_str(), F_OK), 0) << c.args[0];
	}
}

TEST_F(Service, AFileWithMistakesIsToldByLine)
{
	std::string file = std::string(dir) + "/conf";
	FILE *f = fopen(file.c_str(), "we");

	fputs("[daemon]\nlog_level = info\n\n[device 0]\nprofil = T4\n[device 2]\nmemory = 1G\n",
	      f);
	fclose(f);
	auto r = plain({ "--config=" + file }).timeout(10000).run();
	unlink(file.c_str());
	EXPECT_EQ(r->res.code, 1) << r->text();
	EXPECT_NE(strstr(r->res.err, (file + ":5: [device 0]: unknown key \"profil\"").c_str()),
		  nullptr)
		<< r->text();
	EXPECT_NE(strstr(r->res.err, (file + ":7: [device 2]").c_str()), nullptr) << r->text();
}

TEST_F(Service, WithoutFuseItSaysWhatToDo)
{
	prog p = plain({});
	std::string line;

	/* A /dev of its own with nothing in it. */
	line = "mount -t tmpfs none /dev && : >/dev/empty && exec " + p.argv[0] +
	       " --config=/dev/empty";
	for (size_t i = 2; i < p.argv.size(); i++)
		line += " " + p.argv[i];
	auto r = prog({ "/usr/bin/unshare", "-m", "/bin/sh", "-c", line }).timeout(10000).run();
	EXPECT_EQ(r->res.code, 1) << r->text();
	EXPECT_NE(strstr(r->res.err, "/dev/fuse: No such file"), nullptr) << r->text();
	EXPECT_NE(strstr(r->res.err, "modprobe fuse"), nullptr) << r->text();
}
