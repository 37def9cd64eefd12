/* SPDX-License-Identifier: MIT */
/*
 * control_socket_test.cc - the control socket against a front in this process, with doors that are
 * none: every request, every refusal, every limit.
 */
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/control/control.h"
#include "cuse_dev/session/event.h"
#include "cuse_dev/session/front.h"
#include "cuse_dev/session/spawn.h"
}

/* ---- doors of no kernel --------------------------------------------------------------------- */

static int door_error;

static int fake_open(struct front *, uint32_t, const char *, struct door **ret_door)
{
	if (door_error) {
		log_error("the fake door does not open");
		return door_error;
	}
	*ret_door = nullptr;
	return 0;
}

static void fake_close(struct door *)
{
}

static const struct door_ops fake_door = { "fake", fake_open, fake_close };

static int no_worker(const struct spawn *, const struct spawn_ends *, uint32_t, pid_t *, int *)
{
	return -ENOENT;
}

/* ---- the other end -------------------------------------------------------------------------- */

class Control : public ::testing::Test {
protected:
	struct config config;
	struct spawn spawn = {};
	struct front *front = nullptr;
	struct door_set doors = {};
	struct control *control = nullptr;
	char dir[32] = "/tmp/vgpu-control.XXXXXX";
	std::vector<int> conns;
	std::vector<struct session *> files;

	void SetUp() override
	{
		log_init("control_test", LOG_L_ERROR);
		ASSERT_NE(mkdtemp(dir), nullptr);
		chmod(dir, 0755);
		config_init(&config);
		strcpy(config.run_dir, dir);
		ASSERT_EQ(config_add_device(&config, "H100-80GB"), 0);
		ASSERT_EQ(config_complete(&config), 0);
		spawn.start = no_worker;
		ASSERT_EQ(front_create(&config, &spawn, nullptr, &front), 0);
		doors.front = front;
		doors.ops = &fake_door;
		doors.node_dir = "/dev";
		doors.count = 1;
		door_error = 0;
		start();
	}
	void start() { ASSERT_EQ(control_create(&config, front, &doors, &control), 0); }
	void TearDown() override
	{
		for (int fd : conns)
			close(fd);
		control_destroy(control);
		EXPECT_NE(access(path().c_str(), F_OK), 0) << "the socket stayed behind";
		for (auto *s : files)
			session_release(s);
		front_destroy(front);
		rmdir(dir);
	}
	std::string path() { return std::string(dir) + "/control"; }
	void spin()
	{
		for (int i = 0; i < 100000 && loop_once(front_loop(front), 0) > 0; i++)
			;
	}
	int connect()
	{
		struct sockaddr_un a = {};
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		a.sun_family = AF_UNIX;
		strcpy(a.sun_path, path().c_str());
		EXPECT_EQ(::connect(fd, reinterpret_cast<struct sockaddr *>(&a), sizeof(a)), 0);
		conns.push_back(fd);
		spin();
		return fd;
	}
	/* What came, until nothing more does. */
	std::string take(int fd)
	{
		std::string all;
		char buf[65536];
		ssize_t n;

		for (;;) {
			spin();
			n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
			if (n <= 0)
				return all;
			all.append(buf, static_cast<size_t>(n));
		}
	}
	bool ended(int fd)
	{
		char c;

		spin();
		return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
	}
	std::string ask(int fd, const std::string &line)
	{
		EXPECT_EQ(send(fd, line.data(), line.size(), MSG_NOSIGNAL),
			  static_cast<ssize_t>(line.size()));
		return take(fd);
	}
	std::string ask(const std::string &line) { return ask(connect(), line + "\n"); }
	struct session *open_file(uint32_t device = 0)
	{
		struct session_caller me = { static_cast<uint32_t>(gettid()), getuid(), getgid() };
		struct session *s = nullptr;

		EXPECT_EQ(session_open(front, device, &me, 6, &s), 0);
		files.push_back(s);
		return s;
	}
	std::string pid() { return std::to_string(getpid()); }
};

static bool has(const std::string &text, const std::string &part)
{
	return text.find(part) != std::string::npos;
}

