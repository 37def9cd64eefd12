/* SPDX-License-Identifier: MIT */
/*
 * ir_names.c - names of enum values in the text of a unit; the index is the value.
 */
#include "cuse_dev/backend/soft/ir/ir_text.h"

#include <stddef.h>

const char *const ir_text_rounds[] = { "rn", "rz", "rm", "rp", "rna", "rs", "approx", NULL };
const char *const ir_text_cmps[] = { "eq",  "ne",  "lt",  "le",	 "gt",	"ge",  "equ", "neu",
				     "ltu", "leu", "gtu", "geu", "num", "nan", NULL };
const char *const ir_text_bools[] = { "none", "and", "or", "xor", NULL };
const char *const ir_text_spaces[] = { "generic", "global", "const", "shared",
				       "local",	  "param",  "frame", NULL };
const char *const ir_text_sems[] = { "weak",	"volatile", "relaxed", "acquire",
				     "release", "acq_rel",  "sc",      NULL };
const char *const ir_text_scopes[] = { "cta", "cluster", "gpu", "sys", NULL };
static const char *const atoms[] = { "add",  "min", "max", "and", "or", "xor",
				     "exch", "cas", "inc", "dec", NULL };
static const char *const votes[] = { "all", "any", "uni", "ballot", NULL };
static const char *const shfls[] = { "up", "down", "bfly", "idx", NULL };
static const char *const bars[] = { "sync", "arrive", "red.popc", "red.and", "red.or", NULL };
static const char *const mbars[] = { "init",	    "inval",	   "expect_tx", "complete_tx",
				     "arrive",	    "arrive_drop", "test",	"try",
				     "test.parity", "try.parity",  "pending",	NULL };
static const char *const tensors[] = { "load", "store", "red", "prefetch", NULL };
static const char *const tensormaps[] = { "address",	"rank",		 "box_dim",
					  "global_dim", "global_stride", "element_stride",
					  "elemtype",	"interleave",	 "swizzle",
					  "fill",	"atomicity",	 NULL };
static const char *const prmts[] = { "default", "f4e", "b4e", "rc8", "ecl", "ecr", "rc16", NULL };

const char *const *ir_text_sub_names(uint16_t op)
{
	switch (op) {
	case IR_OP_ATOM:
	case IR_OP_RED:
	case IR_OP_REDUX:
		return atoms;
	case IR_OP_VOTE:
		return votes;
	case IR_OP_SHFL:
		return shfls;
	case IR_OP_BAR:
		return bars;
	case IR_OP_PRMT:
		return prmts;
	case IR_OP_RED_BULK:
		return atoms;
	case IR_OP_MBAR:
		return mbars;
	case IR_OP_CP_TENSOR:
		return tensors;
	case IR_OP_TENSORMAP:
		return tensormaps;
	default:
		return NULL;
	}
}

uint32_t ir_text_name_count(const char *const *names)
{
	uint32_t n = 0;

	while (names && names[n])
		n++;
	return n;
}
