/* SPDX-License-Identifier: MIT */
/*
 * doctor_test.cc - each link between a program and the device, broken: "vgpuctl doctor" must name it.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "system/system_test.h"

static bool has(const std::string &text, const std::string &part)
{
	return text.find(part) != std::string::npos;
}

/* A line of the report: its state, its check, and a part of what it says. */
static bool line(const std::string &out, const std::string &state, const std::string &check,
		 const std::string &part)
{
	for (size_t at = 0, end; at < out.size(); at = end + 1) {
		end = out.find('\n', at);
		if (end == std::string::npos)
			end = out.size();
		std::string l = out.substr(at, end - at);
		if (l.compare(0, state.size(), state) == 0 && has(l, " " + check + " ") &&
		    has(l, part))
			return true;
	}
	return false;
}

class Doctor : public SystemTest {
protected:
	support_daemon_options opt = {};

	void SetUp() override
	{
		const char *missing = support_missing(SUPPORT_NEED_SYSTEM);

		if (missing)
			GTEST_SKIP() << missing;
		ASSERT_EQ(support_world_enter(), 0);
		opt.run_dir = "/run/vgpu";
		start();
	}
	void start() { ASSERT_EQ(support_world_daemon(&opt, &daemon), 0); }
	void stop()
	{
		char *bad = support_daemon_stop(daemon);

		EXPECT_EQ(bad, nullptr) << bad;
		free(bad);
		daemon = nullptr;
	}
	void TearDown() override
	{
		if (daemon)
			stop();
	}
	std::unique_ptr<ran> run(std::vector<std::string> args)
	{
		args.insert(args.begin(),
			    { support_world_program(support_path_vgpuctl()), "doctor" });
		return prog(args).timeout(90000).run();
	}
	/* It must find one thing broken, this one. */
	std::string broken(std::vector<std::string> args, const std::string &check,
			   const std::string &part)
	{
		auto r = run(args);
		std::string out = r->res.out;

		EXPECT_EQ(r->res.code, 1) << r->text();
		EXPECT_TRUE(line(out, "FAIL", check, part)) << r->text();
		EXPECT_TRUE(has(out, "1 of the links")) << r->text();
		return out;
	}
	std::string file(const std::string &name, const std::string &text, mode_t mode = 0644)
	{
		std::string path = std::string(support_world_dir()) + "/" + name;
		std::ofstream f(path);

		f << text;
		f.close();
		chmod(path.c_str(), mode);
		return path;
	}
	void sh(const std::string &cmd)
	{
		auto r = prog({ "/bin/sh", "-ec", cmd }).run();

		ASSERT_EQ(r->res.code, 0) << cmd << "\n" << r->text();
	}
	/* A library of that name that is not ours. */
	std::string foreign(const std::string &dir)
	{
		std::string d = std::string(support_world_dir()) + "/" + dir;

		sh("mkdir -p " + d + " && cp " SYSTEM_FOREIGN " " + d + "/libcuda.so.1");
		return d;
	}
};

TEST_F(Doctor, AllIsWell)
{
	auto r = run({});
	std::string out = r->res.out;

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_TRUE(line(out, "ok", "node", "/dev/nvidia-vgpu0: file behind the fuse door")) << out;
	EXPECT_TRUE(line(out, "ok", "open", "user root")) << out;
	EXPECT_TRUE(line(out, "ok", "daemon", "1 device, the first is NVIDIA H100")) << out;
	EXPECT_TRUE(line(out, "ok", "versions", "driver 5")) << out;
	EXPECT_TRUE(line(out, "ok", "control", std::to_string(support_daemon_pid(daemon)))) << out;
	EXPECT_TRUE(line(out, "ok", "library", "/run/world/lib/libcuda.so.1")) << out;
	EXPECT_TRUE(line(out, "ok", "kernel", "100000 right results")) << out;
	EXPECT_TRUE(line(out, "ok", "nvml", "1 device, driver 5")) << out;
	EXPECT_TRUE(has(out, "all is well")) << out;
}

TEST_F(Doctor, AsAnotherUser)
{
	auto r = run({ "--user=nobody", client() });
	std::string out = r->res.out;

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_TRUE(line(out, "ok", "open", "user nobody")) << out;
	EXPECT_TRUE(line(out, "ok", "binary", "through the loader's cache")) << out;
	EXPECT_TRUE(line(out, "ok", "kernel", "right results")) << out;
}

