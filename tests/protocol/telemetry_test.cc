// SPDX-License-Identifier: MIT
// telemetry_test.cc - what the front says of devices, clients and faults, and what it does not
// believe a worker.
#include "harness.h"

#include <cerrno>
#include <ctime>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/base/meter.h"
}

#define MIB (1ull << 20)

namespace {
uint64_t Now()
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return static_cast<uint64_t>(t.tv_sec) * 1000000000ull + static_cast<uint64_t>(t.tv_nsec);
}

class Telemetry : public Protocol {
protected:
	void TearDown() override
	{
		if (page)
			munmap(page, sizeof(*page));
		Protocol::TearDown();
	}
	/* A worker with a context; its counters can be written through page. */
	void start_worker(struct session *s)
	{
		struct vgpu_ctx_create cc = {};
		Answer a;

		send(s, VGPU_IOC_CTX_CREATE, cc, &a);
		Received init = take_init();
		auto *in = reinterpret_cast<struct wire_init *>(init.payload.data());

		ASSERT_TRUE(in->fd_mask & WIRE_FD_METER);
		page = static_cast<struct meter_page *>(mmap(nullptr, sizeof(*page),
							     PROT_READ | PROT_WRITE, MAP_SHARED,
							     init.fds.back(), 0));
		ASSERT_NE(page, MAP_FAILED);
		reply_with(take(), cc);
		ASSERT_TRUE(a.there);
		ASSERT_EQ(a.error, 0);
	}
	struct vgpu_device_state state(struct session *s)
	{
		struct vgpu_device_state st = {};

		EXPECT_EQ(call(s, VGPU_IOC_DEVICE_STATE, &st), 0);
		return st;
	}
	std::vector<struct vgpu_client_entry> clients(struct session *s,
						      uint32_t kind = VGPU_CLIENTS_LIVE)
	{
		auto list = std::make_unique<struct vgpu_client_list>();
		std::vector<struct vgpu_client_entry> all;

		memset(list.get(), 0, sizeof(*list));
		do {
			list->kind = kind;
			EXPECT_EQ(call(s, VGPU_IOC_CLIENT_LIST, list.get()), 0);
			all.insert(all.end(), list->entry, list->entry + list->count);
			if (list->count)
				list->after = list->entry[list->count - 1].serial;
		} while (list->more && list->count);
		return all;
	}
	struct vgpu_fault_list faults(struct session *s, uint64_t after = 0)
	{
		struct vgpu_fault_list l = {};

		l.after = after;
		EXPECT_EQ(call(s, VGPU_IOC_FAULT_LIST, &l), 0);
		return l;
	}
	void fault(uint32_t device, uint32_t error, const char *kernel = "k", size_t cut = 0)
	{
		struct {
			struct wire_msg head;
			struct vgpu_ctx_status status;
		} m = {};

		m.head.kind = WIRE_FAULT;
		m.head.device = device;
		m.head.payload_bytes = static_cast<uint32_t>(sizeof(m.status) - cut);
		m.status.error = error;
		m.status.address = 0xdead;
		m.status.line = 7;
		m.status.tid[0] = 3;
		snprintf(m.status.kernel, sizeof(m.status.kernel), "%s", kernel);
		snprintf(m.status.what, sizeof(m.status.what), "bad\nthing");
		ASSERT_GT(::send(worker, &m, sizeof(m) - cut, MSG_NOSIGNAL), 0);
		spin();
	}

	struct meter_page *page = nullptr;
};

TEST_F(Telemetry, AnIdleDevice)
{
	struct session *s = greeted();
	struct vgpu_device_state st = state(s);
	struct vgpu_board_info b = {};

	ASSERT_EQ(call(s, VGPU_IOC_BOARD_INFO, &b), 0);
	EXPECT_EQ(b.sm_count, 132u);
	EXPECT_EQ(b.sm_max_mhz, 1980u);
	EXPECT_EQ(b.pci_ids, 0x233010deu);
	EXPECT_STREQ(b.architecture, "Hopper");
	EXPECT_EQ(st.mem_total, 80ull << 30);
	EXPECT_EQ(st.mem_used, 0u);
	EXPECT_EQ(st.util_kernel, 0u);
	EXPECT_EQ(st.power_mw, b.power_idle_mw);
	EXPECT_EQ(st.temp_mc, b.temp_idle_c * 1000);
	EXPECT_EQ(st.sm_mhz, b.sm_idle_mhz);
	EXPECT_EQ(st.clients, 1u);
	EXPECT_EQ(st.contexts, 0u);
	EXPECT_EQ(starts, 0) << "queries start no worker";
}

