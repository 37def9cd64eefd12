/* SPDX-License-Identifier: MIT */
/*
 * cg_object.c - llvm_compile(): the stages one after the other, passes, and the object.
 *
 * The passes are a short list, chosen by what it costs and brings: code comes in vectors already, so
 * nothing of LLVM's vectorisers, unrolling or inlining is wanted. The quick level only makes values of what a
 * block keeps in allocas; everything else that LLVM has costs more than the code is worth before it is
 * known to be hot.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

#define HUGE   6000u /* instructions of a kernel for which good code would take longer than 10 s */
#define TRIPLE "x86_64-unknown-linux-gnu"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_target(void)
{
	/* A sixth of the time for large kernels, and it finds nothing: masks are where they belong. */
	static const char *const args[] = { "vgpu", "-disable-x86-domain-reassignment" };

	LLVMParseCommandLineOptions(2, args, NULL);
	LLVMInitializeX86TargetInfo();
	LLVMInitializeX86Target();
	LLVMInitializeX86TargetMC();
	LLVMInitializeX86AsmPrinter();
}

const char *llvm_version(void)
{
	return CG_LLVM_VERSION;
}

uint32_t llvm_print_flags(const char *words)
{
	static const struct {
		const char *word;
		uint32_t flag;
	} all[] = { { "ir", LLVM_PRINT_IR },
		    { "llvm", LLVM_PRINT_LLVM },
		    { "opt", LLVM_PRINT_OPT },
		    { "asm", LLVM_PRINT_ASM } };
	uint32_t flags = 0;

	for (const char *p = words; p && *p; p += strcspn(p, ","), p += *p == ',')
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (strcspn(p, ",") == strlen(all[i].word) &&
			    !strncmp(p, all[i].word, strlen(all[i].word)))
				flags |= all[i].flag;
	return flags;
}

/* ---- what else lies in the object ----------------------------------------------------------- */

static void add_data(struct cg *g, const char *name, const char *section, const void *data,
		     size_t n, uint32_t align)
{
	LLVMValueRef c = LLVMConstStringInContext(g->lc, data, (unsigned int)n, true);
	LLVMValueRef v = LLVMAddGlobal(g->mod, LLVMTypeOf(c), name);

	LLVMSetInitializer(v, c);
	LLVMSetGlobalConstant(v, true);
	LLVMSetSection(v, section);
	LLVMSetAlignment(v, align);
}

bool cg_bridge_add(struct cg *g, struct ir_func *f)
{
	struct ir_func **p =
		arena_grow(g->arena, g->bridged, &g->bridged_cap, g->nbridged + 1, sizeof(*p));

	if (!p || g->nbridged >= LLVM_MAX_BRIDGED) {
		cg_fail(g, p ? -ENOTSUP : -ENOMEM, "too many operations for the interpreter");
		return false;
	}
	g->bridged = p;
	p[g->nbridged++] = f;
	return true;
}

static int add_sections(struct cg *g)
{
	struct llvm_info info = { .magic = llvm_abi_magic(),
				  .nblocks = g->nblocks,
				  .nbridged = g->nbridged,
				  .flags = (g->stops ? LLVM_CODE_STOPS : 0) |
					   (g->phases ? LLVM_CODE_TURNS : 0),
				  .frame_bytes = g->frame_bytes };
	struct ir_unit u = *g->unit;
	char *text;

	memcpy(info.block, g->opt->block, sizeof(info.block));
	info.flags |= g->opt->level == LLVM_QUICK && !g->huge ? LLVM_CODE_QUICK : 0;
	add_data(g, "vgpu_info", LLVM_SECTION_INFO, &info, sizeof(info), 8);
	if (!g->nbridged)
		return 0;
	u.funcs = g->bridged;
	u.nfuncs = g->nbridged;
	text = ir_print(&u);
	if (!text)
		return cg_fail(g, -ENOMEM, "out of memory");
	add_data(g, "vgpu_unit", LLVM_SECTION_UNIT, text, strlen(text) + 1, 1);
	free(text);
	return 0;
}

/* ---- passes and code ------------------------------------------------------------------------ */

