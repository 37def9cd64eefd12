/* SPDX-License-Identifier: MIT */
/*
 * Memory, events and pools between two processes of one user. The other one is this program again, which
 * does what it is asked over a socket (see serve()).
 */
#include "api/api_test.h"

#include <csignal>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

enum Op {
	OPEN_MEM,
	CLOSE_MEM,
	COUNT, /* bytes at ptr + off that are value */
	FILL,
	OPEN_EVENT,
	QUERY,
	SYNC,
	RECORD,
	WAIT_AND_FILL, /* in a stream, behind the event */
	DESTROY_EVENT,
	IMPORT_POOL,
	IMPORT_PTR,
	ALLOC_FROM_POOL,
	FREE_PTR,
	GET_MEM, /* a handle of memory of the other side's */
};

struct Request {
	int op;
	unsigned char blob[64];
	uint64_t off, bytes, value;
};

struct Reply {
	int result;
	uint64_t value;
	unsigned char blob[64];
};

/* ---- the other process ---- */

struct Peer {
	CUdevice dev;
	CUcontext ctx;
	CUstream s;
	CUdeviceptr ptr = 0;
	CUevent event = nullptr;
	CUmemoryPool pool = nullptr;
};

CUresult count(const Peer &p, const Request &q, Reply *a)
{
	std::vector<unsigned char> v(q.bytes);
	CUresult r = cuMemcpyDtoH(v.data(), p.ptr + q.off, q.bytes);

	for (auto b : v)
		a->value += b == q.value;
	return r;
}

