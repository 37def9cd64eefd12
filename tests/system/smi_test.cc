/* SPDX-License-Identifier: MIT */
/*
 * smi_test.cc - "vgpuctl smi", by its own name and as nvidia-smi: what scripts ask for, with and
 * without users of the device, and every refusal with its exit code; and field by field what NVIDIA's
 * program says of the same device.
 */
#include <signal.h>
#include <unistd.h>

#include <regex>
#include <sstream>

#include "system/system_test.h"

static bool has(const std::string &text, const std::string &part)
{
	return text.find(part) != std::string::npos;
}

static std::vector<std::string> lines(const std::string &text)
{
	std::vector<std::string> all;
	std::istringstream in(text);
	std::string l;

	while (std::getline(in, l))
		all.push_back(l);
	return all;
}

static std::vector<std::string> field_names(const std::string &help)
{
	std::regex name("(^|\n|or )\"([a-z][a-zA-Z0-9_.]+)\"");
	std::vector<std::string> all;

	for (std::sregex_iterator m(help.begin(), help.end(), name), end; m != end; ++m)
		all.push_back((*m)[2]);
	return all;
}

static std::vector<std::string> cells(const std::string &line)
{
	std::vector<std::string> all;

	for (size_t at = 0, end = 0; end != std::string::npos; at = end + 2) {
		end = line.find(", ", at);
		all.push_back(line.substr(at, end - at));
	}
	return all;
}

class Smi : public SystemTest {
protected:
	std::string link;

	void SetUp() override
	{
		support_daemon_options opt = {};
		const char *missing = support_missing(SUPPORT_NEED_SYSTEM);

		if (missing)
			GTEST_SKIP() << missing;
		ASSERT_EQ(support_world_enter(), 0);
		opt.config = "[device 0]\nprofile = H100-80GB\n[device 1]\nprofile = T4\n";
		ASSERT_EQ(support_world_daemon(&opt, &daemon), 0);
		link = std::string(support_world_dir()) + "/nvidia-smi";
		unlink(link.c_str());
		ASSERT_EQ(symlink(support_world_program(support_path_vgpuctl()), link.c_str()), 0);
	}
	std::unique_ptr<ran> smi(std::vector<std::string> args)
	{
		args.insert(args.begin(), link);
		return prog(args).user(NOBODY).run();
	}
	std::string out(std::vector<std::string> args)
	{
		auto r = smi(args);

		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_STREQ(r->res.err, "");
		return r->res.out;
	}
	std::string error(std::vector<std::string> args, int code)
	{
		auto r = smi(args);

		EXPECT_EQ(r->res.code, code) << r->text();
		return std::string(r->res.out) + r->res.err;
	}
	std::string query(const std::string &fields, const std::string &id = "0")
	{
		std::string s =
			out({ "-i", id, "--query-gpu=" + fields, "--format=csv,noheader,nounits" });

		EXPECT_EQ(lines(s).size(), 1u) << s;
		return s.substr(0, s.find('\n'));
	}
	support_child *holder()
	{
		support_child *c = prog({ client(), "keep", "67108864" }).start();

		EXPECT_EQ(support_child_saw(c, "keeping", 20000), 0);
		return c;
	}
};

TEST_F(Smi, ListsDevicesWithTheUuidOfTheDriver)
{
	auto uuid = prog({ client(), "probe" }).run()->values()["uuid"];
	auto l = lines(out({ "-L" }));

	ASSERT_EQ(l.size(), 2u);
	EXPECT_PRED2(has, l[0], "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-");
	EXPECT_EQ(l[1], "GPU 1: Tesla T4 (UUID: " + uuid + ")"); /* the last one probed */
	EXPECT_EQ(out({ "--list-gpus" }), out({ "-L" }));
}