TEST_F(Doctor, AnybodyMayRunIt)
{
	auto r = prog({ support_world_program(support_path_vgpuctl()), "doctor" })
			 .user(NOBODY)
			 .run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	r = prog({ support_world_program(support_path_vgpuctl()), "doctor", "--user=root" })
		    .user(NOBODY)
		    .run();
	EXPECT_EQ(r->res.code, 2) << r->text();
	EXPECT_NE(strstr(r->res.err, "only root"), nullptr) << r->text();
}

TEST_F(Doctor, Json)
{
	auto r = run({ "--json" });

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_TRUE(has(r->res.out, "\"check\": \"kernel\"")) << r->text();
	EXPECT_FALSE(has(r->res.out, "all is well")) << r->text();
}

TEST_F(Doctor, UnknownUser)
{
	auto r = run({ "--user=no-such-user" });

	EXPECT_EQ(r->res.code, 2) << r->text();
	EXPECT_NE(strstr(r->res.err, "no-such-user"), nullptr) << r->text();
}

/* ---- node and daemon ------------------------------------------------------------------------ */

TEST_F(Doctor, NoDaemon)
{
	stop();
	EXPECT_TRUE(has(broken({}, "node", "/dev/nvidia-vgpu0 is not there"), "start the daemon"));
}

TEST_F(Doctor, TheDaemonWasKilled)
{
	support_daemon_kill(daemon);
	broken({}, "node", "a daemon that has ended");
}

TEST_F(Doctor, AFileThatNobodyServes)
{
	stop();
	sh(": >/dev/nvidia-vgpu0");
	broken({}, "node", "an ordinary file");
	sh("rm /dev/nvidia-vgpu0");
}

TEST_F(Doctor, SomethingElseAtThePlace)
{
	stop();
	sh("mkdir /dev/nvidia-vgpu0");
	broken({}, "node", "neither a device nor a served file");
	sh("rmdir /dev/nvidia-vgpu0");
}

TEST_F(Doctor, ADeviceOfSomebodyElse)
{
	stop();
	sh(": >/dev/nvidia-vgpu0; mount --bind /dev/null /dev/nvidia-vgpu0");
	broken({}, "daemon", "somebody else's");
	sh("umount /dev/nvidia-vgpu0; rm /dev/nvidia-vgpu0");
}

TEST_F(Doctor, TheUserMayNotOpenIt)
{
	stop();
	opt.config = "[device 0]\nmode = 0660\ngroup = 12345\n";
	start();
	EXPECT_TRUE(has(broken({ "--user=nobody" }, "open", "cannot open /dev/nvidia-vgpu0"),
			"usermod"));
	EXPECT_EQ(run({})->res.code, 0) << "root may";
}

TEST_F(Doctor, TheUserIsNotOnTheList)
{
	stop();
	opt.config = "[device 0]\nallow_uid = 1\n";
	start();
	EXPECT_TRUE(has(broken({ "--user=nobody" }, "open", "Permission denied"), "allow_uid"));
}

TEST_F(Doctor, TheDaemonIsFrozen)
{
	kill(support_daemon_pid(daemon), SIGSTOP);
	broken({}, "daemon", "nobody answers");
	kill(support_daemon_pid(daemon), SIGCONT);
}

TEST_F(Doctor, TheDaemonsProgramWasReplaced)
{
	std::string p = support_world_program(support_path_daemon());

	sh("cp " + p + " " + p + ".new && mv " + p + ".new " + p);
	EXPECT_TRUE(has(broken({}, "control", "was replaced"), "restart the daemon"));
}

TEST_F(Doctor, NoControlSocketIsNoFault)
{
	stop();
	opt.config = "[daemon]\ncontrol_mode = 0\n[device 0]\nprofile = T4\n";
	start();
	auto r = run({});
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_TRUE(line(r->res.out, "note", "control", "/run/vgpu/control")) << r->text();
}

TEST_F(Doctor, TheQuotaOfProcessesIsUsedUp)
{
	stop();
	opt.config = "[device 0]\nquota_clients_per_uid = 1\n";
	start();
	support_child *c = prog({ client(), "hold" }).user(NOBODY).start();
	ASSERT_EQ(support_child_saw(c, "holding", 20000), 0);
	broken({ "--user=nobody" }, "daemon", "as many processes");
	support_child_kill(c, SIGKILL);
	finish(c);
}

