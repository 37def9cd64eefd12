/* SPDX-License-Identifier: MIT */
/*
 * nvml_test.cc - programs that read NVML, unmodified and with an empty environment: Debian's nvidia-smi
 * 535 (which was made for another driver), nvtop, and nvidia-ml-py, gpustat and nvitop from PyPI.
 *
 * fetch_nvml.sh unpacks them below SYSTEM_NVML_DIR. What they show of a busy client must be true of it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <regex>

#include "system/system_test.h"

#define DIR SYSTEM_NVML_DIR

namespace {

class Smi : public SystemTest {
protected:
	std::string smi;
	support_child *user = nullptr;

	void SetUp() override
	{
		SystemTest::SetUp();
		if (IsSkipped())
			return;
		if (!support_path_libnvml())
			GTEST_SKIP()
				<< "libnvidia-ml.so.1 is not part of this build (needs nvml.h)";
	}

	void TearDown() override
	{
		if (user) {
			support_child_kill(user, SIGKILL);
			finish(user);
		}
		SystemTest::TearDown();
	}

	/* nvidia-smi, as somebody else; "" when it was not fetched. */
	std::string genuine()
	{
		static const char file[] = DIR "/root/usr/lib/nvidia/current/nvidia-smi";
		const char *p = access(file, R_OK) ? nullptr : support_world_program(file);

		return p ? p : "";
	}

	std::string run(std::vector<std::string> args)
	{
		args.insert(args.begin(), smi);
		auto r = prog(args).user(NOBODY).timeout(30000).run();

		EXPECT_EQ(r->res.code, 0) << r->text();
		return r->res.out ? r->res.out : "";
	}

	/* A client that computes all the time, and has for a second. */
	pid_t spin()
	{
		user = prog({ client(), "spin" }).user(NOBODY).timeout(120000).start();
		if (!user || support_child_saw(user, "spinning", 20000)) {
			ADD_FAILURE() << "the client does not spin";
			return -1;
		}
		usleep(1300000);
		return support_child_pid(user);
	}
};

#define NEED_SMI()                                                                                 \
	do {                                                                                       \
		smi = genuine();                                                                   \
		if (smi.empty())                                                                   \
			GTEST_SKIP() << "needs Debian's nvidia-smi (tests/system/fetch_nvml.sh)";  \
	} while (0)

#define HAS(text, what)	    EXPECT_NE((text).find(what), std::string::npos) << (text)
#define HAS_NOT(text, what) EXPECT_EQ((text).find(what), std::string::npos) << (text)
#define FITS(text, pattern) EXPECT_TRUE(std::regex_search(text, std::regex(pattern))) << (text)

TEST_F(Smi, TheTableOfAnIdleDevice)
{
	NEED_SMI();
	std::string out = run({});

	HAS(out, "NVIDIA-SMI 535.");
	HAS(out, "Driver Version: 580.95.05");
	HAS(out, "CUDA Version: 13.0");
	FITS(out, "\\| +0  NVIDIA H100 80GB HBM3 +On +\\| 00000000:[0-9A-F]{2}:00.0 Off \\|");
	FITS(out, "0MiB / 81920MiB \\| +0% +Default");
	HAS(out, "No running processes found");
}

TEST_F(Smi, TheTableOfABusyOne)
{
	NEED_SMI();
	pid_t pid = spin();
	std::string out = run({}), line = std::to_string(pid);

	FITS(out, "[1-9][0-9]*MiB / 81920MiB \\| +(100|9[0-9])% ");
	FITS(out, "\\| +0 +N/A +N/A +" + line + " +C +.*client +[1-9][0-9]*MiB \\|");
	HAS_NOT(out, "No running processes found");
}

TEST_F(Smi, TheList)
{
	NEED_SMI();
	std::string uuid = prog({ client(), "probe" }).run()->values()["uuid"];
	std::string out = run({ "-L" });

	ASSERT_FALSE(uuid.empty());
	EXPECT_EQ(out.find("GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-"), 0u) << out;
	uuid.erase(std::remove(uuid.begin(), uuid.end(), '-'), uuid.end());
	out.erase(std::remove(out.begin(), out.end(), '-'), out.end());
	if (!uuid.compare(0, 3, "GPU"))
		uuid.erase(0, 3);
	HAS(out, uuid);
}

