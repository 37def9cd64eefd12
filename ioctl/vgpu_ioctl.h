/* SPDX-License-Identifier: MIT */
/*
 * vgpu_ioctl.h - the contract between libcuda.so.1 and the daemon behind /dev/nvidia-vgpuN.
 *
 * Here: every operation, its number, its struct. Not here: the shared pages (vgpu_share.h), the
 * dispatch table (ops.h).
 *
 * Rules
 * -----
 *  1. Every operation is a *restricted* ioctl: the kernel copies _IOC_SIZE bytes in and out itself;
 *     at most 16,383 bytes. The command is VGPU_IOC(NAME) = _IOWR('V', nr, struct).
 *  2. Look-up is by _IOC_NR. The size may grow: a shorter input is zero-extended to the daemon's
 *     struct, a longer one is accepted only if its tail is zero (E2BIG otherwise). The reply
 *     fills as many bytes as the caller's size has.
 *  3. Fixed-width types, natural alignment, explicit padding. Padding and unknown flag bits must be
 *     zero (EINVAL). No pointers, no unions, no enums as members.
 *  4. HELLO comes first on every open file (EPROTO otherwise); it carries version and features.
 *     Callers gate on feature bits, never on the version.
 *  5. A struct grows only at its end, numbers are never used again, the list is append-only.
 *  6. Errors are errno values. What each means for every operation:
 *        ENOTTY    unknown number or wrong magic      EPROTO    HELLO missing or twice
 *        EINVAL    bad field, pad, flag, size         E2BIG     non-zero tail of a longer struct
 *        EBADF     no such handle in this client      ENOMEM    device full / limit reached
 *        EDQUOT    quota of the caller's uid reached   ENODEV    the worker is gone (sticky)
 *        EINTR     a signal ended the wait            EACCES    caller not allowed on this device
 *        ENOTSUP   understood, not built              EBUSY     object in use
 *        EOVERFLOW offset + size does not fit         EIO       daemon and worker disagree (logged)
 *     Where an operation adds one, its struct says so.
 *  7. Handles are u32, unique in one client process, never 0, and carry a generation: a stale one is
 *     EBADF. Handles of another client simply do not exist here.
 *  8. Sizes and addresses are bytes; times are nanoseconds of CLOCK_MONOTONIC.
 *  9. Everything a client sends is hostile until checked; every maximum has a name in
 *     cuse_dev/base/limits.h or below.
 *
 * Bulk data without shared pages goes through pread(2)/pwrite(2) on the node. The place is the open
 * file's base (BULK_BASE, 0 at first) plus the offset; it is a device address, or
 * VGPU_BLOB_OFFSET(blob) + byte for the content of a blob. A character device made by CUSE never
 * sees the offset of the call (the kernel passes 0), so portable callers set the base and transfer
 * at offset 0, one thread at a time per open file; both doors agree on the result then.
 *
 * Changelog
 * ---------
 *  0.1  first version.
 *       telemetry: BOARD_INFO, DEVICE_STATE, CLIENT_LIST, FAULT_LIST, SAMPLE_LIST.
 */
#ifndef VGPU_IOCTL_H
#define VGPU_IOCTL_H

#include <stdint.h>
#include <linux/ioctl.h>

#include "ioctl/vgpu_texture.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VGPU_VERSION_MAJOR 0
#define VGPU_VERSION_MINOR 1

#define VGPU_MAGIC	 0x56475055u /* "VGPU", in HELLO */
#define VGPU_IOC_TYPE	 'V'
#define VGPU_MAX_PAYLOAD 16383 /* bytes; _IOC_SIZE has 14 bits */

#define VGPU_MAX_DEVICES   16
#define VGPU_MAX_NAME	   8192	 /* bytes of a symbol name with its NUL */
#define VGPU_MAX_ATTRS	   256	 /* slots of DEVICE_ATTRS */
#define VGPU_MAX_PARAMS	   512	 /* kernel parameters described per call */
#define VGPU_SUBMIT_BYTES  12288 /* command bytes per SUBMIT */
#define VGPU_CONSOLE_BYTES 8192	 /* console bytes per CONSOLE_READ */

/* Where blobs lie in the offset space of pread/pwrite; each blob spans 4 GiB of it. */
#define VGPU_BLOB_BASE	       0x100000000000ull
#define VGPU_BLOB_OFFSET(slot) (VGPU_BLOB_BASE + ((uint64_t)(slot) << 32))

/* Feature bits of HELLO. */
#define VGPU_FEATURE_SHARED_PAGES (1ull << 0) /* SHARE works for this client */
#define VGPU_FEATURE_VMM	  (1ull << 1) /* VA_* and PHYS_* */
#define VGPU_FEATURE_EXPORT	  (1ull << 2) /* PHYS_CREATE with VGPU_PHYS_FD, PHYS_IMPORT */
#define VGPU_FEATURE_TELEMETRY	  (1ull << 3) /* BOARD_INFO to SAMPLE_LIST */
#define VGPU_FEATURE_TASKS	  (1ull << 4) /* VGPU_CMD_TASK */

/*
 * The operations.
 *
 *   X(nr, NAME, name, where, since)      -- append only
 *
 * where: FRONT is answered by the front process and starts nothing; WORKER is relayed to the
 * client's worker, which the first such call starts.
 */
