// SPDX-License-Identifier: MIT
// mma.sync, mma.sp and block scales: every shape and type, against a product of the matrices whose
// elements are taken from the registers as the manual says.
#include <gtest/gtest.h>

#include "ptx/matrix/matrix.h"

namespace {

/* ---- layouts: which element is number i of a lane ---------------------------------------------- */

struct Place {
	uint32_t row, col;
};

/* A of m rows: i runs over registers and the elements in them. */
Place place_a(uint32_t m, uint32_t bits, uint32_t lane, uint32_t i)
{
	uint32_t per = bits == 64 ? 1 : 32 / bits, reg = i / per, group = lane >> 2,
		 thread = lane % 4;
	uint32_t low = m == 8 ? 0 : reg % 2, far = m == 8 ? reg : reg / 2;

	return { group + 8 * low, thread * per + i % per + far * 4 * per };
}

Place place_b(uint32_t bits, uint32_t lane, uint32_t i)
{
	uint32_t per = bits == 64 ? 1 : 32 / bits;

	return { lane % 4 * per + i % per + i / per * 4 * per, lane >> 2 };
}

Place place_c(uint32_t lane, uint32_t i)
{
	return { (lane >> 2) + (i >= 2 ? 8u : 0u), lane % 4 * 2 + i % 2 };
}

/* ---- one instruction --------------------------------------------------------------------------- */

struct Case {
	const char *words; /* after the layouts, before the types */
	uint32_t m, n, k;
	const char *d, *a, *b, *c;
	const char *after; /* after the types */
	uint32_t sparse;   /* 1: sp, 2: ordered */
};

std::string ptx_name(const char *t)
{
	return strcmp(t, "p4") ? t : "e2m1";
}

std::string spelling(const Case &c)
{
	return std::string("mma") +
	       (c.sparse == 1 ? ".sp"
		: c.sparse    ? ".sp::ordered_metadata"
			      : "") +
	       ".sync.aligned.m" + std::to_string(c.m) + "n" + std::to_string(c.n) + "k" +
	       std::to_string(c.k) + ".row.col" + c.words + "." + c.d + "." + ptx_name(c.a) + "." +
	       ptx_name(c.b) + "." + c.c + c.after;
}

/* Writes elements into registers: register r, lane l at r * 32 + l words of its size. */
class Registers {
public:
	Registers(std::vector<uint8_t> *b, uint32_t at, const Format *f)
	    : bytes(b), start(at), fmt(f), size(f->bits == 64 ? 64 : 32)
	{
	}
	uint64_t bit(uint32_t lane, uint32_t i) const
	{
		uint32_t per = size / fmt->bits;

		return 8ull * start + (i / per * 32 + lane) * size + i % per * fmt->bits;
	}
	void put(uint32_t lane, uint32_t i, double v)
	{
		put_bits(bytes, bit(lane, i), fmt->bits, format_code(fmt, v));
	}
	double get(uint32_t lane, uint32_t i) const
	{
		return fmt->value(get_bits(*bytes, bit(lane, i), fmt->bits));
	}

private:
	std::vector<uint8_t> *bytes;
	uint32_t start;
	const Format *fmt;
	uint32_t size;
};

uint32_t count(uint32_t elements, const Format *f)
{
	return elements * f->bits / 32 / (f->bits == 64 ? 64 : 32);
}

/* All elements of a fragment through @place. */
template <class P> void fill(Registers r, uint32_t per_lane, const Matrix &m, P place)
{
	for (uint32_t lane = 0; lane < 32; lane++)
		for (uint32_t i = 0; i < per_lane; i++) {
			Place p = place(lane, i);

			r.put(lane, i, m.at(p.row, p.col));
		}
}

struct Operands {
	Matrix a, b, c;
	std::vector<uint32_t> meta = std::vector<uint32_t>(32);
	uint32_t selector = 0;
	std::string scales; /* operands */
	std::vector<uint32_t> scale[2];
	Matrix packed; /* a sparse A as the registers have it */
};

/* Products of elements in plain arithmetic; every sum is exact. */
double expected(const Case &c, const Operands &o, uint32_t i, uint32_t j,
		const std::function<double(uint32_t)> &scale)
{
	double v = 0;

	for (uint32_t k = 0; k < c.k; k++) {
		double a = o.a.at(i, k), b = o.b.at(k, j);

		if (!strcmp(c.a, "b1"))
			v += strstr(c.after, "xor") ? a != b : a != 0 && b != 0;
		else
			v += a * b * scale(k);
	}
	v += o.c.at(i, j);
	if (!strcmp(c.d, "s32"))
		v = (double)(int32_t)(int64_t)v;
	return v;
}

void check(const Case &c, const Operands &o,
	   const std::function<double(uint32_t, uint32_t, uint32_t)> &scale)
{
	const Format *fa = format(c.a), *fb = format(c.b), *fc = format(c.c), *fd = format(c.d);
	uint32_t na = count(c.m * c.k / (c.sparse ? 2 : 1), fa), nb = count(c.k * c.n, fb),
		 nc = count(c.m * c.n, fc), nd = count(c.m * c.n, fd),
		 size = fa->bits == 64 ? 8 : 4;
	uint32_t at_b = na * 32 * size, at_c = at_b + nb * 32 * size, at_m = at_c + nc * 32 * size;
	MatrixRun run;
	std::string body, last;

	run.in.resize(at_m + 4 * 128);
	fill(Registers(&run.in, 0, fa), c.m * c.k / 32 / (c.sparse ? 2 : 1),
	     c.sparse ? o.packed : o.a,
	     [&](uint32_t l, uint32_t i) { return place_a(c.m, fa->bits, l, i); });
	fill(Registers(&run.in, at_b, fb), c.k * c.n / 32, o.b,
	     [&](uint32_t l, uint32_t i) { return place_b(fb->bits, l, i); });
	fill(Registers(&run.in, at_c, fc), c.m * c.n / 32, o.c, place_c);
	memcpy(&run.in[at_m], o.meta.data(), 128);
	for (int s = 0; s < 2; s++)
		if (!o.scale[s].empty())
			memcpy(&run.in[at_m + 128 * (s + 1)], o.scale[s].data(), 128);
	body = load_regs("a", na, 0, size) + load_regs("b", nb, at_b, size) +
	       load_regs("c", nc, at_c, size) + load_regs("m", 3, at_m) + ".reg .b" +
	       std::to_string(8 * size) + " %d<" + std::to_string(nd) + ">;\n";
	if (c.sparse)
		last = ", %m0, " + std::to_string(o.selector);
	last += o.scales;
	body += spelling(c) + " " + regs("d", nd) + ", " + regs("a", na) + ", " + regs("b", nb) +
		", " + regs("c", nc) + last + ";\n" + store_regs("d", nd, size);
	run.text = matrix_kernel(body, "sm_120a");
	run.out_bytes = nd * 32 * size;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		std::vector<uint8_t> copy = out;
		Registers r(&copy, 0, fd);

		for (uint32_t lane = 0; lane < 32; lane++)
			for (uint32_t i = 0; i < c.m * c.n / 32; i++) {
				Place p = place_c(lane, i);
				double want = expected(c, o, p.row, p.col, [&](uint32_t k) {
					return scale(p.row, p.col, k);
				});

				ASSERT_EQ(want, r.get(lane, i))
					<< spelling(c) << ": lane " << lane << ", element " << i
					<< " (row " << p.row << ", column " << p.col << ")";
			}
	});
}