#define EXPECT_HAS(text, part) EXPECT_PRED2(has, text, part)

/* ---- questions ------------------------------------------------------------------------------ */

TEST_F(Control, HelloSaysProtocolVersionAndRights)
{
	std::string r = ask(R"({"op":"hello"})");

	EXPECT_HAS(r, R"("protocol":1)");
	EXPECT_HAS(r, R"("pid":)" + pid());
	EXPECT_HAS(r, R"("may_change":true)");
	EXPECT_HAS(r, R"("ok":true)");
}

TEST_F(Control, StatusCountsClientsFilesAndDevices)
{
	open_file();
	open_file();
	std::string r = ask(R"({"op":"status"})");

	EXPECT_HAS(r, R"("open_files":2)");
	EXPECT_HAS(r, R"("clients":1,"workers":0)");
	EXPECT_HAS(r, R"("door":"fake")");
	EXPECT_HAS(r, R"("profile":"H100-80GB")");
	EXPECT_HAS(r, R"("total":85899345920,"reserved":2147483648,"used":0,"free":83751862272)");
	EXPECT_HAS(r, R"("node":"/dev/nvidia-vgpu0")");
}

TEST_F(Control, ClientsNameProcessAndDevice)
{
	open_file();
	std::string r = ask(R"({"op":"clients"})");

	EXPECT_HAS(r, R"("client":1,"pid":)" + pid());
	EXPECT_HAS(r,
		   R"("devices":[{"index":0,"memory":0,"memory_peak":0,"contexts":0,"busy_ns":0,)");
	EXPECT_FALSE(has(r, "below"));
}

TEST_F(Control, ClientsComeInPages)
{
	struct session_caller nobody = { 0, 12345, 12345 }; /* invisible: a client per file */
	std::string r;

	for (int i = 0; i < LIMIT_CONTROL_PAGE + 1; i++) {
		struct session *s = nullptr;

		ASSERT_EQ(session_open(front, 0, &nobody, 6, &s), 0);
		files.push_back(s);
	}
	r = ask(R"({"op":"clients"})");
	EXPECT_HAS(r, R"("client":65,)");
	EXPECT_HAS(r, R"("client":2,)");
	EXPECT_FALSE(has(r, R"("client":1,)"));
	EXPECT_HAS(r, R"("below":2)");
	r = ask(R"({"op":"clients","below":2})");
	EXPECT_HAS(r, R"("client":1,)");
	EXPECT_FALSE(has(r, R"("client":2,)"));
	EXPECT_FALSE(has(r, "below"));
	/* The page that is exactly full is the last. */
	session_release(files.back());
	files.pop_back();
	EXPECT_FALSE(has(ask(R"({"op":"clients"})"), "below"));
}

TEST_F(Control, ProfilesAreThoseOfTheTable)
{
	std::string r = ask(R"({"op":"profiles"})");

	EXPECT_HAS(r, R"("profile":"H100-80GB")");
	EXPECT_HAS(r, R"("profile":"T4")");
	EXPECT_HAS(r, R"("default":true)");
}

TEST_F(Control, StatusHasWhatWasMeasured)
{
	std::string r = ask(R"({"op":"status"})");

	EXPECT_HAS(r, R"("driver":"580.95.05")");
	EXPECT_HAS(r, R"("telemetry":{"busy_ns":0,)");
	EXPECT_HAS(r, R"("util_kernel":0,)");
	EXPECT_HAS(r, R"("last_xid":0)");
	EXPECT_HAS(r, R"("temp_mem_mc":)"); /* an H100 has that sensor, a T4 has not */
	EXPECT_HAS(ask(R"({"op":"add","device":"T4"})"), R"("ok":true)");
	r = ask(R"({"op":"status"})");
	EXPECT_EQ(r.find("temp_mem_mc", r.find("temp_mem_mc") + 1), std::string::npos);
}