/* clang-format off */
#define VGPU_OPS(X)                                                                                \
	X(0x00, HELLO,         hello,         FRONT,  0) /* agree on version and features       */ \
	X(0x01, DEVICE_INFO,   device_info,   FRONT,  0) /* name, uuid, pci id, sizes           */ \
	X(0x02, DEVICE_ATTRS,  device_attrs,  FRONT,  0) /* all CUdevice_attribute at once      */ \
	X(0x03, MEM_INFO,      mem_info,      FRONT,  0) /* total and free device memory        */ \
	X(0x04, SHARE,         share,         FRONT,  0) /* hand over a sealed memfd            */ \
	X(0x05, BULK_BASE,     bulk_base,     FRONT,  0) /* where pread/pwrite of this file start */ \
	X(0x06, BOARD_INFO,    board_info,    FRONT,  1) /* the card's constants: limits, clocks  */ \
	X(0x07, DEVICE_STATE,  device_state,  FRONT,  1) /* memory, utilisation, power, heat      */ \
	X(0x08, CLIENT_LIST,   client_list,   FRONT,  1) /* processes that use the device         */ \
	X(0x09, FAULT_LIST,    fault_list,    FRONT,  1) /* the last faults of kernels            */ \
	X(0x0a, SAMPLE_LIST,   sample_list,   FRONT,  1) /* utilisation over the last seconds     */ \
	X(0x10, CTX_CREATE,    ctx_create,    WORKER, 0) /* a context on this device            */ \
	X(0x11, CTX_DESTROY,   ctx_destroy,   WORKER, 0) /* it and all that belongs to it       */ \
	X(0x12, CTX_STATUS,    ctx_status,    WORKER, 0) /* sticky error and where it came from */ \
	X(0x13, CTX_LIMIT,     ctx_limit,     WORKER, 0) /* get or set a CUlimit                */ \
	X(0x14, CONSOLE_READ,  console_read,  WORKER, 0) /* text that kernels printed           */ \
	X(0x18, BLOB_CREATE,   blob_create,   WORKER, 0) /* a byte buffer for images            */ \
	X(0x19, BLOB_DESTROY,  blob_destroy,  WORKER, 0) /* give it back                        */ \
	X(0x20, MEM_ALLOC,     mem_alloc,     WORKER, 0) /* reserve, back and map memory        */ \
	X(0x21, MEM_FREE,      mem_free,      WORKER, 0) /* give it back                        */ \
	X(0x22, VA_RESERVE,    va_reserve,    WORKER, 0) /* address range without backing       */ \
	X(0x23, VA_FREE,       va_free,       WORKER, 0) /* give the range back                 */ \
	X(0x24, PHYS_CREATE,   phys_create,   WORKER, 0) /* backing without address             */ \
	X(0x25, PHYS_RELEASE,  phys_release,  WORKER, 0) /* drop the handle; mappings keep it   */ \
	X(0x26, PHYS_IMPORT,   phys_import,   WORKER, 0) /* backing from an exported memfd      */ \
	X(0x27, VA_MAP,        va_map,        WORKER, 0) /* bind backing to addresses           */ \
	X(0x28, VA_UNMAP,      va_unmap,      WORKER, 0) /* unbind                              */ \
	X(0x29, VA_ACCESS,     va_access,     WORKER, 0) /* set protection                      */ \
	X(0x2a, HOST_REGISTER, host_register, WORKER, 0) /* map client memory at its address    */ \
	X(0x2b, HOST_UNREGISTER, host_unregister, WORKER, 0) /* undo                            */ \
	X(0x30, MODULE_LOAD,   module_load,   WORKER, 0) /* PTX or fat binary                   */ \
	X(0x31, MODULE_UNLOAD, module_unload, WORKER, 0) /* it and its functions and globals    */ \
	X(0x32, MODULE_INFO,   module_info,   WORKER, 0) /* counts                              */ \
	X(0x33, FUNC_GET,      func_get,      WORKER, 0) /* kernel by name or index             */ \
	X(0x34, FUNC_INFO,     func_info,     WORKER, 0) /* attributes; compiles if needed      */ \
	X(0x35, FUNC_PARAMS,   func_params,   WORKER, 0) /* offset and size of parameters       */ \
	X(0x36, FUNC_NAME,     func_name,     WORKER, 0) /* its name                            */ \
	X(0x37, FUNC_SET,      func_set,      WORKER, 0) /* set one attribute                   */ \
	X(0x38, FUNC_OCCUPANCY, func_occupancy, WORKER, 0) /* resident blocks per SM            */ \
	X(0x39, GLOBAL_GET,    global_get,    WORKER, 0) /* module variable by name or index    */ \
	X(0x40, STREAM_CREATE, stream_create, WORKER, 0) /* a queue with its ring               */ \
	X(0x41, STREAM_DESTROY, stream_destroy, WORKER, 0) /* after its commands are done       */ \
	X(0x42, SUBMIT,        submit,        WORKER, 0) /* commands without a shared ring      */ \
	X(0x43, WAIT,          wait,          WORKER, 0) /* until a stream has done seq         */ \
	X(0x44, EVENT_QUERY,   event_query,   WORKER, 0) /* event slot without shared pages     */ \
	X(0x45, HOST_DONE,     host_done,     WORKER, 0) /* host call finished (no shared page) */ \
	X(0x46, GRAPH_CREATE,  graph_create,  WORKER, 0) /* keep commands, to run them together */ \
	X(0x47, GRAPH_DESTROY, graph_destroy, WORKER, 0) /* forget them                         */ \
	X(0x48, STREAM_SMS,    stream_sms,    WORKER, 0) /* of how much of the device it uses    */ \
	X(0x50, TEX_CREATE,    tex_create,    WORKER, 0) /* a texture or surface for kernels    */ \
	X(0x51, TEX_DESTROY,   tex_destroy,   WORKER, 0) /* its handle is none any more         */
/* clang-format on */

#define VGPU_IOC(NAME) VGPU_IOC_##NAME

/* --------------------------------------------------------------------------------------------- */

/**
 * struct vgpu_hello - VGPU_OP_HELLO
 *
 * Errors: EINVAL (magic), EPROTONOSUPPORT (major differs), EACCES, EDQUOT (clients of this uid).
 */
