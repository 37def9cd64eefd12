/* SPDX-License-Identifier: MIT */
/*
 * libs_test.cc - NVIDIA's own libraries, of CUDA 13.0 and 12.4, in a program that sees an H100: they
 * initialise, and what they have PTX for computes what plain loops compute. fetch_libs.sh gets them;
 * lib_*.c make the calls, lib_probe.h says what they print.
 *
 * Each test lists the calls that must be right. Nothing may be wrong; a call that a library refuses and
 * that is not listed is printed, so that the list can grow.
 */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "system/system_test.h"

namespace {

std::vector<std::string> words(const std::string &s)
{
	std::vector<std::string> v;

	for (size_t at = 0, end; at < s.size(); at = end + 1) {
		end = s.find(' ', at);
		if (end == std::string::npos)
			end = s.size();
		if (end > at)
			v.push_back(s.substr(at, end - at));
	}
	return v;
}

/* Every directory with libraries of one set, for the loader. */
std::string library_path(const std::string &set)
{
	std::string base = std::string(SYSTEM_LIBS) + "/" + set + "/nvidia", path;
	DIR *d = opendir(base.c_str());

	for (dirent *e; d && (e = readdir(d));) {
		std::string lib = base + "/" + e->d_name + "/lib";

		if (e->d_name[0] != '.' && !access(lib.c_str(), X_OK))
			path += (path.empty() ? "" : ":") + lib;
	}
	if (d)
		closedir(d);
	return path;
}

class Libs : public SystemTest {
protected:
	/*
	 * Runs the probe with a library of a set. The loader path is for the library's own company
	 * only: libcuda.so.1 is found without.
	 */
	void probe(const char *name, const char *set, const char *lib, const char *right)
	{
		std::string path = std::string(SYSTEM_LIBS) + "/" + set + "/nvidia/" + lib;
		std::string program = std::string(SYSTEM_PROBES) + "/lib_" + name;

		if (access(path.c_str(), R_OK))
			GTEST_SKIP()
				<< "needs " << lib << " (tests/system/fetch_libs.sh " << set << ")";
		prog p({ program, path });

		p.env = { "LD_LIBRARY_PATH=" + library_path(set), "VGPU_LOG=error" };
		auto r = p.timeout(280000).run();
		std::string out = "\n" + std::string(r->res.out ? r->res.out : "");

		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_EQ(out.find("\nwrong "), std::string::npos) << r->text();
		EXPECT_NE(out.find("\ndone\n"), std::string::npos) << r->text();
		for (const auto &w : words(right))
			EXPECT_NE(out.find("\nright " + w + " "), std::string::npos)
				<< w << " is not right\n"
				<< r->text();
		for (size_t at = 0; (at = out.find("\nfailed ", at)) != std::string::npos; at++)
			printf("%s of %s: %s\n", lib, set,
			       out.substr(at + 1, out.find('\n', at + 1) - at - 1).c_str());
	}
};

const char cublas[] =
	"create saxpy sdot snrm2 sasum isamax sscal sgemv sgemv_t sgemm sgemm_tn sgemm_nt "
	"dgemm sgemmStridedBatched strsm ssyrk hgemm gemmEx_f16 gemmEx_bf16";
const char cufft[] = "c2c_256 c2c_256_inverse c2c_4096 c2c_64x16 c2c_105 c2c_prime_97 r2c_512 c2r "
		     "z2z_512 c2c_2d_32x64";
const char curand[] = "philox philox_uniform philox_normal xorwow xorwow_uniform xorwow_normal "
		      "xorwow_poisson mrg32k3a mtgp32 sobol32";
const char cusparse[] = "create spmv_csr spmv_coo spmm_csr coo2csr";

} // namespace

TEST_F(Libs, Cublas13)
{
	probe("cublas", "13.0", "cu13/lib/libcublas.so.13", cublas);
}

TEST_F(Libs, Cublas12)
{
	probe("cublas", "12.4", "cublas/lib/libcublas.so.12", cublas);
}

TEST_F(Libs, Cufft13)
{
	probe("cufft", "13.0", "cu13/lib/libcufft.so.12", cufft);
}

TEST_F(Libs, Cufft12)
{
	probe("cufft", "12.4", "cufft/lib/libcufft.so.11", cufft);
}

TEST_F(Libs, Curand13)
{
	probe("curand", "13.0", "cu13/lib/libcurand.so.10", curand);
}

TEST_F(Libs, Curand12)
{
	probe("curand", "12.4", "curand/lib/libcurand.so.10", curand);
}

TEST_F(Libs, Cusparse13)
{
	probe("cusparse", "13.0", "cu13/lib/libcusparse.so.12", cusparse);
}

TEST_F(Libs, Cusparse12)
{
	probe("cusparse", "12.4", "cusparse/lib/libcusparse.so.12", cusparse);
}

TEST_F(Libs, Cusolver13)
{
	probe("cusolver", "13.0", "cu13/lib/libcusolver.so.12",
	      "create sgetrf+sgetrs sgeqrf ssyevd");
}

TEST_F(Libs, Cusolver12)
{
	probe("cusolver", "12.4", "cusolver/lib/libcusolver.so.11",
	      "create sgetrf+sgetrs sgeqrf ssyevd");
}

TEST_F(Libs, Nvrtc13)
{
	probe("nvrtc", "13.0", "cu13/lib/libnvrtc.so.13", "triad");
}

TEST_F(Libs, Nvrtc12)
{
	probe("nvrtc", "12.4", "cuda_nvrtc/lib/libnvrtc.so.12", "triad");
}

TEST_F(Libs, Cudnn)
{
	probe("cudnn", "13.0-dnn", "cudnn/lib/libcudnn.so.9",
	      "create relu softmax maxpool convolution_0 convolution_1 convolution_2");
}
