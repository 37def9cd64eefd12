/* SPDX-License-Identifier: MIT */
/*
 * containers_test.cc - "vgpuctl cdi" and its hook: the specification fits the published schema, podman
 * takes it, and a program in the container computes.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "system/system_test.h"

#define LIBDIR "/usr/lib/x86_64-linux-gnu"

static bool has(const std::string &text, const std::string &part)
{
	return text.find(part) != std::string::npos;
}

static std::string content(const std::string &path)
{
	std::ifstream f(path);
	std::stringstream s;

	s << f.rdbuf();
	return s.str();
}

class Containers : public SystemTest {
protected:
	std::string dir, root;

	void SetUp() override
	{
		SystemTest::SetUp();
		if (IsSkipped())
			return;
		dir = std::string(support_world_dir()) + "/containers";
		root = dir + "/root";
		sh("rm -rf --one-file-system " + dir + "; mkdir -p " + dir + " /run/cdi");
	}
	static void sh(const std::string &cmd)
	{
		prog p({ "/bin/sh", "-ec", cmd });

		p.env.push_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
		auto r = p.run();
		ASSERT_EQ(r->res.code, 0) << cmd << "\n" << r->text();
	}
	prog ctl(std::vector<std::string> args)
	{
		args.insert(args.begin(), support_world_program(support_path_vgpuctl()));
		return prog(args);
	}
	std::vector<std::string> cdi(std::vector<std::string> more)
	{
		more.insert(
			more.begin(),
			{ "cdi", "--library-from=" + std::string(support_world_dir()) + "/lib" });
		return more;
	}
	std::string out(std::vector<std::string> args)
	{
		auto r = ctl(args).run();

		EXPECT_EQ(r->res.code, 0) << args[0] << " " << r->text();
		return r->res.out;
	}
	std::string error(std::vector<std::string> args, int code)
	{
		auto r = ctl(args).run();

		EXPECT_EQ(r->res.code, code) << args[0] << " " << r->text();
		return r->res.err;
	}
	/* A container's files: a shell, our client, and what the loader needs for them. */
	void make_root()
	{
		sh("mkdir -p " + root + "/bin " + root + "/proc " + root + "/sys " + root +
		   "/dev " + root + "/etc " + root + "/tmp " + root + LIBDIR +
		   "; cp /bin/sh /bin/cat " + client() + " " + root + "/bin/");
		sh("for f in $(ldd " + root +
		   "/bin/* | sed -n 's/.*=> \\(\\/[^ ]*\\) .*/\\1/p; "
		   "s/^[[:space:]]*\\(\\/[^ ]*\\) (.*/\\1/p' | sort -u); do "
		   "mkdir -p " +
		   root + "$(dirname $f); cp -L $f " + root + "$f; done");
	}
};

/* ---- the specification ---------------------------------------------------------------------- */

TEST_F(Containers, TheSpecificationHasNodeLibraryAndHook)
{
	std::string s = out(cdi({}));

	EXPECT_PRED2(has, s, "\"kind\": \"vgpu-cuse/gpu\"");
	EXPECT_PRED2(has, s, "\"name\": \"0\"");
	EXPECT_PRED2(has, s, "\"name\": \"all\"");
	EXPECT_PRED2(has, s, "\"hostPath\": \"/dev/nvidia-vgpu0\""); /* a file: fuse door */
	EXPECT_PRED2(has, s, "libcuda.so.1");
	EXPECT_PRED2(has, s, "libnvidia-ml.so.1");
	EXPECT_PRED2(has, s, "\"createContainer\"");
	EXPECT_FALSE(has(out(cdi({ "--no-hook" })), "createContainer"));
	EXPECT_PRED2(has, out(cdi({ "--kind=nvidia.com/gpu" })), "nvidia.com/gpu");
	EXPECT_PRED2(has, out(cdi({ "--library-to=/opt/x" })), "/opt/x/libcuda.so.1");
}

TEST_F(Containers, ACharacterDeviceIsADevice)
{
	sh("mkdir -p " + dir + "/dev");
	ASSERT_EQ(mknod((dir + "/dev/nvidia-vgpu0").c_str(), S_IFCHR | 0666, 0x103), 0);
	std::string s = out(cdi({ "--node-dir=" + dir + "/dev" }));
	EXPECT_PRED2(has, s, "deviceNodes");
	EXPECT_PRED2(has, s, "\"path\": \"/dev/nvidia-vgpu0\"");
}

TEST_F(Containers, ItFitsThePublishedSchema)
{
	std::string schema = SYSTEM_CDI_SCHEMA "/schema.json", spec = dir + "/vgpu.json";

	if (access(schema.c_str(), R_OK))
		GTEST_SKIP() << "no " << schema << "; the test system_fetch_cdi says why";
	out(cdi({ "--output=" + spec }));
	auto r = prog({ "/usr/bin/python3", "-c",
			"import sys\n"
			"try:\n    import jsonschema\nexcept ImportError:\n    sys.exit(77)\n"
			"import json, os\n"
			"base = 'file://' + os.path.dirname(sys.argv[1]) + '/'\n"
			"schema = json.load(open(sys.argv[1]))\n"
			"resolver = jsonschema.RefResolver(base, schema)\n"
			"check = lambda o: jsonschema.validate(o, schema, resolver=resolver)\n"
			"spec = json.load(open(sys.argv[2]))\n"
			"check(spec)\n"
			"try:\n    check(dict(spec, kind=7))\n"
			"except jsonschema.ValidationError:\n    print('fits')\n",
			schema, spec })
			 .run();
	if (r->res.code == 77)
		GTEST_SKIP() << "no python3-jsonschema here";
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_STREQ(r->res.out, "fits\n") << "the schema itself must refuse something";
}