struct vgpu_hello {
	uint32_t magic;		 /**< in: VGPU_MAGIC */
	uint16_t version_major;	 /**< in: caller's; out: daemon's */
	uint16_t version_minor;	 /**< in: caller's; out: daemon's */
	uint64_t features;	 /**< in: known to the caller; out: common to both */
	uint64_t window_base;	 /**< in: address the client reserved, 2 MiB aligned, or 0 for none;
				 *   out: the process's window (first caller decides) */
	uint64_t window_size;	 /**< in/out: bytes, power of two, 2^32 to 2^44 */
	uint64_t session;	 /**< out: number of this open file, for logs */
	uint32_t device;	 /**< out: index of the device behind this node */
	uint32_t device_count;	 /**< out: devices this daemon serves */
	uint32_t pid;		 /**< out: the caller's thread-group id as the daemon sees it */
	uint32_t driver_version; /**< out: as cuDriverGetVersion, e.g. 13000 */
	char driver_string[32];	 /**< out: e.g. "580.95.05" */
};

/**
 * struct vgpu_device_info - VGPU_OP_DEVICE_INFO
 *
 * Constant while the daemon runs; one call per open is enough.
 */
struct vgpu_device_info {
	char name[256];		    /**< out: NUL-terminated, e.g. "NVIDIA H100 80GB HBM3" */
	char profile[32];	    /**< out: e.g. "H100-80GB" */
	uint8_t uuid[16];	    /**< out: stable per host and device */
	uint32_t pci_domain;	    /**< out */
	uint32_t pci_bus;	    /**< out */
	uint32_t pci_device;	    /**< out */
	uint32_t cc_major;	    /**< out: compute capability of the profile */
	uint32_t cc_minor;	    /**< out */
	uint32_t library_cc;	    /**< out: major * 10 + minor that NVIDIA's own libraries see */
	uint64_t mem_total;	    /**< out: bytes */
	char library_sonames[1024]; /**< out: comma-separated soname prefixes that see library_cc */
};

/**
 * struct vgpu_device_attrs - VGPU_OP_DEVICE_ATTRS
 *
 * value[i] answers CUdevice_attribute i where the bit i of known is set.
 */
struct vgpu_device_attrs {
	uint64_t known[VGPU_MAX_ATTRS / 64]; /**< out: bit set */
	int32_t value[VGPU_MAX_ATTRS];	     /**< out */
};

/** struct vgpu_mem_info - VGPU_OP_MEM_INFO */
struct vgpu_mem_info {
	uint64_t total;	   /**< out: bytes of the device */
	uint64_t free;	   /**< out: bytes a new allocation could get */
	uint64_t reserved; /**< out: bytes the profile keeps for itself */
	uint64_t mine;	   /**< out: bytes charged to this client on this device */
};

#define VGPU_SHARE_CONTROL 1 /* vgpu_share.h: rings, counters, event slots; per process */
#define VGPU_SHARE_HOST	   2 /* backs pinned and managed memory; per process */
#define VGPU_SHARE_DEVICE  3 /* backs the memory of this node's device */

/**
 * struct vgpu_share - VGPU_OP_SHARE
 *
 * The front opens /proc/<tgid>/fd/<fd>, checks that it is a memfd sealed against shrink, grow and
 * further seals, and of exactly this size, and keeps a descriptor for the worker. Must come before
 * the first worker operation. Errors: EBADF, EPERM (not a memfd or seals missing), EINVAL (size),
 * EEXIST (this kind is there already), EBUSY (worker runs already), ENOTSUP (foreign pid
 * namespace; go on without).
 */
struct vgpu_share {
	uint32_t kind; /**< in: VGPU_SHARE_* */
	int32_t fd;    /**< in: descriptor number in the calling process */
	uint64_t size; /**< in: bytes, multiple of 2 MiB */
};

/**
 * struct vgpu_bulk_base - VGPU_OP_BULK_BASE
 *
 * Belongs to the open file. Errors: none of its own.
 */
struct vgpu_bulk_base {
	uint64_t base; /**< in: added to the offset of every later pread/pwrite of this file */
};

/* ---- telemetry -------------------------------------------------------------------------------
 *
 * What is true of the device and of all who use it, for whoever may open the node; docs/nvml.md
 * says what is measured and what follows from a model.
 */

/**
 * struct vgpu_board_info - VGPU_OP_BOARD_INFO
 *
 * Constant while the daemon runs: the card that the device claims to be.
 */
struct vgpu_board_info {
	uint32_t pci_ids;	   /**< out: device << 16 | vendor */
	uint32_t pci_subsystem;	   /**< out: device << 16 | vendor */
	uint32_t pcie_gen;	   /**< out: highest of the card */
	uint32_t pcie_width;	   /**< out: lanes */
	uint32_t sm_count;	   /**< out: multiprocessors */
	uint32_t core_count;	   /**< out: cores of all multiprocessors */
	uint32_t bus_width;	   /**< out: bits of the memory interface */
	uint32_t fan_count;	   /**< out: 0: passive */
	uint32_t ecc;		   /**< out: 1: the card has ECC and it is on */
	uint32_t power_limit_mw;   /**< out: in force and default */
	uint32_t power_min_mw;	   /**< out: lowest limit that the card takes */
	uint32_t power_max_mw;	   /**< out: highest */
	uint32_t power_idle_mw;	   /**< out: what the model takes for an idle card */
	uint32_t temp_idle_c;	   /**< out: the model's degrees Celsius of an idle card */
	uint32_t temp_load_c;	   /**< out: of one that is busy all the time */
	uint32_t temp_max_c;	   /**< out: highest in regular use */
	uint32_t temp_slowdown_c;  /**< out */
	uint32_t temp_shutdown_c;  /**< out */
	uint32_t temp_mem_max_c;   /**< out: of the memory, 0: has no sensor */
	uint32_t sm_idle_mhz;	   /**< out: multiprocessors, nobody uses the device */
	uint32_t sm_max_mhz;	   /**< out: in use */
	uint32_t sm_step_mhz;	   /**< out: supported clocks are sm_min_mhz + n * this */
	uint32_t sm_min_mhz;	   /**< out */
	uint32_t video_idle_mhz;   /**< out */
	uint32_t video_max_mhz;	   /**< out */
	uint32_t mem_idle_mhz;	   /**< out */
	uint32_t mem_max_mhz;	   /**< out */
	uint32_t mem_clocks;	   /**< out: supported memory clocks */
	uint32_t mem_clock_mhz[4]; /**< out: highest first */
	uint32_t idle_state;	   /**< out: performance state when nobody uses the device */
	uint32_t nvlinks;	   /**< out: links of the card; none is connected */
	uint64_t bar1_bytes;	   /**< out */
	uint32_t encoders;	   /**< out: video encoders of the card; none is built */
	uint32_t pad;		   /**< 0 */
	char vbios[32];		   /**< out: version text */
	char architecture[32];	   /**< out: "Hopper" */
};