TEST_F(Smi, TheTableHasItsShape)
{
	support_child *c = holder();
	std::string pid = std::to_string(support_child_pid(c)), s = out({});
	auto l = lines(s);

	for (size_t i = 1; i < l.size(); i++)
		EXPECT_TRUE(l[i].empty() || l[i].size() == 91) << l[i];
	EXPECT_PRED2(has, s, "Driver Version: 580.95.05      CUDA Version: 13.0     |");
	EXPECT_PRED2(has, s, "|   0  NVIDIA H100 80GB HBM3          On  |");
	EXPECT_PRED2(has, s, "|   1  Tesla T4                       On  |");
	EXPECT_PRED2(has, s, "|      66MiB /  81920MiB |");
	EXPECT_PRED2(has, s, "|             Disabled |");
	EXPECT_TRUE(std::regex_search(
		s, std::regex("\\|    0   N/A  N/A +" + pid + "      C   .*client +66MiB \\|")))
		<< s;
	EXPECT_FALSE(has(s, "No running"));
	support_child_kill(c, SIGKILL);
	finish(c);
	EXPECT_PRED2(has, out({ "-i", "1" }), "No running processes found");
	EXPECT_FALSE(has(out({ "-i", "1" }), "H100"));
}

TEST_F(Smi, FieldsAsCsv)
{
	support_child *c = holder();
	auto l = lines(out({ "--query-gpu=index,name,memory.total,memory.used,utilization.gpu",
			     "--format=csv" }));

	ASSERT_EQ(l.size(), 3u);
	EXPECT_EQ(l[0], "index, name, memory.total [MiB], memory.used [MiB], utilization.gpu [%]");
	EXPECT_EQ(l[1].substr(0, 45), "0, NVIDIA H100 80GB HBM3, 81920 MiB, 66 MiB, ");
	EXPECT_EQ(l[2], "1, Tesla T4, 16384 MiB, 0 MiB, 0 %");
	EXPECT_EQ(query("memory.total,memory.reserved,memory.used,memory.free"),
		  "81920, 2048, 66, 79806");
	support_child_kill(c, SIGKILL);
	finish(c);
	EXPECT_EQ(query("driver_version,compute_cap,pcie.link.gen.max,mig.mode.current,fan.speed"),
		  "580.95.05, 9.0, 5, Disabled, [N/A]");
	EXPECT_EQ(query("gpu_name, compute_cap,mig.mode.current,pci.device_id", "1"),
		  "Tesla T4, 7.5, [N/A], 0x1EB810DE");
	EXPECT_EQ(query("power.limit,clocks.max.sm,temperature.memory"), "700.00, 1980, 39");
	EXPECT_EQ(query("index", query("uuid", "1")), "1");
	EXPECT_EQ(query("index", query("pci.bus_id", "1")), "1");
	EXPECT_TRUE(
		std::regex_match(query("timestamp"),
				 std::regex("\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3}")))
		<< query("timestamp");
}

TEST_F(Smi, EachFieldOfTheHelpHasAValue)
{
	std::string help = out({ "--help-query-gpu" });
	std::string ask;
	auto names = field_names(help);

	for (const std::string &f : names)
		ask += (ask.empty() ? "" : ",") + f;
	EXPECT_GT(names.size(), 150u);
	for (const std::string &c : cells(query(ask)))
		EXPECT_NE(c, "");
	EXPECT_EQ(cells(query(ask)).size(), names.size());
	for (const char *f : { "timestamp", "gpu_name", "gpu_bus_id", "gpu_uuid", "pid", "name" })
		EXPECT_PRED2(has, out({ "--help-query-compute-apps" }), f);
}

