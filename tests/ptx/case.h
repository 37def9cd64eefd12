/* SPDX-License-Identifier: MIT */
/*
 * case.h - a test written as PTX with its inputs and expectations in comments.
 *
 * Here: what a case is and how it is read. Running it stands in ptx_test.cc; the format is described in
 * docs/testing.md.
 */
#ifndef TESTS_PTX_CASE_H
#define TESTS_PTX_CASE_H

#include <cstdint>
#include <string>
#include <vector>

/** What the elements of a buffer are. */
struct PtxType {
	std::string name; /* u8 ... f64, pred never */
	uint32_t bytes;
	char kind; /* 'u' (and b), 's', 'f'; f16 and bf16 are written as bits */
};

/** One in:, inout:, expect: or arg: line, and so one kernel parameter. */
struct PtxBuffer {
	enum Role { In, InOut, Out, Arg } role;
	PtxType type;
	std::string reg;	      /* of a body: the register it becomes */
	std::vector<uint64_t> before; /* bits; In, InOut, Arg */
	std::vector<uint64_t> after;  /* bits; InOut, Out */
	std::vector<bool> any_nan;    /* after[i]: any NaN will do */
	double tolerance = 0;	      /* relative, of floats */
};

struct PtxCase {
	std::string file, name;
	int line = 0; /* where it begins in the file */
	uint32_t block[3] = { 32, 1, 1 }, grid[3] = { 1, 1, 1 }, cluster[3] = { 1, 1, 1 };
	bool sized = false; /* a body: run: gave the block */
	uint32_t shared = 0, stack = 4096;
	bool cooperative = false;
	int cancel_ms = -1; /* the launch is cancelled after that time; -1: never */
	std::string target = "sm_90";
	std::vector<PtxBuffer> buffers;
	uint32_t fault = 0;	/* CUresult wanted */
	int fault_thread = -1;	/* tid.x */
	std::string fault_line; /* text that stands in the PTX line of the fault */
	std::string refused;	/* text that the compiler's message holds */
	std::string print;	/* what the kernel writes */
	bool whole = false;	/* a module, not a body */
	std::string text;	/* PTX */
};

/** All cases of a file; on failure @ret_error says why, with the line. */
bool ptx_cases_read(const std::string &path, std::vector<PtxCase> *ret_cases,
		    std::string *ret_error);

#endif
