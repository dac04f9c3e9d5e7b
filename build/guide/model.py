"""The guide's network: a small llama (RMSNorm, rotary positions, SwiGLU, tied embeddings).

The rotation pairs neighbouring dimensions (2i, 2i+1), as llama.cpp does for
the llama architecture, so that the export needs no permutation.
"""

from dataclasses import dataclass, asdict

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab: int = 2048
    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    ff: int = 640
    context: int = 4096
    rope_base: float = 10000.0
    eps: float = 1e-5

    @property
    def head(self):
        return self.width // self.heads

    def dict(self):
        return asdict(self)


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rope_tables(cfg):
    """cos and sin, one row for each position, one column for each pair."""
    inv = cfg.rope_base ** (-torch.arange(0, cfg.head, 2).float() / cfg.head)
    angles = torch.arange(cfg.context).float()[:, None] * inv[None, :]
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """x: batch, heads, length, head size; neighbours are a pair."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def mix(q, k, v, mask):
    """Softmax attention. Under autocast all of it stays in bfloat16: copies to float32 and back cost more than the sums."""
    if not torch.is_autocast_cpu_enabled():
        return torch.matmul((torch.matmul(q, k.transpose(-2, -1)) + mask).softmax(-1), v)
    with torch.autocast("cpu", enabled=False):
        half = torch.bfloat16
        scores = torch.matmul(q.to(half), k.to(half).transpose(-2, -1)) + mask.to(half)
        return torch.matmul(scores.softmax(-1), v.to(half))


class Block(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        kv = cfg.kv_heads * cfg.head
        self.attn_norm = RMSNorm(cfg.width, cfg.eps)
        self.qkv = nn.Linear(cfg.width, cfg.width + 2 * kv, bias=False)
        self.out = nn.Linear(cfg.width, cfg.width, bias=False)
        self.ffn_norm = RMSNorm(cfg.width, cfg.eps)
        self.gate_up = nn.Linear(cfg.width, 2 * cfg.ff, bias=False)
        self.down = nn.Linear(cfg.ff, cfg.width, bias=False)

    def attention(self, x, cos, sin, mask, past):
        cfg, (b, t, _) = self.cfg, x.shape
        kv = cfg.kv_heads * cfg.head
        q, k, v = self.qkv(x).split((cfg.width, kv, kv), -1)
        q = rotate(q.view(b, t, cfg.heads, cfg.head).transpose(1, 2), cos, sin)
        k = rotate(k.view(b, t, cfg.kv_heads, cfg.head).transpose(1, 2), cos, sin)
        v = v.view(b, t, cfg.kv_heads, cfg.head).transpose(1, 2)
        if past is not None:
            if past:
                k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
            past[:] = [k, v]
        share = cfg.heads // cfg.kv_heads
        if share > 1:
            k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        mixed = mix(q * cfg.head ** -0.5, k, v, mask)
        return self.out(mixed.transpose(1, 2).reshape(b, t, cfg.width))

    def forward(self, x, cos, sin, mask, past=None):
        x = x + self.attention(self.attn_norm(x), cos, sin, mask, past)
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Guide(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.embed = nn.Embedding(cfg.vocab, cfg.width)
        self.blocks = nn.ModuleList(Block(cfg) for _ in range(cfg.layers))
        self.norm = RMSNorm(cfg.width, cfg.eps)
        cos, sin = rope_tables(cfg)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(self._init)
        for block in self.blocks:
            for last in (block.out, block.down):
                nn.init.normal_(last.weight, std=0.04 / (2 * cfg.layers) ** 0.5)

    @staticmethod
    def _init(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.04)

    def hidden(self, ids, past=None):
        """ids: batch, length → the final states. past: one list per layer, kept by the caller."""
        start = past[0][0].shape[2] if past and past[0] else 0
        t = ids.shape[1]
        cos, sin = self.cos[start:start + t], self.sin[start:start + t]
        mask = torch.full((t, start + t), float("-inf")).triu(start + 1)
        x = self.embed(ids)
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, mask, past[i] if past is not None else None)
        return self.norm(x)

    def logits(self, states):
        return states @ self.embed.weight.t()

    def forward(self, ids, past=None):
        return self.logits(self.hidden(ids, past))

    def parameters_count(self):
        return sum(p.numel() for p in self.parameters())

    @torch.no_grad()
    def generate(self, ids, stop, limit=160, temperature=0.0, generator=None):
        """Continue a list of ids until `stop`; returns the new ids without it."""
        past = [[] for _ in self.blocks]
        step, new = torch.tensor([ids]), []
        while len(new) < limit:
            last = self.logits(self.hidden(step, past)[0, -1])
            if temperature > 0:
                probs = (last / temperature).softmax(-1)
                token = int(torch.multinomial(probs, 1, generator=generator))
            else:
                token = int(last.argmax())
            if token == stop:
                break
            new.append(token)
            step = torch.tensor([[token]])
        return new