static LLVMTargetMachineRef machine(const struct llvm_options *opt)
{
	char *cpu = opt->cpu ? NULL : LLVMGetHostCPUName();
	char *features = opt->cpu ? NULL : LLVMGetHostCPUFeatures();
	LLVMTargetMachineRef tm = NULL;
	LLVMTargetRef t;
	char *text = NULL;

	if (!LLVMGetTargetFromTriple(TRIPLE, &t, &text))
		tm = LLVMCreateTargetMachine(t, TRIPLE, cpu ? cpu : opt->cpu,
					     features	     ? features
					     : opt->features ? opt->features
							     : "",
					     opt->level == LLVM_QUICK ? LLVMCodeGenLevelNone
								      : LLVMCodeGenLevelDefault,
					     LLVMRelocPIC, LLVMCodeModelSmall);
	LLVMDisposeMessage(text);
	LLVMDisposeMessage(cpu);
	LLVMDisposeMessage(features);
	return tm;
}

static bool has_avx512(const struct llvm_options *opt)
{
	char *all = opt->cpu ? NULL : LLVMGetHostCPUFeatures();
	const char *f = all ? all : opt->features ? opt->features : "";
	bool has = strstr(f, "+avx512f") || (opt->cpu && !strcmp(opt->cpu, "x86-64-v4"));

	LLVMDisposeMessage(all);
	return has;
}

static int fail_with(struct cg *g, int r, const char *what, char *text)
{
	cg_fail(g, r, "%s: %.200s", what, text ? text : "?");
	LLVMDisposeMessage(text);
	return g->error;
}

static void print_module(struct cg *g)
{
	char *text = LLVMPrintModuleToString(g->mod);

	fputs(text, stderr);
	LLVMDisposeMessage(text);
}

/* From 18 on the pass is an error unless one round suffices or this is said. */
#if LLVM_VERSION_MAJOR >= 18
#define INSTCOMBINE "instcombine<no-verify-fixpoint>"
#else
#define INSTCOMBINE "instcombine"
#endif

static int run_passes(struct cg *g, LLVMTargetMachineRef tm)
{
	static const char quick[] = "function(mem2reg,early-cse)";
	static const char good[] = "function(mem2reg," INSTCOMBINE ",simplifycfg,early-cse<memssa>,"
				   "loop-mssa(licm),gvn," INSTCOMBINE ",simplifycfg,adce)";
	LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
	LLVMErrorRef e = LLVMRunPasses(g->mod, g->opt->level == LLVM_QUICK ? quick : good, tm, o);
	char *text;

	LLVMDisposePassBuilderOptions(o);
	if (!e)
		return 0;
	text = LLVMGetErrorMessage(e);
	cg_fail(g, -EINVAL, "passes: %.200s", text);
	LLVMDisposeErrorMessage(text);
	return g->error;
}

static int emit(struct cg *g, LLVMTargetMachineRef tm, LLVMCodeGenFileType type,
		LLVMMemoryBufferRef *ret)
{
	char *text = NULL;

	if (LLVMTargetMachineEmitToMemoryBuffer(tm, g->mod, type, &text, ret))
		return fail_with(g, -EINVAL, "code generation", text);
	return 0;
}

static int print_assembly(struct cg *g, LLVMTargetMachineRef tm)
{
	LLVMModuleRef keep = g->mod;
	LLVMMemoryBufferRef m;
	int r;

	g->mod = LLVMCloneModule(keep);
	r = emit(g, tm, LLVMAssemblyFile, &m);
	if (r == 0) {
		fwrite(LLVMGetBufferStart(m), 1, LLVMGetBufferSize(m), stderr);
		LLVMDisposeMemoryBuffer(m);
	}
	LLVMDisposeModule(g->mod);
	g->mod = keep;
	return r;
}

int cg_object(struct cg *g, void **ret_object, size_t *ret_bytes)
{
	LLVMTargetMachineRef tm = machine(g->opt);
	LLVMMemoryBufferRef m = NULL;
	char *text = NULL;
	int r = 0;

	if (!tm)
		return cg_fail(g, -ENOTSUP, "LLVM knows no such machine");
	if (LLVMVerifyModule(g->mod, LLVMReturnStatusAction, &text)) {
		if (g->opt->print)
			print_module(g);
		r = fail_with(g, -EINVAL, "verify", text);
		goto dispose;
	}
	LLVMDisposeMessage(text);
	if (g->opt->print & LLVM_PRINT_LLVM)
		print_module(g);
	r = run_passes(g, tm);
	if (r == 0 && g->opt->print & LLVM_PRINT_OPT)
		print_module(g);
	if (r == 0 && g->opt->print & LLVM_PRINT_ASM)
		r = print_assembly(g, tm);
	if (r == 0)
		r = emit(g, tm, LLVMObjectFile, &m);
	if (r < 0)
		goto dispose;
	*ret_bytes = LLVMGetBufferSize(m);
	*ret_object = malloc(*ret_bytes);
	if (*ret_object)
		memcpy(*ret_object, LLVMGetBufferStart(m), *ret_bytes);
	else
		r = cg_fail(g, -ENOMEM, "out of memory");
	LLVMDisposeMemoryBuffer(m);
dispose:
	LLVMDisposeTargetMachine(tm);
	return r;
}

