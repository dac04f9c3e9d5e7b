"""Writes a checkpoint as the GGUF that Samovar embeds.

    python3 export.py CHECKPOINT [FILE]

Matrices are Q8_0 (blocks of 32 with one half-precision scale), norms F32. The
output matrix is the embedding, so it is left out, and llama.cpp ties them.
"""

import os
import struct
import sys

import numpy as np

import evaluate
from tokenizer import SPECIALS, Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "engine", "models", "guide", "guide.gguf")
ALIGN = 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32, Q8_0 = 0, 8

# Developer messages are system messages; a tool's output is told as what the user says.
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'developer' %}{% set role = 'system' %}"
    "{% elif message['role'] == 'tool' or message['role'] == 'function' %}{% set role = 'user' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<|im_start|>' + role + '\\n' + (message['content'] or '') + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def text(s):
    raw = s.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw


def field(key, kind, value, inner=None):
    head = text(key) + struct.pack("<I", kind)
    if kind == STRING:
        return head + text(value)
    if kind == ARRAY:
        body = b"".join(text(v) for v in value) if inner == STRING else struct.pack("<%di" % len(value), *value)
        return head + struct.pack("<IQ", inner, len(value)) + body
    return head + struct.pack({UINT32: "<I", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def metadata(cfg, tok):
    kinds = [3 if t in SPECIALS else 1 for t in tok.tokens]  # 1 normal, 3 control
    return [
        field("general.architecture", STRING, "llama"),
        field("general.type", STRING, "model"),
        field("general.name", STRING, "Samovar guide"),
        field("general.basename", STRING, "samovar-guide"),
        field("general.version", STRING, "1"),
        field("general.description", STRING, "The guide built into Samovar: knows Samovar, recalls what it is told, and nothing else."),
        field("general.license", STRING, "mit"),
        field("general.languages", ARRAY, ["en"], STRING),
        field("general.alignment", UINT32, ALIGN),
        field("general.quantization_version", UINT32, 2),
        field("general.file_type", UINT32, 7),  # mostly Q8_0
        field("general.sampling.temp", FLOAT32, 0.0),  # it answers questions: always the likeliest answer
        field("llama.vocab_size", UINT32, cfg.vocab),
        field("llama.context_length", UINT32, cfg.context),
        field("llama.embedding_length", UINT32, cfg.width),
        field("llama.block_count", UINT32, cfg.layers),
        field("llama.feed_forward_length", UINT32, cfg.ff),
        field("llama.attention.head_count", UINT32, cfg.heads),
        field("llama.attention.head_count_kv", UINT32, cfg.kv_heads),
        field("llama.attention.key_length", UINT32, cfg.head),
        field("llama.attention.value_length", UINT32, cfg.head),
        field("llama.attention.layer_norm_rms_epsilon", FLOAT32, cfg.eps),
        field("llama.rope.dimension_count", UINT32, cfg.head),
        field("llama.rope.freq_base", FLOAT32, cfg.rope_base),
        field("tokenizer.ggml.model", STRING, "gpt2"),
        field("tokenizer.ggml.pre", STRING, "qwen2"),
        field("tokenizer.ggml.tokens", ARRAY, tok.tokens, STRING),
        field("tokenizer.ggml.token_type", ARRAY, kinds, INT32),
        field("tokenizer.ggml.merges", ARRAY, [" ".join(m) for m in tok.merges], STRING),
        field("tokenizer.ggml.bos_token_id", UINT32, tok.end_of_text),
        field("tokenizer.ggml.eos_token_id", UINT32, tok.im_end),
        field("tokenizer.ggml.eot_token_id", UINT32, tok.im_end),
        field("tokenizer.ggml.padding_token_id", UINT32, tok.end_of_text),
        field("tokenizer.ggml.add_bos_token", BOOL, False),
        field("tokenizer.ggml.add_eos_token", BOOL, False),
        field("tokenizer.ggml.add_space_prefix", BOOL, False),
        field("tokenizer.chat_template", STRING, TEMPLATE),
    ]


def tensors(model):
    """(name, matrix) in llama.cpp's naming; the fused matrices of training are cut apart."""
    cfg, state = model.cfg, {k: v.detach().float().numpy() for k, v in model.state_dict().items()}
    kv = cfg.kv_heads * cfg.head
    yield "token_embd.weight", state["embed.weight"]
    for i in range(cfg.layers):
        old, new = "blocks.%d." % i, "blk.%d." % i
        q, k, v = np.split(state[old + "qkv.weight"], (cfg.width, cfg.width + kv))
        gate, up = np.split(state[old + "gate_up.weight"], 2)
        yield new + "attn_norm.weight", state[old + "attn_norm.weight"]
        yield new + "attn_q.weight", q
        yield new + "attn_k.weight", k
        yield new + "attn_v.weight", v
        yield new + "attn_output.weight", state[old + "out.weight"]
        yield new + "ffn_norm.weight", state[old + "ffn_norm.weight"]
        yield new + "ffn_gate.weight", gate
        yield new + "ffn_up.weight", up
        yield new + "ffn_down.weight", state[old + "down.weight"]
    yield "output_norm.weight", state["norm.weight"]


def q8_0(matrix):
    blocks = np.ascontiguousarray(matrix, np.float32).reshape(-1, 32)
    scale = (np.abs(blocks).max(1) / 127).astype(np.float32)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    out = np.zeros(len(blocks), np.dtype([("d", "<f2"), ("q", "i1", 32)]))
    out["d"], out["q"] = scale, np.rint(blocks * inverse[:, None])
    return out.tobytes()


def padded(raw):
    return raw + b"\0" * (-len(raw) % ALIGN)


def write(model, tok, path):
    fields, infos, blobs, offset = metadata(model.cfg, tok), [], [], 0
    for name, value in tensors(model):
        kind = F32 if value.ndim == 1 else Q8_0
        blob = padded(value.astype("<f4").tobytes() if kind == F32 else q8_0(value))
        infos.append(text(name) + struct.pack("<I", value.ndim)
                     + b"".join(struct.pack("<Q", n) for n in reversed(value.shape)) + struct.pack("<IQ", kind, offset))
        blobs.append(blob)
        offset += len(blob)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(fields)) + b"".join(fields) + b"".join(infos)
    with open(path + ".tmp", "wb") as f:
        f.write(padded(head) + b"".join(blobs))
    os.replace(path + ".tmp", path)
    return os.path.getsize(path)


def main():
    model, state = evaluate.load(sys.argv[1])
    path = os.path.normpath(sys.argv[2] if len(sys.argv) > 2 else OUT)
    print(path, write(model, Tokenizer.load(), path), "bytes; step", state["step"], "tokens", state["seen"])


if __name__ == "__main__":
    main()