TEST_F(Telemetry, BusyTimeIsTheWorkers)
{
	struct session *s = greeted();
	struct vgpu_device_state st;
	struct meter_track *t;
	uint64_t now;

	start_worker(s);
	t = page->track[0];
	usleep(20000);
	now = Now();
	meter_begin(&t[METER_KERNEL], now - 10000000);
	meter_end(&t[METER_KERNEL], now);
	meter_bytes(&t[METER_IN], now, 1000);
	st = state(s);
	EXPECT_EQ(st.busy_ns, 10000000u);
	EXPECT_EQ(st.kernels, 1u);
	EXPECT_EQ(st.in_bytes, 1000u);
	EXPECT_NEAR(st.util_kernel, 100, 20) << "10 ms of a second, in hundredths of a percent";
	EXPECT_GT(st.power_mw, 70000u);
	EXPECT_EQ(st.contexts, 1u);
	EXPECT_EQ(st.sm_mhz, 1980u);
	ASSERT_EQ(clients(s).size(), 1u);
	EXPECT_EQ(clients(s)[0].busy_ns, 10000000u);
	/* It dies; what it did is not forgotten. */
	kill_worker();
	EXPECT_EQ(state(s).busy_ns, 10000000u);
	EXPECT_EQ(state(s).contexts, 0u);
	EXPECT_NEAR(state(s).util_kernel, 100, 20);
	EXPECT_EQ(clients(s)[0].busy_ns, 10000000u);
	EXPECT_EQ(clients(s)[0].kernels, 1u);
}

TEST_F(Telemetry, AWorkerThatLies)
{
	struct session *s = greeted();
	struct vgpu_device_state st;

	start_worker(s);
	memset(page, 0xff, sizeof(*page));
	st = state(s);
	EXPECT_LE(st.util_kernel, 10000u);
	EXPECT_LE(st.busy_ns, st.uptime_ns);
	EXPECT_LE(st.power_mw, 700000u);
	EXPECT_LE(st.temp_mc, 95000u);
	kill_worker();
	st = state(s);
	EXPECT_LE(st.util_kernel, 10000u);
	EXPECT_LE(st.busy_ns, st.uptime_ns);
}

TEST_F(Telemetry, TheClientsOfADevice)
{
	Process other;
	struct session_caller who = { other.pid(), getuid(), getgid() };
	struct session *s, *o;

	configure({ "T4", "T4" });
	s = greeted(0);
	o = greeted_as(who, 0);
	auto all = clients(s);
	ASSERT_EQ(all.size(), 2u);
	EXPECT_LT(all[0].serial, all[1].serial);
	EXPECT_EQ(all[0].pid, static_cast<uint32_t>(getpid()));
	EXPECT_EQ(all[0].flags, VGPU_CLIENT_ME);
	EXPECT_EQ(all[1].pid, other.pid());
	EXPECT_EQ(all[1].flags, 0u);
	EXPECT_STREQ(all[1].name, "sleep");
	EXPECT_EQ(all[1].uid, getuid());
	release(o);
	EXPECT_EQ(clients(s).size(), 1u);
	EXPECT_TRUE(clients(s, VGPU_CLIENTS_ENDED).empty()) << "it had no context";
}

TEST_F(Telemetry, MoreClientsThanOneAnswerHolds)
{
	constexpr size_t n = VGPU_CLIENT_ENTRIES * 2 + 3;
	std::vector<std::unique_ptr<Process>> p;
	struct session *s = greeted();
	uint64_t last = 0;

	for (size_t i = 1; i < n; i++) {
		p.push_back(std::make_unique<Process>());
		greeted_as({ p.back()->pid(), getuid(), getgid() });
	}
	auto all = clients(s);
	ASSERT_EQ(all.size(), n);
	for (auto &e : all) {
		EXPECT_GT(e.serial, last);
		last = e.serial;
	}
}

