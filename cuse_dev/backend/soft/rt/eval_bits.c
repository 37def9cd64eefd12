/* SPDX-License-Identifier: MIT */
/*
 * eval_bits.c - logic, shifts, bit fields, byte permutation, dot products (PTX ISA 9.7.1, 9.7.8).
 */
#include <errno.h>

#include "cuse_dev/backend/soft/rt/eval.h"

static uint64_t lop3(uint64_t a, uint64_t b, uint64_t c, uint32_t table)
{
	uint64_t d = 0;

	for (uint32_t i = 0; i < 8; i++) {
		if (table >> i & 1)
			d |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
	}
	return d;
}

static bool bool_op(uint32_t op, bool a, bool b)
{
	return op == IR_BOOL_AND   ? a && b
	       : op == IR_BOOL_OR  ? a || b
	       : op == IR_BOOL_XOR ? a != b
				   : a;
}

/* shf: 64 bits hi:lo, shifted by 0 .. 32 */
static uint64_t funnel(const struct ir_inst *in, uint64_t lo, uint64_t hi, uint64_t c)
{
	uint64_t v = (hi & 0xffffffffu) << 32 | (lo & 0xffffffffu);
	uint32_t n = (uint32_t)c;

	n = in->sub ? n & 31 : n < 32 ? n : 32;
	return in->op == IR_OP_SHF_L ? v << n >> 32 : v >> n;
}

/* bfe: bits beyond the value are its sign, or zero */
static uint64_t bit_extract(enum ir_type t, uint64_t a, uint32_t pos, uint32_t len)
{
	uint32_t bits = ir_type_bits(t), last = pos + len - 1;
	uint64_t d = 0, fill = 0;

	if (ir_type_signed(t) && len)
		fill = a >> (last < bits - 1 ? last : bits - 1) & 1;
	for (uint32_t i = 0; i < bits; i++)
		d |= (i < len && pos + i < bits ? a >> (pos + i) & 1 : fill) << i;
	return d;
}

static uint64_t bit_insert(uint32_t bits, uint64_t a, uint64_t b, uint32_t pos, uint32_t len)
{
	for (uint32_t i = 0; i < len && pos + i < bits; i++)
		b = (b & ~(1ull << (pos + i))) | (a >> i & 1) << (pos + i);
	return b;
}

static uint64_t bit_find(const struct ir_inst *in, uint64_t a)
{
	uint32_t bits = ir_type_bits(in->type);
	uint64_t top;

	if (ir_type_signed(in->type) && a >> (bits - 1))
		a = rt_zext(~a, bits);
	if (!a)
		return 0xffffffffu;
	top = 63 - (uint64_t)__builtin_clzll(a);
	return in->sub ? bits - 1 - top : top;
}

static uint64_t bit_reverse(uint32_t bits, uint64_t a)
{
	uint64_t d = 0;

	for (uint32_t i = 0; i < bits; i++)
		d |= (a >> i & 1) << (bits - 1 - i);
	return d;
}

/* szext: extend from the n low bits */
static uint64_t extend(const struct ir_inst *in, uint64_t a, uint32_t b)
{
	uint32_t n = in->sub ? b & 31 : b < 32 ? b : 32;

	if (n == 0)
		return 0;
	return ir_type_signed(in->type) ? (uint64_t)rt_sext(a, n) : rt_zext(a, n);
}

/* bmsk: b ones from bit a on */
static uint64_t bit_mask(const struct ir_inst *in, uint32_t a, uint32_t b)
{
	bool clamp = in->sub == 0;
	uint32_t start = a & 31, width = b & 31;

	if (clamp && a >= 32)
		return 0;
	if (clamp && b >= 32)
		width = 32;
	return rt_zext(((1ull << width) - 1) << start, 32);
}

/* fns: the offset-th set bit from base on, upwards or downwards */
static uint64_t find_nth_set(uint32_t mask, uint32_t base, int32_t offset)
{
	int64_t pos = base, step = offset > 0 ? 1 : -1;
	int64_t left = offset > 0 ? offset : -(int64_t)offset;

	if (offset == 0)
		return base < 32 && mask >> base & 1 ? base : 0xffffffffu;
	for (; pos >= 0 && pos < 32; pos += step) {
		if (mask >> pos & 1 && --left == 0)
			return (uint64_t)pos;
	}
	return 0xffffffffu;
}

/* The four selectors of the prmt modes, lowest byte in the lowest nibble, by c & 3. */
static const uint16_t prmt_modes[][4] = {
	[IR_PRMT_F4E] = { 0x3210, 0x4321, 0x5432, 0x6543 },
	[IR_PRMT_B4E] = { 0x5670, 0x6701, 0x7012, 0x0123 },
	[IR_PRMT_RC8] = { 0x0000, 0x1111, 0x2222, 0x3333 },
	[IR_PRMT_ECL] = { 0x3210, 0x3211, 0x3222, 0x3333 },
	[IR_PRMT_ECR] = { 0x0000, 0x1110, 0x2210, 0x3210 },
	[IR_PRMT_RC16] = { 0x1010, 0x3232, 0x1010, 0x3232 },
};

