/* SPDX-License-Identifier: MIT */
/* share_test.cc - descriptors that a client names: what is refused, what reaches the worker. */
#include "harness.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/base/meter.h"
}

#define MIB2 (2ull << 20)

class Share : public Protocol {
protected:
	int share(struct session *s, uint32_t kind, int fd, uint64_t size)
	{
		struct vgpu_share a = { kind, fd, size };

		return call(s, VGPU_IOC_SHARE, &a);
	}
	/* host() - SHARE of HOST with a descriptor, which is closed. */
	int host(int fd, uint64_t size)
	{
		int r = share(greeted(), VGPU_SHARE_HOST, fd, size);

		close(fd);
		return r;
	}
};

TEST_F(Share, UnknownKind)
{
	int fd = memfd(MIB2);

	EXPECT_EQ(share(greeted(), 0, fd, MIB2), EINVAL);
	EXPECT_EQ(share(greeted(), 4, fd, MIB2), EINVAL);
	close(fd);
}

TEST_F(Share, NoSuchDescriptor)
{
	EXPECT_EQ(share(greeted(), VGPU_SHARE_HOST, 9999, MIB2), EBADF);
	EXPECT_EQ(share(greeted(), VGPU_SHARE_HOST, -1, MIB2), EBADF);
}

TEST_F(Share, OrdinaryFile)
{
	EXPECT_EQ(host(::open("/proc/self/exe", O_RDONLY), MIB2), EPERM);
}

TEST_F(Share, OrdinaryFileInMemory)
{
	int fd = ::open("/dev/shm", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0)
		GTEST_SKIP() << "no /dev/shm";
	EXPECT_EQ(ftruncate(fd, MIB2), 0);
	EXPECT_EQ(host(fd, MIB2), EPERM);
}

TEST_F(Share, Pipe)
{
	int fd[2];

	ASSERT_EQ(pipe(fd), 0);
	EXPECT_EQ(host(fd[0], MIB2), EPERM);
	close(fd[1]);
}

TEST_F(Share, Device)
{
	EXPECT_EQ(host(::open("/dev/null", O_RDWR), MIB2), EPERM);
}

TEST_F(Share, WithoutSeals)
{
	EXPECT_EQ(host(memfd(MIB2, 0), MIB2), EPERM);
}

TEST_F(Share, EachSealIsNeeded)
{
	EXPECT_EQ(host(memfd(MIB2, F_SEAL_GROW | F_SEAL_SEAL), MIB2), EPERM);
	EXPECT_EQ(host(memfd(MIB2, F_SEAL_SHRINK | F_SEAL_SEAL), MIB2), EPERM);
	EXPECT_EQ(host(memfd(MIB2, F_SEAL_SHRINK | F_SEAL_GROW), MIB2), EPERM);
}

TEST_F(Share, SealedAgainstWriting)
{
	EXPECT_EQ(host(memfd(MIB2, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE), MIB2),
		  EPERM);
}

TEST_F(Share, OpenForReadingOnly)
{
	int fd = memfd(MIB2), ro;

	ro = ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
	close(fd);
	EXPECT_EQ(host(ro, MIB2), EPERM);
}

TEST_F(Share, OtherSizeThanSaid)
{
	EXPECT_EQ(host(memfd(MIB2), 2 * MIB2), EINVAL);
}

TEST_F(Share, SizeIsAMultipleOfTwoMebibytes)
{
	EXPECT_EQ(host(memfd(MIB2 + 4096), MIB2 + 4096), EINVAL);
	EXPECT_EQ(host(memfd(0), 0), EINVAL);
}

TEST_F(Share, LargestHostArena)
{
	EXPECT_EQ(host(memfd(1ull << 43), 1ull << 43), 0);
}

TEST_F(Share, LargerHostArenaThanThat)
{
	EXPECT_EQ(host(memfd((1ull << 43) + MIB2), (1ull << 43) + MIB2), EINVAL);
}