CUresult answer(Peer &p, const Request &q, int fd, Reply *a)
{
	CUipcMemHandle mem;
	CUipcEventHandle event;
	CUmemPoolPtrExportData data;
	CUresult r;

	memcpy(&mem, q.blob, sizeof(mem));
	memcpy(&event, q.blob, sizeof(event));
	memcpy(&data, q.blob, sizeof(data));
	switch (q.op) {
	case OPEN_MEM:
		r = cuIpcOpenMemHandle(&p.ptr, mem, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
		a->value = p.ptr;
		return r;
	case CLOSE_MEM:
		return cuIpcCloseMemHandle(p.ptr);
	case COUNT:
		return count(p, q, a);
	case FILL:
		r = cuMemsetD8(p.ptr + q.off, static_cast<unsigned char>(q.value), q.bytes);
		return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
	case OPEN_EVENT:
		return cuIpcOpenEventHandle(&p.event, event);
	case QUERY:
		return cuEventQuery(p.event);
	case SYNC:
		return cuEventSynchronize(p.event);
	case RECORD:
		return cuEventRecord(p.event, p.s);
	case WAIT_AND_FILL:
		r = cuStreamWaitEvent(p.s, p.event, 0);
		return r == CUDA_SUCCESS
			       ? cuMemsetD8Async(p.ptr, static_cast<unsigned char>(q.value),
						 q.bytes, p.s)
			       : r;
	case DESTROY_EVENT:
		return cuEventDestroy(p.event);
	case IMPORT_POOL:
		r = cuMemPoolImportFromShareableHandle(
			&p.pool, reinterpret_cast<void *>(static_cast<intptr_t>(fd)),
			CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
		close(fd);
		return r;
	case IMPORT_PTR:
		return cuMemPoolImportPointer(&p.ptr, p.pool, &data);
	case ALLOC_FROM_POOL:
		return cuMemAllocFromPoolAsync(&p.ptr, 64, p.pool, p.s);
	case FREE_PTR:
		return q.value ? cuMemFreeAsync(p.ptr, p.s) : cuMemFree(p.ptr);
	case GET_MEM:
		r = cuMemAlloc(&p.ptr, q.bytes);
		if (r == CUDA_SUCCESS)
			r = cuMemsetD8(p.ptr, static_cast<unsigned char>(q.value), q.bytes);
		if (r == CUDA_SUCCESS)
			r = cuIpcGetMemHandle(&mem, p.ptr);
		memcpy(a->blob, &mem, sizeof(mem));
		return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
	default:
		return CUDA_ERROR_UNKNOWN;
	}
}

ssize_t receive(int sock, Request *q, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	iovec iov = { q, sizeof(*q) };
	msghdr m = {};
	ssize_t n;

	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	m.msg_control = control;
	m.msg_controllen = sizeof(control);
	n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	*fd = -1;
	if (n > 0 && CMSG_FIRSTHDR(&m))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return n;
}

/* Runs before main() and never comes back in the process that the test starts. */
__attribute__((constructor)) void serve()
{
	const char *number = getenv("IPC_TEST_SOCKET");
	Request q;
	Peer p;
	int sock, fd;

	if (!number)
		return;
	sock = atoi(number);
	if (cuInit(0) || cuDeviceGet(&p.dev, 0) || cuDevicePrimaryCtxRetain(&p.ctx, p.dev) ||
	    cuCtxSetCurrent(p.ctx) || cuStreamCreate(&p.s, CU_STREAM_NON_BLOCKING))
		_exit(3);
	while (receive(sock, &q, &fd) == sizeof(q)) {
		Reply a = {};

		a.result = answer(p, q, fd, &a);
		if (write(sock, &a, sizeof(a)) != sizeof(a))
			_exit(4);
	}
	exit(0);
}

/* ---- the test ---- */

class Ipc : public Api {
protected:
	void SetUp() override
	{
		int pair[2];

		Api::SetUp();
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		p = alloc(BYTES);
		ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		sock = pair[0];
		pid = fork();
		if (!pid) {
			char number[16];
			int mine = dup(pair[1]); /* without CLOEXEC */

			snprintf(number, sizeof(number), "%d", mine);
			setenv("IPC_TEST_SOCKET", number, 1);
			execl("/proc/self/exe", "ipc_test", static_cast<char *>(nullptr));
			_exit(127);
		}
		close(pair[1]);
	}
	void TearDown() override
	{
		end_peer();
		CU_OK(cuMemFree(p));
		CU_OK(cuStreamDestroy(s));
		Api::TearDown();
	}
	void end_peer()
	{
		int status = -1;

		if (pid <= 0)
			return;
		close(sock);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_TRUE(status == 0 || killed) << status;
		pid = 0;
	}
	int ask(Op op, const void *blob = nullptr, uint64_t off = 0, uint64_t bytes = 0,
		uint64_t value = 0, int fd = -1)
	{
		char control[CMSG_SPACE(sizeof(int))] = {};
		Request q = {};
		iovec iov = { &q, sizeof(q) };
		msghdr m = {};

		q.op = op;
		if (blob)
			memcpy(q.blob, blob, 64);
		q.off = off;
		q.bytes = bytes;
		q.value = value;
		m.msg_iov = &iov;
		m.msg_iovlen = 1;
		if (fd >= 0) {
			m.msg_control = control;
			m.msg_controllen = sizeof(control);
			CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(int));
		}
		reply = {};
		EXPECT_EQ(sendmsg(sock, &m, MSG_NOSIGNAL), static_cast<ssize_t>(sizeof(q)));
		EXPECT_EQ(recv(sock, &reply, sizeof(reply), 0),
			  static_cast<ssize_t>(sizeof(reply)));
		return reply.result;
	}
	uint64_t counted(uint64_t off, uint64_t bytes, uint64_t value)
	{
		EXPECT_EQ(ask(COUNT, nullptr, off, bytes, value), CUDA_SUCCESS);
		return reply.value;
	}
	uint64_t here(CUdeviceptr at, uint64_t bytes, unsigned char value)
	{
		uint64_t n = 0;

		for (auto b : read(at, bytes))
			n += b == value;
		return n;
	}
	CUevent event()
	{
		CUevent e = nullptr;

		EXPECT_EQ(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS),
			  CUDA_SUCCESS);
		return e;
	}

	static constexpr uint64_t BYTES = 3 << 20;
	CUstream s = nullptr;
	CUdeviceptr p = 0;
	Reply reply = {};
	pid_t pid = 0;
	int sock = -1;
	bool killed = false;
};