TEST_F(Containers, MistakesAreNamed)
{
	EXPECT_PRED2(has, error(cdi({ "--kind=gpu" }), 2), "--kind=gpu");
	EXPECT_PRED2(has, error(cdi({ "--kind=-a/gpu" }), 2), "VENDOR/CLASS");
	EXPECT_PRED2(has, error(cdi({ "--kind=a/g.p" }), 2), "VENDOR/CLASS");
	EXPECT_PRED2(has, error(cdi({ "--library-to=here" }), 2), "absolute");
	EXPECT_PRED2(has, error(cdi({ "--output=/nonexistent/x" }), 1), "/nonexistent/x");
	EXPECT_PRED2(has, error({ "cdi", "--library-from=/nonexistent" }, 1), "--library-from");
	EXPECT_PRED2(has, error(cdi({ "--node-dir=/nonexistent" }), 1), "start the daemon");
	EXPECT_PRED2(has, error({ "hook", "dance", "--folder=/x" }, 2), "dance");
	EXPECT_PRED2(has, error({ "hook", "ldcache" }, 2), "--folder");
	EXPECT_PRED2(has, error({ "hook", "ldcache", "--folder=x" }, 2), "--folder");
	EXPECT_PRED2(has, error({ "hook", "ldcache", "--folder=/x" }, 1), "no JSON");
	EXPECT_PRED2(has, error({ "hook", "ldcache", "--folder=/x", "--root=/nonexistent" }, 1),
		     "/nonexistent");
}

/* ---- the hook ------------------------------------------------------------------------------- */

class Hook : public Containers {
protected:
	void SetUp() override
	{
		Containers::SetUp();
		if (IsSkipped())
			return;
		make_root();
		sh("mkdir " + root + "/vgpu; cp " + std::string(support_world_dir()) +
		   "/lib/libcuda.so.1 " + root + "/vgpu/");
	}
	std::string cached()
	{
		auto r = prog({ "/sbin/ldconfig", "-r", root, "-p" }).run();

		return r->res.out;
	}
};

TEST_F(Hook, TheLoaderOfTheContainerKnowsTheLibrary)
{
	out({ "hook", "ldcache", "--folder=/vgpu", "--root=" + root });
	EXPECT_PRED2(has, cached(), "libcuda.so.1 (libc6,x86-64) => /vgpu/libcuda.so.1");
	EXPECT_EQ(content(root + "/etc/ld.so.conf.d/000-vgpu.conf"), "/vgpu\n");
	EXPECT_EQ(content(root + "/etc/ld.so.conf"), "include /etc/ld.so.conf.d/*.conf\n");
	/* Once more, over what is there. */
	sh("echo /other >" + root + "/etc/ld.so.conf");
	out({ "hook", "ldcache", "--folder=/vgpu", "--root=" + root });
	EXPECT_EQ(content(root + "/etc/ld.so.conf"), "/other\n");
}

TEST_F(Hook, TheRootComesFromTheBundle)
{
	std::string state = "{\"ociVersion\":\"1.0.2\",\"bundle\":\"" + dir + "\"}";

	for (const std::string &path : { std::string("root"), root }) {
		std::ofstream(dir + "/config.json") << "{\"root\":{\"path\":\"" << path << "\"}}";
		prog p = ctl({ "hook", "ldcache", "--folder=/vgpu" });
		p.spec.input = state.c_str();
		auto r = p.run();
		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_PRED2(has, cached(), "/vgpu/libcuda.so.1");
		sh("rm " + root + "/etc/ld.so.cache");
	}
	std::ofstream(dir + "/config.json") << "{}";
	prog p = ctl({ "hook", "ldcache", "--folder=/vgpu" });
	p.spec.input = state.c_str();
	EXPECT_NE(strstr(p.run()->res.err, "names no root"), nullptr);
}

TEST_F(Hook, LinksOfTheContainerDoNotLeadOut)
{
	std::string outside = dir + "/outside";

	sh("mkdir " + outside + "; rm -rf " + root + "/etc; ln -s " + outside + " " + root +
	   "/etc");
	auto r = ctl({ "hook", "ldcache", "--folder=/vgpu", "--root=" + root }).run();
	EXPECT_NE(r->res.code, 0) << "the link leads nowhere inside";
	sh("test -z \"$(ls -A " + outside + ")\"");

	sh("rm " + root + "/etc; mkdir " + root + "/etc; ln -s ../../../../../../.." + outside +
	   " " + root + "/etc/ld.so.conf.d");
	ctl({ "hook", "ldcache", "--folder=/vgpu", "--root=" + root }).run();
	sh("test -z \"$(ls -A " + outside + ")\"");

	sh("rm -rf " + root + "/etc/*; mkdir " + root + "/etc/ld.so.conf.d; ln -s " + outside +
	   "/file " + root + "/etc/ld.so.conf.d/000-vgpu.conf; ln -s " + outside + "/cache " +
	   root + "/etc/ld.so.cache");
	ctl({ "hook", "ldcache", "--folder=/vgpu", "--root=" + root }).run();
	sh("test -z \"$(ls -A " + outside + ")\"");
}

