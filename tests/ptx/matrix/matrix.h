/* SPDX-License-Identifier: MIT */
// matrix.h - runs a kernel of one warp (or one warp group) over every table of handlers, and the
// element formats as the manual describes them, written a second time on purpose.
#ifndef TESTS_PTX_MATRIX_MATRIX_H
#define TESTS_PTX_MATRIX_MATRIX_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

/** What the kernel gets: [in] and [out] as .u64 parameters. */
struct MatrixRun {
	std::string text;
	std::vector<uint8_t> in;
	size_t out_bytes = 0;
	uint32_t threads = 32;
};

/** matrix_kernel() - a module with kernel k: %in, %out, %lane (of the block), %lin and %lout = + 4 * lane. */
std::string matrix_kernel(const std::string &body, const std::string &target = "sm_90a");
/** matrix_run() - with each table; @check sees every result. Reports failures itself. */
void matrix_run(const MatrixRun &run,
		const std::function<void(const std::vector<uint8_t> &)> &check);
/** matrix_refused() - what the compiler says; empty: it took it. */
std::string matrix_refused(const std::string &text);
/** matrix_fault() - the fault's number and text of a run that must fail. */
std::string matrix_fault(const MatrixRun &run, uint32_t *ret_error);

/** A format of elements: its name in PTX, bits in a register, value of a code. */
struct Format {
	const char *name;
	uint32_t bits;
	double (*value)(uint64_t code);
};

const Format *format(const std::string &name);
/** format_code() - the code whose value is @v; fails the test when there is none. */
uint64_t format_code(const Format *f, double v);

/** Numbers that repeat; small ones that every order of summing adds up exactly. */
class Numbers {
public:
	explicit Numbers(uint32_t seed) : x(seed * 2654435761u + 1) {}
	uint32_t next(uint32_t below)
	{
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		return x % below;
	}
	double small(const Format *f);

private:
	uint32_t x;
};

/** A matrix of values. */
struct Matrix {
	uint32_t rows, cols;
	std::vector<double> v;

	Matrix(uint32_t r, uint32_t c) : rows(r), cols(c), v((size_t)r * c) {}
	double &at(uint32_t r, uint32_t c) { return v[(size_t)r * cols + c]; }
	double at(uint32_t r, uint32_t c) const { return v[(size_t)r * cols + c]; }
};

/** put_bits(), get_bits() - an element of @bits at bit @at of a buffer. */
void put_bits(std::vector<uint8_t> *b, uint64_t at, uint32_t bits, uint64_t v);
uint64_t get_bits(const std::vector<uint8_t> &b, uint64_t at, uint32_t bits);

/** "{%a0, %a1, ...}" */
std::string regs(const std::string &name, uint32_t n);
/** ld.global of n registers: register i, lane l stands at byte @at + (i * threads + l) * size. */
std::string load_regs(const std::string &name, uint32_t n, uint32_t at, uint32_t size = 4,
		      uint32_t threads = 32);
std::string store_regs(const std::string &name, uint32_t n, uint32_t size = 4,
		       uint32_t threads = 32);

#endif