Operands random_operands(const Case &c, uint32_t seed)
{
	Operands o = { Matrix(c.m, c.k), Matrix(c.k, c.n), Matrix(c.m, c.n), {}, 0, "", {},
		       Matrix(1, 1) };
	Numbers n(seed);

	o.meta.resize(32);
	for (double &v : o.a.v)
		v = n.small(format(c.a));
	for (double &v : o.b.v)
		v = n.small(format(c.b));
	for (double &v : o.c.v)
		v = n.small(format(c.c));
	return o;
}

double one(uint32_t, uint32_t, uint32_t)
{
	return 1;
}

/* Random values, and a single element of A against a counted B: the place says itself where it is. */
void dense(const Case &c)
{
	Operands o = random_operands(c, c.m + c.k);

	check(c, o, one);
	for (uint32_t e = 0; e < c.m * c.k && !::testing::Test::HasFailure();
	     e += c.m * c.k / 16 - 1) {
		std::fill(o.a.v.begin(), o.a.v.end(), 0);
		o.a.v[e] = 1;
		check(c, o, one);
	}
}

/* ---- the cases --------------------------------------------------------------------------------- */

class Dense : public ::testing::TestWithParam<Case> {};

TEST_P(Dense, MatchesTheProduct)
{
	dense(GetParam());
}

