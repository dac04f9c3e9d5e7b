"""Muon: momentum whose matrix is made orthogonal before each step.

Needs about half the tokens of AdamW here. Updates are scaled to AdamW's usual
size (0.2 root mean square), so that one learning rate serves both.
"""

import torch
from torch import distributed


def orthogonal(stack, steps=5):
    """Newton-Schulz: pulls all singular values of each matrix of a stack towards one."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = stack.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-2, -1)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.transpose(-2, -1)
        x = a * x + (b * s + c * (s @ s)) @ x
    if tall:
        x = x.transpose(-2, -1)
    return x.float()


class Muon(torch.optim.Optimizer):
    """`parts`: how a fused matrix is cut into its rows, so that each part is treated by itself."""

    def __init__(self, groups, lr, momentum=0.95, weight_decay=0.05):
        super().__init__(groups, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, parts=None))

    @staticmethod
    def _shared(stack):
        """Each worker does its share of the stack; all get the sum."""
        if not distributed.is_initialized():
            return orthogonal(stack)
        rank, workers = distributed.get_rank(), distributed.get_world_size()
        out = torch.zeros_like(stack)
        out[rank::workers] = orthogonal(stack[rank::workers])
        distributed.all_reduce(out)
        return out

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            looks = []
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                m = state["momentum"]
                m.lerp_(p.grad, 1 - group["momentum"])
                looks.append(torch.lerp(p.grad, m, group["momentum"]))
            stack = torch.stack(looks)
            pieces = stack.split(group["parts"] or [stack.shape[1]], 1)
            update = torch.cat([self._shared(x) * 0.2 * max(x.shape[1:]) ** 0.5 for x in pieces], 1)
            for p, u in zip(group["params"], update):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(u, alpha=-group["lr"])