/* ---- the kernel ----------------------------------------------------------------------------- */

TEST_F(Doctor, TheWorkerDoesNotStart)
{
	stop();
	opt.worker = "/bin/true"; /* it can be executed, and that is all */
	start();
	support_daemon_allow(daemon, "worker");
	EXPECT_TRUE(has(broken({}, "kernel", "answers error"), "daemon's log"));
}

TEST_F(Doctor, NoMemoryIsLeft)
{
	stop();
	opt.config = "[device 0]\nquota_memory_per_uid = 8M\n";
	start();
	support_child *c = prog({ client(), "keep", "6291456" }).start();
	ASSERT_EQ(support_child_saw(c, "keeping", 20000), 0);
	std::string out = broken({}, "kernel", "error 2");
	EXPECT_TRUE(has(out, "vgpuctl clients"));
	support_child_kill(c, SIGKILL);
	finish(c);
}

/* ---- the loader ----------------------------------------------------------------------------- */

/* Another cache over the world's, and another ld.so.conf.d, until the test is over. */
class DoctorLoader : public Doctor {
protected:
	bool mounted = false, conf_mounted = false;

	/* As a machine has it on which the package is not installed, or, with @text, is. */
	void conf(const std::string &text)
	{
		ASSERT_EQ(mount("vgpu-conf", "/etc/ld.so.conf.d", "tmpfs", MS_NOSUID, "mode=0755"),
			  0);
		conf_mounted = true;
		if (!text.empty())
			std::ofstream("/etc/ld.so.conf.d/000-vgpu.conf") << text;
	}

	void cache(const std::string &dirs)
	{
		std::string conf = file("other.conf", dirs), out = conf + ".cache";

		sh("/sbin/ldconfig -X -f " + conf + " -C " + out);
		ASSERT_EQ(mount(out.c_str(), "/etc/ld.so.cache", nullptr, MS_BIND, nullptr), 0);
		mounted = true;
	}
	void TearDown() override
	{
		if (mounted)
			umount2("/etc/ld.so.cache", MNT_DETACH);
		if (conf_mounted)
			umount2("/etc/ld.so.conf.d", MNT_DETACH);
		Doctor::TearDown();
	}
};

static const char not_cached[] = "the loader's cache has no libcuda.so.1";

TEST_F(DoctorLoader, TheLibraryIsNotInTheCache)
{
	cache("/nonexistent\n");
	conf("");
	EXPECT_TRUE(has(broken({}, "library", not_cached), "000-vgpu.conf is missing"));
}

TEST_F(DoctorLoader, TheLibraryIsNotInTheCacheYet)
{
	cache("/nonexistent\n");
	conf("# a comment\n/run/world/lib\n");
	EXPECT_TRUE(has(broken({}, "library", not_cached), "run ldconfig as root"));
}

TEST_F(DoctorLoader, TheLibraryIsNotWhereThePackagePutIt)
{
	cache("/nonexistent\n");
	conf("/nonexistent\n");
	EXPECT_TRUE(has(broken({}, "library", not_cached), "no directory with libcuda.so.1"));
}

TEST_F(DoctorLoader, AnotherLibraryComesFirst)
{
	cache(foreign("genuine") + "\n/run/world/lib\n");
	broken({}, "library", "/run/world/genuine/libcuda.so.1, which is not the virtual GPU's");
}

TEST_F(DoctorLoader, TheCacheNamesAFileThatIsGone)
{
	std::string d = foreign("gone");

	cache(d + "\n/run/world/lib\n");
	unlink((d + "/libcuda.so.1").c_str());
	broken({}, "library", "cannot be read");
}

/* ---- a program's own search path -------------------------------------------------------------- */

TEST_F(Doctor, RunpathLeadsElsewhere)
{
	std::string d = foreign("bundle");

	sh("cp " SYSTEM_RUNPATH " " + d + "/program");
	EXPECT_TRUE(has(broken({ d + "/program" }, "binary", "its RUNPATH ($ORIGIN)"),
			d + "/libcuda.so.1"));
}

TEST_F(Doctor, RunpathWithNothingInItDoesNotMatter)
{
	std::string d = std::string(support_world_dir()) + "/empty";

	sh("mkdir -p " + d + " && cp " SYSTEM_RUNPATH " " + d + "/program");
	auto r = run({ d + "/program" });
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_TRUE(line(r->res.out, "ok", "binary", "/run/world/lib/libcuda.so.1")) << r->text();
}