TEST_F(Control, FaultsComeInPages)
{
	struct vgpu_ctx_status broken = {};
	struct client *c = open_file()->client;
	std::string r = ask(R"({"op":"faults"})");

	EXPECT_HAS(r, R"({"faults":[],"last":0)");
	broken.error = 700;
	broken.line = 17;
	broken.tid[1] = 5;
	broken.address = 0xfffffffffffffff0;
	strcpy(broken.kernel, "poke");
	strcpy(broken.what, "a bad \x01 address");
	for (int i = 0; i < LIMIT_CONTROL_PAGE + 1; i++)
		fault_add(c, 0, &broken);
	r = ask(R"({"op":"faults"})");
	EXPECT_HAS(r, R"("number":1,)");
	EXPECT_HAS(r, R"("number":64,)");
	EXPECT_FALSE(has(r, R"("number":65,)"));
	EXPECT_HAS(r, R"("last":65)");
	r = ask(R"({"op":"faults","since":64})");
	EXPECT_HAS(r, R"({"faults":[{"number":65,)");
	EXPECT_HAS(r, R"("pid":)" + pid());
	EXPECT_HAS(r, R"("xid":31,"error":700,"kernel":"poke","text":"a bad ? address")");
	EXPECT_HAS(r, R"("address":"0xfffffffffffffff0","ptx_line":17)");
	EXPECT_HAS(r, R"("thread":[0,5,0])");
	EXPECT_HAS(ask(R"({"op":"status"})"), R"("last_xid":31)");
	EXPECT_HAS(ask(R"({"op":"events","since":65})"), "Xid 31, kernel poke: a bad ? address");
	/* The oldest are forgotten. */
	for (int i = 0; i < LIMIT_FAULTS; i++)
		fault_add(c, 0, &broken);
	EXPECT_HAS(ask(R"({"op":"faults"})"), R"({"faults":[{"number":66,)");
}

TEST_F(Control, SeveralRequestsInOnePiece)
{
	std::string r = ask(connect(), "{\"op\":\"hello\"}\n{\"op\":\"profiles\"}\n{\"op\":\"hel");

	EXPECT_EQ(std::count(r.begin(), r.end(), '\n'), 2);
	EXPECT_HAS(ask(conns.back(), "lo\"}\n"), R"("protocol")");
}

/* ---- refusals ------------------------------------------------------------------------------- */

