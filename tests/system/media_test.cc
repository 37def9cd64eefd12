/* SPDX-License-Identifier: MIT */
/*
 * media_test.cc - Debian's ffmpeg with its CUDA filters, each beside the CPU filter of the same name.
 *
 * Both run in one filter graph; ffmpeg's own psnr filter compares them: "inf" is bit for bit. Where the two
 * compute differently by design (weights in 8 bits here, floats there), the bound is what is seen with
 * such differences; a misplaced pixel costs more.
 */
#include <math.h>
#include <string.h>

#include "system/root_test.h"

namespace {

const char ffmpeg[] = "/usr/bin/ffmpeg";

class Media : public RootTest {
protected:
	void SetUp() override
	{
		RootTest::SetUp();
		if (!IsSkipped())
			enter_root(std::string(SYSTEM_PROGRAMS) + "/media/root", ffmpeg,
				   "tests/system/fetch_debian.sh");
	}

	/* Average PSNR in dB of five frames through both chains. */
	double psnr(const std::string &cuda, const std::string &cpu, const char *format = "yuv420p",
		    const char *source = "testsrc2=size=320x240:rate=5:duration=1")
	{
		std::string graph = "format=yuv420p,split[a][b];[a]hwupload," + cuda +
				    ",hwdownload,format=" + format + "[c];[b]" + cpu +
				    ",format=" + format + "[d];[c][d]psnr";
		auto r = in_root({ ffmpeg, "-v", "info", "-nostdin", "-init_hw_device", "cuda=0",
				   "-f", "lavfi", "-i", source, "-filter_complex", graph, "-f",
				   "null", "-" },
				 120);
		const char *p = strstr(r->res.err, "average:");

		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_NE(strstr(r->res.err, "frame=    5"), nullptr) << r->text();
		if (!p) {
			ADD_FAILURE() << r->text();
			return 0;
		}
		printf("%s: %.10s dB\n", cuda.c_str(), p + 8);
		return strtod(p + 8, nullptr);
	}
};

} // namespace

TEST_F(Media, ScaleToNearest)
{
	EXPECT_EQ(psnr("scale_cuda=160:120:interp_algo=nearest", "scale=160:120:flags=neighbor"),
		  INFINITY);
}

/* Four texels each, in their middles: the mean of a square. */
TEST_F(Media, ScaleBilinear)
{
	EXPECT_GE(psnr("scale_cuda=160:120:interp_algo=bilinear", "scale=160:120:flags=area"), 48);
}

TEST_F(Media, ScaleBicubic)
{
	EXPECT_GE(psnr("scale_cuda=640:480:interp_algo=bicubic", "scale=640:480:flags=bicubic"),
		  40);
}

TEST_F(Media, PixelFormat)
{
	EXPECT_EQ(psnr("scale_cuda=format=nv12,hwdownload,format=nv12,format=yuv420p,hwupload",
		       "null"),
		  INFINITY);
}

TEST_F(Media, Overlay)
{
	EXPECT_EQ(psnr("split[e][f];[f]scale_cuda=80:60:interp_algo=nearest[g];"
		       "[e][g]overlay_cuda=x=16:y=32",
		       "split[h][i];[i]scale=80:60:flags=neighbor[j];[h][j]overlay=x=16:y=32"),
		  INFINITY);
}

TEST_F(Media, Deinterlace)
{
	EXPECT_GE(psnr("yadif_cuda", "yadif"), 45);
}

/*
 * The kernel reads between texels, so that edges differ, and the CPU's filter is off at the picture's
 * border; within an area nothing may differ.
 */
TEST_F(Media, ChromaKey)
{
	for (const char *color : { "0x00ff00", "0x20e030", "red", "0x808080" })
		EXPECT_EQ(psnr("chromakey_cuda=0x00FF00:0.3:0.1", "chromakey=0x00FF00:0.3:0.1",
			       "yuva420p,crop=32:24:16:12",
			       (std::string("color=") + color + ":size=64x48:rate=5:duration=1")
				       .c_str()),
			  INFINITY)
			<< color;
}

TEST_F(Media, Thumbnail)
{
	auto r = in_root({ ffmpeg, "-v", "error", "-nostdin", "-init_hw_device", "cuda=0", "-f",
			   "lavfi", "-i", "testsrc2=size=320x240:rate=5:duration=1", "-vf",
			   "format=yuv420p,hwupload,thumbnail_cuda=3,hwdownload,format=yuv420p",
			   "-f", "framemd5", "-" },
			 60);
	auto w = in_root({ ffmpeg, "-v", "error", "-nostdin", "-f", "lavfi", "-i",
			   "testsrc2=size=320x240:rate=5:duration=1", "-vf",
			   "format=yuv420p,thumbnail=3", "-f", "framemd5", "-" },
			 60);

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_STREQ(r->res.out, w->res.out);
	EXPECT_STREQ(r->res.err, "");
	EXPECT_NE(strstr(r->res.out, "115200, "), nullptr) << r->text();
}