TEST_F(Ipc, MemoryIsSeenFromBothSides)
{
	CUipcMemHandle h;

	if (!shared_pages()) {
		CU_IS(cuIpcGetMemHandle(&h, p), CUDA_ERROR_NOT_SUPPORTED);
		return;
	}
	CU_OK(cuMemsetD8(p, 0x11, BYTES));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuIpcGetMemHandle(&h, p));
	ASSERT_EQ(ask(OPEN_MEM, &h), CUDA_SUCCESS);
	EXPECT_EQ(counted(0, BYTES, 0x11), BYTES);
	ASSERT_EQ(ask(FILL, nullptr, 4096, 1 << 20, 0x22), CUDA_SUCCESS);
	EXPECT_EQ(here(p, BYTES, 0x22), 1u << 20);
	EXPECT_EQ(here(p + 4096, 1 << 20, 0x22), 1u << 20);
	/* Behind its end is nothing of it. */
	EXPECT_EQ(ask(FILL, nullptr, 0, BYTES + 1, 0x33), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(here(p, BYTES, 0x33), 0u);
	EXPECT_EQ(ask(CLOSE_MEM), CUDA_SUCCESS);
	EXPECT_EQ(ask(CLOSE_MEM), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(ask(FILL, nullptr, 0, 1, 0x33), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Ipc, SmallMemoryThatSharesItsPages)
{
	CUdeviceptr a = alloc(300), b = alloc(300);
	CUipcMemHandle h;

	if (shared_pages()) {
		CU_OK(cuMemsetD8(a, 1, 300));
		CU_OK(cuMemsetD8(b, 2, 300));
		CU_OK(cuCtxSynchronize());
		CU_OK(cuIpcGetMemHandle(&h, b + 100)); /* any address in it */
		ASSERT_EQ(ask(OPEN_MEM, &h), CUDA_SUCCESS);
		EXPECT_EQ(counted(0, 300, 2), 300u);
		EXPECT_EQ(ask(FILL, nullptr, 0, 300, 9), CUDA_SUCCESS);
		EXPECT_EQ(here(a, 300, 1), 300u);
		EXPECT_EQ(here(b, 300, 9), 300u);
	}
	CU_OK(cuMemFree(a));
	CU_OK(cuMemFree(b));
}

TEST_F(Ipc, OpenedTwiceIsTheSame)
{
	CUipcMemHandle h;
	uint64_t first;

	if (!shared_pages())
		return;
	CU_OK(cuIpcGetMemHandle(&h, p));
	ASSERT_EQ(ask(OPEN_MEM, &h), CUDA_SUCCESS);
	first = reply.value;
	ASSERT_EQ(ask(OPEN_MEM, &h), CUDA_SUCCESS);
	EXPECT_EQ(reply.value, first);
	EXPECT_EQ(ask(CLOSE_MEM), CUDA_SUCCESS);
	EXPECT_EQ(ask(FILL, nullptr, 0, 16, 5), CUDA_SUCCESS);
	EXPECT_EQ(ask(CLOSE_MEM), CUDA_SUCCESS);
	EXPECT_EQ(ask(CLOSE_MEM), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Ipc, KernelsAndCopiesUseIt)
{
	CUipcMemHandle h;
	CUdeviceptr there;

	if (!shared_pages())
		return;
	ASSERT_EQ(ask(GET_MEM, nullptr, 0, BYTES, 0x44), CUDA_SUCCESS);
	memcpy(&h, reply.blob, sizeof(h));
	CU_OK(cuIpcOpenMemHandle(&there, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CU_OK(cuMemcpyDtoDAsync(p, there, BYTES, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(here(p, BYTES, 0x44), BYTES);
	/* Its process ends: here it reads as something, and can be closed. */
	end_peer();
	read(there, 16);
	CU_OK(cuIpcCloseMemHandle(there));
	CU_IS(cuIpcOpenMemHandle(&there, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
	      CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Ipc, KilledProcess)
{
	CUipcMemHandle h;
	CUdeviceptr there;

	if (!shared_pages())
		return;
	ASSERT_EQ(ask(GET_MEM, nullptr, 0, 64, 1), CUDA_SUCCESS);
	memcpy(&h, reply.blob, sizeof(h));
	killed = true;
	kill(pid, SIGKILL);
	end_peer();
	CU_IS(cuIpcOpenMemHandle(&there, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
	      CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Ipc, Refused)
{
	CUipcMemHandle h = {};
	CUipcEventHandle eh = {};
	CUdeviceptr d, managed;
	CUevent e, plain;

	CU_IS(cuIpcOpenMemHandle(&d, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
	      CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuIpcOpenEventHandle(&e, eh), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuIpcGetMemHandle(nullptr, p), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuIpcGetMemHandle(&h, 0x1234), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuIpcCloseMemHandle(p), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuEventCreate(&e, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuEventCreate(&plain, CU_EVENT_DISABLE_TIMING));
	CU_IS(cuIpcGetEventHandle(&eh, plain), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuEventDestroy(plain));
	if (!shared_pages())
		return;
	CU_OK(cuIpcGetMemHandle(&h, p));
	CU_IS(cuIpcOpenMemHandle(&d, h, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuIpcOpenMemHandle(&d, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
	      CUDA_ERROR_INVALID_CONTEXT);
	h.reserved[20] = static_cast<char>(h.reserved[20] + 1);
	EXPECT_EQ(ask(OPEN_MEM, &h), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuMemAllocManaged(&managed, 64, CU_MEM_ATTACH_GLOBAL));
	CU_IS(cuIpcGetMemHandle(&h, managed), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFree(managed));
}

TEST_F(Ipc, EventsOrderStreamsOfBothSides)
{
	CUipcMemHandle h;
	CUipcEventHandle eh;
	CUevent e;
	Gate gate;

	if (!shared_pages()) {
		/* The events are there, the memory to show their order with is not. */
		e = event();
		CU_OK(cuIpcGetEventHandle(&eh, e));
		CU_OK(cuEventDestroy(e));
		return;
	}
	e = event();
	CU_OK(cuMemsetD8(p, 0, BYTES));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuIpcGetMemHandle(&h, p));
	CU_OK(cuIpcGetEventHandle(&eh, e));
	ASSERT_EQ(ask(OPEN_MEM, &h), CUDA_SUCCESS);
	ASSERT_EQ(ask(OPEN_EVENT, &eh), CUDA_SUCCESS);
	/* Never recorded: complete. */
	EXPECT_EQ(ask(QUERY), CUDA_SUCCESS);
	/* Held up here; over there a stream waits for it. */
	CU_OK(gate.hold(s));
	CU_OK(cuMemsetD8Async(p, 1, BYTES, s));
	CU_OK(cuEventRecord(e, s));
	CU_IS(cuEventQuery(e), CUDA_ERROR_NOT_READY);
	EXPECT_EQ(ask(QUERY), CUDA_ERROR_NOT_READY);
	EXPECT_EQ(ask(WAIT_AND_FILL, nullptr, 0, 100, 2), CUDA_SUCCESS);
	EXPECT_EQ(ask(RECORD), CUDA_SUCCESS);
	CU_IS(cuEventQuery(e), CUDA_ERROR_NOT_READY);
	gate.open();
	/* The last record is the other side's, behind its fill. */
	CU_OK(cuEventSynchronize(e));
	EXPECT_EQ(here(p, 100, 2), 100u);
	EXPECT_EQ(here(p, BYTES, 1), BYTES - 100);
	EXPECT_EQ(ask(SYNC), CUDA_SUCCESS);
	EXPECT_EQ(ask(QUERY), CUDA_SUCCESS);
	EXPECT_EQ(ask(DESTROY_EVENT), CUDA_SUCCESS);
	CU_OK(cuEventDestroy(e));
}

TEST_F(Ipc, ManyEvents)
{
	std::vector<CUevent> all;
	CUipcEventHandle eh;

	if (!shared_pages())
		return;
	for (int i = 0; i < 4200; i++) /* more than one file of them */
		all.push_back(event());
	CU_OK(cuEventRecord(all.back(), s));
	CU_OK(cuEventSynchronize(all.back()));
	CU_OK(cuIpcGetEventHandle(&eh, all.back()));
	EXPECT_EQ(ask(OPEN_EVENT, &eh), CUDA_SUCCESS);
	EXPECT_EQ(ask(QUERY), CUDA_SUCCESS);
	for (int i = 0; i < 200; i++) /* more records than an event remembers */
		CU_OK(cuEventRecord(all[0], s));
	CU_OK(cuEventSynchronize(all[0]));
	CU_OK(cuEventQuery(all[0]));
	for (auto e : all)
		CU_OK(cuEventDestroy(e));
}

TEST_F(Ipc, Pools)
{
	CUmemPoolPtrExportData data, of_default;
	CUmemPoolProps props = {};
	CUmemoryPool pool, other;
	CUdeviceptr a, b, c;
	int fd, types = 0;

	props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
	props.handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	props.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
	props.location.id = dev;
	if (!shared_pages()) {
		CU_IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_NOT_SUPPORTED);
		return;
	}
	CU_OK(cuDeviceGetAttribute(&types, CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES,
				   dev));
	EXPECT_EQ(types, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
	CU_OK(cuMemPoolCreate(&pool, &props));
	CU_OK(cuMemAllocFromPoolAsync(&a, 1000, pool, s));
	CU_OK(cuMemAllocFromPoolAsync(&b, BYTES, pool, s));
	CU_OK(cuMemAllocAsync(&c, 64, s));
	CU_OK(cuMemsetD8Async(a, 7, 1000, s));
	CU_OK(cuMemsetD8Async(b, 8, BYTES, s));
	CU_OK(cuStreamSynchronize(s));
	CU_IS(cuMemPoolExportPointer(&of_default, c), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
					       0));
	EXPECT_EQ(ask(IMPORT_POOL, nullptr, 0, 0, 0, fd), CUDA_SUCCESS);
	close(fd);
	CU_OK(cuMemPoolExportPointer(&data, b));
	ASSERT_EQ(ask(IMPORT_PTR, &data), CUDA_SUCCESS);
	EXPECT_EQ(counted(0, BYTES, 8), BYTES);
	EXPECT_EQ(ask(FILL, nullptr, 0, BYTES, 9), CUDA_SUCCESS);
	EXPECT_EQ(here(b, BYTES, 9), BYTES);
	EXPECT_EQ(here(a, 1000, 7), 1000u);
	EXPECT_EQ(ask(FREE_PTR, nullptr, 0, 0, 1), CUDA_SUCCESS);
	CU_OK(cuMemPoolExportPointer(&data, a));
	ASSERT_EQ(ask(IMPORT_PTR, &data), CUDA_SUCCESS);
	EXPECT_EQ(counted(0, 1000, 7), 1000u);
	EXPECT_EQ(ask(CLOSE_MEM), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(ask(FREE_PTR), CUDA_SUCCESS);
	EXPECT_EQ(ask(FREE_PTR), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(ask(ALLOC_FROM_POOL), CUDA_ERROR_INVALID_VALUE);
	/* A pool that is not shareable, and what is no pool. */
	CU_OK(cuDeviceGetDefaultMemPool(&other, dev));
	CU_IS(cuMemPoolExportToShareableHandle(&fd, other, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
					       0),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPoolImportFromShareableHandle(&other, nullptr,
						 CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFreeAsync(a, s));
	CU_OK(cuMemFreeAsync(b, s));
	CU_OK(cuMemFreeAsync(c, s));
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuMemPoolDestroy(pool));
}

} // namespace