std::vector<Case> floats()
{
	std::vector<Case> v;

	for (uint32_t k : { 8u, 16u })
		for (const char *d : { "f16", "f32" })
			for (const char *c : { "f16", "f32" })
				v.push_back({ "", 16, 8, k, d, "f16", "f16", c, "", 0 });
	for (uint32_t k : { 8u, 16u })
		v.push_back({ "", 16, 8, k, "f32", "bf16", "bf16", "f32", "", 0 });
	for (uint32_t k : { 4u, 8u })
		v.push_back({ "", 16, 8, k, "f32", "tf32", "tf32", "f32", "", 0 });
	v.push_back({ "", 8, 8, 4, "f64", "f64", "f64", "f64", "", 0 });
	for (uint32_t k : { 4u, 8u, 16u })
		v.push_back({ "", 16, 8, k, "f64", "f64", "f64", "f64", "", 0 });
	for (uint32_t k : { 16u, 32u })
		for (const char *a : { "e4m3", "e5m2" })
			for (const char *b : { "e4m3", "e5m2" })
				for (const char *d : { "f16", "f32" })
					v.push_back({ "", 16, 8, k, d, a, b, d, "", 0 });
	for (const char *a : { "e4m3", "e5m2", "e3m2", "e2m3", "e2m1" })
		for (const char *b : { "e4m3", "e5m2", "e3m2", "e2m3", "e2m1" })
			v.push_back({ ".kind::f8f6f4", 16, 8, 32, "f32", a, b, "f32", "", 0 });
	return v;
}

std::vector<Case> integers()
{
	static const uint32_t bytes[][2] = { { 8, 16 }, { 16, 16 }, { 16, 32 } };
	static const uint32_t nibbles[][2] = { { 8, 32 }, { 16, 32 }, { 16, 64 } };
	static const uint32_t bits[][2] = { { 8, 128 }, { 16, 128 }, { 16, 256 } };
	std::vector<Case> v;

	for (int s = 0; s < 3; s++) {
		for (const char *a : { "s8", "u8" })
			for (const char *b : { "s8", "u8" })
				v.push_back({ s == 1 ? ".satfinite" : "", bytes[s][0], 8,
					      bytes[s][1], "s32", a, b, "s32", "", 0 });
		for (const char *a : { "s4", "u4" })
			for (const char *b : { "s4", "u4" })
				v.push_back({ s == 1 ? ".satfinite" : "", nibbles[s][0], 8,
					      nibbles[s][1], "s32", a, b, "s32", "", 0 });
		for (const char *op : { ".xor.popc", ".and.popc" })
			v.push_back(
				{ "", bits[s][0], 8, bits[s][1], "s32", "b1", "b1", "s32", op, 0 });
	}
	return v;
}

std::string case_name(const ::testing::TestParamInfo<Case> &info)
{
	std::string s = spelling(info.param);

	for (char &ch : s)
		if (!isalnum((unsigned char)ch))
			ch = '_';
	return s;
}

INSTANTIATE_TEST_SUITE_P(Floats, Dense, ::testing::ValuesIn(floats()), case_name);
INSTANTIATE_TEST_SUITE_P(Integers, Dense, ::testing::ValuesIn(integers()), case_name);

/* ---- sparse A ---------------------------------------------------------------------------------- */