TEST_F(Smi, NvidiasProgramSaysTheSame)
{
	std::string ask = "--query-gpu=", genuine = SYSTEM_GENUINE_SMI;

	if (access(genuine.c_str(), X_OK))
		GTEST_SKIP() << "no nvidia-smi of NVIDIA's here (fetch_nvml.sh)";
	auto help = prog({ genuine, "--help-query-gpu" }).run();
	ASSERT_EQ(help->res.code, 0) << help->text();
	for (const std::string &f : field_names(help->res.out))
		ask += (ask.back() == '=' ? "" : ",") + f;
	auto r = prog({ genuine, ask, "--format=csv" }).run();
	ASSERT_EQ(r->res.code, 0) << r->text();
	auto theirs = lines(r->res.out), ours = lines(out({ ask, "--format=csv" }));
	ASSERT_EQ(theirs.size(), 3u) << r->text();
	ASSERT_EQ(ours.size(), 3u);
	auto name = cells(theirs[0]);
	EXPECT_GT(name.size(), 150u);
	EXPECT_EQ(cells(ours[0]), name);
	for (size_t device = 1; device < 3; device++) {
		auto a = cells(theirs[device]), b = cells(ours[device]);

		ASSERT_EQ(a.size(), name.size());
		ASSERT_EQ(b.size(), name.size());
		for (size_t i = 0; i < name.size(); i++) {
			if (name[i] == "timestamp")
				continue;
			if (name[i] == "enforced.power.limit [W]" && a[i] == "[N/A]")
				continue; /* it is known here */
			if (has(a[i], "N/A"))
				a[i] = "[N/A]"; /* it has other ways to write it */
			EXPECT_EQ(a[i], b[i]) << name[i] << ", device " << device - 1;
		}
	}
}

TEST_F(Smi, ProcessesAsCsv)
{
	std::vector<std::string> ask = { "--query-compute-apps=pid,process_name,used_memory",
					 "--format=csv" };

	EXPECT_EQ(out(ask), "pid, process_name, used_gpu_memory [MiB]\n");
	support_child *c = holder();
	std::string pid = std::to_string(support_child_pid(c));
	auto l = lines(out(ask));
	ASSERT_EQ(l.size(), 2u);
	EXPECT_EQ(l[1], pid + ", " + client() + ", 66 MiB");
	EXPECT_EQ(out({ "--query-compute-apps=gpu_name,pid", "--format=csv,noheader" }),
		  "NVIDIA H100 80GB HBM3, " + pid + "\n");
	EXPECT_EQ(out({ "--query-compute-apps=pid", "--format=csv,noheader", "-i", "1" }), "");
	support_child_kill(c, SIGKILL);
	finish(c);
}

TEST_F(Smi, EverythingInLines)
{
	support_child *c = holder();
	std::string pid = std::to_string(support_child_pid(c)), s = out({ "-q", "--id=0" });

	EXPECT_PRED2(has, s, "==============NVSMI LOG==============");
	EXPECT_TRUE(std::regex_search(s, std::regex("\nDriver Version +: 580.95.05\n"))) << s;
	EXPECT_TRUE(std::regex_search(s, std::regex("\nAttached GPUs +: 2\n"))) << s;
	EXPECT_TRUE(std::regex_search(s, std::regex("\n    Product Name +: NVIDIA H100"))) << s;
	EXPECT_TRUE(std::regex_search(
		s, std::regex("    FB Memory Usage\n        Total +: 81920 MiB\n")))
		<< s;
	EXPECT_TRUE(std::regex_search(s, std::regex("Process ID +: " + pid + "\n"))) << s;
	EXPECT_FALSE(has(s, "Tesla"));
	support_child_kill(c, SIGKILL);
	finish(c);
	s = out({ "-q", "-d", "memory,PIDS" });
	EXPECT_PRED2(has, s, "FB Memory Usage");
	EXPECT_PRED2(has, s, ": None");
	EXPECT_FALSE(has(s, "Power Draw"));
	EXPECT_FALSE(has(s, "Product Name"));
}