/**
 * struct vgpu_device_state - VGPU_OP_DEVICE_STATE
 *
 * Totals count from the daemon's start. Rates are of the last second.
 */
struct vgpu_device_state {
	uint64_t now_ns;       /**< out: when this was true */
	uint64_t uptime_ns;    /**< out: of the daemon */
	uint64_t mem_total;    /**< out: bytes of the device */
	uint64_t mem_reserved; /**< out: bytes that the profile keeps */
	uint64_t mem_used;     /**< out: bytes charged to all clients */
	uint64_t busy_ns;      /**< out: time in which kernels ran, each process for itself */
	uint64_t copy_ns;      /**< out: time in which the worker copied or filled */
	uint64_t kernels;      /**< out: launches */
	uint64_t in_bytes;     /**< out: host to device, by the worker */
	uint64_t out_bytes;    /**< out: device to host, by the worker */
	uint64_t moved_bytes;  /**< out: all that was copied or filled by the worker */
	uint64_t in_rate;      /**< out: bytes per second */
	uint64_t out_rate;     /**< out: bytes per second */
	uint64_t energy_mj;    /**< out: millijoules, from the model */
	uint64_t last_fault;   /**< out: number of the newest fault on any device, 0: none */
	uint32_t util_kernel;  /**< out: hundredths of a percent */
	uint32_t util_copy;    /**< out: hundredths of a percent */
	uint32_t power_mw;     /**< out: from the model */
	uint32_t temp_mc;      /**< out: thousandths of a degree Celsius, from the model */
	uint32_t temp_mem_mc;  /**< out: 0: no sensor */
	uint32_t fan_percent;  /**< out: from the model, 0 without fans */
	uint32_t sm_mhz;       /**< out: from the model */
	uint32_t mem_mhz;      /**< out */
	uint32_t video_mhz;    /**< out */
	uint32_t perf_state;   /**< out: 0 to 15 */
	uint32_t clients;      /**< out: processes with an open file of this device */
	uint32_t contexts;     /**< out: on this device */
};

#define VGPU_CLIENT_ENTRIES 56
#define VGPU_CLIENT_NAME    128

#define VGPU_CLIENT_ENDED (1u << 0) /* process or its use of the device is over */
#define VGPU_CLIENT_ME	  (1u << 1) /* the caller */

/** struct vgpu_client_entry - one process, as far as the device of the list is concerned */
struct vgpu_client_entry {
	uint64_t serial;	     /**< grows from process to process, never used again */
	uint32_t pid;		     /**< in the caller's pid namespace; 0: not visible there */
	uint32_t uid;		     /**< as the daemon sees it */
	uint32_t flags;		     /**< VGPU_CLIENT_* */
	uint32_t contexts;	     /**< that it has now */
	uint64_t start_us;	     /**< microseconds of CLOCK_REALTIME: first opened the device */
	uint64_t time_ns;	     /**< since then, until now or its end */
	uint64_t mem_used;	     /**< bytes charged */
	uint64_t mem_peak;	     /**< most of it so far */
	uint64_t busy_ns;	     /**< its kernels ran */
	uint64_t copy_ns;	     /**< its copies ran in the worker */
	uint64_t in_bytes;	     /**< host to device */
	uint64_t out_bytes;	     /**< device to host */
	uint64_t kernels;	     /**< launches */
	uint32_t util_kernel;	     /**< last second, hundredths of a percent */
	uint32_t util_copy;	     /**< last second */
	char name[VGPU_CLIENT_NAME]; /**< its argv[0], "" unknown */
};

#define VGPU_CLIENTS_LIVE  0 /* processes that have the device open */
#define VGPU_CLIENTS_ENDED 1 /* the last ones that had a context and have ended */

#define VGPU_CLIENTS_KEPT 256 /* ended ones that the daemon remembers, each per device */

/**
 * struct vgpu_client_list - VGPU_OP_CLIENT_LIST
 *
 * In the order of their serials, which goes on where the last call's entries end. Errors: EINVAL
 * (kind).
 */
struct vgpu_client_list {
	uint64_t after; /**< in: serial of the last one seen, 0 at first */
	uint32_t kind;	/**< in: VGPU_CLIENTS_* */
	uint32_t count; /**< out: valid entries */
	uint32_t more;	/**< out: 1: there are more behind them */
	uint32_t pad;	/**< MBZ */
	struct vgpu_client_entry entry[VGPU_CLIENT_ENTRIES]; /**< out */
};

#define VGPU_FAULT_ENTRIES 16

/** struct vgpu_fault_entry - one fault, on any device */
struct vgpu_fault_entry {
	uint64_t serial;	     /**< 1, 2, 3 ... */
	uint64_t time_us;	     /**< microseconds of CLOCK_REALTIME */
	uint64_t address;	     /**< that was touched, where the fault has one */
	uint32_t device;	     /**< index */
	uint32_t xid;		     /**< number of NVIDIA's driver for this kind of fault */
	uint32_t error;		     /**< CUresult that the client sees */
	uint32_t pid;		     /**< in the caller's pid namespace; 0: not visible there */
	uint32_t uid;		     /**< as the daemon sees it */
	uint32_t line;		     /**< in the PTX text, 0 unknown */
	uint32_t ctaid[3];	     /**< block of the faulting thread */
	uint32_t tid[3];	     /**< thread in the block */
	char name[VGPU_CLIENT_NAME]; /**< argv[0] of the process */
	char kernel[256];	     /**< name, cut if longer */
	char what[256];		     /**< one sentence */
};

