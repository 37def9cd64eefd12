/* SPDX-License-Identifier: MIT */
/*
 * tree.h - what the parser makes of PTX text: a module's symbols, and one body's instructions.
 *
 * Module things live in the module's arena until unload; body things in a scratch arena that goes
 * when the kernel is compiled. Nothing here knows IR beyond its types.
 */
#ifndef SOFT_PTX_TREE_H
#define SOFT_PTX_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/ptx/lex.h"
#include "cuse_dev/backend/soft/ptx/table.h"

struct base_arena;

enum ptx_space {
	PTX_SPACE_REG,
	PTX_SPACE_GLOBAL,
	PTX_SPACE_CONST,
	PTX_SPACE_SHARED,
	PTX_SPACE_LOCAL,
	PTX_SPACE_PARAM,
};

enum ptx_linkage {
	PTX_LINK_NONE,
	PTX_LINK_VISIBLE,
	PTX_LINK_EXTERN,
	PTX_LINK_WEAK,
	PTX_LINK_COMMON
};

/** An address inside an initialiser: value = (address >> shift) & mask of bytes, put at offset. */
struct ptx_reloc {
	uint64_t offset;
	uint32_t bytes; /* written */
	uint32_t shift; /* bits, of mask(...) */
	const char *name;
	uint32_t name_len;
	const struct ptx_var *var; /* of the same body, or NULL: a name of the module */
	int64_t addend;
	uint32_t line, column;
	struct ptx_reloc *next;
};

struct ptx_var {
	const char *name; /* NUL-terminated */
	uint8_t space;	  /* enum ptx_space */
	uint8_t linkage;
	uint8_t type; /* enum ir_type of an element */
	bool managed, defined;
	bool unsized;	/* extern x[]: dynamic shared memory */
	uint8_t opaque; /* enum backend_opaque: .texref and the like */
	bool in_body;	/* declared in a body, or parameter of a device function */
	uint32_t align;
	uint64_t size;
	uint64_t offset; /* global, const: into the module's memory; param: into the parameters;
			  * local, and param of a body: into the frame, given by the lowering */
	uint32_t index;	 /* in ptx_module.vars */
	uint32_t line;
	const char *at; /* global or const of a body: its name there, in the text */
	uint8_t *data;	/* initialised bytes, NULL none */
	uint64_t data_bytes;
	struct ptx_reloc *relocs;
};

/** A parameter or result. */
struct ptx_param {
	const char *name;
	uint8_t type;
	bool in_reg; /* .reg instead of .param */
	bool unsized;
	uint32_t align;
	uint32_t size;
	uint32_t offset; /* in its list, aligned one after the other */
};

struct ptx_proto {
	struct ptx_param *params, *rets;
	uint32_t nparams, nrets;
	uint32_t param_bytes;
	bool variadic;
};

struct ptx_func {
	const char *name;
	bool is_entry, noreturn, defined;
	uint8_t linkage;
	struct ptx_proto proto;
	uint32_t index; /* among all functions of the module: its code number */
	uint32_t maxntid[3], reqntid[3], cluster[3];
	uint32_t minnctapersm, maxnctapersm, maxnreg, max_cluster_rank;
	bool explicit_cluster, blocks_are_clusters;
	bool address_in_data;	     /* an initialiser names it */
	const char *body, *body_end; /* between the braces */
	const char *body_line_start;
	uint32_t line, body_line;
	struct ptx_var **statics; /* global and const variables of the body */
	size_t nstatics, statics_cap;
};

struct ptx_sym {
	const char *name;
	uint32_t len, hash;
	struct ptx_var *var; /* or */
	struct ptx_func *func;
	struct ptx_sym *next;
};

/* ---- bodies ---------------------------------------------------------------------------------- */

enum ptx_opnd_kind {
	PTX_O_NONE,
	PTX_O_SINK, /* _ */
	PTX_O_REG,
	PTX_O_INT,
	PTX_O_F32,  /* bits */
	PTX_O_F64,  /* bits */
	PTX_O_SREG, /* reg: enum ir_sreg; bits: number of an array one */
	PTX_O_VAR,  /* var + offset */
	PTX_O_FUNC,
	PTX_O_NAME, /* not found: a label or list */
	PTX_O_VEC,  /* { } */
	PTX_O_MEM,  /* [ ]: sub[0] base, offset; further subs of texture and tensor forms */
	PTX_O_LIST, /* ( ) */
	PTX_O_PAIR, /* a|b */
};