/* ---- the stages ----------------------------------------------------------------------------- */

static bool native_calls(const struct ir_unit *u, const char **ret_why)
{
	const struct ir_func *f = u->funcs[0];

	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t i = 0; i < f->blocks[b].count; i++) {
			switch (f->blocks[b].insts[i].op) {
			case IR_OP_CALL:
			case IR_OP_CALL_INDIRECT:
				*ret_why = "calls of functions";
				return false;
			case IR_OP_ALLOCA:
			case IR_OP_STACKSAVE:
			case IR_OP_STACKRESTORE:
				*ret_why = "alloca";
				return false;
			default:
				break;
			}
		}
	}
	return true;
}

static uint32_t size(const struct ir_func *f)
{
	uint32_t n = 0;

	for (uint32_t b = 0; b < f->nblocks; b++)
		n += f->blocks[b].count;
	return n;
}

static void add_attribute(struct cg *g, const char *name, const char *value)
{
	LLVMAddAttributeAtIndex(g->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
				LLVMCreateStringAttribute(g->lc, name, (unsigned int)strlen(name),
							  value, (unsigned int)strlen(value)));
}

static void declare(struct cg *g)
{
	LLVMTypeRef p[3];

	g->i1 = LLVMInt1TypeInContext(g->lc);
	g->i8 = LLVMInt8TypeInContext(g->lc);
	g->i16 = LLVMInt16TypeInContext(g->lc);
	g->i32 = LLVMInt32TypeInContext(g->lc);
	g->i64 = LLVMInt64TypeInContext(g->lc);
	g->f32 = LLVMFloatTypeInContext(g->lc);
	g->f64 = LLVMDoubleTypeInContext(g->lc);
	g->ptr = LLVMPointerTypeInContext(g->lc, 0);
	p[0] = g->ptr;
	p[1] = p[2] = g->i32;
	LLVMSetTarget(g->mod, TRIPLE);
	g->fn = LLVMAddFunction(g->mod, LLVM_ENTRY,
				LLVMFunctionType(LLVMVoidTypeInContext(g->lc), p, 3, false));
	add_attribute(g, "prefer-vector-width", "512");
	add_attribute(g, "min-legal-vector-width", "512");
	add_attribute(g, "no-trapping-math", "true");
	LLVMAddAttributeAtIndex(
		g->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
		LLVMCreateEnumAttribute(g->lc, LLVMGetEnumAttributeKindForName("nounwind", 8), 0));
}

static int build(struct cg *g, void **ret_object, size_t *ret_bytes)
{
	int r;

	g->avx512 = has_avx512(g->opt);
	g->lc = LLVMContextCreate();
	g->mod = LLVMModuleCreateWithNameInContext("vgpu", g->lc);
	g->b = LLVMCreateBuilderInContext(g->lc);
	declare(g);
	r = cg_func(g);
	if (r == 0)
		r = add_sections(g);
	if (r == 0)
		r = cg_object(g, ret_object, ret_bytes);
	LLVMDisposeBuilder(g->b);
	LLVMDisposeModule(g->mod);
	LLVMContextDispose(g->lc);
	return r;
}

int llvm_compile(const struct ir_unit *unit, const struct llvm_options *opt, void **ret_object,
		 size_t *ret_bytes, char *err, size_t err_bytes)
{
	struct llvm_options quick = *opt;
	struct cg g = {
		.unit = unit, .f = unit->funcs[0], .opt = opt, .err = err, .err_bytes = err_bytes
	};
	const char *why;
	int r;

	if (err_bytes)
		err[0] = 0;
	if (!native_calls(unit, &why))
		return cg_fail(&g, -ENOTSUP, "%s", why);
	pthread_once(&once, init_target);
	quick.level = LLVM_QUICK;
	g.huge = size(g.f) > HUGE;
	if (g.huge)
		g.opt = &quick;
	g.arena = arena_create(0);
	if (!g.arena)
		return -ENOMEM;
	r = cg_flow(&g);
	if (r == 0)
		r = cg_frontier(&g);
	if (r == 0)
		r = cg_phases(&g);
	if (r == 0 && opt->print & LLVM_PRINT_IR)
		cg_print(&g);
	if (r == 0)
		r = build(&g, ret_object, ret_bytes);
	arena_destroy(g.arena);
	return r;
}