TEST_F(Share, ControlHasOneSize)
{
	int fd = memfd(VGPU_SHARE_CONTROL_BYTES + MIB2);

	EXPECT_EQ(share(greeted(), VGPU_SHARE_CONTROL, fd, VGPU_SHARE_CONTROL_BYTES + MIB2),
		  EINVAL);
	close(fd);
}

TEST_F(Share, DeviceArenaIsAsLargeAsTheDevice)
{
	int fd = memfd(1ull << 30), small = memfd(512ull << 20), large = memfd((1ull << 30) + MIB2);

	configure({ "T4,memory=1G" });
	EXPECT_EQ(share(greeted(), VGPU_SHARE_DEVICE, small, 512ull << 20), EINVAL);
	EXPECT_EQ(share(greeted(), VGPU_SHARE_DEVICE, large, (1ull << 30) + MIB2), EINVAL);
	EXPECT_EQ(share(greeted(), VGPU_SHARE_DEVICE, fd, 1ull << 30), 0);
	close(fd);
	close(small);
	close(large);
}

TEST_F(Share, TwiceTheSameKind)
{
	struct session *s = greeted();
	int fd = memfd(MIB2);

	EXPECT_EQ(share(s, VGPU_SHARE_HOST, fd, MIB2), 0);
	EXPECT_EQ(share(s, VGPU_SHARE_HOST, fd, MIB2), EEXIST);
	close(fd);
}

TEST_F(Share, AfterTheWorkerHasStarted)
{
	struct session *s = greeted();
	struct vgpu_ctx_create cc = {};
	int fd = memfd(MIB2);
	Answer a;

	send(s, VGPU_IOC_CTX_CREATE, cc, &a);
	take_init();
	EXPECT_EQ(share(s, VGPU_SHARE_HOST, fd, MIB2), EBUSY);
	reply_with(take(), cc);
	close(fd);
}

TEST_F(Share, AllPagesReachTheWorkerInOrder)
{
	int control = memfd(VGPU_SHARE_CONTROL_BYTES), host_fd = memfd(MIB2),
	    dev = memfd(1ull << 30);
	struct vgpu_ctx_create cc = {};
	struct wire_init init;
	struct session *s0, *s1;
	struct stat st;
	Answer a;

	configure({ "H100-80GB", "T4,memory=1G" });
	s0 = greeted(0);
	s1 = greeted(1);
	ASSERT_EQ(share(s1, VGPU_SHARE_DEVICE, dev, 1ull << 30), 0);
	ASSERT_EQ(share(s0, VGPU_SHARE_HOST, host_fd, MIB2), 0);
	ASSERT_EQ(share(s0, VGPU_SHARE_CONTROL, control, VGPU_SHARE_CONTROL_BYTES), 0);
	send(s0, VGPU_IOC_CTX_CREATE, cc, &a);
	Received r = take_init();
	ASSERT_EQ(r.payload.size(), sizeof(init));
	memcpy(&init, r.payload.data(), sizeof(init));
	EXPECT_EQ(init.fd_mask, WIRE_FD_BOUNCE | WIRE_FD_CONTROL | WIRE_FD_HOST |
					WIRE_FD_DEVICE(1) | WIRE_FD_METER);
	EXPECT_EQ(init.control_bytes, VGPU_SHARE_CONTROL_BYTES);
	EXPECT_EQ(init.host_bytes, MIB2);
	EXPECT_EQ(init.device_bytes[0], 0u);
	EXPECT_EQ(init.device_bytes[1], 1ull << 30);
	EXPECT_EQ(init.device_count, 2u);
	EXPECT_STREQ(init.device[1].profile, "T4");
	EXPECT_EQ(init.window_size, 1ull << 40) << "without a wish there is a default";
	ASSERT_EQ(r.fds.size(), 5u);
	const uint64_t sizes[] = { WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES, VGPU_SHARE_CONTROL_BYTES,
				   MIB2, 1ull << 30, sizeof(struct meter_page) };
	for (size_t i = 0; i < 5; i++) {
		ASSERT_EQ(fstat(r.fds[i], &st), 0);
		EXPECT_EQ(static_cast<uint64_t>(st.st_size), sizes[i]) << i;
	}
	reply_with(take(), cc);
	EXPECT_TRUE(a.there);
	close(control);
	close(host_fd);
	close(dev);
}