struct ptx_opnd {
	uint8_t kind;
	bool neg; /* "!p" */
	bool is_unsigned;
	char sel[8]; /* selector: b0, h1, b3210; vector components are resolved */
	uint32_t reg;
	uint32_t line, column;
	uint64_t bits;
	int64_t offset;
	struct ptx_var *var;
	struct ptx_func *func;
	const char *name;
	uint32_t len;
	uint32_t nsub;
	struct ptx_opnd *sub;
};

struct ptx_mod_use {
	uint16_t id; /* enum ptx_mod */
	uint16_t len;
	const char *text;
};

struct ptx_inst {
	uint16_t op;
	uint8_t nmods;
	bool guarded, guard_not;
	uint16_t nopnds;
	uint32_t guard; /* body register */
	uint32_t scope;
	uint32_t line, column;
	const struct ptx_mod_use *mods;
	struct ptx_opnd *opnds;
};

struct ptx_label {
	const char *name;
	uint32_t len, hash;
	uint32_t scope;
	uint32_t at; /* number of the instruction after it */
	struct ptx_label *next;
};

/** .branchtargets, .calltargets or .callprototype with its label. */
struct ptx_list {
	const char *name;
	uint32_t len, scope;
	struct ptx_opnd *items; /* names */
	uint32_t count;
	struct ptx_proto *proto; /* of .callprototype */
	struct ptx_list *next;
};

struct ptx_reg {
	uint8_t type; /* enum ir_type as declared */
	const char *base;
	uint32_t number; /* of a range, or UINT32_MAX */
};

struct ptx_body {
	struct base_arena *arena;
	struct ptx_reg *regs;
	size_t nregs, regs_cap;
	struct ptx_inst *insts;
	size_t ninsts, insts_cap;
	uint32_t nlabels;
	struct ptx_label **label_hash; /* [PTX_BODY_BUCKETS] */
	struct ptx_list *lists;
	uint32_t *scope_parent;
	size_t nscopes, scopes_cap;
	struct ptx_var **vars; /* declared in the body, in order */
	size_t nvars, vars_cap;
	uint32_t
		*formal_reg; /* registers of .reg parameters, then results; UINT32_MAX for .param */
	uint32_t frame_bytes, frame_align;
	uint32_t end_line;
	struct ir_slot *params, *rets; /* of a device function, in the frame */
};

/* ---- modules --------------------------------------------------------------------------------- */

#define PTX_HASH_SIZE 4096 /* starting size of a module's symbol table */

struct ptx_module {
	struct base_arena *arena;
	char *text;
	size_t bytes;
	uint32_t version;   /* major * 10 + minor */
	uint32_t target;    /* sm number */
	char target_suffix; /* 'a', 'f' or 0 */
	uint32_t address_size;
	struct ptx_sym **hash;
	uint32_t hash_size, nsyms;
	struct ptx_func **funcs;
	size_t nfuncs, funcs_cap;
	struct ptx_var **vars;
	size_t nvars, vars_cap;
	uint64_t global_bytes, managed_bytes;
};

/* module.c */
struct ptx_sym *ptx_module_find(const struct ptx_module *m, const char *name, size_t len);
uint32_t ptx_hash(const char *s, size_t len);

/* decl.c: what modules and bodies have in common */

/** A declaration after its state space: type, attributes, align; then one declarator per call. */
struct ptx_decl {
	uint8_t space;
	uint8_t type;
	uint8_t vec;	/* 1, 2, 4, 8 */
	uint8_t opaque; /* enum backend_opaque */
	bool managed, ptr;
	uint32_t align; /* 0: natural */
};

bool ptx_decl_type(struct ptx_lex *lex, struct ptx_decl *d);
/** Name and dimensions. total = bytes; dims[0] = 0 when unsized. */
bool ptx_decl_array(struct ptx_lex *lex, const struct ptx_decl *d, uint64_t *ret_size,
		    bool *ret_unsized, uint64_t dims[8], uint32_t *ret_ndims);