TEST_F(Smi, AllItKnows)
{
	NEED_SMI();
	pid_t pid = spin();
	std::string out = run({ "-q" });

	FITS(out, "Product Architecture +: Hopper");
	FITS(out, "Compute Mode +: Default");
	FITS(out, "Performance State +: P0");
	FITS(out, "\n +Idle +: Not Active");
	FITS(out, "FB Memory Usage\n +Total +: 81920 MiB\n +Reserved +: 2048 MiB");
	FITS(out, "Utilization\n +Gpu +: (100|9[0-9]) %");
	FITS(out, "MIG Mode\n +Current +: Disabled");
	FITS(out, "GPU Current Temp +: [3-8][0-9] C");
	FITS(out, "DRAM Uncorrectable +: 0");
	FITS(out, "Serial Number +: N/A"); /* none is made up */
	FITS(out, "Process ID +: " + std::to_string(pid) + "\n +Type +: C");
}

TEST_F(Smi, AllItKnowsAsXml)
{
	NEED_SMI();
	if (!SYSTEM_PYTHON[0])
		GTEST_SKIP() << "needs python3";
	pid_t pid = spin();
	std::string file = std::string(support_world_dir()) + "/smi.xml";
	auto r = prog({ "/bin/sh", "-c", smi + " -q -x >" + file }).run();

	ASSERT_EQ(r->res.code, 0) << r->text();
	r = prog({ SYSTEM_PYTHON, "-I", "-c",
		   "import sys, xml.etree.ElementTree as E\n"
		   "g = E.parse(sys.argv[1]).getroot().find('gpu')\n"
		   "print(g.find('product_name').text, g.find('utilization/gpu_util').text,\n"
		   "      [p.find('pid').text for p in g.iter('process_info')])",
		   file })
		    .run();
	EXPECT_EQ(r->res.code, 0) << r->text();
	FITS(std::string(r->res.out),
	     "^NVIDIA H100 80GB HBM3 (100|9[0-9]) % \\['" + std::to_string(pid) + "'\\]\n$");
	unlink(file.c_str());
}

TEST_F(Smi, QueriesAsCsv)
{
	NEED_SMI();
	pid_t pid = spin();

	EXPECT_EQ(run({ "--query-gpu=index,name,driver_version,memory.total,compute_cap,pstate,"
			"clocks.sm,power.limit,ecc.mode.current,fan.speed",
			"--format=csv,noheader" }),
		  "0, NVIDIA H100 80GB HBM3, 580.95.05, 81920 MiB, 9.0, P0, 1980 MHz, 700.00 W, "
		  "Enabled, [N/A]\n");
	FITS(run({ "--query-gpu=utilization.gpu,power.draw", "--format=csv,noheader,nounits" }),
	     "^(100|9[0-9]), (6[0-9][0-9]|700)\\.[0-9]+\n$");
	FITS(run({ "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader" }),
	     "^" + std::to_string(pid) + ", .*client, [1-9][0-9]* MiB\n$");
	support_child_kill(user, SIGKILL);
	finish(user);
	user = nullptr;
	support_daemon_settle(daemon, 10000);
	FITS(run({ "--query-accounted-apps=pid,gpu_util,max_memory_usage,time",
		   "--format=csv,noheader" }),
	     "(^|\n)" + std::to_string(pid) + ", [1-9][0-9]* %, [1-9][0-9]* MiB, [1-9][0-9]* ms\n");
}

TEST_F(Smi, Monitors)
{
	NEED_SMI();
	pid_t pid = spin();

	FITS(run({ "dmon", "-c", "1", "-s", "puc" }),
	     "\n +0 +[67][0-9][0-9] +[3-8][0-9] +[3-9][0-9] +(100|9[0-9]) +0 ");
	FITS(run({ "pmon", "-c", "1", "-s", "um" }),
	     "\n +0 +" + std::to_string(pid) + " +C +(100|9[0-9]) .* client");
}

TEST_F(Smi, SettingsAreRefused)
{
	NEED_SMI();
	auto r = prog({ smi, "-pl", "300" }).run();

	HAS(std::string(r->res.out), "not supported");
	r = prog({ smi, "-pm", "1" }).run();
	HAS(std::string(r->res.out), "already Enabled");
}