/* Two of four (of eight in pairs, one of two) positions per chunk, in either order unless ordered. */
Operands sparse_operands(const Case &c, uint32_t seed)
{
	Operands o = random_operands(c, seed);
	uint32_t bits = format(c.a)->bits, unit = bits == 4 ? 2 : 1,
		 chunk = bits == 32 ? 2 : 4 * unit;
	uint32_t per_row = c.k / chunk * 4, lanes = c.m * per_row / 8 / 32;
	Numbers n(seed + 1);

	o.packed = Matrix(c.m, c.k / 2);
	o.selector = lanes == 4 ? 0 : lanes == 2 ? seed % 2 : seed % 4;
	for (uint32_t &w : o.meta)
		w = 0x12345678;
	for (uint32_t r = 0; r < c.m; r++)
		for (uint32_t k = 0; k < c.k / chunk; k++) {
			uint32_t first = n.next(3), second = first + 1 + n.next(3 - first), word,
				 at;

			if (bits == 32) {
				first = n.next(2) ? 2 : 0;
				second = first + 1;
			}
			/* where the four bits of this chunk stand */
			if (bits >= 16) {
				word = r % 8 * 4 + o.selector * lanes + k / 4;
				at = 16 * (r / 8) + 4 * (k % 4);
			} else {
				word = r % 8 * 4 + o.selector * lanes + k / 8 * 2 + r / 8;
				at = 4 * (k % 8);
			}
			o.meta[word] = (o.meta[word] & ~(15u << at)) | (first | second << 2) << at;
			for (uint32_t e = 0; e < chunk; e++) {
				uint32_t slot = bits == 32 ? 2 * e : e / unit;
				bool there = bits == 32 ? slot == first
							: slot == first || slot == second;
				uint32_t in =
					bits == 32 ? 0 : (slot == second ? unit : 0) + e % unit;

				if (there)
					o.packed.at(r, k * chunk / 2 + in) =
						o.a.at(r, k * chunk + e);
				else
					o.a.at(r, k * chunk + e) = 0;
			}
		}
	return o;
}

class Sparse : public ::testing::TestWithParam<Case> {};

TEST_P(Sparse, MatchesTheProduct)
{
	for (uint32_t s = 0; s < 4; s++)
		check(GetParam(), sparse_operands(GetParam(), s), one);
}

std::vector<Case> sparse()
{
	std::vector<Case> v;

	for (uint32_t sp : { 1u, 2u }) {
		for (uint32_t k : { 16u, 32u }) {
			v.push_back({ "", 16, 8, k, "f32", "f16", "f16", "f32", "", sp });
			v.push_back({ "", 16, 8, k, "f16", "f16", "f16", "f16", "", sp });
			v.push_back({ "", 16, 8, k, "f32", "bf16", "bf16", "f32", "", sp });
		}
		for (uint32_t k : { 8u, 16u })
			v.push_back({ "", 16, 8, k, "f32", "tf32", "tf32", "f32", "", sp });
		for (uint32_t k : { 32u, 64u })
			v.push_back({ "", 16, 8, k, "s32", "s8", "u8", "s32", "", sp });
		for (uint32_t k : { 64u, 128u })
			v.push_back({ "", 16, 8, k, "s32", "u4", "s4", "s32", "", sp });
		v.push_back({ "", 16, 8, 64, "f32", "e4m3", "e5m2", "f32", "", sp });
	}
	v.push_back({ ".kind::f8f6f4", 16, 8, 64, "f32", "e2m1", "e3m2", "f32", "", 2 });
	return v;
}

INSTANTIATE_TEST_SUITE_P(Mma, Sparse, ::testing::ValuesIn(sparse()), case_name);

/* ---- block scales ------------------------------------------------------------------------------ */

struct Scaled {
	Case c;
	uint32_t count; /* scales per row */
	const char *type;
};

class Scales : public ::testing::TestWithParam<Scaled> {};

TEST_P(Scales, MatchTheProduct)
{
	const Scaled &p = GetParam();
	uint32_t step = p.count == 1 ? 1 : p.count;

	for (uint32_t seed = 0; seed < 4; seed++) {
		Operands o = p.c.sparse ? sparse_operands(p.c, seed) : random_operands(p.c, seed);
		Matrix sa(p.c.m, p.count), sb(p.count, p.c.n);
		Numbers n(seed + 7);
		/* byte: 0..3, 0 or 2, 0; threads of A: one of two pairs, of B: one of four */
		uint32_t byte_a = seed * step % 4, byte_b = (seed + 1) * step % 4, ta = seed % 2,
			 tb = (seed + 1) % 4;

		for (double &v : sa.v)
			v = n.next(2) ? 2 : 0.5;
		for (double &v : sb.v)
			v = n.next(2) ? 4 : 1;
		for (int s = 0; s < 2; s++)
			o.scale[s].assign(32, 0x7b7b7b7b);
		auto put = [&](std::vector<uint32_t> *words, uint32_t lane, uint32_t byte,
			       double v) {
			uint32_t code = (uint32_t)format_code(format(p.type), v);

			(*words)[lane] = ((*words)[lane] & ~(255u << 8 * byte)) | code << 8 * byte;
		};
		for (uint32_t b = 0; b < p.count; b++) {
			for (uint32_t r = 0; r < p.c.m; r++)
				put(&o.scale[0], r % 8 * 4 + 2 * ta + r / 8, byte_a + b,
				    sa.at(r, b));
			for (uint32_t j = 0; j < p.c.n; j++)
				put(&o.scale[1], j * 4 + tb, byte_b + b, sb.at(b, j));
		}
		o.scales = ", %m1, {" + std::to_string(byte_a) + ", " + std::to_string(ta) +
			   "}, %m2, {" + std::to_string(byte_b) + ", " + std::to_string(tb) + "}";
		check(p.c, o, [&](uint32_t i, uint32_t j, uint32_t k) {
			uint32_t b = k * p.count / p.c.k;

			return sa.at(i, b) * sb.at(b, j);
		});
	}
}