bool ptx_decl_init(struct ptx_lex *lex, struct base_arena *arena, const struct ptx_decl *d,
		   struct ptx_var *v, const uint64_t *dims, uint32_t ndims);
/** ptx_decl_opaque() - { addr_mode_0 = wrap, ... } of a .samplerref, .texref or .surfref. */
bool ptx_decl_opaque(struct ptx_lex *lex, struct base_arena *arena, const struct ptx_decl *d,
		     struct ptx_var *v);
bool ptx_decl_params(struct ptx_lex *lex, struct base_arena *arena, struct ptx_param **ret_list,
		     uint32_t *ret_count, uint32_t *ret_bytes, bool *ret_variadic);
uint32_t ptx_type_bytes(uint8_t type);

/* inner.c: variables of the module's memory, at its own level and in bodies */

/** ptx_var_create() - a variable of the module, without anything but its number. */
struct ptx_var *ptx_var_create(struct ptx_module *m, struct ptx_lex *lex);
/** ptx_var_define() - size and alignment as declared. */
void ptx_var_define(struct ptx_var *v, const struct ptx_decl *d, uint64_t size, bool unsized);
/** ptx_var_place() - give it an offset; false: error noted. */
bool ptx_var_place(struct ptx_module *m, struct ptx_lex *lex, struct ptx_var *v);
/** ptx_inner_load() - find the global and const variables in the body of @f. What is wrong there
 * shows when the body is parsed; false: out of memory or room. */
bool ptx_inner_load(struct ptx_module *m, struct ptx_func *f, struct ptx_error *err);
/** ptx_inner_find() - the one whose name stands at @at, or NULL. */
struct ptx_var *ptx_inner_find(const struct ptx_func *f, const char *at);

/* expr.c */
struct ptx_value {
	bool is_float, is_unsigned;
	uint8_t tok; /* PTX_TOK_INT, _F32 or _F64: bits as in the token */
	uint64_t bits;
};
/** ptx_expr() - a constant expression starting at the current token. */
bool ptx_expr(struct ptx_lex *lex, struct ptx_value *ret);

/* body.c */
struct ptx_body *ptx_body_parse(struct ptx_module *m, struct ptx_func *f,
				struct base_arena *scratch, struct ptx_error *err);
const struct ptx_label *ptx_body_label(const struct ptx_body *b, const struct ptx_opnd *o,
				       uint32_t scope);
const struct ptx_list *ptx_body_list(const struct ptx_body *b, const struct ptx_opnd *o,
				     uint32_t scope);

/* operand.c */
struct ptx_scope_entry {
	const char *name;
	uint32_t len, hash;
	uint32_t base;	/* first register */
	uint32_t count; /* of a range; 0: a single one (or vector) */
	uint32_t vec;
	uint32_t order; /* a later one hides an earlier one */
	struct ptx_var *var;
	struct ptx_scope_entry *next; /* in the bucket */
};

#define PTX_BODY_BUCKETS 1024

struct ptx_body_parser {
	struct ptx_lex lex;
	struct ptx_module *m;
	struct ptx_func *f;
	struct ptx_body *b;
	struct ptx_scope_entry *buckets[PTX_BODY_BUCKETS];
	struct ptx_scope_entry **stack; /* all visible entries, oldest first */
	size_t nstack, stack_cap;
	uint32_t scope, depth;
	struct ptx_opnd *tmp; /* operands of lists that are not closed yet */
	size_t ntmp, tmp_cap;
};

bool ptx_operand(struct ptx_body_parser *bp, struct ptx_opnd *o, uint32_t depth);
/** ptx_operand_list() - operands up to @close, which is taken. */
bool ptx_operand_list(struct ptx_body_parser *bp, char close, struct ptx_opnd **ret_list,
		      uint32_t *ret_count, uint32_t depth);
/** ptx_operand_scope_add() - make a name visible; false: error noted. */
bool ptx_operand_scope_add(struct ptx_body_parser *bp, const struct ptx_scope_entry *e);
/** ptx_operand_find() - a register or body variable by name; fills o. */
bool ptx_operand_find(struct ptx_body_parser *bp, const char *name, uint32_t len,
		      struct ptx_opnd *o);

#endif