TEST_F(Smi, WithoutADaemonItSaysSo)
{
	NEED_SMI();
	char *bad = support_daemon_stop(daemon);

	EXPECT_EQ(bad, nullptr) << bad;
	free(bad);
	daemon = nullptr;
	auto r = prog({ smi }).user(NOBODY).run();
	EXPECT_EQ(r->res.code, 9) << r->text();
	HAS(std::string(r->res.out), "couldn't communicate with the NVIDIA driver");
	ASSERT_EQ(support_world_daemon(nullptr, &daemon), 0);
}

TEST_F(Smi, TwoDevices)
{
	NEED_SMI();
	static const char *const args[] = { "--device=H100-80GB", "--device=T4,memory=4G",
					    nullptr };
	support_daemon_options opt = {};
	char *bad = support_daemon_stop(daemon);

	EXPECT_EQ(bad, nullptr) << bad;
	free(bad);
	opt.args = args;
	opt.devices = 2;
	ASSERT_EQ(support_world_daemon(&opt, &daemon), 0);
	std::string out = run({ "topo", "-m" });
	FITS(out, "\nGPU0\t X \tPHB\t");
	FITS(out, "\nGPU1\tPHB\t X \t");
	FITS(run({ "-L" }), "^GPU 0: NVIDIA H100 80GB HBM3 .*\nGPU 1: (NVIDIA|Tesla) .*T4 .*\n$");
	EXPECT_EQ(
		run({ "-i", "1", "--query-gpu=memory.total,compute_cap", "--format=csv,noheader" }),
		"4096 MiB, 7.5\n");
}

/* ---- the library itself, as a program loads it --------------------------------------------------- */

struct nvml {
	void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW);

	~nvml()
	{
		if (lib)
			dlclose(lib);
	}
	int call(const char *name, void *a = nullptr, void *b = nullptr)
	{
		auto fn =
			reinterpret_cast<int (*)(void *, void *)>(lib ? dlsym(lib, name) : nullptr);

		return fn ? fn(a, b) : -1;
	}
};

#define GPU_IS_LOST 15

static unsigned open_files()
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

TEST_F(Smi, ADaemonThatWasRestartedIsFoundAgain)
{
	unsigned long long memory[3] = {};
	void *gpu = nullptr;
	nvml n;

	ASSERT_NE(n.lib, nullptr) << dlerror();
	ASSERT_EQ(n.call("nvmlInit_v2"), 0);
	ASSERT_EQ(n.call("nvmlDeviceGetHandleByIndex_v2", nullptr, &gpu), 0);
	ASSERT_EQ(n.call("nvmlDeviceGetMemoryInfo", gpu, memory), 0);
	EXPECT_EQ(memory[0], 80ull << 30);
	support_daemon_kill(daemon);
	EXPECT_EQ(n.call("nvmlDeviceGetMemoryInfo", gpu, memory), GPU_IS_LOST);
	ASSERT_EQ(support_daemon_restart(daemon), 0);
	memory[0] = 0;
	EXPECT_EQ(n.call("nvmlDeviceGetMemoryInfo", gpu, memory), 0);
	EXPECT_EQ(memory[0], 80ull << 30);
	EXPECT_EQ(n.call("nvmlShutdown"), 0);
}

TEST_F(Smi, LoadingAndUnloadingLeavesNothing)
{
	unsigned before = open_files();

	for (int i = 0; i < 50; i++) {
		nvml n;
		void *gpu = nullptr;

		ASSERT_NE(n.lib, nullptr) << dlerror();
		ASSERT_EQ(n.call("nvmlInit_v2"), 0);
		ASSERT_EQ(n.call("nvmlDeviceGetHandleByIndex_v2", nullptr, &gpu), 0);
		/* Some forget to shut it down. */
		ASSERT_EQ(n.call(i % 2 ? "nvmlShutdown" : "nvmlInit_v2"), 0);
	}
	/* Its handlers of fork went with it. */
	EXPECT_EQ(prog({ "/bin/true" }).run()->res.code, 0);
	EXPECT_EQ(open_files(), before);
}

/* ---- Python ------------------------------------------------------------------------------------ */

#define NEED_PYTHON()                                                                              \
	do {                                                                                       \
		if (!SYSTEM_PYTHON[0] || access(DIR "/python/pynvml.py", R_OK))                    \
			GTEST_SKIP() << "needs python3, nvidia-ml-py, gpustat and nvitop "         \
					"(tests/system/fetch_nvml.sh)";                            \
	} while (0)

