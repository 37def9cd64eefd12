// SPDX-License-Identifier: MIT
// A front and a backend small enough to drive a whole worker inside a test.
//
// The worker runs in a thread at the other end of a socket pair. The backend "compiles" one image
// that has the kernels below; what they do is C++.
#ifndef TESTS_UNIT_WORKER_FRONT_H
#define TESTS_UNIT_WORKER_FRONT_H

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "tests/support/window.h"

extern "C" {
#include "cuse_dev/backend/backend.h"
#include "cuse_dev/base/console.h"
#include "cuse_dev/base/limits.h"
#include "cuse_dev/worker/worker.h"
#include "ioctl/vgpu_share.h"
}

// ------------------------------------------------------------------------------- fake backend

struct backend_func {
	const char *name;
	uint32_t param_bytes;
	struct backend_module *m;
	uint32_t dynamic_shared;
};

struct backend_module {
	std::vector<backend_func> f;
	uint64_t global_va, managed_va;
};

namespace fake {
inline std::atomic<int> modules{ 0 };
/* An image "FAKESLOW" and the kernel "slow_compile" wait while this is true. */
inline std::atomic<bool> gate{ false };
inline std::atomic<int> at_gate{ 0 };
inline void pass_gate()
{
	at_gate++;
	while (gate)
		usleep(1000);
	at_gate--;
}
inline std::atomic<uint64_t> heap_va{ 0 };
inline std::atomic<int> priority{ 0 }; // of the last launch

struct write_params {
	uint64_t va;
	uint32_t value;
	uint32_t pad;
};

inline int open(const backend_device *, void **ret)
{
	static int me;
	*ret = &me;
	return 0;
}
inline void close(void *)
{
}
inline uint32_t module_load(void *, const void *image, size_t bytes, bool, backend_module **ret,
			    backend_image_info *info, backend_log *log)
{
	if (bytes < 4 || memcmp(image, "FAKE", 4)) {
		log->bytes = (uint32_t)snprintf(log->text, sizeof(log->text), "1:1: no image") + 1;
		return 218;
	}
	if (bytes >= 8 && !memcmp(image, "FAKESLOW", 8))
		pass_gate();
	auto *m = new backend_module();
	for (auto k :
	     { backend_func{ "write", 16, m, 49152 }, backend_func{ "slow_write", 16, m, 49152 },
	       backend_func{ "fault", 0, m, 49152 }, backend_func{ "spin", 0, m, 49152 },
	       backend_func{ "print", 0, m, 49152 }, backend_func{ "broken", 0, m, 49152 },
	       backend_func{ "slow_compile", 0, m, 49152 } })
		m->f.push_back(k);
	*info = { 90, (uint32_t)m->f.size(), 2, 1024, 4096 };
	*ret = m;
	modules++;
	return 0;
}
inline int module_bind(backend_module *m, uint64_t g, uint64_t managed, bool managed_new)
{
	m->global_va = g;
	m->managed_va = managed;
	*(uint32_t *)g = 1234;
	if (managed_new)
		*(uint32_t *)managed = 5678;
	return 0;
}
inline void module_unload(backend_module *m)
{
	delete m;
	modules--;
}
inline int module_global(backend_module *, uint32_t i, backend_global *g)
{
	if (i > 1)
		return -ENOENT;
	*g = { i ? "managed" : "device", i ? 0u : 512u, 64, i == 1, false, BACKEND_OPAQUE_NONE };
	return 0;
}
inline int find_global(backend_module *m, const char *name, backend_global *g)
{
	for (uint32_t i = 0; module_global(m, i, g) == 0; i++)
		if (!strcmp(g->name, name))
			return 0;
	return -ENOENT;
}
inline int by_index(backend_module *m, uint32_t i, backend_func **ret)
{
	if (i >= m->f.size())
		return -ENOENT;
	*ret = &m->f[i];
	return 0;
}
inline int by_name(backend_module *m, const char *name, backend_func **ret)
{
	for (auto &f : m->f)
		if (!strcmp(f.name, name)) {
			*ret = &f;
			return 0;
		}
	return -ENOENT;
}
inline const char *name(backend_func *f)
{
	return f->name;
}
inline uint32_t info(backend_func *f, backend_func_info *i, backend_log *log)
{
	static const uint32_t off[2] = { 0, 8 }, size[2] = { 8, 4 };

	if (!strcmp(f->name, "broken")) {
		log->bytes = (uint32_t)snprintf(log->text, sizeof(log->text), "7:3: bad") + 1;
		return 218;
	}
	if (!strcmp(f->name, "slow_compile"))
		pass_gate();
	*i = {};
	i->max_threads = 1024;
	i->num_regs = 32;
	i->ptx_version = 90;
	i->max_dynamic_shared = f->dynamic_shared;
	i->param_bytes = f->param_bytes;
	i->param_count = f->param_bytes ? 2 : 0;
	i->param_offset = off;
	i->param_size = size;
	return 0;
}
inline int set(backend_func *f, uint32_t attr, int32_t value)
{
	if (attr != 8 || value < 0)
		return -EINVAL;
	f->dynamic_shared = (uint32_t)value;
	return 0;
}
inline uint32_t launch(backend_func *f, const backend_launch *l, backend_fault *fault)
{
	auto *p = (const write_params *)l->params;

	heap_va = l->heap_va;
	priority = l->priority;
	if (!strcmp(f->name, "slow_write"))
		usleep(50000);
	if (f->param_bytes)
		*(volatile uint32_t *)p->va = p->value;
	if (!strcmp(f->name, "print"))
		console_write(l->console, 1, "hello\n", 6);
	if (!strcmp(f->name, "spin"))
		while (!__atomic_load_n(l->cancel, __ATOMIC_RELAXED))
			usleep(1000);
	if (!strcmp(f->name, "spin"))
		return fault->error = 719;
	if (!strcmp(f->name, "fault")) {
		fault->ctaid[0] = 7;
		fault->tid[1] = 3;
		fault->address = 0xdead;
		fault->line = 12;
		snprintf(fault->what, sizeof(fault->what), "it broke");
		return fault->error = 700;
	}
	return 0;
}

inline std::vector<std::pair<uint64_t, uint64_t>> host;
inline int host_ranges(void *, const uint64_t (*ranges)[2], size_t count)
{
	host.clear();
	for (size_t i = 0; i < count; i++)
		host.push_back({ ranges[i][0], ranges[i][1] });
	return 0;
}

inline std::atomic<uint64_t> textures; // that live; handles count up
inline int texture_create(void *, const vgpu_tex_desc *, uint64_t *ret)
{
	static std::atomic<uint64_t> last;

	textures++;
	*ret = ++last;
	return 0;
}
inline int texture_destroy(void *, uint64_t)
{
	textures--;
	return 0;
}

// Prepared launches: as the others, and counted.
inline std::atomic<uint64_t> prepared, ready_launches, seats; // the last: that are held
struct ready {
	backend_func *f;
	backend_launch l;
};
inline int prepare(backend_func *f, const backend_launch *l, backend_ready **ret)
{
	prepared++;
	*ret = reinterpret_cast<backend_ready *>(new ready{ f, *l });
	return 0;
}
inline void unprepare(backend_ready *p)
{
	delete reinterpret_cast<ready *>(p);
}
inline int seat_get(backend_func *, backend_seat **ret)
{
	seats++;
	*ret = reinterpret_cast<backend_seat *>(&seats);
	return 0;
}
inline void seat_put(backend_seat *)
{
	seats--;
}
inline uint32_t launch_ready(backend_ready *p, backend_seat *, backend_fault *fault)
{
	auto *r = reinterpret_cast<ready *>(p);

	ready_launches++;
	*fault = {};
	return launch(r->f, &r->l, fault);
}

inline const backend_ops ops = {
	"fake",	     nullptr,	    nullptr,	   open,	close,		module_load,
	module_bind, module_unload, module_global, find_global, by_name,	by_index,
	name,	     info,	    set,	   host_ranges, texture_create, texture_destroy,
	launch,	     prepare,	    unprepare,	   seat_get,	seat_put,	launch_ready,
};
} // namespace fake