/* ---- the other operations with a descriptor ------------------------------------------------ */

TEST_F(Share, BlobFromAMemfd)
{
	struct session *s = greeted();
	struct vgpu_blob_create b = {};
	int fd = memfd(4096, 0);
	Answer a;

	b.size = 4097;
	b.fd = fd;
	EXPECT_EQ(call(s, VGPU_IOC_BLOB_CREATE, &b), EINVAL) << "the memfd is smaller than that";
	b.size = 4096;
	b.fd = -2;
	EXPECT_EQ(call(s, VGPU_IOC_BLOB_CREATE, &b), EBADF);
	EXPECT_EQ(starts, 0);
	b.fd = fd;
	send(s, VGPU_IOC_BLOB_CREATE, b, &a);
	take_init();
	Received r = take();
	EXPECT_EQ(r.head.op, static_cast<uint32_t>(VGPU_OP_BLOB_CREATE));
	EXPECT_EQ(r.fds.size(), 1u);
	reply_with(r, b);
	close(fd);
}

TEST_F(Share, BlobFromAnythingElse)
{
	struct session *s = greeted();
	struct vgpu_blob_create b = {};
	char name[] = "/tmp/vgpu-share-XXXXXX";
	std::string fifo;

	b.size = 16;
	b.fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(call(s, VGPU_IOC_BLOB_CREATE, &b), EPERM) << "a file";
	close(b.fd);
	ASSERT_NE(mkdtemp(name), nullptr);
	fifo = std::string(name) + "/fifo";
	ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
	b.fd = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	alarm(10); /* opening a FIFO waits for its other end */
	EXPECT_EQ(call(s, VGPU_IOC_BLOB_CREATE, &b), EPERM) << "a FIFO";
	alarm(0);
	close(b.fd);
	unlink(fifo.c_str());
	rmdir(name);
	EXPECT_EQ(starts, 0);
}

TEST_F(Share, BlobWithoutAMemfd)
{
	struct vgpu_blob_create b = {};
	Answer a;

	b.size = 1;
	b.fd = -1;
	send(greeted(), VGPU_IOC_BLOB_CREATE, b, &a);
	take_init();
	Received r = take();
	EXPECT_TRUE(r.fds.empty());
	reply_with(r, b);
	EXPECT_EQ(a.error, 0);
}

TEST_F(Share, ExportableMemoryMustBeSealedAndOfItsSize)
{
	struct session *s = greeted();
	struct vgpu_phys_create p = {};
	int open_fd = memfd(MIB2, 0), sealed = memfd(MIB2);

	p.size = MIB2;
	p.flags = VGPU_PHYS_FD;
	p.fd = open_fd;
	EXPECT_EQ(call(s, VGPU_IOC_PHYS_CREATE, &p), EPERM);
	p.fd = sealed;
	p.size = 2 * MIB2;
	EXPECT_EQ(call(s, VGPU_IOC_PHYS_CREATE, &p), EINVAL);
	p.fd = -1;
	EXPECT_EQ(call(s, VGPU_IOC_PHYS_CREATE, &p), EBADF);
	EXPECT_EQ(starts, 0);
	close(open_fd);
	close(sealed);
}

TEST_F(Share, ImportAndRegisterNeedSeals)
{
	struct session *s = greeted();
	struct vgpu_phys_import p = {};
	struct vgpu_host_register h = {};
	int fd = memfd(MIB2, 0);

	p.fd = fd;
	EXPECT_EQ(call(s, VGPU_IOC_PHYS_IMPORT, &p), EPERM);
	h.fd = fd;
	h.size = MIB2;
	EXPECT_EQ(call(s, VGPU_IOC_HOST_REGISTER, &h), EPERM);
	h.fd = -1;
	EXPECT_EQ(call(s, VGPU_IOC_HOST_REGISTER, &h), EBADF);
	EXPECT_EQ(starts, 0);
	close(fd);
}
