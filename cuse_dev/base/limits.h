/* SPDX-License-Identifier: MIT */
/*
 * limits.h - the name and value of every maximum that a client can reach.
 *
 * Each has a test at the maximum and at maximum + 1. Limits that are part of the contract (struct
 * sizes, slots on shared pages) stand in ioctl/.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define LIMIT_SESSIONS		 4096  /* open files in the daemon */
#define LIMIT_SESSIONS_PER_UID	 2048  /* open files of one user, so that others find room */
#define LIMIT_PROCESSES		 1024  /* client processes with sessions */
#define LIMIT_PROCESSES_PER_UID	 512   /* client processes of one user */
#define LIMIT_SESSIONS_PER_PROC	 256   /* open files of one process */
#define LIMIT_PENDING_PER_PROC	 256   /* relayed requests without a reply */
#define LIMIT_EVENTS		 256   /* kept for administrators */
#define LIMIT_CONTROL_CONNS	 32    /* connections to the control socket */
#define LIMIT_CONTROL_PER_UID	 8     /* of one user who may not change anything */
#define LIMIT_CONTROL_REQUEST	 4096  /* bytes of a request with its newline */
#define LIMIT_CONTROL_PAGE	 64    /* clients or faults in one answer */
#define LIMIT_BULK_WAITING	 64    /* pread/pwrite of one process that wait for a bounce slot */
#define LIMIT_FAULTS		 256   /* that the daemon remembers */
#define LIMIT_CONTEXTS		 128   /* per client process */
#define LIMIT_STREAMS		 512   /* per client process */
#define LIMIT_MODULES		 16384 /* per client process */
#define LIMIT_FUNCTIONS		 262144 /* handles per client process */
#define LIMIT_BLOBS		 256	/* per client process */
#define LIMIT_WORKER_JOBS	 4	/* images and kernels of a client read at a time */
#define LIMIT_TEXTURES		 262144 /* textures and surfaces per device of a client process */
#define LIMIT_GRAPHS		 65536	/* per client process */
#define LIMIT_GRAPH_BYTES	 (256u << 20) /* commands of all graphs of a client process */
#define LIMIT_GRAPH_PREPARED	 131072	      /* launches of graphs that a worker keeps prepared */
#define LIMIT_BLOB_BYTES	 (4ull << 30)
#define LIMIT_ALLOCATIONS	 1048576    /* per client process */
#define LIMIT_RESERVATIONS	 65536	    /* per client process */
#define LIMIT_PHYS		 262144	    /* per client process */
#define LIMIT_MAPPINGS		 262144	    /* per client process */
#define LIMIT_CONSOLE_BYTES	 (1u << 20) /* default printf FIFO per context */
#define LIMIT_CONSOLE_BYTES_MAX	 (64u << 20)
#define LIMIT_STACK_BYTES_MAX	 (256u << 10) /* per thread */
#define LIMIT_KERNEL_PARAM_BYTES 32764	      /* CUDA 12.1 and later */
#define LIMIT_LAUNCHES_PENDING	 65536	      /* grids that one grid launches */
#define LIMIT_LAUNCH_DEPTH	 24	      /* of grids that launch grids */
#define LIMIT_JIT_LOG_BYTES	 4096
#define LIMIT_PTX_BYTES		 (1u << 30)    /* text of one module, decompressed */
#define LIMIT_PTX_MODULE_ARENA	 (512u << 20)  /* index of one module */
#define LIMIT_PTX_UNIT_ARENA	 (2048u << 20) /* one kernel's tree and IR */
#define LIMIT_PTX_SYMBOLS	 1048576       /* variables and functions of a module */
#define LIMIT_PTX_REGISTERS	 1048576       /* of one function */
#define LIMIT_PTX_FAMILY	 1024	       /* variables of one declaration "name<n>" */
#define LIMIT_PTX_NESTING	 64	       /* braces, initialisers, expressions */
#define LIMIT_PTX_MODIFIERS	 24	       /* of one instruction */
#define LIMIT_PTX_OPERANDS	 1024	       /* in one list */
#define LIMIT_PTX_UNIT_FUNCS	 16384	       /* functions that one kernel can reach */
#define LIMIT_PTX_VARIABLE_BYTES (1ull << 40)  /* one variable */

#endif