/**
 * struct vgpu_fault_list - VGPU_OP_FAULT_LIST
 *
 * The oldest that are kept (LIMIT_FAULTS) behind @after, of all devices.
 */
struct vgpu_fault_list {
	uint64_t after; /**< in: serial of the last one seen */
	uint64_t last;	/**< out: serial of the newest, 0: none */
	uint32_t count; /**< out: valid entries */
	uint32_t pad;	/**< MBZ */
	struct vgpu_fault_entry entry[VGPU_FAULT_ENTRIES]; /**< out */
};

#define VGPU_SAMPLES 128

/** struct vgpu_sample - one piece of time */
struct vgpu_sample {
	uint64_t time_us;     /**< microseconds of CLOCK_REALTIME at its end */
	uint64_t in_bytes;    /**< host to device, by the worker */
	uint64_t out_bytes;   /**< device to host, by the worker */
	uint32_t util_kernel; /**< hundredths of a percent */
	uint32_t util_copy;   /**< hundredths of a percent */
};

/** struct vgpu_sample_list - VGPU_OP_SAMPLE_LIST; ended pieces of time, oldest first. */
struct vgpu_sample_list {
	uint64_t after_us;  /**< in: only what ended later; 0: all that is kept */
	uint32_t period_us; /**< out: length of each */
	uint32_t count;	    /**< out: valid entries */
	struct vgpu_sample sample[VGPU_SAMPLES]; /**< out */
};

/* --------------------------------------------------------------------------------------------- */

/**
 * struct vgpu_ctx_create - VGPU_OP_CTX_CREATE; on the device of the open file.
 */
struct vgpu_ctx_create {
	uint32_t flags; /**< in: CUctx_flags, kept and handed back only */
	uint32_t ctx;	/**< out: handle */
	uint32_t slot;	/**< out: index into vgpu_share_control.ctx */
	uint32_t pad;	/**< MBZ */
};

/** struct vgpu_ctx_destroy - VGPU_OP_CTX_DESTROY; waits for running work, then frees all of it. */
struct vgpu_ctx_destroy {
	uint32_t ctx; /**< in */
	uint32_t pad; /**< MBZ */
};

/**
 * struct vgpu_ctx_status - VGPU_OP_CTX_STATUS
 */
struct vgpu_ctx_status {
	uint32_t ctx;	   /**< in */
	uint32_t error;	   /**< out: CUresult that is sticky on it, 0 for none */
	uint32_t ctaid[3]; /**< out: block of the faulting thread */
	uint32_t tid[3];   /**< out: thread in the block */
	uint64_t address;  /**< out: address it touched, where the fault has one */
	uint32_t line;	   /**< out: line in the PTX text, 0 unknown */
	uint32_t pad;	   /**< MBZ */
	char kernel[512];  /**< out: name, cut if longer */
	char what[256];	   /**< out: one sentence */
};

/** struct vgpu_ctx_limit - VGPU_OP_CTX_LIMIT */
struct vgpu_ctx_limit {
	uint32_t ctx;	/**< in */
	uint32_t limit; /**< in: CUlimit */
	uint32_t set;	/**< in: 1 sets value, 0 reads it */
	uint32_t pad;	/**< MBZ */
	uint64_t value; /**< in/out: bytes or count */
};

/**
 * struct vgpu_console_read - VGPU_OP_CONSOLE_READ
 *
 * Takes the oldest text that kernels of this context printed (printf, assert messages). Text that
 * found the FIFO full is lost and counted, as on hardware.
 */
struct vgpu_console_read {
	uint32_t ctx;		       /**< in */
	uint32_t bytes;		       /**< out: valid bytes in text */
	uint64_t lost;		       /**< out: bytes lost so far */
	uint32_t more;		       /**< out: 1 if more is waiting */
	uint32_t stream;	       /**< out: 1 = stdout, 2 = stderr (assert) */
	char text[VGPU_CONSOLE_BYTES]; /**< out: not NUL-terminated */
};

/**
 * struct vgpu_blob_create - VGPU_OP_BLOB_CREATE
 *
 * With fd >= 0 the content is taken from that memfd (any seals; it is copied before it is looked
 * at). With fd = -1 the caller fills it by pwrite at VGPU_BLOB_OFFSET(slot), which is EBUSY while
 * MODULE_LOAD reads it.
 */
struct vgpu_blob_create {
	uint64_t size; /**< in: bytes, 1 to VGPU_MAX_BLOB_BYTES */
	int32_t fd;    /**< in: memfd number in the caller, or -1 */
	uint32_t blob; /**< out: handle */
	uint32_t slot; /**< out: for VGPU_BLOB_OFFSET */
	uint32_t pad;  /**< MBZ */
};

/** struct vgpu_blob_destroy - VGPU_OP_BLOB_DESTROY */
struct vgpu_blob_destroy {
	uint32_t blob; /**< in */
	uint32_t pad;  /**< MBZ */
};

/* --------------------------------------------------------------------------------------------- */

#define VGPU_MEM_DEVICE	 0 /* in the device arena; not accessible at its address in the client */
#define VGPU_MEM_HOST	 1 /* pinned host memory: host arena, same address in the client */
#define VGPU_MEM_MANAGED 2 /* like HOST, counted as managed */

/**
 * struct vgpu_mem_alloc - VGPU_OP_MEM_ALLOC (cuMemAlloc, cuMemAllocHost, cuMemAllocManaged)
 *
 * Errors: ENOMEM (device full), EDQUOT, EINVAL (size 0, bad align, unknown kind).
 */