std::vector<Scaled> scaled()
{
	static const char mxf8[] = ".kind::mxf8f6f4.block_scale",
			  mxf8x[] = ".kind::mxf8f6f4.block_scale.scale_vec::1X",
			  mxf4[] = ".kind::mxf4.block_scale",
			  mxf4x[] = ".kind::mxf4.block_scale.scale_vec::2X",
			  nv2[] = ".kind::mxf4nvf4.block_scale.scale_vec::2X",
			  nv4[] = ".kind::mxf4nvf4.block_scale.scale_vec::4X";
	std::vector<Scaled> v;

	for (uint32_t sp : { 0u, 2u }) {
		uint32_t k8 = sp ? 64 : 32, k4 = sp ? 128 : 64;

		v.push_back({ { mxf8, 16, 8, k8, "f32", "e4m3", "e2m1", "f32", ".ue8m0", sp },
			      1,
			      "ue8m0" });
		v.push_back({ { mxf8x, 16, 8, k8, "f32", "e3m2", "e2m3", "f32", ".ue8m0", sp },
			      1,
			      "ue8m0" });
		v.push_back({ { mxf4, 16, 8, k4, "f32", "p4", "p4", "f32", ".ue8m0", sp },
			      2,
			      "ue8m0" });
		v.push_back({ { mxf4x, 16, 8, k4, "f32", "p4", "p4", "f32", ".ue8m0", sp },
			      2,
			      "ue8m0" });
		v.push_back(
			{ { nv2, 16, 8, k4, "f32", "p4", "p4", "f32", ".ue8m0", sp }, 2, "ue8m0" });
		v.push_back(
			{ { nv4, 16, 8, k4, "f32", "p4", "p4", "f32", ".ue8m0", sp }, 4, "ue8m0" });
		v.push_back(
			{ { nv4, 16, 8, k4, "f32", "p4", "p4", "f32", ".ue4m3", sp }, 4, "ue4m3" });
	}
	return v;
}

INSTANTIATE_TEST_SUITE_P(Mma, Scales, ::testing::ValuesIn(scaled()));

/* ---- m8n8k4 of f16: four products, one for each quad pair -------------------------------------- */