// ----------------------------------------------------------------------------------- fake front

class Front {
public:
	static constexpr uint64_t kWindow = TEST_WINDOW;

	// shared: with a CONTROL memfd and arenas, else the worker makes all of it.
	explicit Front(bool shared)
	{
		int pair[2];

		EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
		sock = pair[0];
		options = { &fake::ops, false, true };
		thread = std::thread([this, fd = pair[1]] {
			result = worker_run(fd, &options);
			::close(fd);
		});
		init(shared);
	}
	// The worker as a process of its own, as the daemon starts it.
	Front(bool shared, const char *program)
	{
		int pair[2];

		EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
		sock = pair[0];
		pid = fork();
		if (!pid) {
			char name[] = "vgpu-worker", *argv[] = { name, nullptr },
			     *envp[] = { nullptr };

			if (pair[1] == WIRE_WORKER_FD)
				fcntl(WIRE_WORKER_FD, F_SETFD, 0);
			else
				dup2(pair[1], WIRE_WORKER_FD);
			execve(program, argv, envp);
			_exit(127);
		}
		::close(pair[1]);
		init(shared);
	}
	~Front()
	{
		leave();
		if (control)
			munmap(control, VGPU_SHARE_CONTROL_BYTES);
		for (int fd : own)
			::close(fd);
		if (bounce)
			munmap(bounce, WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES);
	}
	void leave()
	{
		if (sock < 0)
			return;
		::close(sock);
		sock = -1;
		if (pid > 0)
			waitpid(pid, &result, 0);
		else
			thread.join();
		EXPECT_EQ(0, result);
	}
	int memfd(uint64_t bytes)
	{
		int fd = memfd_create("front", MFD_ALLOW_SEALING | MFD_CLOEXEC);

		EXPECT_EQ(0, ftruncate(fd, (off_t)bytes));
		EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
		own.push_back(fd);
		return fd;
	}
	uint64_t send(uint32_t kind, uint32_t op, const void *payload, uint32_t bytes,
		      const std::vector<int> &fds = {}, uint64_t tag = 0)
	{
		struct wire_msg m = {};
		struct iovec iov[2] = { { &m, sizeof(m) }, { (void *)payload, bytes } };
		struct msghdr mh = {};
		alignas(8) char control_buf[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))] = {};

		m.kind = kind;
		m.op = op;
		m.tag = tag ? tag : ++last_tag;
		m.payload_bytes = bytes;
		m.fds = (uint32_t)fds.size();
		mh.msg_iov = iov;
		mh.msg_iovlen = 2;
		if (!fds.empty()) {
			mh.msg_control = control_buf;
			mh.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
			struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
			memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
		}
		EXPECT_EQ((ssize_t)(sizeof(m) + bytes), sendmsg(sock, &mh, MSG_NOSIGNAL));
		return m.tag;
	}
	// The reply to tag; others that come first are kept.
	int receive(uint64_t tag, void *payload, uint32_t bytes)
	{
		while (!kept.count(tag)) {
			std::vector<char> buf(sizeof(struct wire_msg) + WIRE_MAX_PAYLOAD);
			ssize_t n;

			do
				n = recv(sock, buf.data(), buf.size(), 0);
			while (n < 0 && errno == EINTR);

			if (n < (ssize_t)sizeof(struct wire_msg))
				return -EPIPE;
			buf.resize((size_t)n);
			kept[((struct wire_msg *)buf.data())->tag] = buf;
		}
		std::vector<char> buf = kept[tag];
		auto *m = (struct wire_msg *)buf.data();
		kept.erase(tag);
		EXPECT_EQ((uint32_t)WIRE_REPLY, m->kind);
		charge += m->charge;
		if (m->status == 0 && m->payload_bytes) {
			EXPECT_EQ(bytes, m->payload_bytes);
			memcpy(payload, m + 1, bytes);
		}
		return m->status;
	}
	bool answered(uint64_t tag, int wait_ms)
	{
		struct timeval t = { wait_ms / 1000, wait_ms % 1000 * 1000 };
		fd_set set;

		if (kept.count(tag))
			return true;
		FD_ZERO(&set);
		FD_SET(sock, &set);
		return select(sock + 1, &set, nullptr, nullptr, &t) > 0;
	}
	template <class T> int call(uint32_t op, T *a, int fd = -1)
	{
		std::vector<int> fds;

		if (fd >= 0)
			fds.push_back(fd);
		return receive(send(WIRE_CALL, op, a, sizeof(*a), fds), a, sizeof(*a));
	}
	int bulk(bool write, uint64_t offset, const void *data, uint32_t bytes)
	{
		struct wire_bulk b = { offset, bytes, 1 };
		char *slot = bounce + WIRE_BOUNCE_BYTES;

		if (write)
			memcpy(slot, data, bytes);
		int r = receive(send(write ? WIRE_WRITE : WIRE_READ, 0, &b, sizeof(b)), nullptr, 0);
		if (!write && r > 0)
			memcpy((void *)data, slot, (size_t)r);
		return r;
	}

	// ------------------------------------------------------------------------- short cuts

	uint32_t ctx()
	{
		struct vgpu_ctx_create a = {};

		EXPECT_EQ(0, call(VGPU_OP_CTX_CREATE, &a));
		ctx_slot = a.slot;
		return a.ctx;
	}
	uint64_t alloc(uint32_t ctx, uint64_t size, uint32_t kind = VGPU_MEM_DEVICE)
	{
		struct vgpu_mem_alloc a = {};

		a.ctx = ctx;
		a.size = size;
		a.kind = kind;
		EXPECT_EQ(0, call(VGPU_OP_MEM_ALLOC, &a));
		return a.va;
	}
	uint32_t module(uint32_t ctx, const char *image = "FAKE")
	{
		struct vgpu_blob_create b = {};
		struct vgpu_blob_destroy d = {};
		struct vgpu_module_load l = {};

		b.size = strlen(image);
		b.fd = -1;
		EXPECT_EQ(0, call(VGPU_OP_BLOB_CREATE, &b));
		EXPECT_EQ((int)b.size,
			  bulk(true, VGPU_BLOB_OFFSET(b.slot), image, (uint32_t)b.size));
		l.ctx = ctx;
		l.blob = d.blob = b.blob;
		EXPECT_EQ(0, call(VGPU_OP_MODULE_LOAD, &l));
		EXPECT_EQ(0u, l.result) << l.log;
		EXPECT_EQ(0, call(VGPU_OP_BLOB_DESTROY, &d));
		return l.module;
	}
	uint32_t func(uint32_t module, const char *name)
	{
		struct vgpu_func_get f = {};

		f.module = module;
		f.index = VGPU_BY_NAME;
		strcpy(f.name, name);
		EXPECT_EQ(0, call(VGPU_OP_FUNC_GET, &f));
		return f.func;
	}
	uint32_t stream(uint32_t ctx, uint32_t *slot = nullptr, int priority = 0)
	{
		struct vgpu_stream_create s = {};

		s.ctx = ctx;
		s.priority = priority;
		EXPECT_EQ(0, call(VGPU_OP_STREAM_CREATE, &s));
		if (slot)
			*slot = s.slot;
		return s.stream;
	}
	int submit(uint32_t stream, const void *cmd, uint32_t bytes)
	{
		struct vgpu_submit s = {};

		s.stream = stream;
		s.bytes = bytes;
		if (bytes)
			memcpy(s.data, cmd, bytes);
		return call(VGPU_OP_SUBMIT, &s);
	}
	template <class T> int command(uint32_t stream, uint32_t op, T c)
	{
		c.head.op = op;
		c.head.bytes = sizeof(c);
		return submit(stream, &c, sizeof(c));
	}
	struct launch {
		struct vgpu_cmd_launch l;
		struct fake::write_params p;
	};
	static launch make_launch(uint32_t func, uint32_t param_bytes = 0, uint64_t va = 0,
				  uint32_t v = 0)
	{
		launch c = {};

		c.l.head = { VGPU_CMD_LAUNCH, (uint32_t)sizeof(c.l) + param_bytes };
		c.l.func = func;
		for (int i = 0; i < 3; i++)
			c.l.grid[i] = c.l.block[i] = c.l.cluster[i] = 1;
		c.l.param_bytes = param_bytes;
		c.p = { va, v, 0 };
		return c;
	}
	int run(uint32_t stream, const launch &c) { return submit(stream, &c, c.l.head.bytes); }
	// Waits for seq; returns the error of the context.
	uint32_t wait(uint32_t stream, uint64_t seq, uint64_t timeout_ns = 4000000000)
	{
		struct vgpu_wait w = {};

		w.stream = stream;
		w.seq = seq;
		w.host_token = ~0ull;
		w.timeout_ns = timeout_ns;
		EXPECT_EQ(0, call(VGPU_OP_WAIT, &w));
		done = w.done_seq;
		return w.error;
	}

	struct worker_options options;
	int sock = -1, result = 1;
	pid_t pid = -1;
	std::thread thread;
	uint64_t last_tag = 0, done = 0;
	int64_t charge = 0;
	uint32_t ctx_slot = 0;
	char *bounce = nullptr;
	struct vgpu_share_control *control = nullptr;
	std::map<uint64_t, std::vector<char>> kept;
	std::vector<int> own;