TEST_F(Doctor, LibraryPathLeadsElsewhere)
{
	std::string d = foreign("path");
	auto r = run({ "--library-path=/nonexistent:" + d, client() });

	EXPECT_EQ(r->res.code, 1) << r->text();
	EXPECT_TRUE(line(r->res.out, "FAIL", "binary", "LD_LIBRARY_PATH (" + d + ")")) << r->text();
	EXPECT_TRUE(line(r->res.out, "FAIL", "kernel", "no symbol")) << r->text();
}

TEST_F(Doctor, LibraryPathOfAnotherArchitectureIsPassedOver)
{
	std::string d = std::string(support_world_dir()) + "/other";

	sh("mkdir -p " + d);
	file("other/libcuda.so.1", "no ELF file");
	auto r = run({ "--library-path=" + d, client() });
	EXPECT_TRUE(line(r->res.out, "ok", "binary", "the loader's cache")) << r->text();
}

TEST_F(Doctor, BinariesThatCannotWork)
{
	broken({ file("script", "#!/bin/sh\n", 0755) }, "binary", "no ELF file");
	broken({ "/nonexistent" }, "binary", "No such file");
	broken({ SYSTEM_STATIC }, "binary", "linked statically");
}

/* ---- a unit --------------------------------------------------------------------------------- */

TEST_F(Doctor, AUnitThatIsFine)
{
	std::string u = file("fine.service", "[Unit]\nDescription=x\n[Service]\nUser=nobody\n"
					     "# Environment=CUDA_VISIBLE_DEVICES=-1\n"
					     "Environment=\"PATH=/bin:/usr/bin\" OLLAMA_DEBUG=1\n");
	auto r = run({ "--unit=" + u, client() });

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_TRUE(line(r->res.out, "ok", "open", "user nobody")) << r->text();
	EXPECT_TRUE(line(r->res.out, "ok", "unit", "keeps nobody from the device")) << r->text();
}

TEST_F(Doctor, AUnitsEnvironmentIsUsed)
{
	std::string d = foreign("unit");
	std::string u =
		file("path.service", "[Service]\nEnvironment=\"LD_LIBRARY_PATH=" + d + "\"\n");
	auto r = run({ "--unit=" + u, client() });

	EXPECT_TRUE(line(r->res.out, "FAIL", "binary", "LD_LIBRARY_PATH (" + d + ")")) << r->text();
}

TEST_F(Doctor, AUnitThatHidesTheDevice)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "PrivateDevices=yes\n", "PrivateDevices=" },
		{ "DevicePolicy=closed\n", "DevicePolicy=" },
	};

	for (const auto &c : cases)
		broken({ "--unit=" + file("hides.service", std::string("[Service]\n") + c.text) },
		       "unit", c.says);
	auto r = run({ "--unit=" +
		       file("hides.service", "[Service]\nEnvironment=CUDA_VISIBLE_DEVICES=-1\n") });
	EXPECT_TRUE(line(r->res.out, "FAIL", "unit", "CUDA_VISIBLE_DEVICES=-1")) << r->text();
	EXPECT_TRUE(line(r->res.out, "FAIL", "kernel", "error 100")) << r->text();
	r = run({ "--unit=" +
		  file("fine.service",
		       "[Service]\nDevicePolicy=closed\nDeviceAllow=/dev/nvidia-vgpu0 rw\n") });
	EXPECT_EQ(r->res.code, 0) << r->text();
}

TEST_F(Doctor, LeftoversOfOtherWaysAreNamed)
{
	auto r = run({ "--unit=" + file("old.service",
					"[Service]\nEnvironment=\"LD_PRELOAD=/usr/lib/shim.so\"\n"
					"Environment=OLLAMA_LIBRARY_PATH=/x\n") });

	EXPECT_TRUE(line(r->res.out, "note", "unit", "LD_PRELOAD=/usr/lib/shim.so, which is not"))
		<< r->text();
	EXPECT_TRUE(line(r->res.out, "note", "unit", "OLLAMA_LIBRARY_PATH")) << r->text();
}

TEST_F(Doctor, AUnitThatIsNotThere)
{
	broken({ "--unit=/nonexistent.service" }, "unit", "no such unit");
}
