/* SPDX-License-Identifier: MIT */
/* harness.cc - see harness.h. */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

extern "C" {
#include "cuse_dev/base/log.h"
}

static void on_fail(void *token, int error)
{
	auto *a = static_cast<Answer *>(token);

	EXPECT_FALSE(a->there) << "answered twice";
	a->there = true;
	a->error = error;
}

static void on_reply(void *token, const void *out, size_t bytes)
{
	auto *a = static_cast<Answer *>(token);
	auto *p = static_cast<const unsigned char *>(out);

	EXPECT_FALSE(a->there) << "answered twice";
	a->there = true;
	a->bytes.assign(p, p + bytes);
}

static void on_count(void *token, size_t bytes)
{
	auto *a = static_cast<Answer *>(token);

	EXPECT_FALSE(a->there) << "answered twice";
	a->there = true;
	a->count = bytes;
}

static const struct session_answer_ops answers = { on_fail, on_reply, on_reply, on_count };

Received::~Received()
{
	for (int fd : fds)
		close(fd);
}

/* Not fork: a thousand copies of a sanitizer's address space take too long. */
Process::Process()
{
	char name[] = "sleep", time[] = "120", *argv[] = { name, time, nullptr };
	char *envp[] = { nullptr };

	if (posix_spawn(&pid_, "/bin/sleep", nullptr, nullptr, argv, envp)) {
		pid_ = 0;
		ADD_FAILURE() << "no /bin/sleep";
		return;
	}
	/* The kernel lets us go on before the new program's arguments can be read. */
	std::string path = "/proc/" + std::to_string(pid_) + "/cmdline";
	for (int i = 0; i < 1000; i++) {
		std::ifstream f(path);
		std::string text;

		if (std::getline(f, text) &&
		    !text.compare(0, sizeof(name), std::string(name, sizeof(name))))
			return;
		usleep(1000);
	}
	ADD_FAILURE() << "/bin/sleep has no name after a second";
}

Process::~Process()
{
	end();
}

void Process::end()
{
	if (pid_ <= 0)
		return;
	kill(pid_, SIGKILL);
	waitpid(pid_, nullptr, 0);
	pid_ = 0;
}