TEST_F(Hook, AReadOnlyRootIsNamed)
{
	ASSERT_EQ(mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr), 0);
	ASSERT_EQ(mount(nullptr, root.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr),
		  0);
	EXPECT_PRED2(has, error({ "hook", "ldcache", "--folder=/vgpu", "--root=" + root }, 1),
		     "--no-hook");
	umount2(root.c_str(), MNT_DETACH);
}

/* ---- podman --------------------------------------------------------------------------------- */

class Podman : public Containers {
protected:
	const char *runtime = nullptr;
	uid_t uid = 0;

	void SetUp() override
	{
		Containers::SetUp();
		if (IsSkipped())
			return;
		if (access("/usr/bin/podman", X_OK))
			GTEST_SKIP() << "no podman here";
		/* crun does not take the mixed control groups of some hosts, runc does. */
		for (const char *r : { "runc", "crun" }) {
			std::string in = r;
			if (!access(("/usr/sbin/" + in).c_str(), X_OK) ||
			    !access(("/usr/bin/" + in).c_str(), X_OK)) {
				runtime = r;
				break;
			}
		}
		if (!runtime)
			GTEST_SKIP() << "neither runc nor crun here";
		make_root();
	}
	std::unique_ptr<ran> run(const std::string &command, const char *device = "all")
	{
		prog p({ "/usr/bin/podman",
			 "--root",
			 dir + "/pod",
			 "--runroot",
			 dir + "/podrun",
			 "--runtime",
			 runtime,
			 "--cgroup-manager=cgroupfs",
			 "--events-backend=none",
			 "--log-level=warn",
			 "run",
			 "--rm",
			 "--net=none",
			 "--security-opt=seccomp=unconfined",
			 "--ulimit=nofile=1024:1024",
			 "--ulimit=nproc=4096:4096",
			 "--device",
			 std::string("vgpu-cuse/gpu=") + device,
			 "--rootfs",
			 root,
			 "/bin/sh",
			 "-c",
			 command });
		p.env.push_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
		p.env.push_back("CONTAINERS_CONF=/dev/null");
		if (uid) {
			p.user(uid);
			p.env.push_back("HOME=" + dir + "/home");
			p.env.push_back("XDG_RUNTIME_DIR=" + dir + "/xdg");
		}
		auto r = p.timeout(120000).run();
		umount2((dir + "/pod/overlay").c_str(), MNT_DETACH);
		return r;
	}
	/* Where this machine cannot run any container, that is not our fault. */
	bool cannot()
	{
		auto r = run("exit 42");

		if (r->res.code == 42)
			return false;
		unlink("/run/cdi/vgpu.json");
		prog p({ "/usr/bin/podman", "--version" });
		std::cout << "podman cannot run a container here: " << r->text() << "\n";
		return true;
	}
};

#define REQUIRE_PODMAN()                                                                           \
	do {                                                                                       \
		if (cannot())                                                                      \
			GTEST_SKIP() << "podman cannot run a container here";                      \
	} while (0)

TEST_F(Podman, AProgramInAContainerComputes)
{
	out(cdi({ "--output=/run/cdi/vgpu.json" }));
	REQUIRE_PODMAN();
	auto r = run("/bin/client probe && /bin/client cycle");
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_PRED2(has, r->res.out, "name=NVIDIA H100 80GB HBM3");
	EXPECT_PRED2(has, r->res.out, "cycle ok");
	r = run("/bin/client probe", "0");
	EXPECT_PRED2(has, r->res.out, "count=1");
	EXPECT_NE(run("true", "1")->res.code, 0) << "there is no device 1";
}

TEST_F(Podman, Rootless)
{
	out(cdi({ "--output=/run/cdi/vgpu.json" }));
	uid = NOBODY;
	sh("mkdir -m 700 " + dir + "/home " + dir + "/xdg; chown -R 65534:65534 " + dir);
	REQUIRE_PODMAN();
	auto r = run("cat /proc/self/uid_map && /bin/client cycle");
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_PRED2(has, r->res.out, " 65534 ") << "root inside is nobody outside";
	EXPECT_PRED2(has, r->res.out, "cycle ok");
}

TEST_F(Podman, WithoutAHook)
{
	out(cdi({ "--output=/run/cdi/vgpu.json", "--no-hook", "--library-to=" LIBDIR }));
	REQUIRE_PODMAN();
	auto r = run("/bin/client cycle; ! cat /etc/ld.so.conf.d/000-vgpu.conf");
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_PRED2(has, r->res.out, "cycle ok");
}