struct vgpu_mem_alloc {
	uint32_t ctx;	    /**< in */
	uint32_t kind;	    /**< in: VGPU_MEM_* */
	uint64_t size;	    /**< in: bytes wanted; out: bytes usable (same) */
	uint64_t align;	    /**< in: power of two up to 2 MiB, or 0 for the default (512) */
	uint64_t va;	    /**< out: device address */
	uint64_t arena_off; /**< out: offset of va in its arena's memfd */
};

/** struct vgpu_mem_free - VGPU_OP_MEM_FREE; va as MEM_ALLOC gave it (EINVAL otherwise). */
struct vgpu_mem_free {
	uint64_t va; /**< in */
};

/** struct vgpu_va_reserve - VGPU_OP_VA_RESERVE (cuMemAddressReserve) */
struct vgpu_va_reserve {
	uint64_t size;	/**< in: bytes, multiple of 2 MiB */
	uint64_t align; /**< in: power of two, 0 for 2 MiB */
	uint64_t va;	/**< in: wished address or 0; out: address */
};

/** struct vgpu_va_free - VGPU_OP_VA_FREE; whole reservation, nothing mapped (EBUSY otherwise). */
struct vgpu_va_free {
	uint64_t va;   /**< in */
	uint64_t size; /**< in */
};

#define VGPU_PHYS_FD   (1u << 0) /* backed by the memfd in fd: can be exported */
#define VGPU_PHYS_HOST (1u << 1) /* host memory (CU_MEM_LOCATION_TYPE_HOST), not charged */

/** struct vgpu_phys_create - VGPU_OP_PHYS_CREATE (cuMemCreate); on this file's device. */
struct vgpu_phys_create {
	uint64_t size;	    /**< in: bytes, multiple of 2 MiB */
	uint32_t flags;	    /**< in: VGPU_PHYS_* */
	int32_t fd;	    /**< in: memfd of exactly size, sealed as for SHARE, with VGPU_PHYS_FD,
			     *   else -1 */
	uint64_t arena_off; /**< out: offset in its arena (0 with VGPU_PHYS_FD) */
	uint32_t phys;	    /**< out: handle */
	uint32_t pad;	    /**< MBZ */
};

/** struct vgpu_phys_release - VGPU_OP_PHYS_RELEASE; backing lives on while mapped. */
struct vgpu_phys_release {
	uint32_t phys; /**< in */
	uint32_t pad;  /**< MBZ */
};

/** struct vgpu_phys_import - VGPU_OP_PHYS_IMPORT (cuMemImportFromShareableHandle) */
struct vgpu_phys_import {
	int32_t fd;    /**< in: sealed memfd that a cuMemExportToShareableHandle made */
	uint32_t phys; /**< out: handle; charged to the creator, not to the importer */
	uint64_t size; /**< out: bytes */
};

/** struct vgpu_va_map - VGPU_OP_VA_MAP (cuMemMap); no access until VA_ACCESS. */
struct vgpu_va_map {
	uint64_t va;	 /**< in: inside one reservation, not mapped yet (EBUSY) */
	uint64_t size;	 /**< in: bytes, multiple of 2 MiB */
	uint64_t offset; /**< in: bytes into phys */
	uint32_t phys;	 /**< in */
	uint32_t pad;	 /**< MBZ */
};

/** struct vgpu_va_unmap - VGPU_OP_VA_UNMAP (cuMemUnmap); whole mappings only. */
struct vgpu_va_unmap {
	uint64_t va;   /**< in */
	uint64_t size; /**< in */
};

#define VGPU_PROT_NONE	     0
#define VGPU_PROT_READ	     1
#define VGPU_PROT_READ_WRITE 3

/** struct vgpu_va_access - VGPU_OP_VA_ACCESS (cuMemSetAccess) */
struct vgpu_va_access {
	uint64_t va;	 /**< in: whole mappings only */
	uint64_t size;	 /**< in */
	uint32_t device; /**< in: index of the device that gets access */
	uint32_t prot;	 /**< in: VGPU_PROT_* (values of CUmemAccess_flags) */
};

/**
 * struct vgpu_host_register - VGPU_OP_HOST_REGISTER (cuMemHostRegister)
 *
 * The client has replaced its pages at va by a shared mapping of the memfd; the worker maps the
 * same pages at the same address. With VGPU_HOST_MAPPED the pages are those of a file that the
 * program has mapped there itself: the memory behind a shared mapping, or a regular file of a local
 * file system. Errors: EADDRINUSE (the address is taken in the worker: the client undoes its part
 * and refuses), EPERM (not such a descriptor, or not open for what is wanted), ENOTSUP.
 */
struct vgpu_host_register {
	uint64_t va;	 /**< in: page aligned */
	uint64_t size;	 /**< in: bytes, multiple of the page size, size of the memfd */
	int32_t fd;	 /**< in: number in the caller; sealed, unless VGPU_HOST_MAPPED */
	uint32_t ctx;	 /**< in */
	uint64_t offset; /**< in: with VGPU_HOST_MAPPED, of va in the file; page aligned */
	uint32_t flags;	 /**< in: VGPU_HOST_* */
	uint32_t pad;	 /**< MBZ */
};

#define VGPU_HOST_MAPPED    (1u << 0) /* fd is what the program mapped, from offset on */
#define VGPU_HOST_READ_ONLY (1u << 1) /* the device must not write there */

/** struct vgpu_host_unregister - VGPU_OP_HOST_UNREGISTER */
struct vgpu_host_unregister {
	uint64_t va; /**< in: as registered */
};

/* --------------------------------------------------------------------------------------------- */

#define VGPU_MODULE_LENIENT_CC (1u << 0) /* caller is an NVIDIA library: any PTX will do */