int memfd(uint64_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	EXPECT_EQ(ftruncate(fd, static_cast<off_t>(bytes)), 0);
	if (seals < 0)
		seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	EXPECT_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

int Protocol::start(const struct spawn *sp, const struct spawn_ends *ends, uint32_t tgid,
		    pid_t *ret_pid, int *ret_pidfd)
{
	/* base is the first member of Spawn */
	Protocol *test = reinterpret_cast<const Spawn *>(sp)->test;

	(void)tgid;
	test->worker = fcntl(ends->sock, F_DUPFD_CLOEXEC, 0);
	if (test->worker_stderr >= 0)
		close(test->worker_stderr);
	test->worker_stderr = fcntl(ends->err, F_DUPFD_CLOEXEC, 0);
	test->starts++;
	*ret_pid = 0;
	*ret_pidfd = -1;
	return 0;
}

int Protocol::start_compiler(const struct spawn *sp, const struct spawn_ends *ends, uint32_t tgid,
			     pid_t *ret_pid, int *ret_pidfd)
{
	Protocol *test = reinterpret_cast<const Spawn *>(sp)->test;

	(void)tgid;
	test->compiler = fcntl(ends->sock, F_DUPFD_CLOEXEC, 0);
	test->compiler_cache = ends->extra < 0 ? -1 : fcntl(ends->extra, F_DUPFD_CLOEXEC, 0);
	test->compiler_starts++;
	*ret_pid = 0;
	*ret_pidfd = -1;
	return 0;
}

void Protocol::SetUp()
{
	me = { static_cast<uint32_t>(gettid()), getuid(), getgid() };
	log_init("protocol_test", LOG_L_ERROR);
}

void Protocol::configure(const std::vector<std::string> &devices, const char *overcommit)
{
	config_init(&config_);
	ASSERT_EQ(config_set(&config_, "test", "overcommit", overcommit), 0);
	for (const auto &d : devices)
		ASSERT_EQ(config_add_device(&config_, d.c_str()), 0);
	ASSERT_EQ(config_complete(&config_), 0);
	spawn_ = {};
	spawn_.base.start = start;
	spawn_.base.program_fd = -1;
	spawn_.test = this;
	compiler_spawn_ = spawn_;
	compiler_spawn_.base.start = start_compiler;
	strcpy(compiler_spawn_.base.program, "/proc/self/exe");
	if (!cache_dir_.empty()) {
		ASSERT_EQ(config_set(&config_, "test", "cache_dir", cache_dir_.c_str()), 0);
	}
	ASSERT_EQ(config_set(&config_, "test", "cache_size", "4M"), 0);
	ASSERT_EQ(front_create(&config_, &spawn_.base,
			       cache_dir_.empty() ? nullptr : &compiler_spawn_.base, &front),
		  0);
}

void Protocol::TearDown()
{
	while (!open_.empty())
		release(open_.back());
	front_destroy(front);
	if (worker >= 0)
		close(worker);
	for (int fd : { worker_stderr, compiler, compiler_cache })
		if (fd >= 0)
			close(fd);
}

struct session *Protocol::open_as(const struct session_caller &who, uint32_t device, int access)
{
	struct session *s = nullptr;

	if (!front)
		configure({});
	EXPECT_EQ(session_open(front, device, &who, access, &s), 0);
	if (s)
		open_.push_back(s);
	return s;
}

int Protocol::open_error(const struct session_caller &who, uint32_t device, int access)
{
	struct session *s = nullptr;
	int r = session_open(front, device, &who, access, &s);

	if (!r)
		open_.push_back(s);
	return r;
}

struct session *Protocol::open(uint32_t device)
{
	return open_as(me, device);
}

void Protocol::release(struct session *s)
{
	open_.erase(std::find(open_.begin(), open_.end(), s));
	session_release(s);
}

struct session *Protocol::greeted_as(const struct session_caller &who, uint32_t device)
{
	struct session *s = open_as(who, device);
	struct vgpu_hello h = {};
	struct session_caller saved = me;

	h.magic = VGPU_MAGIC;
	h.version_minor = VGPU_VERSION_MINOR;
	h.features = ~0ull;
	me = who;
	EXPECT_EQ(call(s, VGPU_IOC_HELLO, &h), 0);
	me = saved;
	return s;
}

struct session *Protocol::greeted(uint32_t device)
{
	return greeted_as(me, device);
}

void Protocol::raw(struct session *s, uint32_t cmd, const void *in, size_t in_bytes,
		   size_t out_bytes, Answer *a)
{
	struct admit_request io = {};

	*a = Answer();
	io.answer = { &answers, a };
	io.caller = me;
	io.cmd = cmd;
	io.in = in;
	io.in_bytes = in_bytes;
	io.out_bytes = out_bytes;
	a->pending = admit_ioctl(s, &io);
	EXPECT_EQ(a->pending == nullptr, a->there);
}

void Protocol::transfer(struct session *s, uint64_t offset, uint32_t bytes, const void *data,
			Answer *a)
{
	struct session_bulk bulk = {};

	*a = Answer();
	bulk.answer = { &answers, a };
	bulk.offset = offset;
	bulk.bytes = bytes;
	bulk.data = data;
	a->pending = session_transfer(s, &bulk);
	EXPECT_EQ(a->pending == nullptr, a->there);
}

Received Protocol::take()
{
	static unsigned char buf[sizeof(struct wire_msg) + WIRE_MAX_PAYLOAD];
	alignas(struct cmsghdr) char control[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr mh = {};
	Received r;
	ssize_t n;

	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control;
	mh.msg_controllen = sizeof(control);
	spin();
	n = recvmsg(worker, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < static_cast<ssize_t>(sizeof(r.head)))
		return r;
	r.there = true;
	memcpy(&r.head, buf, sizeof(r.head));
	r.payload.assign(buf + sizeof(r.head), buf + n);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		int *fd = reinterpret_cast<int *>(CMSG_DATA(c));

		r.fds.assign(fd, fd + (c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	}
	EXPECT_EQ(r.head.fds, r.fds.size());
	EXPECT_EQ(r.head.payload_bytes, r.payload.size());
	return r;
}

Received Protocol::take_init()
{
	Received r = take();

	EXPECT_TRUE(r.there);
	EXPECT_EQ(r.head.kind, static_cast<uint32_t>(WIRE_INIT));
	reply(r, 0, nullptr, 0);
	return r;
}

void Protocol::reply(const Received &req, int32_t status, const void *payload, size_t bytes,
		     int64_t charge)
{
	std::vector<unsigned char> m(sizeof(struct wire_msg) + bytes);
	struct wire_msg head = {};

	head.kind = WIRE_REPLY;
	head.tag = req.head.tag;
	head.status = status;
	head.payload_bytes = static_cast<uint32_t>(bytes);
	head.charge = charge;
	memcpy(m.data(), &head, sizeof(head));
	if (bytes)
		memcpy(m.data() + sizeof(head), payload, bytes);
	ASSERT_EQ(::send(worker, m.data(), m.size(), MSG_NOSIGNAL), static_cast<ssize_t>(m.size()));
	spin();
}

void Protocol::kill_worker()
{
	close(worker);
	worker = -1;
	spin();
}

void Protocol::spin()
{
	while (loop_once(front_loop(front), 0) > 0)
		;
}

uint64_t Protocol::free_bytes(struct session *s)
{
	struct vgpu_mem_info m = {};

	EXPECT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), 0);
	return m.free;
}
