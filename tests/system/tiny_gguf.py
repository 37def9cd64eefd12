#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# tiny_gguf.py FILE - a random model of two layers (llama, f16, 2.8 MB) whose tokens are bytes, in GGUF version 3.
import random
import struct
import sys

WIDTH, INNER, HEADS, LAYERS, CONTEXT = 256, 512, 4, 2, 512
U32, F32, STRING, ARRAY, I32 = 4, 6, 8, 9, 5

random.seed(1)
tokens = [("<unk>", 2), ("<s>", 3), ("</s>", 3)] + [("<0x%02X>" % b, 6) for b in range(256)] + [("\u2581", 1)]


def text(s):
    s = s.encode()
    return struct.pack("<Q", len(s)) + s


def pair(key, kind, value):
    head = text(key) + struct.pack("<I", kind)
    if kind == STRING:
        return head + text(value)
    return head + struct.pack("<f" if kind == F32 else "<I", value)


def array(key, kind, values):
    data = b"".join(text(v) if kind == STRING else struct.pack("<f" if kind == F32 else "<i", v) for v in values)
    return text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + data


pairs = [
    pair("general.architecture", STRING, "llama"),
    pair("general.name", STRING, "tiny"),
    pair("general.file_type", U32, 1),
    pair("llama.context_length", U32, CONTEXT),
    pair("llama.embedding_length", U32, WIDTH),
    pair("llama.block_count", U32, LAYERS),
    pair("llama.feed_forward_length", U32, INNER),
    pair("llama.attention.head_count", U32, HEADS),
    pair("llama.attention.head_count_kv", U32, HEADS),
    pair("llama.rope.dimension_count", U32, WIDTH // HEADS),
    pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
    pair("llama.vocab_size", U32, len(tokens)),
    pair("tokenizer.ggml.model", STRING, "llama"),
    array("tokenizer.ggml.tokens", STRING, [t for t, _ in tokens]),
    array("tokenizer.ggml.scores", F32, [0.0] * len(tokens)),
    array("tokenizer.ggml.token_type", I32, [k for _, k in tokens]),
    pair("tokenizer.ggml.bos_token_id", U32, 1),
    pair("tokenizer.ggml.eos_token_id", U32, 2),
    pair("tokenizer.ggml.unknown_token_id", U32, 0),
]

# Name and shape, the fastest dimension first; a norm has one dimension and is f32.
tensors = [("token_embd", (WIDTH, len(tokens))), ("output_norm", (WIDTH,)), ("output", (WIDTH, len(tokens)))]
for i in range(LAYERS):
    tensors += [("blk.%d.attn_norm" % i, (WIDTH,)), ("blk.%d.ffn_norm" % i, (WIDTH,))]
    tensors += [("blk.%d.attn_%s" % (i, t), (WIDTH, WIDTH)) for t in ("q", "k", "v", "output")]
    tensors += [("blk.%d.ffn_gate" % i, (WIDTH, INNER)), ("blk.%d.ffn_up" % i, (WIDTH, INNER)),
                ("blk.%d.ffn_down" % i, (INNER, WIDTH))]

infos, data = b"", b""
for name, shape in tensors:
    n = shape[0] * (shape[1] if len(shape) > 1 else 1)
    infos += text(name + ".weight") + struct.pack("<I%dQ" % len(shape), len(shape), *shape)
    infos += struct.pack("<IQ", len(shape) > 1, len(data))
    if len(shape) > 1:
        data += struct.pack("<%de" % n, *(random.gauss(0, 0.05) for _ in range(n)))
    else:
        data += struct.pack("<%df" % n, *([1.0] * n))
    data += bytes(-len(data) % 32)

head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs) + infos
with open(sys.argv[1], "wb") as f:
    f.write(head + bytes(-len(head) % 32) + data)
