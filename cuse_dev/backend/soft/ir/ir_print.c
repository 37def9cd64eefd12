/* SPDX-License-Identifier: MIT */
/*
 * ir_print.c - a unit as text, see ir_text.h.
 */
#include "cuse_dev/backend/soft/ir/ir_text.h"

#include <stdio.h>
#include <stdlib.h>

static void print_string(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', f);
		putc(*s, f);
	}
	putc('"', f);
}

static void print_slots(FILE *f, const char *what, const struct ir_slot *s, uint32_t n)
{
	fprintf(f, " %s(", what);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%s%u:%u", i ? " " : "", s[i].offset, s[i].size);
	putc(')', f);
}

static void print_enum(FILE *f, const char *key, uint32_t value, const char *const *names)
{
	if (!value)
		return;
	if (value < ir_text_name_count(names))
		fprintf(f, " %s=%s", key, names[value]);
	else
		fprintf(f, " %s=%u", key, value);
}

static const char *const base_names[] = { "", "global", "managed" };

static void print_operands(FILE *f, const struct ir_unit *u, const struct ir_operand *o, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		fputs(i ? ", " : " ", f);
		if (o[i].kind == IR_OPND_REG)
			fprintf(f, "%%%u", o[i].reg);
		else if (o[i].kind == IR_OPND_IMM)
			fprintf(f, "%s%s0x%llx", base_names[o[i].base], o[i].base ? " " : "",
				(unsigned long long)(o[i].imm - u->base_va[o[i].base]));
		else
			putc('_', f);
	}
}

static void print_inst(FILE *f, const struct ir_unit *u, const struct ir_inst *in)
{
	putc('\t', f);
	if (in->guard >= 0)
		fprintf(f, "@%s%%%d ", in->guard_not ? "!" : "", in->guard);
	fputs(ir_op_text(in->op), f);
	if (in->type || in->type2)
		fprintf(f, " %s", ir_type_text(in->type));
	if (in->type2)
		fprintf(f, " %s", ir_type_text(in->type2));
#define X(field, names) print_enum(f, #field, in->field, names);
	IR_TEXT_ENUM_FIELDS(X)
#undef X
	if (in->op == IR_OP_SREG)
		fprintf(f, " sub=%s", ir_sreg_text(in->sub));
	else
		print_enum(f, "sub", in->sub, ir_text_sub_names(in->op));
#define X(field, text)                                                                             \
	if (in->field)                                                                             \
		fprintf(f, " " text);
	IR_TEXT_FLAG_FIELDS(X)
#undef X
	if (in->offset)
		fprintf(f, " off=%lld", (long long)in->offset);
	if (in->aux && ir_op_is_matrix(in->op)) {
		fputs(" mma(", f);
#define X(field, text)                                                                             \
	if (in->aux->mma.field)                                                                    \
		fprintf(f, " " text "=%u", in->aux->mma.field);
		IR_MMA_FIELDS(X)
#undef X
		fputs(" )", f);
	} else if (in->aux) {
		print_slots(f, "args", in->aux->args, in->aux->count);
		print_slots(f, "rets", in->aux->rets, in->aux->nrets);
		fprintf(f, " func=%u", in->aux->func);
	}
	if (in->nd) {
		print_operands(f, u, in->opnd, in->nd);
		fputs(" =", f);
	}
	print_operands(f, u, in->opnd + in->nd, in->ns);
	if (in->line || in->column)
		fprintf(f, " !%u:%u", in->line, in->column);
	putc('\n', f);
}

static void print_block(FILE *f, const struct ir_unit *u, const struct ir_block *b)
{
	fputs("block", f);
	if (b->label) {
		putc(' ', f);
		print_string(f, b->label);
	}
	if (b->line)
		fprintf(f, " !%u", b->line);
	putc('\n', f);
	for (uint32_t i = 0; i < b->count; i++)
		print_inst(f, u, &b->insts[i]);
	switch (b->term) {
	case IR_TERM_JUMP:
		fprintf(f, "\tjump %u\n", b->target[0]);
		break;
	case IR_TERM_BRANCH:
		fprintf(f, "\tbr %s%%%u %u %u%s\n", b->pred_not ? "!" : "", b->pred, b->target[0],
			b->target[1], b->uniform ? " uni" : "");
		break;
	case IR_TERM_SWITCH:
		fprintf(f, "\tswitch %%%u [", b->pred);
		for (uint32_t i = 0; b->aux && i < b->aux->count; i++)
			fprintf(f, "%s%u", i ? " " : "", b->aux->targets[i]);
		fputs("]\n", f);
		break;
	case IR_TERM_RET:
		fputs("\tret\n", f);
		break;
	default:
		fputs("\texit\n", f);
		break;
	}
}

static void print_func(FILE *f, const struct ir_unit *u, const struct ir_func *fn)
{
	fputs("func ", f);
	print_string(f, fn->name ? fn->name : "");
	fprintf(f, " code=%u frame=%u", fn->code, fn->frame_bytes);
	print_slots(f, "params", fn->params, fn->nparams);
	print_slots(f, "rets", fn->rets, fn->nrets);
	fputs("\nregs", f);
	for (uint32_t i = 0; i < fn->nregs; i++) {
		fprintf(f, " %s", ir_type_text(fn->regs[i].type));
		if (fn->regs[i].name) {
			putc(':', f);
			print_string(f, fn->regs[i].name);
		}
	}
	putc('\n', f);
	for (uint32_t i = 0; i < fn->nblocks; i++)
		print_block(f, u, &fn->blocks[i]);
}

char *ir_print(const struct ir_unit *unit)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	fprintf(f, "unit shared=%u params=%u depth=%u%s%s\n", unit->shared_bytes, unit->param_bytes,
		unit->max_call_depth, unit->uses_barrier ? " barrier" : "",
		unit->uses_grid_sync ? " gridsync" : "");
	for (uint32_t i = 0; i < unit->nfuncs; i++)
		print_func(f, unit, unit->funcs[i]);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