/* Modules come from a directory of the test; nothing of the environment. */
prog python(const std::string &code)
{
	return prog({ SYSTEM_PYTHON, "-I", "-c",
		      "import sys; sys.path.insert(0, '" DIR "/python')\n" + code })
		.timeout(60000);
}

TEST_F(Smi, NvidiaMlPy)
{
	NEED_PYTHON();
	pid_t pid = spin();
	auto r = python("from pynvml import *\n"
			"nvmlInit()\n"
			"h = nvmlDeviceGetHandleByIndex(0)\n"
			"m = nvmlDeviceGetMemoryInfo(h, version=nvmlMemory_v2)\n"
			"assert m.total == 80 << 30 and m.total == m.free + m.used + m.reserved\n"
			"p, = nvmlDeviceGetComputeRunningProcesses(h)\n"
			"assert p.usedGpuMemory == m.used, (p, m)\n"
			"assert "
			"nvmlDeviceGetIndex(nvmlDeviceGetHandleByUUID(nvmlDeviceGetUUID(h))) == 0\n"
			"try: nvmlDeviceGetFanSpeed(h)\n"
			"except NVMLError_NotSupported: print('no fan')\n"
			"print(nvmlDeviceGetName(h), p.pid, nvmlDeviceGetUtilizationRates(h).gpu)\n"
			"nvmlShutdown()\n")
			 .run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	FITS(std::string(r->res.out),
	     "^no fan\nNVIDIA H100 80GB HBM3 " + std::to_string(pid) + " (100|9[0-9])\n$");
}

TEST_F(Smi, Gpustat)
{
	NEED_PYTHON();
	spin();
	auto r = python("sys.argv = ['gpustat', '--no-color', '-c', '-p']\n"
			"from gpustat.cli import main\n"
			"main()\n")
			 .run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	FITS(std::string(r->res.out),
	     "\\[0\\] NVIDIA H100 80GB HBM3 \\| +[3-8][0-9].{1,2}C, +(100|9[0-9]) % "
	     "\\| +[1-9][0-9]* / 81920 MB \\| client/[0-9]+");
}

TEST_F(Smi, Nvitop)
{
	NEED_PYTHON();
	pid_t pid = spin();
	auto r = python("sys.argv = ['nvitop', '--once', '--no-unicode']\n"
			"from nvitop.cli import main\n"
			"sys.exit(main())\n")
			 .run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	FITS(std::string(r->res.out), "\\| +0  H100 80GB HBM3 +On ");
	FITS(std::string(r->res.out), "\\| +0 +" + std::to_string(pid) + " C ");
}

/* ---- a program for terminals -------------------------------------------------------------------- */

TEST_F(Smi, Nvtop)
{
	const std::string nvtop = DIR "/root/usr/bin/nvtop", lib = DIR "/root/lib/x86_64-linux-gnu";
	const std::string usr_lib = DIR "/root/usr/lib/x86_64-linux-gnu";

	if (access(nvtop.c_str(), X_OK) || access("/usr/bin/script", X_OK))
		GTEST_SKIP() << "needs nvtop (tests/system/fetch_nvml.sh) and script";
	spin();
	if (access("/dev/ptmx", F_OK)) {
		mkdir("/dev/pts", 0755);
		ASSERT_EQ(mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"), 0);
		ASSERT_EQ(symlink("pts/ptmx", "/dev/ptmx"), 0);
	}
	prog p({ "/bin/sh", "-c",
		 "(sleep 4; printf q) | /usr/bin/script -qfec 'stty rows 40 cols 130; env "
		 "LD_LIBRARY_PATH=" +
			 lib + ":" + usr_lib + " " + nvtop + " -C' /dev/null" });
	p.env = { "TERM=xterm", "PATH=/usr/bin:/bin", "HOME=/nonexistent" };
	auto r = p.timeout(30000).run();
	std::string out =
		std::regex_replace(std::string(r->res.out ? r->res.out : ""),
				   std::regex("\x1b\\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]"), "");

	EXPECT_EQ(r->res.code, 0) << r->text();
	HAS(out, "Device 0 [NVIDIA H100 80GB HBM3]");
	HAS(out, "/client spin");
	FITS(out, "Compute +(100|9[0-9])%");
}

} // namespace