private:
	void init(bool shared)
	{
		struct wire_init in = {};
		std::vector<int> fds;

		in.window_base = kWindow;
		in.window_size = 1ull << 34;
		in.device_count = 2;
		in.threads = 1;
		in.fd_mask = WIRE_FD_BOUNCE;
		for (uint32_t i = 0; i < 2; i++) {
			strcpy(in.device[i].profile, i ? "T4" : "H100-80GB");
			in.device[i].mem_total = 256ull << 20;
			in.device[i].mem_reserved = 4ull << 20;
		}
		fds.push_back(memfd(WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES));
		bounce = (char *)mmap(nullptr, WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES,
				      PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
		if (shared) {
			in.fd_mask |= WIRE_FD_CONTROL | WIRE_FD_HOST | WIRE_FD_DEVICE(0);
			in.control_bytes = VGPU_SHARE_CONTROL_BYTES;
			in.host_bytes = 1ull << 32;
			in.device_bytes[0] = in.device[0].mem_total;
			fds.push_back(memfd(VGPU_SHARE_CONTROL_BYTES));
			fds.push_back(memfd(in.host_bytes));
			fds.push_back(memfd(in.device_bytes[0]));
			control = (struct vgpu_share_control *)mmap(
				nullptr, VGPU_SHARE_CONTROL_BYTES, PROT_READ | PROT_WRITE,
				MAP_SHARED, fds[1], 0);
		}
		ASSERT_EQ(0, receive(send(WIRE_INIT, 0, &in, sizeof(in), fds), nullptr, 0));
	}
};

#endif
