/* SPDX-License-Identifier: MIT */
/* protocol.h - what both ends of the control socket know: where it is, and which version it speaks. */
#ifndef CONTROL_PROTOCOL_H
#define CONTROL_PROTOCOL_H

#define CONTROL_NAME	 "control" /* in the run directory */
#define CONTROL_PATH	 "/run/vgpu/" CONTROL_NAME
#define CONTROL_PROTOCOL 1 /* raised when a program that was written for it would go wrong */

#endif