static int permute(const struct ir_inst *in, uint64_t a, uint64_t b, uint32_t c, uint64_t *ret_d)
{
	uint64_t bytes = b << 32 | a;
	uint32_t sel = c;

	if (in->sub > IR_PRMT_RC16)
		return -ENOTSUP;
	if (in->sub != IR_PRMT_DEFAULT)
		sel = prmt_modes[in->sub][c & 3];
	*ret_d = 0;
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t nibble = sel >> (4 * i) & 15;
		uint64_t byte = bytes >> (8 * (nibble & 7)) & 0xff;

		if (nibble & 8) /* the byte's sign, eight times */
			byte = byte & 0x80 ? 0xff : 0;
		*ret_d |= byte << (8 * i);
	}
	return 0;
}

static uint64_t dot(const struct ir_inst *in, uint64_t a, uint64_t b, uint64_t c)
{
	uint32_t n = in->op == IR_OP_DP4A ? 4 : 2, width = 32 / n;
	bool signed_a = ir_type_signed(in->type), signed_b = ir_type_signed(in->type2);
	int64_t sum = (int64_t)c;

	if (in->op == IR_OP_DP2A && in->sub)
		b >>= 16;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t x = a >> (width * i), y = b >> (8 * i);

		sum += (signed_a ? rt_sext(x, width) : (int64_t)rt_zext(x, width)) *
		       (signed_b ? rt_sext(y, 8) : (int64_t)rt_zext(y, 8));
	}
	return (uint64_t)sum;
}

static uint64_t shift(const struct ir_inst *in, uint64_t a, uint64_t n)
{
	uint32_t bits = ir_type_bits(in->type);

	if (in->op == IR_OP_SHL)
		return n >= bits ? 0 : a << n;
	if (ir_type_signed(in->type))
		return (uint64_t)(rt_sext(a, bits) >> (n >= bits ? bits - 1 : n));
	return n >= bits ? 0 : a >> n;
}

/* Operations with fixed 32-bit operands. */
static int bits32(const struct ir_inst *in, const uint32_t *s, uint64_t *ret_d)
{
	switch (in->op) {
	case IR_OP_SHF_L:
	case IR_OP_SHF_R:
		*ret_d = funnel(in, s[0], s[1], s[2]);
		return 0;
	case IR_OP_SZEXT:
		*ret_d = extend(in, s[0], s[1]);
		return 0;
	case IR_OP_BMSK:
		*ret_d = bit_mask(in, s[0], s[1]);
		return 0;
	case IR_OP_FNS:
		*ret_d = find_nth_set(s[0], s[1], (int32_t)s[2]);
		return 0;
	case IR_OP_PRMT:
		return permute(in, s[0], s[1], s[2], ret_d);
	case IR_OP_DP4A:
	case IR_OP_DP2A:
		*ret_d = dot(in, s[0], s[1], s[2]);
		return 0;
	default:
		return -ENOTSUP;
	}
}

static int bits_other(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint32_t s[4] = { 0 };
	uint64_t d;
	int r;

	if (ir_type_bits(in->type) != 32 || in->ns > 4)
		return -ENOTSUP;
	for (uint32_t i = 0; i < in->ns; i++)
		s[i] = (uint32_t)src[i].lo;
	r = bits32(in, s, &d);
	if (r == 0)
		dst[0] = rt_result(in->type, d);
	return r;
}

/* b128 knows AND .. NOT only in its halves; predicates are one bit wide. */
int rt_bits(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint32_t bits = ir_type_bits(in->type);
	uint64_t a = rt_zext(src[0].lo, bits), b = in->ns > 1 ? src[1].lo : 0, d;
	uint64_t c = in->ns > 2 ? src[2].lo : 0;
	enum ir_type result = in->type;

	if (bits == 0 || bits > 64)
		return -ENOTSUP;
	switch (in->op) {
	case IR_OP_AND:
		d = a & b;
		break;
	case IR_OP_OR:
		d = a | b;
		break;
	case IR_OP_XOR:
		d = a ^ b;
		break;
	case IR_OP_NOT:
		d = ~a;
		break;
	case IR_OP_CNOT:
		d = a == 0;
		break;
	case IR_OP_LOP3:
	case IR_OP_LOP3P:
		d = lop3(a, b, c, (uint32_t)src[3].lo);
		if (in->op == IR_OP_LOP3P)
			dst[1] = (struct rt_value){ .lo = bool_op(in->boolop, rt_zext(d, bits) != 0,
								  src[4].lo & 1) };
		break;
	case IR_OP_SHL:
	case IR_OP_SHR:
		d = shift(in, a, (uint32_t)b);
		break;
	case IR_OP_BFE:
		d = bit_extract(in->type, a, b & 0xff, c & 0xff);
		break;
	case IR_OP_BFI:
		d = bit_insert(bits, a, b, c & 0xff, src[3].lo & 0xff);
		break;
	case IR_OP_BFIND:
		d = bit_find(in, a);
		result = IR_U32;
		break;
	case IR_OP_BREV:
		d = bit_reverse(bits, a);
		break;
	case IR_OP_POPC:
		d = (uint64_t)__builtin_popcountll(a);
		result = IR_U32;
		break;
	case IR_OP_CLZ:
		d = a ? (uint64_t)__builtin_clzll(a) - (64 - bits) : bits;
		result = IR_U32;
		break;
	default:
		return bits_other(in, src, dst);
	}
	dst[0] = rt_result(result, d);
	return 0;
}