/**
 * struct vgpu_module_load - VGPU_OP_MODULE_LOAD
 *
 * The blob holds PTX text, a fat binary container (magic 0xBA55ED50), several of them to be linked
 * (vgpu_bundle.h) or a cubin. A refusal of the image is not an errno: the call succeeds with result
 * set.
 *
 * With managed_of the module's .managed variables are those of that module, with the values they
 * have now: one image in several contexts has them once. EINVAL: not the same variables.
 */
struct vgpu_module_load {
	uint32_t ctx;	     /**< in */
	uint32_t blob;	     /**< in: may be destroyed after the call */
	uint32_t flags;	     /**< in: VGPU_MODULE_* */
	uint32_t module;     /**< out: handle, 0 on refusal */
	uint32_t result;     /**< out: CUresult (0, 200, 209, 218, 222 ...) */
	uint32_t log_bytes;  /**< out: bytes of log with its NUL */
	uint32_t ptx_target; /**< out: cc of the .target picked, major * 10 + minor */
	uint32_t pad;	     /**< MBZ */
	char log[4096];	     /**< out: "line:column: message" lines */
	uint32_t managed_of; /**< in: module of any context, 0 for variables of its own */
	uint32_t pad2;	     /**< MBZ */
};

/** struct vgpu_module_unload - VGPU_OP_MODULE_UNLOAD */
struct vgpu_module_unload {
	uint32_t module; /**< in */
	uint32_t pad;	 /**< MBZ */
};

/** struct vgpu_module_info - VGPU_OP_MODULE_INFO */
struct vgpu_module_info {
	uint32_t module;    /**< in */
	uint32_t functions; /**< out: kernels in it */
	uint32_t globals;   /**< out: variables in it */
	uint32_t pad;	    /**< MBZ */
};

#define VGPU_BY_NAME 0xffffffffu

/**
 * struct vgpu_func_get - VGPU_OP_FUNC_GET
 *
 * Callers send only as much of name as they use (rule 2). ENOENT: no such kernel.
 */
struct vgpu_func_get {
	uint32_t module;	  /**< in */
	uint32_t index;		  /**< in: 0 .. functions - 1, or VGPU_BY_NAME */
	uint32_t func;		  /**< out: handle; the same for the same kernel */
	uint32_t pad;		  /**< MBZ */
	char name[VGPU_MAX_NAME]; /**< in: with VGPU_BY_NAME, NUL-terminated */
};

/**
 * struct vgpu_func_info - VGPU_OP_FUNC_INFO (cuFuncGetAttribute)
 *
 * Compiles the kernel if that has not happened yet; a refusal stands in result and log.
 */
struct vgpu_func_info {
	uint32_t func;		      /**< in */
	uint32_t result;	      /**< out: CUresult of compiling it */
	uint32_t max_threads;	      /**< out: per block */
	uint32_t shared_bytes;	      /**< out: static */
	uint32_t const_bytes;	      /**< out */
	uint32_t local_bytes;	      /**< out: per thread */
	uint32_t num_regs;	      /**< out: per thread */
	uint32_t ptx_version;	      /**< out: .target, major * 10 + minor */
	uint32_t binary_version;      /**< out: cc of the device, major * 10 + minor */
	uint32_t max_dynamic_shared;  /**< out: bytes; attribute 8 */
	uint32_t preferred_carveout;  /**< out: attribute 9, as int32_t */
	uint32_t param_count;	      /**< out */
	uint32_t param_bytes;	      /**< out: size of the parameter block */
	uint32_t reqntid[3];	      /**< out: required block shape, 0 none */
	uint32_t cluster_must_be_set; /**< out: attribute 10 */
	uint32_t cluster[3];	      /**< out: required cluster shape, 0 none */
	uint32_t nonportable_cluster; /**< out: attribute 14 */
	uint32_t cluster_policy;      /**< out: attribute 15 */
	uint32_t cache_config;	      /**< out */
	uint32_t log_bytes;	      /**< out */
	char log[4096];		      /**< out: "line:column: message" lines */
};

/** struct vgpu_func_params - VGPU_OP_FUNC_PARAMS */
struct vgpu_func_params {
	uint32_t func;			  /**< in */
	uint32_t first;			  /**< in: index of the first one wanted */
	uint32_t count;			  /**< out: valid entries below */
	uint32_t total;			  /**< out: parameters of the kernel */
	uint32_t offset[VGPU_MAX_PARAMS]; /**< out: bytes into the parameter block */
	uint32_t size[VGPU_MAX_PARAMS];	  /**< out: bytes */
};

/** struct vgpu_func_name - VGPU_OP_FUNC_NAME */
struct vgpu_func_name {
	uint32_t func;		  /**< in */
	uint32_t module;	  /**< out: the module it lies in */
	char name[VGPU_MAX_NAME]; /**< out */
};

/** struct vgpu_func_set - VGPU_OP_FUNC_SET (cuFuncSetAttribute) */
struct vgpu_func_set {
	uint32_t func; /**< in */
	uint32_t attr; /**< in: CUfunction_attribute; 0x10000 = cache config */
	int32_t value; /**< in */
	uint32_t pad;  /**< MBZ */
};

/** struct vgpu_func_occupancy - VGPU_OP_FUNC_OCCUPANCY */
struct vgpu_func_occupancy {
	uint32_t func;		 /**< in */
	uint32_t block_size;	 /**< in: threads */
	uint64_t dynamic_shared; /**< in: bytes */
	uint32_t blocks;	 /**< out: resident blocks per multiprocessor */
	uint32_t pad;		 /**< MBZ */
};

/** struct vgpu_global_get - VGPU_OP_GLOBAL_GET; ENOENT: no such variable. */
struct vgpu_global_get {
	uint32_t module;	  /**< in */
	uint32_t index;		  /**< in: 0 .. globals - 1, or VGPU_BY_NAME */
	uint64_t va;		  /**< out: device address */
	uint64_t size;		  /**< out: bytes */
	uint32_t managed;	  /**< out: 1 for a .managed variable */
	uint32_t kind;		  /**< out: 0 .global, 1 .const, 2 .texref, 3 .surfref,
				   *   4 .samplerref */
	uint64_t arena_off;	  /**< out: offset of va in its arena */
	char name[VGPU_MAX_NAME]; /**< in with VGPU_BY_NAME, else out */
};