void quad(bool a_col, bool b_col, const char *dt, const char *ct)
{
	const Format *h = format("f16"), *fc = format(ct), *fd = format(dt);
	uint32_t nc = fc->bits / 4, nd = fd->bits / 4;
	std::vector<Matrix> a, b, c;
	Numbers n(a_col * 2 + b_col);
	MatrixRun run;
	std::string body;
	/* element i of a lane's row or column of A (of m8k4) and B, and of the accumulators */
	auto pa = [&](uint32_t l, uint32_t i) {
		uint32_t far = l >= 16 ? 4 : 0;

		return a_col ? Place{ i + far, l % 4 } : Place{ l % 4 + far, i };
	};
	auto pb = [&](uint32_t l, uint32_t i) {
		uint32_t far = l >= 16 ? 4 : 0;

		return b_col ? Place{ i, l % 4 + far } : Place{ l % 4, i + far };
	};
	auto pc = [&](uint32_t bits, uint32_t l, uint32_t i) {
		uint32_t far = l >= 16 ? 4 : 0;

		if (bits == 16)
			return Place{ l % 4 + far, i };
		return Place{ (l & 1) + (i & 2) + far, (i & 4) + (l & 2) + (i & 1) };
	};

	run.in.resize(128 * (4 + nc));
	for (int q = 0; q < 4; q++) {
		a.emplace_back(8, 4);
		b.emplace_back(4, 8);
		c.emplace_back(8, 8);
		for (double &v : a.back().v)
			v = n.small(h);
		for (double &v : b.back().v)
			v = n.small(h);
		for (double &v : c.back().v)
			v = n.small(fc);
	}
	for (uint32_t l = 0; l < 32; l++) {
		uint32_t q = l % 16 / 4;

		for (uint32_t i = 0; i < 4; i++) {
			Registers(&run.in, 0, h).put(l, i, a[q].at(pa(l, i).row, pa(l, i).col));
			Registers(&run.in, 256, h).put(l, i, b[q].at(pb(l, i).row, pb(l, i).col));
		}
		for (uint32_t i = 0; i < 8; i++) {
			Place p = pc(fc->bits, l, i);

			Registers(&run.in, 512, fc).put(l, i, c[q].at(p.row, p.col));
		}
	}
	body = load_regs("a", 2, 0) + load_regs("b", 2, 256) + load_regs("c", nc, 512) +
	       ".reg .b32 %d<8>;\nmma.sync.aligned.m8n8k4" + (a_col ? ".col" : ".row") +
	       (b_col ? ".col." : ".row.") + dt + ".f16.f16." + ct + " " + regs("d", nd) + ", " +
	       regs("a", 2) + ", " + regs("b", 2) + ", " + regs("c", nc) + ";\n" +
	       store_regs("d", nd);
	run.text = matrix_kernel(body);
	run.out_bytes = nd * 128;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		std::vector<uint8_t> copy = out;
		Registers r(&copy, 0, fd);

		for (uint32_t l = 0; l < 32; l++)
			for (uint32_t i = 0; i < 8; i++) {
				Place p = pc(fd->bits, l, i);
				uint32_t q = l % 16 / 4;
				double want = c[q].at(p.row, p.col);

				for (uint32_t k = 0; k < 4; k++)
					want += a[q].at(p.row, k) * b[q].at(k, p.col);
				ASSERT_EQ(want, r.get(l, i)) << "lane " << l << ", element " << i;
			}
	});
}

TEST(MmaQuad, EveryLayoutAndType)
{
	for (int layout = 0; layout < 4; layout++)
		for (const char *d : { "f16", "f32" })
			for (const char *c : { "f16", "f32" })
				quad(layout & 1, layout & 2, d, c);
}

/* ---- numbers that are not small ---------------------------------------------------------------- */

/* One product of row 0 and column 0: lane 0 has a0 (and a1 beside it), b0, c0. */
uint32_t corner(const std::string &name, uint32_t na, uint32_t nb, uint32_t nc, uint32_t a,
		uint32_t b, uint32_t c)
{
	MatrixRun run;
	uint32_t got = 0;

	run.in.resize(128 * (na + nb + nc));
	memcpy(&run.in[0], &a, 4);
	memcpy(&run.in[128 * na], &b, 4);
	memcpy(&run.in[128 * (na + nb)], &c, 4);
	run.text = matrix_kernel(load_regs("a", na, 0) + load_regs("b", nb, 128 * na) +
				 load_regs("c", nc, 128 * (na + nb)) + ".reg .b32 %d<4>;\n" + name +
				 " " + regs("d", nc) + ", " + regs("a", na) + ", " + regs("b", nb) +
				 ", " + regs("c", nc) + ";\n" + store_regs("d", nc));
	run.out_bytes = 128 * nc;
	matrix_run(run, [&](const std::vector<uint8_t> &out) { memcpy(&got, out.data(), 4); });
	return got;
}

TEST(MmaNumbers, SaturationAndWrapping)
{
	const std::string s = "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32",
			  t = "mma.sync.aligned.m16n8k16.row.col.satfinite.s32.s8.s8.s32";

	EXPECT_EQ(0x80000000u, corner(s, 2, 1, 4, 1, 1, 0x7fffffff));
	EXPECT_EQ(0x7fffffffu, corner(t, 2, 1, 4, 1, 1, 0x7fffffff));
	EXPECT_EQ(0x7fffffffu, corner(s, 2, 1, 4, 0xff, 1, 0x80000000));
	EXPECT_EQ(0x80000000u, corner(t, 2, 1, 4, 0xff, 1, 0x80000000));
	/* more than 24 bits stay exact beside the product */
	EXPECT_EQ(0x01000001u + 16384, corner(s, 2, 1, 4, 0x80, 0x80, 0x01000001));
}

