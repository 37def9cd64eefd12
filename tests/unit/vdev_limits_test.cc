// SPDX-License-Identifier: MIT
// Modules, functions and their limits, straight at vdev; handles of the dead stay dead.
#include "tests/unit/worker_front.h"

#include <sys/eventfd.h>

namespace {
class Vdev : public ::testing::Test {
protected:
	void SetUp() override
	{
		struct mem_config mc = {};
		struct queue_config qc = {};
		struct vdev_config vc = {};

		mc.window_base = Front::kWindow;
		mc.window_size = 1ull << 34;
		mc.device_count = 1;
		mc.host = { -1, 1ull << 32, 0 };
		mc.device[0] = { -1, 1ull << 30, 0 };
		ASSERT_EQ(0, mem_create(&mc, &m));
		notify = eventfd(0, EFD_NONBLOCK);
		qc.mem = m;
		qc.control_fd = -1;
		qc.meter_fd = -1;
		qc.notify_fd = notify;
		ASSERT_EQ(0, queue_create(&qc, &q));
		vc.mem = m;
		vc.queue = q;
		vc.ops = &fake::ops;
		vc.window_base = mc.window_base;
		vc.window_size = mc.window_size;
		vc.threads = 1;
		vc.device_count = 1;
		vc.profile[0] = "H100-80GB";
		ASSERT_EQ(0, vdev_create(&vc, &v));
		ctx = create();
	}
	void TearDown() override
	{
		vdev_destroy(v);
		EXPECT_EQ(0, fake::modules);
		EXPECT_EQ(charge, -mem_take_charge(m, 0));
		queue_destroy(q);
		mem_destroy(m);
		close(notify);
	}
	uint32_t create()
	{
		struct vgpu_ctx_create c = {};

		EXPECT_EQ(0, vdev_ctx_create(v, 0, &c));
		return c.ctx;
	}
	uint32_t blob()
	{
		struct vgpu_blob_create b = {};

		b.size = 4;
		b.fd = -1;
		EXPECT_EQ(0, vdev_blob_create(v, &b, -1));
		EXPECT_EQ(0, vdev_blob_write(v, VGPU_BLOB_OFFSET(b.slot), "FAKE", 4));
		return b.blob;
	}

	/* As the worker does it, but here and now. */
	template <class F, class T> int whole(F call, T *req)
	{
		struct vdev_job *job = nullptr;
		int r = call(v, req, &job);

		if (r == VDEV_LATER) {
			vdev_job_run(job);
			EXPECT_TRUE(vdev_job_done(job));
			r = call(v, req, &job);
		}
		vdev_job_end(job);
		return r;
	}

	struct mem *m;
	struct queue *q;
	struct vdev *v;
	int notify;
	uint32_t ctx;
	int64_t charge = 0;
};
} // namespace

TEST_F(Vdev, ModuleLimitIsExact)
{
	struct vgpu_module_load l = {};
	uint64_t ticket, when = UINT64_MAX;

	l.ctx = ctx;
	l.blob = blob();
	for (int i = 0; i < LIMIT_MODULES; i++)
		ASSERT_EQ(0, whole(vdev_module_load, &l));
	uint32_t last = l.module;
	EXPECT_EQ(-ENOMEM, whole(vdev_module_load, &l));
	ASSERT_EQ(0, vdev_module_unload(v, last, &ticket));
	vdev_reap(v, &when);
	EXPECT_TRUE(vdev_settled(v, ticket));
	EXPECT_EQ(0, whole(vdev_module_load, &l));
	EXPECT_NE(last, l.module);
	EXPECT_EQ(-EBADF, vdev_module_unload(v, last, &ticket));
}

TEST_F(Vdev, FunctionLimitIsExact)
{
	struct queue_ctx *qctx;
	struct queue_kernel *k;
	std::vector<struct queue_kernel *> all;
	backend_func f = {};
	uint32_t id;

	ASSERT_EQ(0, vdev_ctx_find(v, ctx, &qctx, nullptr));
	for (int i = 0; i < LIMIT_FUNCTIONS; i++) {
		ASSERT_EQ(0, queue_kernel_add(q, qctx, &f, nullptr, &k, &id));
		all.push_back(k);
	}
	EXPECT_EQ(-ENOMEM, queue_kernel_add(q, qctx, &f, nullptr, &k, &id));
	for (auto *x : all) {
		queue_kernel_remove(x);
		queue_kernel_free(x);
	}
	EXPECT_EQ(nullptr, queue_kernel_find(q, id));
}

TEST_F(Vdev, ContextTakesAllThatBelongsToIt)
{
	struct vgpu_module_load l = {};
	struct vgpu_func_get f = {};
	struct vgpu_func_info i = {};
	struct vgpu_global_get g = {};
	uint64_t ticket, when = UINT64_MAX;
	uint32_t other = create();

	l.ctx = other;
	l.blob = blob();
	ASSERT_EQ(0, whole(vdev_module_load, &l));
	f.module = g.module = l.module;
	ASSERT_EQ(0, vdev_func_get(v, &f));
	ASSERT_EQ(0, vdev_ctx_destroy(v, other, &ticket));
	vdev_reap(v, &when);
	EXPECT_TRUE(vdev_settled(v, ticket));
	i.func = f.func;
	EXPECT_EQ(-EBADF, whole(vdev_func_info, &i));
	EXPECT_EQ(-EBADF, vdev_func_get(v, &f));
	EXPECT_EQ(-EBADF, vdev_global_get(v, &g));
	EXPECT_EQ(-EBADF, whole(vdev_module_load, &l));
	EXPECT_EQ(-EBADF, vdev_ctx_destroy(v, other, &ticket));
	EXPECT_EQ(0, fake::modules);
}

TEST_F(Vdev, NoMemoryForAModuleIsAnErrorThatLeavesNothing)
{
	struct queue_ctx *qctx;
	struct vgpu_mem_alloc a = {};
	struct vgpu_module_load l = {};

	ASSERT_EQ(0, vdev_ctx_find(v, ctx, &qctx, nullptr));
	a.size = 1ull << 30;
	ASSERT_EQ(0, mem_alloc(m, queue_ctx_owner(qctx), 0, &a));
	l.ctx = ctx;
	l.blob = blob();
	EXPECT_EQ(-ENOMEM, whole(vdev_module_load, &l));
	EXPECT_EQ(0, fake::modules);
	ASSERT_EQ(0, mem_free(m, a.va));
	EXPECT_EQ(0, whole(vdev_module_load, &l));
}

TEST(VdevConfig, UnknownProfileIsRefused)
{
	struct vdev_config vc = {};
	struct vdev *v;

	vc.ops = &fake::ops;
	vc.device_count = 1;
	vc.profile[0] = "no such card";
	EXPECT_EQ(-ENOENT, vdev_create(&vc, &v));
}