/* --------------------------------------------------------------------------------------------- */

/** struct vgpu_stream_create - VGPU_OP_STREAM_CREATE */
struct vgpu_stream_create {
	uint32_t ctx;	  /**< in */
	uint32_t flags;	  /**< in: CUstream_flags, kept only */
	int32_t priority; /**< in: clamped to the device's range */
	uint32_t stream;  /**< out: handle */
	uint32_t slot;	  /**< out: index into vgpu_share_control.stream, and its ring */
	uint32_t pad;	  /**< MBZ */
};

/**
 * struct vgpu_stream_sms - VGPU_OP_STREAM_SMS
 *
 * Kernels of the stream use that part of the device's multiprocessors. Errors: EINVAL (0, or more than there
 * are).
 */
struct vgpu_stream_sms {
	uint32_t stream; /**< in */
	uint32_t sms;	 /**< in */
};

/** struct vgpu_stream_destroy - VGPU_OP_STREAM_DESTROY; what is queued still runs. */
struct vgpu_stream_destroy {
	uint32_t stream; /**< in */
	uint32_t pad;	 /**< MBZ */
};

/**
 * struct vgpu_submit - VGPU_OP_SUBMIT
 *
 * Appends bytes to the stream's ring on behalf of a client without shared pages; the content is
 * exactly what the client would write there (vgpu_share.h). A command may span several calls.
 * EAGAIN: the ring is full, WAIT first. EBUSY: the stream has a shared ring.
 */
struct vgpu_submit {
	uint32_t stream;		 /**< in */
	uint32_t bytes;			 /**< in: multiple of 8, up to VGPU_SUBMIT_BYTES */
	uint8_t data[VGPU_SUBMIT_BYTES]; /**< in */
};

/**
 * struct vgpu_wait - VGPU_OP_WAIT
 *
 * Returns when the stream has completed seq, or has reached host token, or its context has a
 * sticky error, or the time is over (reply says where things stand). EINTR on a signal.
 */
struct vgpu_wait {
	uint32_t stream;     /**< in */
	uint32_t error;	     /**< out: sticky CUresult of the context */
	uint64_t seq;	     /**< in: wanted; ~0 = none */
	uint64_t host_token; /**< in: wanted; ~0 = none */
	uint64_t timeout_ns; /**< in: 0 = only look; ~0 = for ever */
	uint64_t done_seq;   /**< out */
	uint64_t done_token; /**< out: last host token reached */
};

/** struct vgpu_event_query - VGPU_OP_EVENT_QUERY */
struct vgpu_event_query {
	uint32_t slot;	  /**< in: event slot, below VGPU_SHARE_EVENTS */
	uint32_t pad;	  /**< MBZ */
	uint64_t gen;	  /**< out: last generation recorded */
	uint64_t time_ns; /**< out: when */
};

/** struct vgpu_host_done - VGPU_OP_HOST_DONE */
struct vgpu_host_done {
	uint32_t stream; /**< in */
	uint32_t pad;	 /**< MBZ */
	uint64_t token;	 /**< in */
};

/* --------------------------------------------------------------------------------------------- */

/**
 * struct vgpu_tex_create - VGPU_OP_TEX_CREATE
 *
 * Checks the description (vgpu_texture.h), not the memory: a kernel that reads where nothing is
 * mapped faults. Errors: ENOMEM (too many).
 */
struct vgpu_tex_create {
	uint32_t ctx;		   /**< in */
	uint32_t pad;		   /**< MBZ */
	uint64_t handle;	   /**< out: what kernels are given; unique in the process */
	struct vgpu_tex_desc desc; /**< in */
};

/** struct vgpu_tex_destroy - VGPU_OP_TEX_DESTROY; kernels that still use it may fault. */
struct vgpu_tex_destroy {
	uint32_t ctx;	 /**< in: the one it was made in */
	uint32_t pad;	 /**< MBZ */
	uint64_t handle; /**< in */
};

/* --------------------------------------------------------------------------------------------- */

/**
 * struct vgpu_graph_create - VGPU_OP_GRAPH_CREATE
 *
 * The blob holds commands as they would stand in a ring (vgpu_share.h), one behind the other. Allowed
 * are NOP, LAUNCH, COPY, COPY_RECT, FILL, VALUE_WRITE, VALUE_WAIT, BRANCH and TASK. VGPU_CMD_GRAPH_RUN
 * then runs all of them as one command. Kernels are looked up at each run.
 *
 * Errors: EINVAL (a size, a command that is not allowed, a branch to no command of its task, a task that
 * waits for itself or a later one), ENOMEM (also: too many, too large).
 */
struct vgpu_graph_create {
	uint32_t ctx;	/**< in */
	uint32_t blob;	/**< in: may be destroyed after the call */
	uint32_t graph; /**< out: handle */
	uint32_t pad;	/**< MBZ */
};

/**
 * struct vgpu_graph_destroy - VGPU_OP_GRAPH_DESTROY
 *
 * A run that has begun goes on; one that still stands in a ring is refused when it is reached.
 */
struct vgpu_graph_destroy {
	uint32_t graph; /**< in */
	uint32_t pad;	/**< MBZ */
};

/* The command numbers as the kernel sees them. */
enum vgpu_ioc {
#define X(nr, NAME, name, where, since)                                                            \
	VGPU_OP_##NAME = nr, VGPU_IOC_##NAME = (int)_IOWR(VGPU_IOC_TYPE, nr, struct vgpu_##name),
	VGPU_OPS(X)
#undef X
};

#ifdef __cplusplus
}
#endif
#endif /* VGPU_IOCTL_H */