TEST_F(Smi, EverythingAsXml)
{
	support_child *c = holder();
	std::string pid = std::to_string(support_child_pid(c)), s = out({ "-q", "-x" });
	std::regex tag("<(/?)([a-z0-9_]+)( id=\"[0-9A-F:.]+\")?>");
	std::vector<std::string> open;

	for (std::sregex_iterator m(s.begin(), s.end(), tag), end; m != end; ++m) {
		if (!(*m)[1].length()) {
			open.push_back((*m)[2]);
			continue;
		}
		ASSERT_FALSE(open.empty()) << m->str();
		EXPECT_EQ(open.back(), (*m)[2]);
		open.pop_back();
	}
	EXPECT_TRUE(open.empty());
	EXPECT_PRED2(has, s, "<attached_gpus>2</attached_gpus>");
	EXPECT_PRED2(has, s, " <gpu id=\"00000000:01:00.0\">\n  <product_name>NVIDIA H100");
	EXPECT_PRED2(has, s, "<fb_memory_usage>\n   <total>81920 MiB</total>");
	EXPECT_PRED2(has, s,
		     "   <current_link_width>16x</current_link_width>\n    </link_widths>\n"
		     "   </pci_gpu_link_info>\n");
	EXPECT_PRED2(has, s, "<pid>" + pid + "</pid>");
	support_child_kill(c, SIGKILL);
	finish(c);
	s = out({ "-q", "-x", "-d", "POWER" });
	EXPECT_PRED2(has, s, "<power_draw>");
	EXPECT_FALSE(has(s, "<processes>"));
	error({ "-x" }, 2);
}

TEST_F(Smi, AgainAndAgain)
{
	support_child *c =
		prog({ link, "--query-gpu=index,count", "--format=csv", "-lms", "20", "-i", "1" })
			.start();

	ASSERT_EQ(support_child_saw(c, "1, 2\n1, 2\n1, 2\n", 20000), 0);
	support_child_kill(c, SIGTERM);
	auto r = finish(c);
	EXPECT_EQ(std::string(r->res.out).rfind("index, count"), 0u) << "the header comes once";
}

TEST_F(Smi, IntoAFile)
{
	std::string path = std::string(support_world_dir()) + "/smi.txt";
	auto r = prog({ link, "-L", "-f", path }).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_STREQ(r->res.out, "");
	EXPECT_PRED2(has, prog({ "/bin/cat", path }).run()->res.out, "GPU 1: Tesla T4");
	EXPECT_PRED2(has, error({ "-L", "-f", "/nonexistent/x" }, 255), "/nonexistent/x");
}

TEST_F(Smi, MistakesAreNamed)
{
	EXPECT_PRED2(has, error({ "--query-gpu=name,colour", "--format=csv" }, 2),
		     "Field \"colour\" is not a valid field");
	EXPECT_PRED2(has, error({ "--query-gpu=bar1.total", "--format=csv" }, 2), "bar1.total");
	EXPECT_PRED2(has, error({ "--query-compute-apps=fan.speed", "--format=csv" }, 2), "fan");
	EXPECT_PRED2(has, error({ "--query-gpu=name" }, 2), "--format=");
	EXPECT_PRED2(has, error({ "--query-gpu=name", "--format=xml" }, 2), "xml");
	EXPECT_PRED2(has, error({ "--query-gpu=name", "--format=noheader" }, 2), "csv");
	EXPECT_PRED2(has, error({ "--query-gpu=name", "-L", "--format=csv" }, 2), "combination");
	EXPECT_PRED2(has, error({ "-d", "MEMORY" }, 2), "combination");
	EXPECT_PRED2(has, error({ "-q", "-d", "COLOUR" }, 2), "COLOUR");
	EXPECT_PRED2(has, error({ "-i", "7", "-L" }, 6), "7");
	EXPECT_PRED2(has, error({ "-i" }, 2), "-i");
	EXPECT_PRED2(has, error({ "-l", "soon" }, 2), "soon");
	EXPECT_PRED2(has, error({ "-pm", "1" }, 2), "-pm");
	EXPECT_PRED2(has, error({ "--list-gpus=x" }, 2), "--list-gpus=x");
	EXPECT_PRED2(has, out({ "-h" }), "--query-compute-apps");
	EXPECT_PRED2(has, out({ "--version" }), "not NVIDIA's");
}

TEST_F(Smi, UnderItsOwnName)
{
	auto r = prog({ support_world_program(support_path_vgpuctl()), "smi", "-L" }).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_EQ(std::string(r->res.out), out({ "-L" }));
}

TEST_F(Smi, WithoutADaemon)
{
	support_daemon_kill(daemon);
	EXPECT_PRED2(has, error({}, 9), "couldn't communicate");
	EXPECT_PRED2(has, error({ "-L" }, 9), "vgpuctl doctor");
}