TEST_F(Control, EveryRefusalSaysWhatIsWrong)
{
	static const struct {
		const char *request, *error, *says;
	} cases[] = {
		{ "", "EINVAL", "not JSON" },
		{ "nonsense", "EINVAL", "not JSON" },
		{ "{\"op\":\"hello\"", "EINVAL", "not JSON" },
		{ "{\"op\":\"hello\",\"op\":\"hello\"}", "EINVAL", "duplicate" },
		{ "{\"op\":\"\xff\"}", "EINVAL", "not JSON" },
		{ "[]", "EINVAL", "\\\"op\\\"" },
		{ "{}", "EINVAL", "\\\"op\\\"" },
		{ "{\"op\":1}", "EINVAL", "\\\"op\\\"" },
		{ "{\"op\":\"dance\"}", "EOPNOTSUPP", "dance" },
		{ "{\"op\":\"hello\",\"x\":1}", "EINVAL", "x" },
		{ "{\"op\":\"status\",\"x\":1}", "EINVAL", "x" },
		{ "{\"op\":\"faults\",\"x\":1}", "EINVAL", "x" },
		{ "{\"op\":\"faults\",\"since\":-1}", "EINVAL", "since = -1" },
		{ "{\"op\":\"faults\",\"since\":\"1\"}", "EINVAL", "integer" },
		{ "{\"op\":\"profiles\",\"x\":1}", "EINVAL", "x" },
		{ "{\"op\":\"clients\",\"below\":0}", "EINVAL", "below = 0" },
		{ "{\"op\":\"clients\",\"below\":\"1\"}", "EINVAL", "integer" },
		{ "{\"op\":\"events\",\"since\":-1}", "EINVAL", "since = -1" },
		{ "{\"op\":\"follow\",\"since\":-1}", "EINVAL", "since = -1" },
		{ "{\"op\":\"follow\",\"since\":99}", "EINVAL", "the last is 0" },
		{ "{\"op\":\"add\"}", "EINVAL", "device" },
		{ "{\"op\":\"add\",\"device\":7}", "EINVAL", "string" },
		{ "{\"op\":\"add\",\"device\":\"\"}", "EINVAL", "profile is missing" },
		{ "{\"op\":\"add\",\"device\":\"T5\"}", "EINVAL", "there are H100-80GB" },
		{ "{\"op\":\"add\",\"device\":\"T4,memory=1\"}", "EINVAL", "64M to 256G" },
		{ "{\"op\":\"add\",\"device\":\"T4,colour=red\"}", "EINVAL", "colour" },
		{ "{\"op\":\"add\",\"device\":\"T4\\u0000\"}", "EINVAL", "not JSON" },
		{ "{\"op\":\"remove\"}", "EINVAL", "device" },
		{ "{\"op\":\"remove\",\"device\":1}", "ENODEV", "there are 0 to 0" },
		{ "{\"op\":\"remove\",\"device\":-1}", "ENODEV", "there are 0 to 0" },
		{ "{\"op\":\"remove\",\"device\":4294967296}", "ENODEV", "there are 0 to 0" },
		{ "{\"op\":\"evict\"}", "EINVAL", "either pid or client" },
		{ "{\"op\":\"evict\",\"pid\":1,\"client\":1}", "EINVAL", "either pid or client" },
		{ "{\"op\":\"evict\",\"pid\":-1}", "EINVAL", "above 0" },
		{ "{\"op\":\"evict\",\"pid\":4294967297}", "ESRCH", "4294967297" },
		{ "{\"op\":\"evict\",\"client\":77}", "ESRCH", "77" },
		{ "{\"op\":\"quota\",\"device\":0}", "EINVAL", "memory, clients" },
		{ "{\"op\":\"quota\",\"device\":1,\"memory\":\"1G\"}", "ENODEV", "device 1" },
		{ "{\"op\":\"quota\",\"device\":0,\"memory\":\"1Q\"}", "EINVAL", "such as 8G" },
		{ "{\"op\":\"quota\",\"device\":0,\"clients\":\"many\"}", "EINVAL", "number" },
		{ "{\"op\":\"quota\",\"device\":0,\"memory\":8}", "EINVAL", "string" },
	};

	for (const auto &c : cases) {
		std::string r = ask(c.request);

		EXPECT_HAS(r, R"("ok":false)");
		EXPECT_TRUE(has(r, std::string("\"error\":\"") + c.error)) << c.request << r;
		EXPECT_TRUE(has(r, c.says)) << c.request << "\n" << r;
		close(conns.back());
		conns.pop_back();
		spin();
	}
	EXPECT_EQ(front_device_count(front), 1u);
}

TEST_F(Control, ALineAtTheLimitIsReadAndOneByteMoreIsNot)
{
	std::string head = "{\"op\":\"hello\"", line;

	line = head + std::string(LIMIT_CONTROL_REQUEST - head.size() - 2, ' ') + "}\n";
	ASSERT_EQ(line.size(), static_cast<size_t>(LIMIT_CONTROL_REQUEST));
	EXPECT_HAS(ask(connect(), line), "protocol");
	line.insert(head.size(), " ");
	EXPECT_HAS(ask(connect(), line), "EMSGSIZE");
	EXPECT_TRUE(ended(conns.back()));
}

TEST_F(Control, DeepNestingIsRefused)
{
	EXPECT_HAS(ask(std::string(LIMIT_CONTROL_REQUEST - 1, '[')), "not JSON");
}

/* ---- connections ---------------------------------------------------------------------------- */

TEST_F(Control, ThereIsRoomForSoManyConnections)
{
	for (int i = 0; i < LIMIT_CONTROL_CONNS; i++)
		EXPECT_HAS(ask(R"({"op":"hello"})"), "protocol") << i;
	EXPECT_HAS(take(connect()), "EUSERS");
	EXPECT_TRUE(ended(conns.back()));
	close(conns.front());
	conns.erase(conns.begin());
	spin();
	EXPECT_HAS(ask(R"({"op":"hello"})"), "protocol");
}

