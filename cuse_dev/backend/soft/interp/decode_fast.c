/* SPDX-License-Identifier: MIT */
/*
 * decode_fast.c - the table of vector handlers by what they do (fast.def), and how an IR instruction is
 * found in it.
 */
#include <pthread.h>

#include "cuse_dev/backend/soft/interp/decode.h"

#define BITS(T) (sizeof(T) * 8)
/* clang-format off */
static const struct fast fasts[] = {
#define UN(name, OP, TYPE, TYPE2, MODS, D, A, expr)                                                \
	{ IR_OP_##OP, IR_##TYPE, IR_##TYPE2, 0, FAST_UN, 0, 0, MODS, VEC_##name, BITS(A), 0, 0 },
#define BIN2(name, OP, TYPE, TYPE2, MODS, D, A, B, COMM, expr) \
	{ IR_OP_##OP, IR_##TYPE, IR_##TYPE2, 0, FAST_BIN, COMM, 1, MODS, VEC_##name, BITS(A), BITS(B), 0 },
#define TER2(name, OP, TYPE, TYPE2, MODS, D, A, B, C, expr) \
	{ IR_OP_##OP, IR_##TYPE, IR_##TYPE2, 0, FAST_TER, 0, 1, MODS, VEC_##name, BITS(A), BITS(B), BITS(C) },
#define CMP(name, TYPE, C, A, expr)                                                                \
	{ IR_OP_SETP, IR_##TYPE, 0, IR_##C, FAST_CMP, 0, 1, 0, VEC_##name, BITS(A), BITS(A), 0 },
#define CMPZ(name, TYPE, C, A, expr)                                                               \
	{ IR_OP_SETP, IR_##TYPE, 0, IR_##C, FAST_CMP, 0, 1, M_FTZ, VEC_##name, BITS(A), BITS(A), 0 },
#define UNV(name, OP, TYPE, MODS, T, call)                                                         \
	{ IR_OP_##OP, IR_##TYPE, 0, 0, FAST_UN, 0, 0, MODS, VEC_##name, BITS(T), 0, 0 },
#define BINV(name, OP, TYPE, MODS, T, call)                                                        \
	{ IR_OP_##OP, IR_##TYPE, 0, 0, FAST_BIN, 0, 0, MODS, VEC_##name, BITS(T), BITS(T), 0 },
#include "cuse_dev/backend/soft/interp/fast.def"
};
/* clang-format on */

#define FASTS	  (sizeof(fasts) / sizeof(fasts[0]))
#define HASH_SIZE 2048u

static uint16_t fast_hash[HASH_SIZE]; /* index + 1, 0: free; written once */
static pthread_once_t fast_once = PTHREAD_ONCE_INIT;

static uint32_t hash_of(uint16_t op, uint8_t type, uint8_t type2, uint8_t cmp, uint32_t mods)
{
	uint64_t k = (uint64_t)op << 40 ^ (uint64_t)type << 32 ^ (uint64_t)type2 << 24 ^
		     (uint64_t)cmp << 16 ^ mods;

	return (uint32_t)(k * 0x9e3779b97f4a7c15ull >> 53) % HASH_SIZE;
}

static void fast_init(void)
{
	for (uint32_t i = 0; i < FASTS; i++) {
		const struct fast *f = &fasts[i];
		uint32_t h = hash_of(f->op, f->type, f->type2, f->cmp, f->mods);

		while (fast_hash[h])
			h = (h + 1) % HASH_SIZE;
		fast_hash[h] = (uint16_t)(i + 1);
	}
}

static uint8_t to_unsigned(uint8_t t)
{
	switch (t) {
	case IR_S16:
		return IR_U16;
	case IR_S32:
		return IR_U32;
	case IR_S64:
		return IR_U64;
	default:
		return t;
	}
}

static uint8_t to_bits(uint8_t t)
{
	switch (ir_type_bits(t)) {
	case 8:
	case 16:
		return IR_U16;
	case 32:
		return IR_U32;
	case 64:
		return IR_U64;
	default:
		return t;
	}
}

/* Types under which fast.def knows the instruction. */
static void normalise(const struct ir_inst *in, uint8_t *type, uint8_t *type2)
{
	bool ints = !ir_type_float(in->type) && !ir_type_float(in->type2);

	*type = in->type;
	*type2 = in->op == IR_OP_CVT || in->op == IR_OP_DP4A || in->op == IR_OP_SLCT ? in->type2
										     : IR_NONE;
	switch (in->op) {
	case IR_OP_ADD:
	case IR_OP_SUB:
	case IR_OP_MUL:
	case IR_OP_MAD:
	case IR_OP_AND:
	case IR_OP_OR:
	case IR_OP_XOR:
	case IR_OP_NOT:
	case IR_OP_CNOT:
	case IR_OP_SHL:
	case IR_OP_POPC:
	case IR_OP_CLZ:
	case IR_OP_BREV:
	case IR_OP_PRMT:
	case IR_OP_SHF_L:
	case IR_OP_SHF_R:
		*type = to_unsigned(in->type);
		break;
	case IR_OP_MOV:
	case IR_OP_SELP:
	case IR_OP_SLCT:
		*type = to_bits(in->type);
		break;
	case IR_OP_CVT:
		if (ints && ir_type_bits(in->type) > 8)
			*type = to_unsigned(in->type);
		if (ints && ir_type_bits(in->type) <= ir_type_bits(in->type2) && in->type2 != IR_S8)
			*type2 = to_unsigned(in->type2);
		break;
	default:
		break;
	}
}

static uint32_t mods_of(const struct ir_inst *in)
{
	return in->round | (in->ftz ? M_FTZ : 0) | (in->sat ? M_SAT : 0) | (in->nan ? M_NAN : 0) |
	       (in->relu ? M_RELU : 0) | (in->xorsign ? M_XORS : 0) |
	       (in->integer_round ? M_INT : 0) | M_SUB(in->sub);
}

const struct fast *decode_fast_find(const struct ir_inst *in)
{
	uint8_t type, type2, cmp = in->op == IR_OP_SETP ? in->cmp : 0;
	uint32_t mods = mods_of(in), h;

	pthread_once(&fast_once, fast_init);
	normalise(in, &type, &type2);
	for (h = hash_of(in->op, type, type2, cmp, mods); fast_hash[h]; h = (h + 1) % HASH_SIZE) {
		const struct fast *f = &fasts[fast_hash[h] - 1];

		if (f->op == in->op && f->type == type && f->type2 == type2 && f->cmp == cmp &&
		    f->mods == mods)
			return f;
	}
	return NULL;
}
