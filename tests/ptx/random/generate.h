// SPDX-License-Identifier: MIT
// generate.h - random PTX kernels, valid by construction, whose results do not depend on how the
// threads of a grid take turns.
//
// What keeps them so: shared memory is written only by the thread that owns a word and read by others
// between two barriers; exchange between lanes and barriers stand where all threads of a block come;
// what several threads do to one word of memory are reductions of integers whose result nobody reads;
// atomics with a result act on words that only one thread has. Threads leave early only after the last
// place where all must come.
#ifndef PTX_RANDOM_GENERATE_H
#define PTX_RANDOM_GENERATE_H

#include <cstdint>
#include <string>

// Kernel "k" (.u64 in, .u64 out, .u64 sums): reads RANDOM_IN and writes RANDOM_OUT words of 32 bits
// per thread (the last two are also its cells for atomics), and reduces into RANDOM_SUMS words. At most
// RANDOM_THREADS threads per block.
enum { RANDOM_IN = 8, RANDOM_OUT = 32, RANDOM_SUMS = 8, RANDOM_THREADS = 256 };

std::string random_kernel(uint64_t seed);

#endif