TEST(MmaNumbers, SpecialValues)
{
	const std::string h = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32",
			  hh = "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16",
			  b = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
			  t = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
			  e = "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e5m2.f32";

	EXPECT_EQ(0x7fffffffu, corner(h, 4, 2, 4, 0x7e00, 0x3c00, 0)); /* NaN */
	EXPECT_EQ(0x7fffffffu, corner(h, 4, 2, 4, 0x7c00, 0, 0));      /* inf * 0 */
	EXPECT_EQ(0xff800000u, corner(h, 4, 2, 4, 0xfc00, 0x3c00, 0));
	EXPECT_EQ(0x31000000u, corner(h, 4, 2, 4, 0x0001, 0x2800, 0));	     /* 2^-24 * 2^-5 */
	EXPECT_EQ(0x7c00u, corner(hh, 4, 2, 2, 0x7bff, 0x4000, 0) & 0xffff); /* rounds to inf */
	EXPECT_EQ(0x00000002u, corner(b, 4, 2, 4, 0x2000, 0x1500, 0));	     /* 2^-63 * 2^-85 */
	EXPECT_EQ(0x00000001u, corner(b, 4, 2, 4, 0, 0, 1)); /* a subnormal accumulator stays */
	EXPECT_EQ(0x3f800000u,
		  corner(t, 4, 2, 4, 0x3f801fff, 0x3f800000, 0)); /* low bits do not count */
	EXPECT_EQ(0x7fffffffu, corner(e, 4, 2, 4, 0x7f, 0x3c, 0));
	EXPECT_EQ(0x7f800000u, corner(e, 4, 2, 4, 0x38, 0x7c, 0)); /* e5m2 has infinities */
	EXPECT_EQ(0x43e00000u, corner(e, 4, 2, 4, 0x7e, 0x3c, 0)); /* 448, the largest e4m3 */
}

/* c + a0 b0 + a1 b1 in the order of k: 2^24 + 1 + 1 loses both, 1 + 1 first would not. */
TEST(MmaNumbers, AddsInTheOrderOfK)
{
	EXPECT_EQ(0x4b800000u, corner("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 4, 2, 4,
				      0x3c003c00, 0x3c003c00, 0x4b800000));
}

/* ---- refusals ---------------------------------------------------------------------------------- */

std::string refuse(const std::string &inst)
{
	return matrix_refused(matrix_kernel(".reg .b32 %r<40>; .reg .pred %p;\n" + inst + "\n"));
}

TEST(MmaRefused, SaysWhy)
{
	const std::string tail =
		" {%r0,%r1,%r2,%r3}, {%r4,%r5,%r6,%r7}, {%r8,%r9}, {%r0,%r1,%r2,%r3};";

	EXPECT_EQ("", refuse("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32" + tail));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.m16n8k17.row.col.f32.f16.f16.f32" + tail)
			  .find("m16n8k17"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32" + tail).find("bf16"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.m16n8k16.col.col.f32.f16.f16.f32" + tail)
			  .find("modifiers"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.m16n8k16.row.f32.f16.f16.f32" + tail).find("layout"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.row.col.f32.f16.f16.f32" + tail).find("shape"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.m16n8k16.row.col.satfinite.f32.f16.f16.f32" + tail)
			  .find("integers"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r0,%r1,%r2}, "
			 "{%r4,%r5,%r6,%r7}, {%r8,%r9}, {%r0,%r1,%r2,%r3};")
			  .find("4 registers"));
	EXPECT_NE(
		std::string::npos,
		refuse("mma.sync.aligned.m16n8k32.row.col.f32.e2m1.e4m3.f32" + tail).find("kind"));
	EXPECT_NE(
		std::string::npos,
		refuse("mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.f32.e2m1.e4m3.f32" + tail)
			.find("block_scale"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sp.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {%r0,%r1,%r2,%r3}, "
			 "{%r4,%r5,%r6,%r7}, {%r8,%r9,%r10,%r11}, {%r0,%r1,%r2,%r3}, %r12, 4;")
			  .find("selector"));
	EXPECT_NE(std::string::npos,
		  refuse("mma.sync.aligned.m16n8k16.row.col.wild.f32.f16.f16.f32" + tail)
			  .find("wild"));
}

} // namespace
