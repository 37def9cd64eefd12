/* SPDX-License-Identifier: MIT */
/* ir_info.c - names and sizes of types, operations and special registers, from their lists. */
#include "cuse_dev/backend/soft/ir/ir.h"

static const struct {
	const char *text;
	uint8_t bits;
	char class;
} types[IR_TYPE_COUNT] = {
#define X(NAME, text, bits, class) [IR_##NAME] = { text, bits, #class[0] },
	IR_TYPES(X)
#undef X
};

static const char *const op_texts[IR_OP_COUNT] = {
	[IR_OP_NONE] = "none",
#define IR_OP(NAME, text, nd, ns) [IR_OP_##NAME] = text,
#include "ir_op.def"
#undef IR_OP
};

static const char *const sreg_texts[IR_SREG_COUNT] = {
#define X(NAME, text, type) [IR_SREG_##NAME] = text,
	IR_SREGS(X)
#undef X
};

const char *ir_type_text(enum ir_type t)
{
	return (unsigned int)t < IR_TYPE_COUNT ? types[t].text : "?";
}

uint32_t ir_type_bits(enum ir_type t)
{
	return (unsigned int)t < IR_TYPE_COUNT ? types[t].bits : 0;
}

bool ir_type_signed(enum ir_type t)
{
	return (unsigned int)t < IR_TYPE_COUNT && types[t].class == 'S';
}

bool ir_type_float(enum ir_type t)
{
	return (unsigned int)t < IR_TYPE_COUNT && types[t].class == 'F';
}

const char *ir_op_text(enum ir_op op)
{
	return (unsigned int)op < IR_OP_COUNT ? op_texts[op] : "?";
}

static const struct {
	const char *text;
	uint32_t bits;
} mats[IR_MAT_COUNT] = {
#define X(NAME, text, bits) [IR_MAT_##NAME] = { text, bits },
	IR_MATS(X)
#undef X
};

const char *ir_mat_text(enum ir_mat t)
{
	return (unsigned int)t < IR_MAT_COUNT ? mats[t].text : "?";
}

uint32_t ir_mat_bits(enum ir_mat t)
{
	return (unsigned int)t < IR_MAT_COUNT ? mats[t].bits : 0;
}

bool ir_op_is_matrix(enum ir_op op)
{
	return op >= IR_OP_MMA && op <= IR_OP_WGMMA;
}

const char *ir_sreg_text(enum ir_sreg s)
{
	return (unsigned int)s < IR_SREG_COUNT ? sreg_texts[s] : "?";
}

bool ir_atom_exists(uint8_t sub, uint8_t type)
{
	uint32_t bits = ir_type_bits(type);

	switch (sub) {
	case IR_ATOM_EXCH:
	case IR_ATOM_CAS:
		return true;
	case IR_ATOM_ADD:
		return bits <= 64;
	case IR_ATOM_MIN:
	case IR_ATOM_MAX:
		return bits <= 64 && type != IR_F64 && type != IR_F32X2;
	case IR_ATOM_INC:
	case IR_ATOM_DEC:
		return bits == 32 && !ir_type_float(type);
	default:
		return bits <= 64 && !ir_type_float(type);
	}
}