TEST_F(Telemetry, AClientThatHasEnded)
{
	Process other;
	struct session_caller who = { other.pid(), getuid(), getgid() }, mine = me;
	struct session *s = greeted(), *o = greeted_as(who);
	struct vgpu_mem_alloc m = {};
	Answer a;

	me = who;
	start_worker(o);
	m.size = 10 * MIB;
	send(o, VGPU_IOC_MEM_ALLOC, m, &a);
	reply_with(take(), m, 10 * MIB);
	me = mine;
	EXPECT_EQ(clients(s)[1].mem_used, 10 * MIB);
	release(o);
	spin();
	auto ended = clients(s, VGPU_CLIENTS_ENDED);
	ASSERT_EQ(ended.size(), 1u);
	EXPECT_EQ(ended[0].pid, other.pid());
	EXPECT_EQ(ended[0].flags, VGPU_CLIENT_ENDED);
	EXPECT_EQ(ended[0].mem_peak, 10 * MIB);
	EXPECT_EQ(ended[0].mem_used, 0u);
	EXPECT_STREQ(ended[0].name, "sleep");
	EXPECT_GT(ended[0].time_ns, 0u);
}

TEST_F(Telemetry, TheRingOfEndedClients)
{
	struct session *s = greeted();
	struct session_caller mine = me;

	for (int i = 0; i < VGPU_CLIENTS_KEPT + 1; i++) {
		Process other;
		struct session *o = greeted_as({ other.pid(), getuid(), getgid() });

		me = { other.pid(), getuid(), getgid() };
		start_worker(o);
		munmap(page, sizeof(*page));
		page = nullptr;
		release(o);
		spin();
		close(worker);
		worker = -1;
		me = mine;
	}
	auto ended = clients(s, VGPU_CLIENTS_ENDED);
	ASSERT_EQ(ended.size(), static_cast<size_t>(VGPU_CLIENTS_KEPT));
	EXPECT_EQ(ended[0].serial, 3u) << "the caller is 1; the first to end, 2, is forgotten";
}

TEST_F(Telemetry, ContextsAreCounted)
{
	struct vgpu_ctx_destroy cd = {};
	struct vgpu_ctx_create cc = {};
	struct session *s = greeted();
	Answer a;

	start_worker(s);
	send(s, VGPU_IOC_CTX_CREATE, cc, &a);
	reply_with(take(), cc);
	EXPECT_EQ(state(s).contexts, 2u);
	send(s, VGPU_IOC_CTX_CREATE, cc, &a);
	reply(take(), -ENOMEM, nullptr, 0);
	EXPECT_EQ(state(s).contexts, 2u);
	for (int i = 0; i < 3; i++) {
		send(s, VGPU_IOC_CTX_DESTROY, cd, &a);
		reply_with(take(), cd);
	}
	EXPECT_EQ(state(s).contexts, 0u);
}

TEST_F(Telemetry, Faults)
{
	struct session *s = greeted();
	struct vgpu_fault_list l;

	EXPECT_EQ(faults(s).count, 0u);
	EXPECT_EQ(faults(s).last, 0u);
	start_worker(s);
	fault(0, 700, "wild\x1b[31m");
	fault(0, 716);
	fault(0, 719);
	l = faults(s);
	ASSERT_EQ(l.count, 3u);
	EXPECT_EQ(l.last, 3u);
	EXPECT_EQ(l.entry[0].serial, 1u);
	EXPECT_EQ(l.entry[0].xid, 31u);
	EXPECT_EQ(l.entry[0].error, 700u);
	EXPECT_EQ(l.entry[0].pid, static_cast<uint32_t>(getpid()));
	EXPECT_EQ(l.entry[0].address, 0xdeadu);
	EXPECT_EQ(l.entry[0].line, 7u);
	EXPECT_EQ(l.entry[0].tid[0], 3u);
	EXPECT_STREQ(l.entry[0].kernel, "wild?[31m");
	EXPECT_STREQ(l.entry[0].what, "bad?thing");
	EXPECT_EQ(l.entry[1].xid, 13u);
	EXPECT_EQ(l.entry[2].xid, 43u);
	EXPECT_EQ(faults(s, 2).count, 1u);
	EXPECT_EQ(faults(s, 99).count, 0u);
	EXPECT_EQ(state(s).last_fault, 3u);
}