/* Runs @fn as another user while the loop goes on here; it ends with 0 when all was right. */
static void as_nobody(struct front *front, int (*fn)(const char *path), const std::string &path)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(99);
		_exit(fn(path.c_str()));
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		loop_once(front_loop(front), 10);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(WEXITSTATUS(status), 0);
}

static int plain_connect(const char *path)
{
	struct sockaddr_un a = {};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	a.sun_family = AF_UNIX;
	strcpy(a.sun_path, path);
	return ::connect(fd, reinterpret_cast<struct sockaddr *>(&a), sizeof(a)) ? -1 : fd;
}

static bool plain_ask(int fd, const char *line, const char *wanted)
{
	char buf[4096] = "";
	size_t used = 0;
	ssize_t n = *line ? send(fd, line, strlen(line), MSG_NOSIGNAL) : 0;

	while (n >= 0 && !strchr(buf, '\n') && used < sizeof(buf) - 1) {
		n = recv(fd, buf + used, sizeof(buf) - 1 - used, 0);
		if (n <= 0)
			break;
		used += static_cast<size_t>(n);
		buf[used] = 0;
	}
	return strstr(buf, wanted) != nullptr;
}

static int asks_but_may_not_change(const char *path)
{
	static const char *const changes[] = {
		"{\"op\":\"add\",\"device\":\"T4\"}\n",
		"{\"op\":\"remove\",\"device\":0}\n",
		"{\"op\":\"evict\",\"pid\":1}\n",
		"{\"op\":\"quota\",\"device\":0,\"memory\":\"1G\"}\n",
	};
	int fd = plain_connect(path);

	if (fd < 0 || !plain_ask(fd, "{\"op\":\"status\"}\n", "\"ok\":true"))
		return 1;
	if (!plain_ask(fd, "{\"op\":\"hello\"}\n", "\"may_change\":false"))
		return 2;
	for (const char *c : changes) {
		if (!plain_ask(fd, c, "EACCES"))
			return 3;
	}
	return 0;
}

static int changes_quota(const char *path)
{
	int fd = plain_connect(path);

	return plain_ask(fd, "{\"op\":\"quota\",\"device\":0,\"memory\":\"1G\"}\n", "\"ok\":true")
		       ? 0
		       : 1;
}

static int fills_its_room(const char *path)
{
	for (int i = 0; i < LIMIT_CONTROL_PER_UID; i++) {
		if (!plain_ask(plain_connect(path), "{\"op\":\"hello\"}\n", "protocol"))
			return 1;
	}
	return plain_ask(plain_connect(path), "", "EUSERS") ? 0 : 2;
}

static int cannot_connect(const char *path)
{
	return plain_connect(path) < 0 && errno == EACCES ? 0 : 1;
}

TEST_F(Control, OthersAskButDoNotChange)
{
	if (getuid())
		GTEST_SKIP() << "needs root to become another user";
	as_nobody(front, asks_but_may_not_change, path());
	EXPECT_EQ(front_device_count(front), 1u);
}

TEST_F(Control, AUserCannotTakeAllConnections)
{
	if (getuid())
		GTEST_SKIP() << "needs root to become another user";
	as_nobody(front, fills_its_room, path());
}

TEST_F(Control, TheGroupMayChange)
{
	if (getuid())
		GTEST_SKIP() << "needs root to become another user";
	control_destroy(control);
	config.control_group = 65534;
	start();
	as_nobody(front, changes_quota, path());
	EXPECT_EQ(front->device[0].config->quota_memory, 1ull << 30);
}

TEST_F(Control, TheModeOfTheSocketHolds)
{
	struct stat st;

	if (getuid())
		GTEST_SKIP() << "needs root to become another user";
	control_destroy(control);
	config.control_mode = 0600;
	start();
	ASSERT_EQ(stat(path().c_str(), &st), 0);
	EXPECT_EQ(st.st_mode & 0777, 0600u);
	as_nobody(front, cannot_connect, path());
}

