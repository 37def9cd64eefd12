/* SPDX-License-Identifier: MIT */
/*
 * eval.c - rt_eval(): sends each operation to the file that knows it, and takes packed types apart.
 */
#include <errno.h>

#include "cuse_dev/backend/soft/rt/eval.h"

enum ir_type rt_element(enum ir_type t)
{
	switch (t) {
	case IR_F16X2:
		return IR_F16;
	case IR_BF16X2:
		return IR_BF16;
	case IR_F32X2:
		return IR_F32;
	case IR_U16X2:
		return IR_U16;
	case IR_S16X2:
		return IR_S16;
	default:
		return t;
	}
}

/* Operations whose sources and result all have the instruction's type; packed ones per element. */
static int eval_arith(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	enum ir_type t = rt_element(in->type);
	uint32_t bits = ir_type_bits(t), total = ir_type_bits(in->type);
	uint64_t s[3] = { 0 }, d, all = 0;
	int r;

	if (in->ns > 3 || in->nd != 1 || bits == 0 || bits > 64)
		return -ENOTSUP;
	for (uint32_t at = 0; at < total; at += bits) {
		for (uint32_t i = 0; i < in->ns; i++)
			s[i] = rt_zext(src[i].lo >> at, bits);
		r = ir_type_float(t) ? rt_float_arith(in, t, s, &d) : rt_int_arith(in, t, s, &d);
		if (r < 0)
			return r;
		all |= rt_zext(d, bits) << at;
	}
	dst[0] = rt_result(in->type, all);
	return 0;
}

static int eval_testp(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	const struct rt_format *f = rt_format(in->type);
	struct rt_real r;
	uint64_t bits;
	bool sub, p;

	if (in->type != IR_F32 && in->type != IR_F64)
		return -ENOTSUP;
	bits = rt_zext(src[0].lo, f->bits);
	r = rt_real_get(f, bits);
	sub = rt_subnormal(f, bits);
	switch (in->sub) {
	case 0:
		p = r.cls == RT_FINITE || r.cls == RT_ZERO;
		break;
	case 1:
		p = r.cls == RT_INF;
		break;
	case 2:
		p = r.cls != RT_NAN;
		break;
	case 3:
		p = r.cls == RT_NAN;
		break;
	case 4:
		p = r.cls == RT_FINITE && !sub;
		break;
	case 5:
		p = sub;
		break;
	default:
		return -ENOTSUP;
	}
	/* clang-format on */
	dst[0] = (struct rt_value){ .lo = p };
	return 0;
}

int rt_eval(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	/* clang-format off */
	switch ((enum ir_op)in->op) {
	case IR_OP_ADD: case IR_OP_SUB: case IR_OP_MUL: case IR_OP_MUL_HI: case IR_OP_MAD:
	case IR_OP_MAD_HI: case IR_OP_MUL24_LO: case IR_OP_MUL24_HI: case IR_OP_MAD24_LO:
	case IR_OP_MAD24_HI: case IR_OP_SAD: case IR_OP_DIV: case IR_OP_REM: case IR_OP_ABS:
	case IR_OP_NEG: case IR_OP_MIN: case IR_OP_MAX: case IR_OP_MIN3: case IR_OP_MAX3:
	case IR_OP_FMA: case IR_OP_RCP: case IR_OP_SQRT: case IR_OP_RSQRT: case IR_OP_SIN:
	case IR_OP_COS: case IR_OP_LG2: case IR_OP_EX2: case IR_OP_TANH: case IR_OP_COPYSIGN:
		return eval_arith(in, src, dst);
	case IR_OP_TESTP:
		return eval_testp(in, src, dst);
	case IR_OP_MUL_WIDE: case IR_OP_MAD_WIDE: case IR_OP_ADDC: case IR_OP_SUBC:
	case IR_OP_MADC_LO: case IR_OP_MADC_HI:
		return rt_int_wide(in, src, dst);
	case IR_OP_AND: case IR_OP_OR: case IR_OP_XOR: case IR_OP_NOT: case IR_OP_CNOT:
	case IR_OP_LOP3: case IR_OP_LOP3P: case IR_OP_SHL: case IR_OP_SHR: case IR_OP_SHF_L:
	case IR_OP_SHF_R: case IR_OP_BFE: case IR_OP_BFI: case IR_OP_BFIND: case IR_OP_BREV:
	case IR_OP_POPC: case IR_OP_CLZ: case IR_OP_SZEXT: case IR_OP_BMSK: case IR_OP_FNS:
	case IR_OP_PRMT: case IR_OP_DP4A: case IR_OP_DP2A:
		return rt_bits(in, src, dst);
	case IR_OP_SETP: case IR_OP_SET: case IR_OP_SELP: case IR_OP_SLCT:
		return rt_select(in, src, dst);
	case IR_OP_MOV: case IR_OP_PACK: case IR_OP_UNPACK: case IR_OP_CVTA: case IR_OP_CVTA_TO:
	case IR_OP_ISSPACEP:
		return rt_move(in, src, dst);
	case IR_OP_CVT: case IR_OP_CVT_PACK:
		return rt_cvt(in, src, dst);
	default:
		return -ENOTSUP;
	}
}