TEST_F(Telemetry, FaultsThatAreForgotten)
{
	struct session *s = greeted();

	start_worker(s);
	for (int i = 0; i < LIMIT_FAULTS + 5; i++)
		fault(0, 700);
	EXPECT_EQ(faults(s).entry[0].serial, 6u);
	EXPECT_EQ(faults(s).count, static_cast<uint32_t>(VGPU_FAULT_ENTRIES));
	EXPECT_EQ(faults(s).last, static_cast<uint64_t>(LIMIT_FAULTS + 5));
}

TEST_F(Telemetry, AFaultOfNoDeviceEndsTheWorker)
{
	struct session *s = greeted();
	struct vgpu_ctx_create cc = {};

	log_init("protocol_test", static_cast<enum log_level>(0));
	start_worker(s);
	fault(1, 700);
	EXPECT_EQ(faults(s).count, 0u);
	EXPECT_EQ(call(s, VGPU_IOC_CTX_CREATE, &cc), ENODEV);
}

TEST_F(Telemetry, AShortFaultEndsTheWorker)
{
	struct session *s = greeted();
	struct vgpu_ctx_create cc = {};

	log_init("protocol_test", static_cast<enum log_level>(0));
	start_worker(s);
	fault(0, 700, "k", 8);
	EXPECT_EQ(faults(s).count, 0u);
	EXPECT_EQ(call(s, VGPU_IOC_CTX_CREATE, &cc), ENODEV);
}

TEST_F(Telemetry, Samples)
{
	struct session *s = greeted();
	struct vgpu_sample_list l = {};
	struct meter_track *t;
	uint64_t now;
	uint32_t sum = 0;

	start_worker(s);
	t = page->track[0];
	usleep(300000);
	now = Now();
	meter_begin(&t[METER_KERNEL], now - 290000000);
	meter_end(&t[METER_KERNEL], now);
	usleep(150000);
	ASSERT_EQ(call(s, VGPU_IOC_SAMPLE_LIST, &l), 0);
	ASSERT_GE(l.count, 3u);
	EXPECT_EQ(l.period_us, METER_SLOT_NS / 1000);
	for (uint32_t i = 0; i < l.count; i++) {
		EXPECT_LE(l.sample[i].util_kernel, 10000u);
		sum += l.sample[i].util_kernel;
	}
	EXPECT_NEAR(sum, 290.0 / 134.2 * 10000, 300);
	l.after_us = l.sample[l.count - 1].time_us - 1000;
	ASSERT_EQ(call(s, VGPU_IOC_SAMPLE_LIST, &l), 0);
	EXPECT_LE(l.count, 2u);
}

TEST_F(Telemetry, RefusedInput)
{
	struct session *s = greeted();
	auto c = std::make_unique<struct vgpu_client_list>();
	struct vgpu_fault_list f = {};

	memset(c.get(), 0, sizeof(*c));
	c->kind = 2;
	EXPECT_EQ(call(s, VGPU_IOC_CLIENT_LIST, c.get()), EINVAL);
	c->kind = 0;
	c->pad = 1;
	EXPECT_EQ(call(s, VGPU_IOC_CLIENT_LIST, c.get()), EINVAL);
	f.pad = 1;
	EXPECT_EQ(call(s, VGPU_IOC_FAULT_LIST, &f), EINVAL);
}

TEST_F(Telemetry, BeforeHello)
{
	struct session *s = open();
	struct vgpu_device_state st = {};
	struct vgpu_board_info b = {};

	EXPECT_EQ(call(s, VGPU_IOC_DEVICE_STATE, &st), EPROTO);
	EXPECT_EQ(call(s, VGPU_IOC_BOARD_INFO, &b), EPROTO);
}
} // namespace