TEST_F(Control, ModeZeroMeansNoSocket)
{
	control_destroy(control);
	config.control_mode = 0;
	start();
	EXPECT_EQ(control, nullptr);
	EXPECT_NE(access(path().c_str(), F_OK), 0);
}

TEST_F(Control, WhoDoesNotReadIsNotServed)
{
	int lazy = connect();
	std::string many;

	for (int i = 0; i < 200; i++)
		many += "{\"op\":\"profiles\"}\n";
	for (int i = 0; i < 100; i++) /* until neither end takes more */
		if (send(lazy, many.data(), many.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		else
			spin();
	EXPECT_HAS(ask(R"({"op":"hello"})"), "protocol") << "somebody else";
	EXPECT_HAS(take(lazy), "H100-80GB") << "and him, when he reads";
}

/* ---- changes -------------------------------------------------------------------------------- */

TEST_F(Control, AddAndRemove)
{
	std::string r = ask(R"({"op":"add","device":"T4,memory=4G"})");

	EXPECT_HAS(r, R"("device":1,"node":"/dev/nvidia-vgpu1")");
	EXPECT_HAS(ask(R"({"op":"status"})"), R"("total":4294967296)");
	EXPECT_HAS(ask(R"({"op":"remove","device":0})"), "the last one, 1, goes first");
	EXPECT_HAS(ask(R"({"op":"remove","device":1})"), R"("evicted":0)");
	EXPECT_HAS(ask(R"({"op":"remove","device":0})"), R"("ok":true)");
	EXPECT_HAS(ask(R"({"op":"remove","device":0})"), "there is no device");
	EXPECT_HAS(ask(R"({"op":"status"})"), R"("devices":[])");
	EXPECT_HAS(ask(R"({"op":"add","device":"L4"})"), R"("device":0)");
}

TEST_F(Control, SixteenDevicesAndNoMore)
{
	for (int i = 1; i < VGPU_MAX_DEVICES; i++)
		EXPECT_HAS(ask(connect(), "{\"op\":\"add\",\"device\":\"T4\"}\n"), "\"ok\":true");
	EXPECT_HAS(ask(R"({"op":"add","device":"T4"})"), "at most 16 devices");
}

TEST_F(Control, ADoorThatDoesNotOpenLeavesNoDevice)
{
	door_error = -EPERM;
	std::string r = ask(R"({"op":"add","device":"T4"})");

	EXPECT_HAS(r, "the fake door does not open");
	EXPECT_HAS(r, R"("error":"EPERM")");
	EXPECT_EQ(front_device_count(front), 1u);
}

TEST_F(Control, RemovingWhatIsUsedWantsForce)
{
	struct session *s = open_file();
	std::string r = ask(R"({"op":"remove","device":0})");

	EXPECT_HAS(r, R"("error":"EBUSY")");
	EXPECT_HAS(r, "1 process (" + pid() + ")");
	EXPECT_HAS(ask(R"({"op":"remove","device":0,"force":true})"), R"("evicted":1)");
	EXPECT_EQ(front_device_count(front), 0u);
	files.clear(); /* it went with its device */
	(void)s;
	EXPECT_HAS(ask(R"({"op":"clients"})"), R"("clients":[])");
}

TEST_F(Control, EvictByProcessAndByNumber)
{
	struct session_caller hidden = { 0, 12345, 12345 };
	struct session *s = nullptr;

	open_file();
	ASSERT_EQ(session_open(front, 0, &hidden, 6, &s), 0);
	files.push_back(s);
	EXPECT_HAS(ask("{\"op\":\"evict\",\"pid\":" + pid() + "}"), R"("freed":0)");
	EXPECT_HAS(ask(R"({"op":"clients"})"), R"("evicted":true)");
	EXPECT_HAS(ask(R"({"op":"evict","client":2})"), R"("ok":true)");
	EXPECT_FALSE(has(ask(R"({"op":"clients"})"), R"("evicted":false)"));
}

TEST_F(Control, QuotaHoldsAtOnce)
{
	EXPECT_HAS(ask(R"({"op":"quota","device":0,"memory":"1G","clients":"2"})"),
		   R"("memory":1073741824,"clients":2)");
	EXPECT_EQ(front->device[0].config->quota_memory, 1ull << 30);
	EXPECT_EQ(front->device[0].config->quota_clients, 2u);
	EXPECT_HAS(ask(R"({"op":"quota","device":0,"memory":"0"})"), R"("memory":0,"clients":2)");
	/* One of two wrong: neither is taken. */
	ask(R"({"op":"quota","device":0,"memory":"7G","clients":"x"})");
	EXPECT_EQ(front->device[0].config->quota_memory, 0u);
}

/* ---- events --------------------------------------------------------------------------------- */

TEST_F(Control, EventsTellWhatHappened)
{
	open_file();
	session_release(files.back());
	files.pop_back();
	ask(R"({"op":"add","device":"T4"})");
	std::string r = ask(R"({"op":"events"})");

	EXPECT_LT(r.find("client-opened"), r.find("client-closed"));
	EXPECT_LT(r.find("client-closed"), r.find("device-added"));
	EXPECT_HAS(r, R"("number":3)");
	r = ask(R"({"op":"events","since":2})");
	EXPECT_FALSE(has(r, "client-closed"));
	EXPECT_HAS(r, "device-added");
}

TEST_F(Control, OnlyTheLastEventsAreKept)
{
	const struct event e = {};

	for (int i = 0; i < LIMIT_EVENTS; i++)
		event_add(front, &e, "%d", i);
	EXPECT_EQ(event_next(front, 0)->seq, 1u);
	event_add(front, &e, "%s", "");
	EXPECT_EQ(event_next(front, 0)->seq, 2u);
	EXPECT_EQ(event_next(front, LIMIT_EVENTS + 1), nullptr);
	EXPECT_EQ(event_next(front, UINT64_MAX), nullptr);
}

TEST_F(Control, AFollowerHearsOfEachEventOnce)
{
	int fd = connect();

	EXPECT_HAS(ask(fd, "{\"op\":\"follow\"}\n"), R"("ok":true)");
	EXPECT_EQ(take(fd), "");
	open_file();
	std::string r = take(fd);
	EXPECT_HAS(r, R"({"event":{"number":1,)");
	EXPECT_EQ(std::count(r.begin(), r.end(), '\n'), 1);
	ask(R"({"op":"quota","device":0,"clients":"9"})");
	ask(R"({"op":"quota","device":0,"clients":"0"})");
	r = take(fd);
	EXPECT_HAS(r, "clients 9");
	EXPECT_EQ(std::count(r.begin(), r.end(), '\n'), 2);
}

TEST_F(Control, ASlowFollowerIsToldHowMuchItMissed)
{
	const struct event e = {};
	int fd = connect();

	ask(fd, "{\"op\":\"follow\"}\n");
	for (int i = 0; i < LIMIT_EVENTS + 10; i++) /* before the loop gets its turn */
		event_add(front, &e, "%d", i);
	std::string r = take(fd);
	EXPECT_EQ(r.compare(0, 12, "{\"lost\":10}\n"), 0) << r.substr(0, 200);
	EXPECT_EQ(std::count(r.begin(), r.end(), '\n'), LIMIT_EVENTS + 1);
}

TEST_F(Control, AFollowerThatAsksIsSentAway)
{
	int fd = connect();

	ask(fd, "{\"op\":\"follow\"}\n");
	ask(fd, "{\"op\":\"hello\"}\n");
	EXPECT_TRUE(ended(fd));
}

TEST_F(Control, NobodyIsWokenWhenNobodyFollows)
{
	const struct event e = {};
	struct pollfd p = { front->events.wake, POLLIN, 0 };

	event_add(front, &e, "%s", "");
	EXPECT_EQ(poll(&p, 1, 0), 0);
	ask(connect(), "{\"op\":\"follow\"}\n");
	close(conns.back());
	conns.pop_back();
	spin();
	event_add(front, &e, "%s", ""); /* the follower's end is noticed with the next one */
	spin();
	event_add(front, &e, "%s", "");
	EXPECT_EQ(poll(&p, 1, 0), 0);
}
