/* SPDX-License-Identifier: MIT */
/*
 * window.h - where the tests of one room put the window of device addresses.
 *
 * It is where libcuda puts it first. The thread sanitizer keeps that part of the address space for
 * itself and lets a program map only near where the kernel puts libraries.
 */
#ifndef TESTS_SUPPORT_WINDOW_H
#define TESTS_SUPPORT_WINDOW_H

#if defined(__SANITIZE_THREAD__)
#define TEST_WINDOW 0x7e9000000000ull
#else
#define TEST_WINDOW 0x700000000000ull
#endif

#endif
